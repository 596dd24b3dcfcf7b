"""Particle sets as the job writes them: files, tables, seeds, stopping, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import mrcfile
import numpy as np
import pytest
import starfile

from blushcore.jobs.simulate import JOB, SimulateParameters, output_paths, simulate
from blushcore.jobs.simulate import particles as module
from blushcore.jobs.simulate.particle_tables import ParticleStar
from blushcore.protocol import BlushError, Command, Control, Finished, Progress
from blushcore.runs import run_unrecorded
from blushcore.simulation import particle_images
from blushcore.volumes import read_map
from synthetic_models import write_bundle

POSES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("model") / "bundle.pdb")


def parameters(model, output, **changes) -> SimulateParameters:
    values = {"kind": "particles", "voxel_size": 2.0, "box": 32, "count": 20, **changes}
    return SimulateParameters(model=model, output=output, **values)


def make(model, output, **changes):
    params = parameters(model, output, **changes)
    return list(run_unrecorded(JOB, params, params.output))


def test_the_files_are_a_set_that_relion_can_read(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = write_bundle(tmp_path / "other.pdb", seed=3)
    events = make(model, "set", count=40, mix=(f"{other}:0.3",), junk=0.2, seed=5, snr=2.0)
    assert isinstance(events[-1], Finished)
    names = {path.name for path in output_paths(parameters(model, tmp_path, mix=(f"{other}:0.3",)))}
    folder = tmp_path / "set"
    assert {path.name for path in folder.iterdir()} == names
    assert set(events[-1].files.values()) == names

    assert mrcfile.validate(folder / "particles.mrcs")
    with mrcfile.open(folder / "particles.mrcs") as file:
        assert file.is_image_stack()
        assert float(file.voxel_size.x) == pytest.approx(2.0)
        images = file.data.copy()
    assert images.shape == (40, 32, 32)
    given, true = (starfile.read(folder / name) for name in ("particles.star", "true.star"))
    assert given["optics"].equals(true["optics"])
    assert not set(POSES) & set(given["particles"])
    assert list(given["particles"]) == [c for c in true["particles"] if c not in (*POSES, "rlnClassNumber")]
    row = given["optics"].iloc[0] if hasattr(given["optics"], "iloc") else given["optics"]
    assert float(row["rlnImagePixelSize"]) == 2.0
    assert int(row["rlnImageSize"]) == 32
    assert list(given["particles"]["rlnImageName"][:2]) == [
        "000001@set/particles.mrcs",
        "000002@set/particles.mrcs",
    ]
    assert set(true["particles"]["rlnClassNumber"]) == {0, 1, 2}

    truths = [read_map(folder / name) for name in ("truth.mrc", "truth_class2.mrc")]
    assert all(truth.shape == (32, 32, 32) for truth in truths)
    assert not np.allclose(truths[0].data, truths[1].data)
    reference = read_map(folder / "ref40.mrc").data
    ratio = np.abs(np.fft.fftn(reference)) / np.abs(np.fft.fftn(truths[0].data))
    assert ratio[0, 0, 0] == pytest.approx(1, rel=1e-4)
    # Half the amplitude at 40 Å: exp(−ln 2 · (40 k)²), here at 32 Å.
    assert ratio[0, 0, 2] == pytest.approx(0.5 ** ((40 / 32) ** 2), rel=1e-2)
    record = json.loads((folder / "simulation.json").read_text())
    assert record["images"] == 40
    assert record["junk"] == int((true["particles"]["rlnClassNumber"] == 0).sum())
    assert str(tmp_path) not in json.dumps(record)


def test_a_seed_gives_the_same_files_whatever_the_batches(model, tmp_path, monkeypatch):
    for name, seed, batch in (("one", 1, None), ("again", 1, 3), ("other", 2, None)):
        if batch is not None:
            monkeypatch.setattr(particle_images, "_BATCH_BYTES", 4 * 32**2 * batch)
        make(model, tmp_path / name, seed=seed, junk=0.2)
    one, again, other = (mrcfile.read(tmp_path / name / "particles.mrcs") for name in ("one", "again", "other"))
    assert np.allclose(one, again, atol=1e-5)
    assert not np.allclose(one, other, atol=0.1)
    first, second = (starfile.read(tmp_path / name / "true.star")["particles"] for name in ("one", "again"))
    assert first[POSES].equals(second[POSES])


def test_a_map_may_be_the_truth_and_gives_box_and_voxel_size(model, tmp_path):
    make(model, tmp_path / "first")
    params = SimulateParameters(
        model=tmp_path / "first" / "truth.mrc", output=tmp_path / "second", kind="particles", count=5
    )
    list(run_unrecorded(JOB, params, params.output))
    first, second = (read_map(tmp_path / name / "truth.mrc") for name in ("first", "second"))
    assert np.array_equal(first.data, second.data)
    assert second.isotropic_voxel_size == pytest.approx(2.0)


def test_a_complex_of_four_looks_the_same_after_a_quarter_turn(model, tmp_path):
    make(model, tmp_path / "c4", copies=4, box=64, count=2)
    truth = read_map(tmp_path / "c4" / "truth.mrc").data[1:, 1:, 1:]
    turned = np.rot90(truth, axes=(1, 2))
    assert np.corrcoef(truth.ravel(), turned.ravel())[0, 1] > 0.999


def test_it_can_be_stopped_and_leaves_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(particle_images, "_BATCH_BYTES", 4 * 32**2)
    monkeypatch.setattr("blushcore.protocol.control._POLL_SECONDS", 0.0)
    seen: list[int] = []

    def commands():
        return [Command(id="1", action="stop_now")] if len(seen) > 3 else []

    params = parameters(model, tmp_path / "out")
    for event in run_unrecorded(JOB, params, params.output, commands=commands):
        if isinstance(event, Progress) and event.stage == "images":
            seen.append(event.done)
            assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".tmp"]
        last = event
    assert isinstance(last, Finished)
    assert last.outcome == "stopped"
    assert 3 < len(seen) < 20
    assert seen == list(range(1, len(seen) + 1))
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_the_number_of_images(model, tmp_path, monkeypatch):
    largest = []
    noisy = particle_images.ParticleImager.noisy

    def watched(self, images, noise_std):
        result = noisy(self, images, noise_std)
        largest.append(result.numel() * 4)
        return result

    monkeypatch.setattr(particle_images, "_BATCH_BYTES", 1 << 16)
    monkeypatch.setattr(particle_images.ParticleImager, "noisy", watched)
    make(model, tmp_path / "out", count=100)
    assert len(largest) == 7
    assert max(largest) <= 1 << 16


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"resolution": 3.0}, "resolution belongs to kind half-maps, and the kind is particles"),
        ({"kind": "half-maps", "junk": 0.1}, "count, junk belong to kind particles, and the kind is half-maps"),
        ({"mix": ("some.pdb",)}, "is not FILE:SHARE"),
        ({"mix": ("a.pdb:0.5", "b.pdb:0.5")}, "leave nothing to the first model"),
        ({"defocus": (2e4, 1e4)}, "is above the highest"),
        ({"junk": 1.0}, "less than 1"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes, sentence, model, tmp_path):
    values = {"kind": "particles", "voxel_size": 2.0, "box": 32, "count": 20, **changes}
    with pytest.raises(BlushError, match=sentence):
        SimulateParameters.parse({"model": model, "output": tmp_path, **values}, "here")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"voxel_size": 1.0, "box": 36}, "does not fit the box"),
        ({"copies": 3, "micelle": True}, "cannot have a micelle"),
        ({"mix": ("nowhere.pdb:0.5",)}, "There is no atomic model"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(changes, sentence, model, tmp_path):
    with pytest.raises(BlushError, match=sentence):
        make(model, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_only_junk_has_no_signal_to_scale_the_noise_by(model, tmp_path):
    with pytest.raises(BlushError, match="Not one image shows a particle"):
        make(model, tmp_path / "out", count=1, junk=0.999)
    assert not (tmp_path / "out").exists()


def test_a_disk_without_room_is_told_before_the_first_image(model, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6, 1000))
    monkeypatch.setattr(module, "StackWriter", lambda *_: pytest.fail("it began"))
    with pytest.raises(BlushError, match="Make room, write elsewhere"):
        make(model, tmp_path / "out")


def test_the_disk_is_looked_at_before_the_memory_is_filled_with_poses(model, tmp_path):
    with pytest.raises(BlushError, match=r"The images need 4.1e\+06 GB; the disk of"):
        make(model, tmp_path / "out", count=10**12)


def test_a_folder_that_was_there_stays_after_an_error(model, tmp_path, monkeypatch):
    def broken(*_):
        raise BlushError("The cable is out.")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(particle_images.ParticleImager, "noisy", broken)
    with pytest.raises(BlushError, match="cable"):
        make(model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_stack_is_moved_and_not_copied(model, tmp_path):
    params = parameters(model, tmp_path)
    for event in simulate(params, Control()):
        if isinstance(event, Finished):
            stack = next(a for a in event.artefacts if a.role == "stack")
            table = next(a for a in event.artefacts if a.role == "particles")
            assert isinstance(table, ParticleStar)
            inode = stack.spool.stat().st_ino
            stack.write(tmp_path / "kept.mrcs")
            assert (tmp_path / "kept.mrcs").stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir()] == ["kept.mrcs"]
