"""What the tests share: what they need from the machine, and how many threads they may take.

A test marked with a need (``@pytest.mark.relion``) is skipped, with the reason, where the machine lacks it.
With ``BLUSH_REQUIRE_RELION=1`` in the environment it fails instead, so that CI notices; likewise the others.
"""

from __future__ import annotations

import os

# Before anything imports numpy or torch, whose thread pools are sized once. Child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))

import functools
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# pytest-qt takes another Qt binding first than qtpy, and so napari, where both are installed.
os.environ.setdefault("QT_API", "pyqt6" if importlib.util.find_spec("PyQt6") else "pyside6")
os.environ.setdefault("PYTEST_QT_API", os.environ["QT_API"])

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("BLUSH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))


def _lacks_relion() -> str:
    return "" if shutil.which("relion_refine") else "RELION's programs are not on PATH"


def _lacks_shared_data() -> str:
    return "" if SHARED_DATA.is_dir() else f"no folder {SHARED_DATA} ($BLUSH_SHARED_DATA names another)"


def _lacks_cuda() -> str:
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


@functools.cache
def _lacks_gui() -> str:
    for module in ("napari", "pytestqt"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed (scripts/setup --gui)"
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display (xvfb-run makes one)"
    # In a process of its own: where one of its libraries is missing, Qt does not raise but aborts.
    program = "from qtpy.QtWidgets import QApplication; QApplication([])"
    tried = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return (
        "" if tried.returncode == 0 else "Qt cannot open a window (scripts/setup --gui names what is missing)"
    )


_LACKS: dict[str, Callable[[], str]] = {
    "relion": _lacks_relion,
    "shared_data": _lacks_shared_data,
    "cuda": _lacks_cuda,
    "gui": _lacks_gui,
}
"""Marker (or fixture) to what the machine lacks for it: a reason, or nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = {mark.name for mark in item.iter_markers()} | set(getattr(item, "fixturenames", ()))
    for need in wanted & _LACKS.keys():
        if reason := _LACKS[need]():
            if os.environ.get(f"BLUSH_REQUIRE_{need.upper()}") == "1":
                pytest.fail(f"BLUSH_REQUIRE_{need.upper()}=1, but {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared data folder; a test that asks for it is skipped where there is none."""
    return SHARED_DATA


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of this checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a randomly initialised network: right in everything but what it has learnt."""
    import torch

    from blushcore.denoiser.network import BlushNetwork
    from blushcore.denoiser.weights import weights_bytes

    with torch.random.fork_rng():
        torch.manual_seed(20)
        state = BlushNetwork().state_dict()
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    path.write_bytes(weights_bytes(state, name="random", version="0", training={"steps": 0}))
    return path
