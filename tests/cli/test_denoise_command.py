"""``blush denoise`` from its command line: what it says and writes, what it refuses, how it stops."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

import mrcfile
import numpy as np
import pytest

from blushcore.cli import main


def write(path: Path, data: np.ndarray, voxel_size: float = 1.5) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = voxel_size
    return path


def random_map(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n, n))


@pytest.fixture
def files(random_weights, tmp_path, monkeypatch):
    """A map and two halves in the working folder; randomly initialised weights as the default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUSH_WEIGHTS", str(random_weights))
    write(tmp_path / "map.mrc", random_map(16))
    write(tmp_path / "half1.mrc", random_map(16, 1))
    write(tmp_path / "half2.mrc", random_map(16, 2))
    return tmp_path


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["denoise", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_it_says_where_with_what_and_which_files(files, capsys):
    code, out, err = run(
        capsys,
        "half1.mrc",
        "--half2",
        "half2.mrc",
        "-o",
        "out/d.mrc",
        "--mask-out",
        "mask.mrc",
        "--device",
        "cpu",
    )
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0].startswith("denoise starts on ")
    assert "(cpu)" in lines[0]
    assert "Weights random (sha256 " in lines[1]
    assert "float" in lines[1]
    assert any(line.startswith("denoising half 1: 1 of 1 blocks") for line in lines)
    assert lines[-1].startswith("Wrote out/d_half1.mrc, out/d_half2.mrc, mask.mrc in 0:00:")
    assert "done" not in err
    assert all((files / name).is_file() for name in ("out/d_half1.mrc", "out/d_half2.mrc", "mask.mrc"))


def test_json_is_one_object_and_nothing_else(files, capsys):
    code, out, err = run(capsys, "map.mrc", "-o", "out/d.mrc", "--json", "--precision", "float32")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert result["outcome"] == "done"
    assert result["files"] == {"denoised": "out/d.mrc"}
    assert result["figures"]["weights"] == "random"
    assert result["figures"]["precision"] == "float32"
    assert result["figures"]["seconds"] > 0


def test_json_holds_the_warnings(files, capsys):
    write(files / "one.mrc", random_map(48), voxel_size=1.0)
    _, out, err = run(capsys, "one.mrc", "-o", "d.mrc", "--json")
    assert err == ""
    [warning] = json.loads(out)["warnings"]
    assert warning.startswith("one.mrc has a voxel size of exactly 1 Å")


def test_two_halves_are_written_both_or_not_at_all(files, capsys, monkeypatch):
    def write_one(file: BinaryIO, _: object, name: str, **__: object) -> None:
        if "half2" in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(b"half 1")

    monkeypatch.setattr("blushcore.jobs.map_file.encode_map", write_one)
    words = ["half1.mrc", "--half2", "half2.mrc", "-o", "d.mrc"]
    code, _, err = run(capsys, *words)
    assert code == 1
    assert "The disk is full" in err
    assert not list(files.glob("d_*"))
    for name in ("d_half1.mrc", "d_half2.mrc"):
        (files / name).write_bytes(b"precious")
    assert run(capsys, *words, "--overwrite")[0] == 1
    for name in ("d_half1.mrc", "d_half2.mrc"):  # never a half of this run beside one of another
        assert (files / name).read_bytes() == b"precious"


def test_failures_are_json_too(files, capsys):
    code, out, err = run(capsys, "missing.mrc", "-o", "d.mrc", "--json")
    assert code == 1
    assert json.loads(out)["problem"] == "missing.mrc does not exist."
    assert err.splitlines()[-1] == "blush: missing.mrc does not exist. Check the name."
    (files / "d.mrc").write_bytes(b"precious")
    code, out, err = run(capsys, "map.mrc", "-o", "d.mrc", "--json")
    assert code == 1
    assert json.loads(out)["problem"] == "d.mrc exists already."


def test_files_that_exist_are_replaced_only_when_told(files, capsys):
    (files / "d.mrc").write_bytes(b"precious")
    code, _, err = run(capsys, "map.mrc", "-o", "d.mrc")
    assert code == 1
    assert err.startswith("blush: d.mrc exists already. Give --overwrite")
    assert (files / "d.mrc").read_bytes() == b"precious"
    assert run(capsys, "map.mrc", "-o", "d.mrc", "--overwrite")[0] == 0
    assert mrcfile.validate(str(files / "d.mrc"))


def test_what_cannot_be_written_is_refused_before_the_network_runs(files, capsys, monkeypatch):
    monkeypatch.setattr("blushcore.denoiser.Denoiser.__call__", lambda *_: pytest.fail("it ran"))
    (files / "d_half2.mrc").write_bytes(b"precious")
    (files / "folder.mrc").mkdir()
    for words, sentence in (
        (("half1.mrc", "--half2", "half2.mrc", "-o", "d.mrc"), "d_half2.mrc exists already"),
        (("map.mrc", "-o", "e.mrc", "--mask-out", "half1.mrc"), "half1.mrc exists already"),
        (("map.mrc", "-o", "folder.mrc", "--overwrite"), "is a folder"),
        (("map.mrc", "-o", "half1.mrc/e.mrc"), "half1.mrc is not a folder"),
    ):
        code, _, err = run(capsys, *words)
        assert code == 1
        assert sentence in err


@pytest.fixture
def locked_folder():
    """A folder that may not be written to, and a user for whom that counts."""
    folder = Path(tempfile.mkdtemp(prefix="blush-locked-"))
    folder.chmod(0o555)
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="permissions as POSIX has them")
def test_an_unwritable_folder_is_refused_at_once(files, capsys, locked_folder):
    code, _, err = run(capsys, "map.mrc", "-o", str(locked_folder / "new" / "d.mrc"))
    assert code == 1
    assert err.startswith(f"blush: The folder {locked_folder} may not be written to.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("map.mrc",), "--output"),
        (("-o", "d.mrc"), "MAP"),
        (("map.mrc", "-o", "d.mrc", "--diameter", "-5"), "--diameter"),
        (("map.mrc", "-o", "d.mrc", "--diametre", "5"), "--diametre"),
        (("map.mrc", "-o", "d.mrc", "--precision", "int8"), "precision"),
    ],
)
def test_wrong_usage_exits_with_2_and_points_to_help(files, capsys, words, sentence):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert err.rstrip().endswith("See: blush denoise --help")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("map.mrc", "-o", "d.txt"), "d.txt does not look like the name of a map"),
        (("map.mrc", "-o", "d.mrc", "--mask-out", "d.mrc"), "for the map and for the mask"),
        (("map.mrc", "-o", "d.mrc", "--device", "tpu"), "no device called 'tpu'"),
    ],
)
def test_wrong_usage_that_only_the_job_sees_is_2_too(files, capsys, words, sentence):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert sentence in err


def test_wrong_names_are_told_without_waiting_for_torch(tmp_path):
    script = (
        "import sys; from blushcore.cli import main; code = main(['denoise', 'a.mrc', '-o', 'b.mrc']);"
        "sys.exit(code + 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "a.mrc does not exist" in done.stderr


def test_help_names_units_and_choices(capsys):
    code, out, _ = run(capsys, "--help")
    text = " ".join(out.split())
    assert code == 0
    for word in ("--diameter", "(Å)", "--half2", "--mask-out", "--weights", "--device", "cuda:1", "bfloat16"):
        assert word in text


def start(files: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "blushcore.cli", "denoise", *words],
        cwd=files,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_errors_are_one_sentence_without_a_traceback(files):
    """In a process of its own: exit code, stderr and stdout as a script sees them."""
    process = start(files, "missing.mrc", "-o", "d.mrc")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == "blush: missing.mrc does not exist. Check the name."
    assert "Traceback" not in err


def test_ctrl_c_stops_within_a_batch_and_leaves_nothing(files):
    """Some 30 blocks take long enough to be interrupted at the first."""
    write(files / "large.mrc", random_map(100))
    before = sorted(path.name for path in files.iterdir())
    process = start(files, "large.mrc", "-o", "d.mrc", "--precision", "float32")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("denoising: 0 of "):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "blush: stopping; press Ctrl-C again to stop at once" in err
    assert not re.search(r"denoising: (\d+) of \1 blocks", err)
    assert "Traceback" not in err
    assert sorted(path.name for path in files.iterdir()) == before
