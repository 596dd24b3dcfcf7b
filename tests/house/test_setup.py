"""`scripts/setup` in a machine made of stubs: what it asks apt and pip for, and when it does nothing."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

# A Python that makes a venv out of itself and notes what pip is asked for.
PYTHON = """#!/bin/bash
case "$1" in
    --version) echo "Python 3.11.2" ;;
    -c) case "$2" in *ensurepip*) [ -e "$MACHINE/ensurepip" ] ;; *print*) echo python3.11-venv ;; esac ;;
    -m)
        if [ "$2" = venv ]; then
            case "$*" in *--clear*) rm -rf .venv ;; esac
            mkdir -p .venv/bin
            cp "$0" .venv/bin/python
            echo "VIRTUAL_ENV=$PWD/.venv" >.venv/bin/activate
            echo "venv" >>"$MACHINE/log"
        else
            shift 2
            echo "pip $*" >>"$MACHINE/log"
        fi
        ;;
esac
"""
APT_GET = """#!/bin/bash
echo "apt-get $*" >>"$MACHINE/log"
case "$*" in *python3.11-venv*) touch "$MACHINE/ensurepip" ;; esac
"""
TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "env", "flock", "grep", "mkdir", "rm", "touch")
GUI_PACKAGES = {
    *("libegl1", "libxkbcommon-x11-0", "libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0"),
    *("libdbus-1-3", "libfontconfig1", "libglib2.0-0", "xvfb", "xauth"),
}


@dataclass
class Machine:
    """A checkout and a PATH of stubs. `log` holds what apt, pip and venv were asked for since the last call."""

    folder: Path
    checkout: Path
    log: str = ""

    def stub(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def setup(self, *options: str) -> subprocess.CompletedProcess[str]:
        log = self.folder / "log"
        log.write_text("")
        done = subprocess.run(
            [self.checkout / "scripts" / "setup", *options],
            env={"PATH": str(self.folder / "bin"), "MACHINE": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.log = log.read_text()
        return done

    def apt_packages(self) -> set[str]:
        [line] = [line for line in self.log.splitlines() if line.startswith("apt-get") and " install " in line]
        return {word for word in line.split(" install ")[1].split() if not word.startswith("-")}


@pytest.fixture
def machine(tmp_path: Path, repository: Path) -> Machine:
    """A bare Linux, root's, with Python but without ensurepip, whose apt knows every package."""
    machine = Machine(tmp_path, tmp_path / "checkout")
    (tmp_path / "bin").mkdir()
    (machine.checkout / "scripts").mkdir(parents=True)
    for name in ("pyproject.toml", "scripts/setup", "scripts/constraints.txt"):
        shutil.copy(repository / name, machine.checkout / name)
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
    machine.stub("python3", PYTHON)
    machine.stub("apt-get", APT_GET)
    machine.stub("apt-cache", "#!/bin/bash\n")
    machine.stub("ldconfig", "#!/bin/bash\n")
    machine.stub("uname", "#!/bin/bash\necho Linux\n")
    machine.stub("id", "#!/bin/bash\necho 0\n")
    return machine


def as_ordinary_user(machine: Machine) -> None:
    machine.stub("id", "#!/bin/bash\necho 1000\n")
    machine.stub("sudo", "#!/bin/bash\nexit 1\n")


def test_everything_is_installed_once(machine: Machine) -> None:
    done = machine.setup("--gui", "--test")
    assert done.returncode == 0, done.stderr
    assert machine.apt_packages() == GUI_PACKAGES | {"python3.11-venv", "relion"}
    assert machine.log.count("venv\n") == 1
    assert "--constraint scripts/constraints.txt" in machine.log
    assert "--editable .[napari] --group gui --group test" in machine.log

    machine.stub("relion_refine", "#!/bin/bash\n")
    for program in ("Xvfb", "xauth"):
        machine.stub(program, "#!/bin/bash\n")
    libraries = "libEGL.so.1 libxkbcommon-x11.so.0 libxcb-cursor.so.0 libxcb-icccm.so.4 libxcb-keysyms.so.1"
    more = "libxcb-shape.so.0 libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0"
    machine.stub("ldconfig", f"#!/bin/bash\necho {libraries} {more}\n")
    for options in ((), ("--gui",), ("--test", "--gui")):
        assert machine.setup(*options).stdout == ""
        assert machine.log == ""


def test_the_command_line_alone_needs_no_gui_and_no_relion(machine: Machine) -> None:
    assert machine.setup().returncode == 0
    assert machine.apt_packages() == {"python3.11-venv"}
    assert "--editable .\n" in machine.log


def test_changed_pins_install_again_with_every_part(machine: Machine) -> None:
    machine.setup("--gui")
    with (machine.checkout / "scripts" / "constraints.txt").open("a") as file:
        file.write("another==1\n")
    machine.setup()
    assert "--editable .[napari] --group gui\n" in machine.log
    assert "venv\n" not in machine.log


def test_moved_checkout_gets_a_new_environment(machine: Machine) -> None:
    machine.setup()
    machine.checkout = machine.checkout.rename(machine.folder / "elsewhere")
    machine.setup()
    assert "venv\n" in machine.log
    assert "--editable ." in machine.log


def test_relion_is_left_out_where_apt_has_none(machine: Machine) -> None:
    machine.stub("apt-cache", "#!/bin/bash\nexit 100\n")
    done = machine.setup("--test")
    assert done.returncode == 0
    assert "comparisons with RELION will be skipped" in done.stdout
    assert "relion" not in machine.apt_packages()


def test_ordinary_user_is_told_the_one_apt_line(machine: Machine) -> None:
    as_ordinary_user(machine)
    (machine.folder / "ensurepip").touch()
    done = machine.setup("--gui", "--test")
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if "apt-get" in line]
    words = line.split("sudo apt-get install --no-install-recommends ")[1].split()
    assert set(words) == GUI_PACKAGES | {"relion"}
    assert "apt-get" not in machine.log
    assert "--group gui" in machine.log


def test_ordinary_user_without_venv_stops_with_the_apt_line(machine: Machine) -> None:
    as_ordinary_user(machine)
    done = machine.setup()
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends python3.11-venv" in done.stdout
    assert "cannot make virtual environments" in done.stderr
    assert machine.log == ""


def test_failed_installation_is_tried_again(machine: Machine) -> None:
    machine.stub(
        "python3", PYTHON.replace('echo "pip $*"', '[ -e "$MACHINE/online" ] || exit 1; echo "pip $*"')
    )
    done = machine.setup()
    assert done.returncode == 1
    assert "pip could not install" in done.stderr
    (machine.folder / "online").touch()
    assert machine.setup().returncode == 0
    assert "--editable ." in machine.log


def test_unknown_option_is_wrong_usage(machine: Machine) -> None:
    done = machine.setup("--everything")
    assert done.returncode == 2
    assert "--everything" in done.stderr
