"""What a lent machine does in its ten minutes, rehearsed with a stand-in for the training."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STAND_IN = """#!{python}
import os, signal, sys, time
from pathlib import Path
if sys.argv[1] == "-c":
    sys.exit(0)  # all packages are there
run = Path(sys.argv[-1])
run.mkdir(exist_ok=True)
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
def keep(text):
    (run / "mine.safetensors").write_bytes(text * (14_000_000 // len(text)))
    (run / "events.jsonl").open("a").write(" ".join(sys.argv[3:4]) + "\\n")
(run / "params.json").write_text("apart" if os.getpgrp() == os.getppid() else "together")
for step in (90, 1000):
    (run / f"examples_step{{step:06d}}.npz").write_bytes(b"%d" % step)
keep(b"so")
while not asked:
    time.sleep(0.05)
time.sleep(0.3)  # as long as a step takes
keep(b"%d" % min(99, len(asked)))
sys.exit(130)
"""


@pytest.fixture
def lent(repository: Path, tmp_path: Path):
    """Runs the script, in a checkout that has nothing but it."""
    checkout, folder = tmp_path / "checkout", tmp_path / "folder"
    (checkout / "scripts").mkdir(parents=True)
    folder.mkdir()
    shutil.copy(repository / "scripts" / "gpu_session", checkout / "scripts")
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    settings = {"PYTHON": str(stand_in), "DEVICE": "cpu", "SECONDS_TO_TRAIN": "1.5", "COLLECT_EVERY": "0.4"}

    def call(*words: str, wait: bool = True, **more: str):
        process = subprocess.Popen(
            [str(checkout / "scripts" / "gpu_session"), *words],
            stdout=subprocess.PIPE if wait else subprocess.DEVNULL,
            stderr=subprocess.PIPE if wait else subprocess.DEVNULL,
            text=True,
            env={**os.environ, **settings, **more},
            start_new_session=True,
        )
        if not wait:
            return process
        stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    return call, folder, tmp_path / "out"


def test_what_a_call_leaves_comes_back_whole_and_the_next_one_goes_on(lent):
    call, folder, out = lent
    done = call("train", str(folder), str(out))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "events.jsonl.gz",
        "examples.npz",
        "mine.safetensors.part00",
        "mine.safetensors.part01",
        "params.json",
    ]
    assert max(path.stat().st_size for path in out.iterdir()) < 16 * 2**20
    assert (out / "examples.npz").read_bytes() == b"1000"
    assert call("train", str(folder), str(out)).returncode == 0
    commands = gzip.decompress((out / "events.jsonl.gz").read_bytes()).decode().split()
    assert commands == ["train", "train", "resume", "resume"]
    assert call("join", str(out)).stdout.strip() == str(out / "mine.safetensors")
    assert not list(out.glob("*.part*"))
    # One Ctrl-C, not two: the second would have ended it without its state. Two that come at once may count as
    # one; so look at why there is one: `timeout` made no group of its own, which it would signal as well.
    assert (out / "mine.safetensors").read_bytes() == b"1" * 14_000_000
    assert (out / "params.json").read_text() == "together"


def test_a_call_that_is_cut_off_has_left_what_there_was(lent):
    call, folder, out = lent
    process = call("train", str(folder), str(out), SECONDS_TO_TRAIN="60", wait=False)
    try:
        deadline = time.monotonic() + 60
        while not (out / "params.json").exists():  # the last to arrive
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    parts = [(out / f"mine.safetensors.part0{number}").read_bytes() for number in (0, 1)]
    assert b"".join(parts) == b"so" * 7_000_000


def test_what_is_missing_is_said_before_time_goes_by(lent, tmp_path):
    call, folder, out = lent
    bare = tmp_path / "bare"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    done = call("train", str(folder), str(out), PYTHON=str(bare))
    assert done.returncode == 1
    assert f"'scripts/gpu_session prepare {folder}' gets them" in done.stderr
    assert call("nonsense").returncode == 2
