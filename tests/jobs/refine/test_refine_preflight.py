"""What a refinement refuses before it begins, and what it asks of the machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.preflight import predicted_disk_bytes as disk_of_classification
from blushcore.jobs.expectation_maximisation.disk_need import check_disk
from blushcore.jobs.expectation_maximisation.resampling import on_other_grid
from blushcore.jobs.refine.job import refine
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import check_inputs, predicted_disk_bytes, predicted_need
from blushcore.protocol import BlushError, Control, UsageError
from blushcore.volumes import Volume, write_map
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("original"), count=20)


@pytest.fixture
def tiny(original, tmp_path):
    """A copy to be spoilt."""
    folder = tmp_path / "set"
    shutil.copytree(original.folder, folder)
    return type(original)(folder, original.truth, original.angles_deg, original.offsets_px)


def with_images(tiny, change) -> None:
    with mrcfile.open(tiny.stack, "r+") as file:
        change(file.data)


def gaussian(n: int, voxel_size: float) -> np.ndarray:
    axis = (np.arange(n) - n // 2) * voxel_size
    one = np.exp(-((axis - 5.0) ** 2) / (2 * 10.0**2)), np.exp(-(axis**2) / (2 * 14.0**2))
    return (one[0][:, None, None] * one[1][:, None] * one[1]).astype(np.float32)


def test_what_fits_together_is_taken(tiny):
    inputs = check_inputs(tiny.parameters())
    assert (inputs.box, inputs.voxel_size) == (BOX, PIXEL_SIZE)
    assert sorted(np.unique(inputs.table.half)) == [1, 2]
    assert inputs.reader.kept_bytes == 20 * BOX**2 * 4
    power = np.abs(np.fft.rfftn(inputs.references[0])) ** 2
    assert power[8:-8].sum() < 1e-6 * power.sum()  # low-passed to 20 Å: shell 4.8


@pytest.mark.parametrize("size", [PIXEL_SIZE * 1.0011, PIXEL_SIZE * 0.9989])
def test_a_reference_of_another_pixel_size_is_refused_with_the_offer_to_resample(tiny, size):
    write_map(tiny.reference, Volume(gaussian(BOX, size), (size,) * 3))
    with pytest.raises(BlushError, match=r"reference\.mrc has 24 × 24 × 24 voxels .* --resample-reference"):
        check_inputs(tiny.parameters())


def test_a_tenth_of_a_per_cent_is_no_other_pixel_size(tiny):
    size = PIXEL_SIZE * 1.0005
    write_map(tiny.reference, Volume(gaussian(BOX, size), (size,) * 3))
    assert check_inputs(tiny.parameters()).voxel_size == PIXEL_SIZE


def test_a_reference_of_another_box_is_refused_and_resampled_when_asked(tiny):
    write_map(tiny.reference, Volume(gaussian(40, 3.0), (3.0,) * 3))
    with pytest.raises(BlushError, match=r"particles have 24 pixels of 4 Å"):
        check_inputs(tiny.parameters())
    found = check_inputs(tiny.parameters(resample_reference=True, initial_lowpass=10.0)).references[0]
    assert np.abs(found - gaussian(BOX, PIXEL_SIZE)).max() < 0.02


@pytest.mark.parametrize(("n", "size"), [(48, 2.0), (16, 6.0), (25, 4.0)])
def test_resampling_keeps_the_place_and_the_values(n, size):
    moved = on_other_grid(gaussian(n, size), size, BOX, PIXEL_SIZE)
    inside = (slice(6, -6),) * 3
    assert np.abs(moved - gaussian(BOX, PIXEL_SIZE))[inside].max() < 0.01


def test_a_reference_without_values_is_refused(tiny):
    write_map(tiny.reference, Volume(np.ones((BOX,) * 3, np.float32), (PIXEL_SIZE,) * 3))
    with pytest.raises(BlushError, match="constant"):
        check_inputs(tiny.parameters())


def test_a_reference_without_a_voxel_size_is_to_be_mended(tiny):
    with mrcfile.open(tiny.reference, "r+") as file:
        file.voxel_size = 0
    with pytest.raises(BlushError, match="has no voxel size in its header") as caught:
        check_inputs(tiny.parameters())
    assert caught.value.remedy == "Mend the voxel size in its header, or write the map again."
    assert caught.value.field == "reference"


def test_a_missing_stack_is_named(tiny):
    tiny.stack.unlink()
    with pytest.raises(BlushError, match=r"particles\.star .* does not exist: particles\.mrcs, in rows 1, 2"):
        check_inputs(tiny.parameters())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "has values that are not finite (NaN or infinity)"),
        (0.0, "has the same value everywhere (zeros, for example)"),
    ],
    ids=["nan", "zeros"],
)
def test_an_image_that_cannot_be_used_is_named_before_the_first_iteration(tiny, value, said):
    def spoil(images):
        images[12] = value

    with_images(tiny, spoil)
    stream = refine(tiny.parameters(), Control(), None)
    with pytest.raises(BlushError, match=r"particles\.star, row 13") as caught:
        list(stream)
    assert said in caught.value.problem
    assert caught.value.remedy == "Extract these particles again, or remove their rows."


def test_an_absurd_defocus_is_named(tiny):
    tiny.star.write_text(
        tiny.star.read_text().replace("000005@particles.mrcs mic1.mrc 1 ", "000005@particles.mrcs mic1.mrc 1 9")
    )
    with pytest.raises(BlushError, match=r"particles\.star, row 5: rlnDefocusU is 9\d+; more than") as caught:
        check_inputs(tiny.parameters())
    assert caught.value.remedy == "Mend or remove what is wrong; defocus is in Å."


def test_particles_without_a_ctf_are_refused(tiny):
    tiny.star.write_text(tiny.star.read_text().replace("_rlnDefocusU", "_rlnSomething"))
    with pytest.raises(BlushError, match="rlnDefocusU"):
        check_inputs(tiny.parameters())


def test_a_diameter_beyond_the_box_and_a_low_pass_beyond_nyquist_are_refused(tiny):
    with pytest.raises(BlushError, match="diameter of 200 Å is larger than the images"):
        check_inputs(tiny.parameters(diameter=200.0))
    with pytest.raises(BlushError, match="low-pass of 5 Å is finer"):
        check_inputs(tiny.parameters(initial_lowpass=5.0))
    with pytest.raises(BlushError, match="of 500 Å leaves nothing of a reference in a box of 96 Å"):
        check_inputs(tiny.parameters(initial_lowpass=500.0))


def test_offsets_that_leave_nothing_of_an_image_are_refused(tiny):
    head, rows = tiny.star.read_text().split("_rlnDefocusAngle #6\n")
    lines = [f"{line} {60.0 if line.startswith('000007') else -40.0} 0" for line in rows.strip().split("\n")]
    columns = "_rlnDefocusAngle #6\n_rlnOriginXAngst #7\n_rlnOriginYAngst #8\n"
    tiny.star.write_text(head + columns + "\n".join(lines) + "\n")
    with pytest.raises(
        BlushError, match=r"particles\.star, row 7: an offset .* of 60 Å puts the particle outside"
    ):
        check_inputs(tiny.parameters())


def test_local_searches_from_the_beginning_need_angles(tiny):
    with pytest.raises(BlushError, match="has no angles"):
        check_inputs(tiny.parameters(healpix_order=3, local_from_order=3))


def test_a_mask_must_lie_on_the_grid(tiny):
    mask = tiny.folder / "mask.mrc"
    write_map(mask, Volume(np.ones((30,) * 3, np.float32), (PIXEL_SIZE,) * 3))
    with pytest.raises(BlushError, match="are not on one grid"):
        check_inputs(tiny.parameters(mask=mask))


def test_a_disk_that_is_too_small_is_refused(tmp_path, monkeypatch):
    params = RefineParameters(particles="p.star", reference="r.mrc", diameter=100)
    needed = predicted_disk_bytes(params, 1000, 256)
    assert needed > 3 * 4 * 256**3
    assert predicted_disk_bytes(params.replace(keep="full"), 1000, 256) > 2 * needed
    check_disk(tmp_path / "not" / "yet", 1)
    with pytest.raises(BlushError, match="GiB left"):
        check_disk(tmp_path / "not" / "yet", 1 << 60)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9 << 20, 6 << 20, 3 << 20))
    sentence = r"about 5 MiB, and the disk of \S+ has 3 MiB left\. Free some space or write elsewhere"
    with pytest.raises(BlushError, match=rf"{sentence}\."):
        check_disk(tmp_path, 5 << 20)
    with pytest.raises(BlushError, match=rf"{sentence}, or keep less with --keep light\."):
        check_disk(tmp_path, 5 << 20, "full")


def test_parameters_that_cannot_be_meant_are_refused():
    good = {"particles": "p.star", "reference": "r.mrc", "diameter": 100.0, "prior": "wiener"}
    for name, value, said in (
        ("prior", "nothing", "'blush' or 'wiener'"),
        ("weights", "v2", "weights are a matter of the prior blush, and the prior is wiener"),
        ("spectral_trailing", False, "spectral trailing is a matter of the prior blush"),
        ("symmetry", "E7", "symmetry cannot be 'E7'"),
        ("healpix_order", 12, "less than or equal to 8"),
        ("diameter", -1.0, "greater than 0"),
        ("colour", "red", "not a known parameter"),
    ):
        with pytest.raises(BlushError, match=said):
            RefineParameters.parse({**good, name: value}, "here")
    for weights in ("v2", "/else/where.safetensors", "here.safetensors"):
        params = RefineParameters.parse({**good, "prior": "blush", "weights": weights}, "here")
        expected = str(Path(weights).absolute()) if "." in weights else weights
        assert params.with_absolute_paths().weights == expected
    with pytest.raises(BlushError, match="larger than offset_range"):
        RefineParameters.parse({**good, "offset_range": 2.0, "offset_step": 3.0}, "here")
    for name in ("c1", "C12", "D7", "t", "O", "I", "i3"):
        assert RefineParameters.parse({**good, "symmetry": name}, "here").symmetry == name


def test_the_denoiser_needs_its_weights_and_memory(tiny):
    blush = tiny.parameters(prior="blush")
    with pytest.raises(BlushError, match="no network weights 'none-such'"):
        check_inputs(blush.replace(weights="none-such"))
    inputs = check_inputs(blush)
    assert inputs.weights is not None
    assert inputs.weights.name == "v2"
    assert check_inputs(tiny.parameters()).weights is None
    cpu = torch.device("cpu")
    # A coarse map is denoised on a grid that is much finer.
    grid = 4 * round(100 * 6.0 / 1.5) ** 3
    assert predicted_need(blush, 100, 6.0, cpu, 20).host > 10 * grid
    assert predicted_need(tiny.parameters(), 100, 6.0, cpu, 20).host < 10 * grid


@pytest.mark.parametrize("model", [RefineParameters, ClassifyParameters])
def test_every_parameter_says_what_it_is(model):
    for name, field in model.model_fields.items():
        assert field.description, name


def test_a_device_that_is_not_there_is_refused(tiny):
    with pytest.raises((BlushError, UsageError)):
        check_inputs(tiny.parameters(device="cuda:9"))


def test_pixels_that_the_denoiser_does_not_take_are_refused_before_there_is_a_map(tiny, monkeypatch):
    from blushcore.jobs.expectation_maximisation import inputs

    monkeypatch.setattr(inputs, "VOXEL_SIZE_RANGE", (0.3, PIXEL_SIZE - 1))
    check_inputs(tiny.parameters())
    with pytest.raises(BlushError, match=r"takes maps of 0\.3 to 3 Å a voxel.* 4 Å a pixel\. .*--prior wiener"):
        check_inputs(tiny.parameters(prior="blush"))


def test_the_maps_that_the_denoiser_was_given_take_room_too():
    params = RefineParameters(particles="p.star", reference="r.mrc", diameter=100)
    classes = ClassifyParameters(particles="p.star", reference=("r.mrc",), classes=4, diameter=100)
    assert params.prior == classes.prior == "blush"
    one = 4 * 256**3
    for given, of_run, count in (
        (params, predicted_disk_bytes, 2),
        (classes, disk_of_classification, 4),
    ):
        ours = of_run(given, 1000, 256)
        filtered = of_run(given.replace(prior="wiener"), 1000, 256)
        assert ours - filtered >= 25 * count * one // 8
