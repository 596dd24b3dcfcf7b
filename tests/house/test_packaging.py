"""Wheel, sdist and editable install carry the manifest, the resources and the `blush` command alike.

Nothing is downloaded: the builds use the hatchling that is installed here, and each installation goes into a
virtual environment of its own that finds the dependencies of this one through a ``.pth`` file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

INSTALLED = """
import hashlib, importlib.metadata, json, pathlib
import blushcore, napari_blush
from blushcore.shipped import shipped_files
from npe2 import PluginManifest

manifest = PluginManifest.from_distribution("napari-blush")
[entry] = importlib.metadata.entry_points(group="napari.manifest", name="napari-blush")
package, file = entry.value.split(":")
print(json.dumps({
    "from": blushcore.__file__,
    "manifest": manifest.name,
    "manifest_text": pathlib.Path(napari_blush.__file__).with_name(file).read_text(),
    "typed": pathlib.Path(blushcore.__file__).with_name("py.typed").is_file(),
    "resources": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped_files("**/*")},
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(what: str, source: Path, output: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", f"--{what}", "--outdir", output, source, cwd=source)
    [built] = output.iterdir()
    return built


@pytest.fixture(scope="module")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the project consists of, links kept: the builds leave this checkout alone."""
    copy = tmp_path_factory.mktemp("checkout") / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "napari.yaml", "src", "scripts", "resources"):
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    return copy


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def editable(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that ``pip install --editable`` makes and installs."""
    output = tmp_path_factory.mktemp("editable")
    ask_the_backend = "import sys, hatchling.build; hatchling.build.build_editable(sys.argv[1])"
    run(sys.executable, "-c", ask_the_backend, output, cwd=checkout)
    [built] = output.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel_from_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xzf", sdist, cwd=folder)
    [source] = folder.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel_from_sdist"))


def contents(wheel: Path) -> dict[str, str]:
    """File names in `wheel` with the hash of each; the archive's own lists left out."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if not name.endswith("/RECORD")
        }


def test_wheel_holds_the_packages_and_nothing_else(wheel: Path, repository: Path) -> None:
    names = contents(wheel).keys()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"blushcore", "napari_blush"}
    assert "napari_blush/napari.yaml" in names
    shipped = {
        path.relative_to(repository).as_posix()
        for path in (repository / "resources").rglob("*")
        if path.is_file()
    }
    assert {name.removeprefix("blushcore/") for name in names if "/resources/" in name} == shipped


def test_wheel_is_the_same_by_way_of_the_sdist(wheel: Path, wheel_from_sdist: Path) -> None:
    assert contents(wheel) == contents(wheel_from_sdist)


def test_sdist_holds_each_resource_once(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name for name in archive.getnames() if "/resources/" in name]
    assert names
    assert all("/src/blushcore/resources/" in name for name in names)


@pytest.mark.parametrize("kind", ["wheel", "wheel_from_sdist", "editable"])
def test_installation_is_whole(
    kind: str, request: pytest.FixtureRequest, checkout: Path, repository: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", f"--python={python}", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", request.getfixturevalue(kind), cwd=tmp_path)
    # Only now, so that pip does not take the napari-blush of the environment of these tests for its own.
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    found = json.loads(run(python, "-c", INSTALLED, cwd=tmp_path))
    expected = checkout / "src" if kind == "editable" else packages
    assert Path(found["from"]).is_relative_to(expected)
    assert found["manifest"] == "napari-blush"
    assert found["manifest_text"] == (repository / "napari.yaml").read_text()
    assert found["typed"]
    resources = {path for path in (repository / "resources").rglob("*") if path.is_file()}
    assert found["resources"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in resources
    }
    assert "Usage: blush" in run(tmp_path / "venv" / "bin" / "blush", "--help", cwd=tmp_path)
    valid = run(python, "-m", "npe2", "validate", "napari-blush", cwd=tmp_path)
    assert "valid" in valid
    assert "invalid" not in valid.lower()


def test_checkout_without_symbolic_links_is_refused(checkout: Path, tmp_path: Path) -> None:
    broken = tmp_path / "project"
    shutil.copytree(checkout, broken, symlinks=True)
    link = broken / "src" / "blushcore" / "resources"
    link.unlink()
    link.write_text("../../resources")
    with pytest.raises(AssertionError, match=r"Turn symbolic links on"):
        build("wheel", broken, tmp_path / "wheel")


def test_every_package_has_its_layer(repository: Path) -> None:
    """import-linter lets a package that no layer names import what it likes."""
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [
        one["layers"] for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    ]
    named = {layer.strip("()") for layer in layers} - {"napari_blush"}
    engine = repository / "src" / "blushcore"
    modules = {path.stem for path in engine.glob("*.py")} | {
        path.parent.name for path in engine.glob("*/__init__.py")
    }
    assert {f"blushcore.{name}" for name in modules - {"__init__"}} <= named
