"""Half-map pairs by refinement: one from beginning to end, and the truth in the frame that a run ended in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.spatial.transform import Rotation

from blushcore.protocol import BlushError
from blushcore.shells import fsc
from blushcore.simulation import (
    ModelEntry,
    atom_positions,
    electron_density,
    in_solvent,
    read_model_table,
    read_structure,
)
from blushcore.training.pair_files import read_pairs
from blushcore.volumes import Volume, write_map
from synthetic_models import write_model_table

ANGLES, ORIGINS = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"], ["rlnOriginXAngst", "rlnOriginYAngst"]


@pytest.fixture(scope="module")
def script(repository: Path):
    spec = importlib.util.spec_from_file_location("refined_pairs", repository / "scripts" / "refined_pairs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["refined_pairs"] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["refined_pairs"]


def write_poses(path: Path, matrices: np.ndarray, origins: np.ndarray) -> None:
    """Write RELION's matrices A, from the object to the image, as its angles."""
    angles = Rotation.from_matrix(np.swapaxes(matrices, 1, 2)).as_euler("ZYZ", degrees=True)
    table = pd.DataFrame(angles, columns=ANGLES)
    table[ORIGINS] = origins
    table["rlnImageName"] = [f"{i + 1:06d}@some/particles.mrcs" for i in range(len(table))]
    path.parent.mkdir(exist_ok=True)
    starfile.write({"optics": pd.DataFrame({"rlnOpticsGroup": [1]}), "particles": table}, path)


def test_truth_and_mask_lie_where_the_run_s_poses_have_the_particle(script, tmp_path):
    entry = read_model_table(write_model_table(tmp_path, train=1), "train")[0]
    images = SimpleNamespace(box=40, pixel_size=2.0)
    dataset, run = tmp_path / "particles", tmp_path / "run"
    rng = np.random.default_rng(0)
    true, origins = Rotation.random(200, random_state=1).as_matrix(), rng.normal(0, 3, (200, 2))
    turn, moved = Rotation.from_euler("ZYX", [14, -9, 20], degrees=True).as_matrix(), np.array([3.0, -4.0, 2.0])
    errors = Rotation.from_rotvec(rng.normal(0, 0.5, (200, 3)), degrees=True).as_matrix()
    found = errors @ true @ turn.T  # A′(R·x) = A·x
    found[:40] = true[:40][::-1]
    write_poses(dataset / "true.star", true, origins)
    write_poses(run / "run_data.star", found, origins + (found @ moved)[:, :2])
    model = read_structure(entry.path)
    positions = atom_positions(model)
    middle = (positions.min(0) + positions.max(0)) / 2

    def write(path: Path, **placed: np.ndarray) -> None:
        density = in_solvent(electron_density(model, 40, 2.0, **placed), 2.0)
        write_map(path, Volume(density.numpy(), (2.0,) * 3))

    write(dataset / "truth.mrc")
    for half in (1, 2):
        write(run / f"run_half{half}_class001_unfil.mrc", rotation=turn, centre=turn @ middle - moved)
    pair = script._in_its_frame(entry, images, dataset, run, 60.0)
    detail = slice(1, round(80 / 6) + 1)
    assert fsc(pair.half1 * pair.mask, pair.truth * pair.mask)[detail].min() > 0.98
    inside = pair.mask > 0.5
    assert float(pair.half1[inside].mean()) > 5 * abs(float(pair.half1[pair.mask < 0.01].mean()))


def test_poses_of_nothing_make_no_pair(script, tmp_path):
    for seed, name in enumerate(("particles/true.star", "run/run_data.star")):
        write_poses(tmp_path / name, Rotation.random(200, random_state=seed).as_matrix(), np.zeros((200, 2)))
    entry = SimpleNamespace(path=tmp_path / "model.pdb")
    with pytest.raises(BlushError, match="has not found the structure"):
        script._in_its_frame(entry, None, tmp_path / "particles", tmp_path / "run", 60.0)


def test_a_refined_pair_is_stored_and_not_made_again(script, tmp_path, monkeypatch, capsys):
    table = write_model_table(tmp_path, train=1)
    small = script.Images(box=32, pixel_size=2.5, count=200, snr=3.0, views="none", micelle=False)

    def quick(entry: ModelEntry, images: object, work: Path, **options: object):
        return refined_pair(entry, small, work, healpix_order=2, max_iterations=5, seed=0, device="cpu")

    refined_pair = script.refined_pair
    monkeypatch.setattr(script, "refined_pair", quick)
    words = [str(table), "-o", str(tmp_path / "pairs"), "--count", "1"]
    assert script.main(words) == 0
    (entry,) = read_pairs(tmp_path / "pairs")
    pair = script.load_pair(entry)
    assert pair.truth is not None
    assert 3 <= pair.resolution < 12
    with_truth = fsc((pair.half1 + pair.half2) * pair.mask, pair.truth * pair.mask)
    size = pair.truth.shape[0] * 1.5
    assert with_truth[1 : round(size / 15) + 1].min() > 0.5
    capsys.readouterr()
    assert script.main(words) == 0
    assert capsys.readouterr().out == ""
