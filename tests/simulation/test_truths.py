"""What particles are made of: rings of copies, micelles, maps on another grid."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.simulation import MapTruth, atom_positions, electron_density, is_map, open_truth, read_structure
from blushcore.simulation.assemblies import ring_of_copies
from blushcore.simulation.micelle import add_micelle, find_membrane
from blushcore.volumes import Volume, write_map
from synthetic_models import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("truths") / "bundle.pdb")


@pytest.mark.parametrize("copies", [2, 3, 4, 7])
def test_a_ring_is_its_own_image_turned_by_one_step_about_z(bundle, copies):
    one = read_structure(bundle)
    ring = atom_positions(ring_of_copies(one, copies)).reshape(copies, -1, 3)
    angle = 2 * np.pi / copies
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert np.allclose(ring[:-1] @ turn.T, ring[1:], atol=1e-6)
    assert np.allclose(ring[-1] @ turn.T, ring[0], atol=1e-6)
    # A copy is not deformed, and neighbours are near without lying upon each other.
    distances = np.linalg.norm(ring[0] - ring[0, :1], axis=1)
    original = atom_positions(one)
    assert np.allclose(distances, np.linalg.norm(original - original[0], axis=1), atol=1e-3)
    between = np.linalg.norm(ring[0].mean(0) - ring[1].mean(0))
    widths = np.ptp(original, axis=0)[:2]
    assert 0.85 * widths.max() < between < widths.max()


def test_the_axis_of_a_ring_of_three_is_the_axis_of_its_density(bundle):
    density = open_truth(bundle, copies=3).density(64, 1.6).double()
    transform = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(density)))
    # Powers alone would not see where the axis is: compare complex values at (kx, ky) and turned by 120°.
    line = torch.arange(64).double() - 32
    grid = (line * 1.6)[None, :], (line * 1.6)[:, None]
    section = density.sum(0)

    def component(kx: float, ky: float) -> complex:
        phase = torch.exp(-2j * torch.pi * (kx * grid[0] + ky * grid[1]))
        return complex((section * phase).sum())

    total = abs(complex(transform[32, 32, 32]))
    for kx, ky in ((0.01, 0.0), (0.02, 0.01), (-0.005, 0.03)):
        c, s = -0.5, np.sqrt(3) / 2
        turned = component(kx * c - ky * s, kx * s + ky * c)
        assert abs(component(kx, ky) - turned) < 3e-3 * total  # an axis 0.3 Å off would differ by more


def membrane_protein(path: Path) -> Path:
    """A rod of residues along (1, 1, 0): 30 Å of leucine between charged ends; atoms in a helix-like spiral."""
    axis, side = np.array([1.0, 1.0, 0.0]) / np.sqrt(2), np.array([0.0, 0.0, 1.0])
    other = np.cross(axis, side)
    lines = []
    for residue in range(120):
        height = -60 + residue
        name = "LEU" if abs(height - 10) < 15 else "LYS"
        angle = residue * 1.8
        position = height * axis + 9 * (np.cos(angle) * side + np.sin(angle) * other)
        x, y, z = position
        lines.append(
            f"ATOM  {residue + 1:5d}  CA  {name} A{residue + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00"
            "           C"
        )
    path.write_text("\n".join([*lines, "END"]) + "\n")
    return path


def test_the_membrane_is_where_the_hydrophobic_residues_are(tmp_path):
    found = find_membrane(read_structure(membrane_protein(tmp_path / "rod.pdb")))
    cosine = abs(found.normal @ np.array([1, 1, 0]) / np.sqrt(2))
    assert cosine > np.cos(np.radians(15))
    sign = np.sign(found.normal @ np.array([1.0, 1.0, 0.0]))
    assert found.offset_angstrom * sign == pytest.approx(10, abs=3)


def test_a_micelle_lies_around_the_membrane_and_not_in_the_protein(tmp_path):
    model = read_structure(membrane_protein(tmp_path / "rod.pdb"))
    membrane = find_membrane(model)
    vacuum = electron_density(model, 64, 3.0, centre=np.zeros(3))
    with_belt = add_micelle(torch.zeros_like(vacuum), vacuum, 3.0, membrane, solvent_contrast=1.0)
    line = (np.arange(64) - 32) * 3.0
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    height = (x + y) / np.sqrt(2)
    distance = np.sqrt(z**2 + ((x - y) / np.sqrt(2)) ** 2)
    belt = with_belt.numpy()
    assert np.abs(belt[np.abs(height - 10) > 32]).max() < 0.05 * np.abs(belt).max()
    assert np.abs(belt[distance > 45]).max() < 0.05 * np.abs(belt).max()
    tails = (np.abs(height - 10) < 6) & (distance > 18) & (distance < 22)
    heads = (np.abs(height - 10) < 5) & (distance > 29) & (distance < 33)
    assert belt[heads].mean() > 0 > belt[tails].mean()
    in_vacuum = add_micelle(torch.zeros_like(vacuum), vacuum, 3.0, membrane, solvent_contrast=0.0).numpy()
    assert in_vacuum[tails].mean() > 0


def test_a_micelle_that_does_not_fit_and_a_model_without_amino_acids_are_refused(tmp_path, bundle):
    model = read_structure(membrane_protein(tmp_path / "rod.pdb"))
    vacuum = electron_density(model, 46, 3.0, centre=np.array([0.0, 0.0, -40.0]))
    with pytest.raises(BlushError, match="Use a box of at least"):
        add_micelle(vacuum, vacuum, 3.0, find_membrane(model), 1.0)
    water = gemmi.Model(1)
    with pytest.raises(BlushError, match="too few to tell"):
        find_membrane(water)
    with pytest.raises(BlushError, match="cannot have a micelle"):
        open_truth(bundle, copies=2, micelle=True)


def write_blob(path: Path, n: int, voxel_size: float) -> Path:
    line = (np.arange(n) - n // 2) * voxel_size
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    data = np.exp(-((x - 6) ** 2 + y**2 + (z + 4) ** 2) / 200)
    write_map(path, Volume(data.astype(np.float32), (voxel_size,) * 3))
    return path


def test_a_map_is_resampled_and_its_box_padded_about_the_centre(tmp_path):
    truth = open_truth(write_blob(tmp_path / "blob.mrc.gz", 48, 2.0))
    assert isinstance(truth, MapTruth)
    assert truth.extent_angstrom == pytest.approx(0.7 * 96)
    found = truth.density(40, 3.0).numpy()
    line = (np.arange(40) - 20) * 3.0
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    expected = np.exp(-((x - 6) ** 2 + y**2 + (z + 4) ** 2) / 200)
    assert np.abs(found - expected).max() < 0.01
    assert np.array_equal(truth.density(48, 2.0).numpy(), truth.volume.data)
    with pytest.raises(BlushError, match=r"Use voxels of 2\.6667 Å"):
        truth.density(48, 2.6)


def test_maps_are_told_by_their_ending_and_used_as_they_are(tmp_path):
    assert all(is_map(Path(name)) for name in ("a.mrc", "b.MAP", "c.mrc.gz", "emd_1.map.bz2"))
    assert not any(is_map(Path(name)) for name in ("a.pdb", "b.cif.gz", "map", "mrc.gz"))
    path = write_blob(tmp_path / "blob.mrc", 32, 2.0)
    with pytest.raises(BlushError, match="without copies or a micelle"):
        open_truth(path, copies=2)
    write_blob(tmp_path / "odd.mrc", 31, 2.0)
    with pytest.raises(BlushError, match="even, cubic box"):
        open_truth(tmp_path / "odd.mrc")
