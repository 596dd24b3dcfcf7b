"""Simulated images against RELION's projections, and their noise against what was asked for."""

from __future__ import annotations

import subprocess

import mrcfile
import numpy as np
import pytest
import torch

from blushcore.jobs.simulate.particle_tables import ParticleStar
from blushcore.optics import OpticsGroup
from blushcore.shells.plane import PlaneComponents, transform_images
from blushcore.simulation import ParticleDraws, draw_particles, electron_density, read_structure
from blushcore.simulation.particle_draws import NOTHING
from blushcore.simulation.particle_images import ParticleImager, signal_variance
from blushcore.volumes import Volume, write_map
from synthetic_models import write_bundle

BOX, PIXEL_SIZE = 48, 1.8


@pytest.fixture(scope="module")
def density(tmp_path_factory) -> torch.Tensor:
    model = read_structure(write_bundle(tmp_path_factory.mktemp("model") / "bundle.pdb"))
    return electron_density(model, BOX, PIXEL_SIZE)


def optics_group(box: int = BOX) -> OpticsGroup:
    return OpticsGroup(
        number=1,
        name="opticsGroup1",
        voltage_kilovolts=300.0,
        spherical_aberration_mm=2.7,
        amplitude_contrast=0.1,
        pixel_size_angstrom=PIXEL_SIZE,
        box=box,
    )


def imager_of(densities, draws, seed=0) -> ParticleImager:
    return ParticleImager(densities, optics_group(), draws, diameter_angstrom=44.0, seed=seed)


@pytest.mark.relion
def test_clean_images_are_those_of_relion_project(density, tmp_path):
    draws = draw_particles(30, [1.0], astigmatism=900.0, seed=2)
    clean = imager_of([density], draws).clean(range(30)).numpy()
    write_map(tmp_path / "truth.mrc", Volume(np.ascontiguousarray(density.numpy()), (PIXEL_SIZE,) * 3))
    star = ParticleStar("true", "true.star", optics_group(), draws, "some.mrcs", with_truth=True)
    star.write(tmp_path / "true.star")
    words = ["relion_project", "--i", "truth.mrc", "--o", "clean", "--ang", "true.star", "--ctf"]
    subprocess.run([*words, "--angpix", str(PIXEL_SIZE)], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    theirs = np.fft.fft2(mrcfile.read(tmp_path / "clean.mrcs"))
    # Theirs have a mean and the ring at Nyquist's frequency, ours leave out both.
    k = np.fft.fftfreq(BOX, 1 / BOX)
    shell = np.rint(np.hypot(k[:, None], k))
    compared = (shell > 0) & (shell < BOX // 2)
    a, b = np.fft.fft2(clean)[:, compared], theirs[:, compared]
    scale = (a * b.conj()).real.sum() / (np.abs(b) ** 2).sum()
    errors = np.sqrt((np.abs(a - scale * b) ** 2).sum(1) / (np.abs(a) ** 2).sum(1))
    assert errors.max() < 1e-3


def test_the_offset_is_the_shift_that_centres_the_particle(density):
    draws = draw_particles(3, [1.0], seed=1)
    whole = np.array([[3.0, -5.0], [-2.0, 0.0], [0.0, 4.0]])
    moved = imager_of(
        [density], ParticleDraws(draws.angles_deg, whole, draws.defocus, draws.shows, draws.objects)
    )
    centred = imager_of(
        [density], ParticleDraws(draws.angles_deg, 0 * whole, draws.defocus, draws.shows, draws.objects)
    )
    for image, expected, (x, y) in zip(moved.clean(range(3)), centred.clean(range(3)), whole, strict=True):
        put_back = torch.roll(image, (int(y), int(x)), (0, 1))
        assert float((put_back - expected).abs().max()) < 2e-4 * float(expected.abs().max())


def test_signal_over_noise_is_what_was_asked_for(density):
    count, snr = 300, 0.25
    draws = draw_particles(count, [1.0], seed=3)
    imager = imager_of([density], draws)
    batches = imager.batches_that_set_the_noise()
    variance = signal_variance(sum(imager.signal_moments(batch) for batch in batches))
    clean = imager.clean(range(count))
    line = torch.arange(BOX) - BOX // 2
    distance = torch.hypot(line[:, None].double(), line.double())
    assert variance == pytest.approx(float(clean[:, distance < 22 / PIXEL_SIZE].var(correction=0)), rel=1e-4)
    noise_std = (variance / snr) ** 0.5
    noisy = imager.noisy(range(count), noise_std)
    background = noisy[:, distance > 0.48 * BOX]
    assert background.mean(1).abs().max() < 1e-5
    assert torch.allclose(background.std(1, correction=0), torch.ones(count), atol=1e-4)
    # Undo the normalisation image by image: what remains besides the clean image is the noise.
    flat_clean, flat_noisy = clean.flatten(1).double(), noisy.flatten(1).double()
    slope = (flat_clean * flat_noisy).sum(1) / flat_clean.square().sum(1)
    noise = flat_noisy / slope[:, None] - flat_clean
    assert float(noise.std(1).median()) == pytest.approx(noise_std, rel=0.03)


def test_junk_shows_nothing_or_rubble_and_conformations_show_theirs(density):
    draws = draw_particles(60, [0.6, 0.4], junk=0.4, offset_px=0.0, seed=6)
    other = density.flip(0)
    clean = imager_of([density, other], draws).clean(range(60))
    nothing = torch.from_numpy(draws.shows == NOTHING)
    assert nothing.any()
    assert float(clean[nothing].abs().max()) == 0.0
    one_kind = ParticleDraws(
        draws.angles_deg, draws.offsets_px, draws.defocus, np.zeros(60, dtype=np.int64), draws.objects
    )
    for volume, index in ((density, 0), (other, 1)):
        alone = imager_of([volume, volume], one_kind).clean(range(60))
        mine = torch.from_numpy(draws.shows == index)
        assert torch.equal(clean[mine], alone[mine])
    # Rubble is a blob of the particle's size and power, without its structure.
    rubble = torch.from_numpy(draws.shows == draws.objects)
    particles = imager_of([density, density], one_kind).clean(range(60))[rubble]
    plane = PlaneComponents.of(BOX)
    a, b = (transform_images(images, plane)[:, plane.shell > 4] for images in (clean[rubble], particles))
    correlations = (a * b.conj()).real.sum(1) / (a.abs().square().sum(1) * b.abs().square().sum(1)).sqrt()
    assert float(correlations.abs().median()) < 0.2
    assert 0.2 < float(clean[rubble].var() / particles.var()) < 3


def test_an_image_does_not_depend_on_its_batch(density):
    draws = draw_particles(12, [0.5, 0.5], junk=0.2, seed=7)
    imager = imager_of([density, density.flip(1)], draws, seed=7)
    whole = imager.noisy(range(12), 1.0)
    parts = torch.cat([imager.noisy(range(5), 1.0), imager.noisy(range(5, 12), 1.0)])
    assert torch.allclose(whole, parts, atol=1e-5)
