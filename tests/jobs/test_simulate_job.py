"""The simulation job: what its files hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blushcore.jobs.simulate import JOB, SimulateParameters, parse_views, simulate
from blushcore.protocol import BlushError, Control, Finished, Started
from blushcore.runs import run_unrecorded
from blushcore.shells import fsc, resolution
from blushcore.simulation import atom_positions, read_structure
from blushcore.volumes import read_map
from synthetic_models import write_bundle

NAMES = {"half1", "half2", "truth", "signal", "mask", "simulation"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("model") / "bundle.pdb")


def finished(model, tmp_path, **changes) -> Finished:
    params = SimulateParameters(
        model=model, output=tmp_path, **{"resolution": 6.0, "voxel_size": 1.5, **changes}
    )
    return list(simulate(params, Control()))[-1]


def maps(event: Finished) -> dict[str, np.ndarray]:
    return {
        artefact.role: artefact.volume.data for artefact in event.artefacts if artefact.role != "simulation"
    }


def test_the_files_hold_the_halves_and_what_they_come_from(model, tmp_path):
    params = SimulateParameters(model=model, output=tmp_path, resolution=5.0, voxel_size=1.25, seed=3)
    events = list(run_unrecorded(JOB, params, tmp_path))
    assert isinstance(events[0], Started)
    assert set(events[-1].files) == NAMES
    record = json.loads((tmp_path / "simulation.json").read_text())
    files = {name: read_map(tmp_path / f"{name}.mrc") for name in NAMES - {"simulation"}}
    box = record["box"]
    for volume in files.values():
        assert volume.shape == (box, box, box)
        assert volume.isotropic_voxel_size == pytest.approx(1.25, rel=1e-5)
    assert record["parameters"]["seed"] == 3
    assert record["parameters"]["model"] == "bundle.pdb"
    assert str(tmp_path) not in json.dumps(record)
    assert record["statistics"]["resolution"] == 5.0
    mask, half1, half2 = (files[name].data for name in ("mask", "half1", "half2"))
    curve = fsc(half1 * mask, half2 * mask)
    assert np.allclose(record["fsc_inside_mask"], curve, atol=1e-4)
    assert record["fsc_resolution"] == pytest.approx(
        resolution(curve, box * 1.25, 1 / 7).interpolated_angstrom, rel=1e-3
    )
    assert 4 < record["fsc_resolution"] < 6.5
    assert np.corrcoef(files["truth"].data.ravel(), files["signal"].data.ravel())[0, 1] > 0.7


def test_the_maps_overlay_the_model(model, tmp_path):
    truth = next(
        a for a in finished(model, tmp_path, solvent_contrast=0.0).artefacts if a.role == "truth"
    ).volume
    positions = atom_positions(read_structure(model))[:, ::-1]  # z, y, x
    index = np.round((positions - truth.header.origin) / truth.voxel_size).astype(int)
    at_atoms = truth.data[tuple(index.T)]
    assert at_atoms.mean() > 8 * truth.data.std() * 0.5
    assert np.mean(at_atoms > 2 * truth.data.std()) > 0.95


def test_a_seed_gives_the_same_files_and_another_other_noise(model, tmp_path):
    one, again, other = (maps(finished(model, tmp_path, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["half1"], other["half1"])
    assert np.array_equal(one["truth"], other["truth"])


def test_a_random_orientation_is_recorded_and_drawn(model, tmp_path):
    event = finished(model, tmp_path, random_orientation=True, seed=5)
    record = next(a for a in event.artefacts if a.role == "simulation").values
    rotation = np.array(record["rotation"])
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert not np.allclose(rotation, np.eye(3), atol=0.1)
    turned = atom_positions(read_structure(model)) @ rotation.T
    centred = turned - (turned.min(0) + turned.max(0)) / 2
    truth = maps(event)["truth"]
    index = np.round(centred[:, ::-1] / 1.5).astype(int) + truth.shape[0] // 2
    assert np.mean(truth[tuple(index.T)] > truth.std()) > 0.95


def test_preferred_views_make_the_noise_anisotropic(model, tmp_path):
    def ratio(views):
        found = maps(finished(model, tmp_path, preferred_views=views, box=48))
        power = np.abs(np.fft.fftn(found["half1"] - found["signal"])) ** 2
        k = np.fft.fftfreq(48, 1 / 48)
        kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
        length = np.sqrt(kx**2 + ky**2 + kz**2)
        shell = (length > 10) & (length < 20)
        along, across = shell & (np.abs(kz) > 0.9 * length), shell & (np.abs(kz) < 0.2 * length)
        return power[along].mean() / power[across].mean()

    none, mild, strong = (ratio(views) for views in ("none", "mild", "strong"))
    assert none == pytest.approx(1, abs=0.12)
    assert 1.5 < mild < 4
    assert strong > 10
    assert ratio("0,0,2,10,20") == pytest.approx(strong, rel=1e-3)
    assert ratio("1,0,0,10,20") < 1


@pytest.mark.parametrize("text", ["some", "1,2,3", "0,0,0,1,1", "0,0,1,-2,1", "0,0,1,nan,1", "0,0,1,3,2;x"])
def test_other_views_are_refused_with_a_sentence(text, model, tmp_path):
    with pytest.raises(ValueError, match=r"KAPPA"):
        parse_views(text)
    with pytest.raises(BlushError, match="preferred_views"):
        SimulateParameters.parse({"model": model, "output": tmp_path, "preferred_views": text}, "here")


def test_several_clusters_of_views_are_taken_with_unit_axes():
    views = parse_views("0,0,2,10,5; 3,4,0,2,1")
    assert [view.axis for view in views] == [(0, 0, 1), (0.6, 0.8, 0)]
    assert [(view.concentration, view.weight) for view in views] == [(10, 5), (2, 1)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"resolution": 2.0}, "Use voxels of at most 1 Å"),
        ({"box": 32, "voxel_size": 0.5, "resolution": 4.0}, "does not fit the box"),
        ({"voxel_size": 1e-6}, "GiB of memory, and .* are free"),
        ({"model": "nowhere.pdb"}, "There is no atomic model"),
    ],
)
def test_what_cannot_be_simulated_is_refused_and_leaves_nothing(changes, sentence, model, tmp_path):
    values = {"model": model, "output": tmp_path / "out", "voxel_size": 1.5, **changes}
    params = SimulateParameters.parse(values, "here")
    with pytest.raises(BlushError, match=sentence):
        list(run_unrecorded(JOB, params, params.output))
    assert not (tmp_path / "out").exists()


def test_existing_files_stay_unless_told(model, tmp_path):
    (tmp_path / "half1.mrc").write_text("mine")
    params = SimulateParameters(model=model, output=tmp_path, resolution=6.0, voxel_size=1.5)
    with pytest.raises(BlushError, match="exists already"):
        list(run_unrecorded(JOB, params, tmp_path))
    assert (tmp_path / "half1.mrc").read_text() == "mine"
    list(run_unrecorded(JOB, params, tmp_path, overwrite=True))
    assert read_map(tmp_path / "half1.mrc").shape == (36, 36, 36)
