"""Memory and threads are what this process may use, not what the machine has."""

from __future__ import annotations

import os

import pytest

from blushcore.devices import Memory, available_threads, host_memory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``machine(cgroup lines, {file: content})`` makes a Linux machine: 64 GiB, 40 free, 16 threads."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(
        f"MemTotal: {64 << 20} kB\nMemFree: 1024 kB\nMemAvailable: {40 << 20} kB\nHugePages_Total: 0\n"
    )

    def make(lines="", files=None):
        (proc / "self" / "cgroup").write_text(lines)
        for name, content in (files or {}).items():
            (groups / name).parent.mkdir(parents=True, exist_ok=True)
            (groups / name).write_text(content)
        return {"proc": proc, "cgroups": groups}

    return make


def test_a_machine_without_limits(machine):
    assert host_memory(**machine()) == Memory(64 * GIB, 40 * GIB)
    assert available_threads(**machine()) == 16


def test_no_control_groups_at_all(machine):
    places = machine()
    (places["proc"] / "self" / "cgroup").unlink()
    assert host_memory(**places) == Memory(64 * GIB, 40 * GIB)
    assert available_threads(**places) == 16


def test_a_container(machine):
    """Version 2; files in the page cache are not counted as used."""
    places = machine(
        "0::/\n",
        {
            "memory.max": f"{8 * GIB}\n",
            "memory.current": f"{5 * GIB}\n",
            "memory.stat": f"anon {GIB}\nfile {3 * GIB}\ninactive_file {2 * GIB}\n",
            "cpu.max": "250000 100000\n",
        },
    )
    assert host_memory(**places) == Memory(8 * GIB, 5 * GIB)
    assert available_threads(**places) == 2


def test_the_tightest_group_counts(machine):
    """Slurm's job around its step: the step has no limit of its own, the job has."""
    places = machine(
        "0::/slurm/job_7/step_0\n",
        {
            "slurm/job_7/step_0/memory.max": "max\n",
            "slurm/job_7/step_0/memory.current": f"{GIB}\n",
            "slurm/job_7/step_0/memory.stat": "inactive_file 0\n",
            "slurm/job_7/step_0/cpu.max": "max 100000\n",
            "slurm/job_7/memory.max": f"{4 * GIB}\n",
            "slurm/job_7/memory.current": f"{GIB}\n",
            "slurm/job_7/memory.stat": "inactive_file 0\n",
            "slurm/job_7/cpu.max": "400000 100000\n",
            "slurm/memory.max": f"{32 * GIB}\n",
            "slurm/memory.current": f"{31 * GIB}\n",
            "slurm/memory.stat": "inactive_file 0\n",
        },
    )
    assert host_memory(**places) == Memory(4 * GIB, 1 * GIB)
    assert available_threads(**places) == 4


def test_version_1(machine):
    places = machine(
        "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n",
        {
            "memory/job/memory.limit_in_bytes": f"{2 * GIB}\n",
            "memory/job/memory.usage_in_bytes": f"{3 * GIB}\n",
            "memory/job/memory.stat": "total_inactive_file 0\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.usage_in_bytes": f"{30 * GIB}\n",
            "memory/memory.stat": "total_inactive_file 0\n",
            "cpu/job/cpu.cfs_quota_us": "50000\n",
            "cpu/job/cpu.cfs_period_us": "100000\n",
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert host_memory(**places) == Memory(2 * GIB, 0)
    assert available_threads(**places) == 1  # half a processor is still one thread


@pytest.mark.parametrize(
    ("wanted", "threads"), [("3", 3), ("99", 16), ("", 16), ("0", 16), ("4,2", 4), ("x", 16)]
)
def test_the_user_may_want_fewer_threads(machine, monkeypatch, wanted, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert available_threads(**machine()) == threads


def test_this_machine():
    psutil = pytest.importorskip("psutil")
    memory = host_memory()
    assert 0 < memory.available <= memory.total <= psutil.virtual_memory().total
    assert 1 <= available_threads() <= (os.cpu_count() or 1)
