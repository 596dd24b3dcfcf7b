"""The denoising job: what it reads, says and hands out."""

from __future__ import annotations

import gzip
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from blushcore.denoiser import Denoised, Denoiser, denoise_map, load_network
from blushcore.denoiser.provenance import denoised_label, is_denoised
from blushcore.devices import DeviceDescription, Memory
from blushcore.jobs import JOBS
from blushcore.jobs import denoise as denoise_module
from blushcore.jobs.denoise import JOB, DenoiseParameters, output_paths
from blushcore.protocol import (
    BlushError,
    Command,
    Control,
    Finished,
    Message,
    Progress,
    Started,
    Stopped,
    UsageError,
)
from blushcore.runs import run_unrecorded
from blushcore.volumes import read_map


def write(path: Path, data: np.ndarray, voxel_size=1.5, origin=(0.0, 0.0, 0.0), label: str = "") -> Path:
    """`voxel_size` and `origin` as MRC has them: x, y, z."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = voxel_size
        file.header.origin = origin
        if label:
            file.add_label(label)
    return path


def random_map(shape=(20, 21, 22), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 3, size=shape).astype(np.float32)


class Halving:
    """In place of the network: blocks come back halved, everything is particle."""

    batch_size = 2
    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self, info) -> None:
        self.info = info

    def __call__(self, blocks, local_std):  # noqa: ARG002 - called as a network is
        return Denoised(blocks / 2, torch.full_like(blocks, 20.0))


@pytest.fixture
def halving(random_weights, monkeypatch):
    denoiser = Halving(load_network(random_weights)[1])
    monkeypatch.setattr(Denoiser, "load", lambda *_: denoiser)
    return denoiser


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "map.mrc", random_map())
    write(tmp_path / "half2.mrc", random_map(seed=1))
    return tmp_path


def run(commands=None, **parameters):
    params = DenoiseParameters(**{"map": Path("map.mrc"), "output": Path("out.mrc"), **parameters})
    source = commands if commands is not None else (lambda: ())
    return list(run_unrecorded(JOB, params, params.folder, commands=source))


def texts(events, level: str = "info") -> str:
    return "\n".join(event.text for event in events if isinstance(event, Message) and event.level == level)


def test_the_job_is_known_by_its_name():
    assert JOBS["denoise"] is JOB


def test_a_map_through_the_real_network(files, random_weights):
    events = run(weights=str(random_weights), precision="float32", diameter=20.0)
    network, info = load_network(random_weights)
    denoiser = Denoiser(network, info, torch.device("cpu"), "float32")
    expected = denoise_map(denoiser, torch.from_numpy(random_map()), (1.5,) * 3, diameter=20.0)
    written = read_map(files / "out.mrc")
    np.testing.assert_allclose(written.data, expected.map.numpy(), rtol=1e-5, atol=1e-5)
    assert [type(event) for event in (events[0], events[-1])] == [Started, Finished]
    assert "(cpu)" in events[0].device
    assert f"Weights random (sha256 {info.sha256[:12]}), computed in float32." in texts(events)
    figures = events[-1].figures
    assert (figures["weights"], figures["weights_sha256"]) == ("random", info.sha256)
    assert (figures["device"], figures["precision"], figures["blocks"]) == ("cpu", "float32", 1)
    assert events[-1].files == {"denoised": "out.mrc"}


def test_header_origin_and_anisotropic_voxels_are_kept(files, halving):
    write(files / "map.mrc", random_map((21, 30, 17)), (1.2, 1.5, 2.1), (-10.5, 3.0, 77.25), "from EMDB")
    run()
    with mrcfile.open(files / "out.mrc") as file:
        assert file.data.shape == (21, 30, 17)
        assert file.data.dtype == np.float32
        assert [float(file.voxel_size[axis]) for axis in "xyz"] == pytest.approx([1.2, 1.5, 2.1])
        assert [float(file.header.origin[axis]) for axis in "xyz"] == pytest.approx([-10.5, 3.0, 77.25])
        assert "from EMDB" in file.get_labels()
    assert mrcfile.validate(str(files / "out.mrc"))


def test_compressed_in_and_out(files, halving):
    run(output=Path("plain.mrc"))
    (files / "packed.mrc.gz").write_bytes(gzip.compress((files / "map.mrc").read_bytes()))
    run(map=Path("packed.mrc.gz"), output=Path("out.map.gz"))
    assert (files / "out.map.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert np.array_equal(read_map(files / "out.map.gz").data, read_map(files / "plain.mrc").data)


def test_two_halves_are_denoised_each_by_itself(files, halving):
    """Each half is what it is alone, and the mask is the mean of both."""
    events = run(half2=Path("half2.mrc"), output=Path("both.mrc.gz"), mask_out=Path("sub/mask.mrc"))
    assert events[-1].files == {
        "half1": "both_half1.mrc.gz",
        "half2": "both_half2.mrc.gz",
        "mask": "sub/mask.mrc",
    }
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert stages == {"denoising half 1", "denoising half 2"}
    for half, name in ((1, "map.mrc"), (2, "half2.mrc")):
        run(map=Path(name), output=Path(f"alone{half}.mrc"), mask_out=Path(f"mask{half}.mrc"))
        together, alone = read_map(f"both_half{half}.mrc.gz"), read_map(f"alone{half}.mrc")
        assert np.array_equal(together.data, alone.data)
    masks = [read_map(f"mask{half}.mrc").data for half in (1, 2)]
    np.testing.assert_allclose(read_map("sub/mask.mrc").data, np.mean(masks, axis=0), atol=1e-6)
    assert not np.array_equal(read_map("alone1.mrc").data, read_map("alone2.mrc").data)


def test_a_mask_and_a_diameter_flatten_what_is_outside(files, halving):
    mask = np.zeros((20, 21, 22))
    mask[5:15, 5:15, 5:15] = 1
    write(files / "mask.mrc", mask)
    run(mask=Path("mask.mrc"))
    outside = read_map("out.mrc").data[:, :, 18:]
    inside = read_map("out.mrc").data[7:13, 7:13, 7:13]
    assert np.ptp(outside) < 0.5 < np.ptp(inside)


def test_voxel_size_goes_before_the_headers(files, halving):
    write(files / "map.mrc", random_map(), voxel_size=0)
    with pytest.raises(BlushError, match=r"map\.mrc has no voxel size"):
        run()
    run(voxel_size=2.0)
    assert read_map("out.mrc").voxel_size == pytest.approx((2, 2, 2))


def test_warnings_are_told_once_and_as_warnings(files, halving):
    for name in ("map.mrc", "half2.mrc"):
        write(files / name, random_map((44, 44, 44), seed=len(name)), voxel_size=1.0)
    told = texts(run(half2=Path("half2.mrc"), diameter=100.0), "warning")
    assert told.count("map.mrc has a voxel size of exactly 1 Å") == 1
    assert told.count("half2.mrc has a voxel size of exactly 1 Å") == 1
    assert "The diameter of 100 Å is larger than the box (44 Å)" in told


def test_finer_maps_are_told_what_they_lose(files, halving):
    assert "nothing finer than 3 Å" not in texts(run())
    write(files / "map.mrc", random_map((44, 44, 44)), voxel_size=1.06)
    assert "nothing finer than 3 Å" in texts(run(output=Path("fine.mrc")))


def test_a_gpu_that_is_not_used_is_told(files, halving, monkeypatch):
    note = "There is an NVIDIA GPU in this machine that is not used: for a reason."
    description = DeviceDescription("cpu", "some CPU", Memory(2, 1), note)
    monkeypatch.setattr(denoise_module, "describe_device", lambda _: description)
    assert note in texts(run(), "warning")


def test_a_batch_that_became_smaller_is_told(files, halving, monkeypatch):
    write(files / "map.mrc", random_map((60, 60, 60)))
    call = Halving.__call__

    def short_of_memory(self, blocks, local_std):
        if len(blocks) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return call(self, blocks, local_std)

    monkeypatch.setattr(Halving, "__call__", short_of_memory)
    assert "cpu ran short of memory; it goes on with 1 blocks at a time." in texts(run(), "warning")


def test_stopping_takes_effect_after_a_batch_and_leaves_nothing(files, halving):
    write(files / "map.mrc", random_map((60, 60, 60)))
    before = sorted(path.name for path in files.iterdir())
    params = DenoiseParameters(map=Path("map.mrc"), output=Path("out.mrc"))
    asked: list[Command] = []
    control = Control(lambda: [asked.pop()] if asked else [])
    seen = []
    with pytest.raises(Stopped):  # noqa: PT012 - what came before is looked at, too
        for event in JOB.run(params, control, None):
            seen.append(event)
            if isinstance(event, Progress) and event.done == 2:
                control._last_look = float("-inf")
                asked.append(Command(id="1", action="stop_now"))
    assert max(event.done for event in seen if isinstance(event, Progress)) == 2
    assert sorted(path.name for path in files.iterdir()) == before


def with_nan(path: Path) -> bytes:
    """The file's content with one value spoilt; mrcfile writes no such thing without a warning."""
    content = bytearray(path.read_bytes())
    content[1024 + 4 * 77 : 1024 + 4 * 78] = np.array(np.nan, dtype="<f4").tobytes()
    return bytes(content)


def test_bad_input_is_answered_with_a_sentence(files, halving):
    (files / "nan.mrc").write_bytes(with_nan(files / "map.mrc"))
    write(files / "constant.mrc", np.full((20, 21, 22), 3.0))
    write(files / "other.mrc", random_map((20, 21, 24)))
    write(files / "coarser.mrc", random_map(seed=3), voxel_size=1.6)
    write(files / "coarse.mrc", random_map(), voxel_size=12)
    checkerboard = (-1.0) ** np.arange(16)
    finest = checkerboard[:, None, None] * checkerboard[:, None] * checkerboard
    write(files / "finest.mrc", finest, voxel_size=(0.5, 0.5, 0.51))
    corner = np.zeros((20, 21, 22))
    corner[0, 0, 0] = 1
    write(files / "corner.mrc", corner)
    write(files / "tiny.mrc", random_map((6, 60, 60)))
    write(files / "hundred.mrc", 100 * random_map())
    write(files / "empty.mrc", np.zeros((20, 21, 22)))
    (files / "text.mrc").write_text("This is not a map.\n" * 100)
    (files / "torn.mrc").write_bytes((files / "map.mrc").read_bytes()[:-50])
    (files / "copy.mrc").write_bytes((files / "map.mrc").read_bytes())
    (files / "link.mrc").symlink_to(files / "map.mrc")
    cases = [
        ({"map": Path("missing.mrc")}, r"missing\.mrc does not exist"),
        ({"map": Path("torn.mrc")}, r"torn\.mrc is truncated"),
        ({"map": Path("nan.mrc")}, r"nan\.mrc holds values that are not finite"),
        ({"map": Path("constant.mrc")}, r"constant\.mrc is constant"),
        ({"half2": Path("constant.mrc")}, r"constant\.mrc is constant"),
        ({"map": Path("coarse.mrc")}, r"coarse\.mrc has a voxel size of 12, 12, 12 Å .*--voxel-size"),
        ({"map": Path("finest.mrc")}, r"finest\.mrc is constant on the denoiser's grid"),
        ({"mask": Path("corner.mrc"), "diameter": 1.0}, r"corner\.mrc is empty within the particle's sphere"),
        ({"map": Path("text.mrc")}, r"text\.mrc"),
        ({"map": Path("tiny.mrc")}, r"tiny\.mrc has 60 × 60 × 6 voxels.* at least 8 along each axis"),
        ({"half2": Path("map.mrc")}, "given as both halves"),
        ({"half2": Path("link.mrc")}, "given as both halves"),
        ({"half2": Path("copy.mrc")}, "are the same map"),
        ({"half2": Path("other.mrc")}, r"22 × 21 × 20 voxels of 1\.5 Å.*24 × 21 × 20 .* not on one grid"),
        ({"half2": Path("coarser.mrc")}, r"1\.6 Å.* not on one grid"),
        ({"mask": Path("other.mrc")}, "not on one grid"),
        ({"mask": Path("hundred.mrc")}, "a mask lies between 0"),
        ({"mask": Path("empty.mrc")}, r"empty\.mrc is an empty mask"),
        ({"output": Path("out.txt")}, "does not look like the name of a map"),
        ({"mask_out": Path("mask.png")}, "does not look like the name of a map"),
        ({"mask_out": Path("out.mrc")}, "given for the map and for the mask"),
        ({"output": Path("map.mrc")}, "one of the files to be read"),
        ({"output": Path("link.mrc")}, "one of the files to be read"),
        ({"mask": Path("half2.mrc"), "mask_out": Path("half2.mrc")}, "one of the files to be read"),
    ]
    for parameters, sentence in cases:
        with pytest.raises(BlushError, match=sentence):
            run(**parameters)
    assert not list(files.glob("out*"))


def test_files_are_looked_at_before_the_network_is_loaded(files, monkeypatch):
    monkeypatch.setattr(Denoiser, "load", lambda *_: pytest.fail("it was loaded"))
    write(files / "constant.mrc", np.full((20, 21, 22), 3.0))
    write(files / "empty.mrc", np.zeros((20, 21, 22)))
    for parameters in ({"half2": Path("constant.mrc")}, {"mask": Path("empty.mrc")}):
        with pytest.raises(BlushError, match=r"(constant|empty)\.mrc"):
            run(**parameters)


def test_a_mask_that_lies_elsewhere_is_a_warning(files, halving):
    write(files / "mask.mrc", np.ones((20, 21, 22)), origin=(0.0, 30.0, 0.0))
    told = texts(run(mask=Path("mask.mrc")), "warning")
    assert "mask.mrc begins at 0, 30, 0 Å and map.mrc at 0, 0, 0 Å" in told
    assert "constant" not in told


def test_a_denoised_map_says_so_and_is_told_from_others(files, halving):
    sha = halving.info.sha256[:12]
    assert "denoised already" not in texts(run(mask_out=Path("mask.mrc")), "warning")
    with mrcfile.open(files / "out.mrc") as file:
        assert f"Denoised by napari-blush, weights random {sha}" in file.get_labels()
    assert not is_denoised(read_map("mask.mrc"))
    assert "out.mrc was denoised already" in texts(run(map=Path("out.mrc"), output=Path("b.mrc")), "warning")


def test_the_label_finds_room_in_a_full_header(files, halving):
    with mrcfile.mmap(write(files / "map.mrc", random_map()), mode="r+") as file:
        for index in range(9):
            file.add_label(f"step {index}")
    run()
    labels = read_map("out.mrc").header.labels
    assert labels[0] != labels[8]
    assert is_denoised(read_map("out.mrc"))
    assert "step 0" in labels
    assert len(denoised_label("w" * 99, "0123456789abcdef")) == 80
    assert denoised_label("w" * 99, "0123456789abcdef").endswith("w 0123456789ab")


def test_outputs_on_two_drives_are_a_matter_of_usage(monkeypatch):
    def refuse(_):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", refuse)
    params = DenoiseParameters(map=Path("a.mrc"), output=Path("b.mrc"), mask_out=Path("c.mrc"))
    with pytest.raises(UsageError, match=r"b\.mrc and c\.mrc are on different drives"):
        _ = params.folder


def test_an_output_named_as_an_input_half_is_refused(files, halving):
    write(files / "x_half1.mrc", random_map())
    with pytest.raises(BlushError, match="one of the files to be read"):
        run(map=Path("x_half1.mrc"), half2=Path("half2.mrc"), output=Path("x.mrc"))


def test_missing_weights_and_devices_are_answered_with_a_sentence(files, random_weights):
    with pytest.raises(BlushError, match="no network weights 'nobody'"):
        run(weights="nobody")
    with pytest.raises(BlushError, match="no device called 'tpu'"):
        run(weights=str(random_weights), device="tpu")


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("a.mrc", ["a_half1.mrc", "a_half2.mrc"]),
        ("deep/a.b.map.gz", ["deep/a.b_half1.map.gz", "deep/a.b_half2.map.gz"]),
        ("run.1/a.ccp4.bz2", ["run.1/a_half1.ccp4.bz2", "run.1/a_half2.ccp4.bz2"]),
        ("A.MRC", ["A_half1.MRC", "A_half2.MRC"]),
    ],
)
def test_names_of_two_halves(tmp_path, monkeypatch, output, names):
    monkeypatch.chdir(tmp_path)
    params = DenoiseParameters(map=Path("1.mrc"), half2=Path("2.mrc"), output=Path(output))
    assert output_paths(params) == [Path(name) for name in names]
    deeper = params.replace(mask_out=Path("elsewhere/m.mrc"))
    assert output_paths(deeper) == [*(Path(name) for name in names), Path("elsewhere/m.mrc")]


@pytest.mark.parametrize("field", ["diameter", "voxel_size"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_lengths_are_positive_numbers(field, value):
    with pytest.raises(BlushError, match=field):
        DenoiseParameters.parse({"map": "a.mrc", "output": "b.mrc", field: value}, where="test")
