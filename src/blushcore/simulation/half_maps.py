"""The fast route to half-maps: what a reconstruction does to a density, done to the volume itself.

Two half-maps share a signal and differ in noise. The signal is the density, blurred by misalignment (more, the
farther from the centre) and by flexibility (in patches), damped by a B factor. The noise of an unregularised
reconstruction is Gaussian with the variance σ²/W in each Fourier component, where W sums CTF² over the images
that see the component: it falls as 1/|k|, dips where all CTFs are near zero and depends on the direction when
views are preferred. `ReconstructionStatistics` holds these figures; `draw_statistics` draws plausible ones.

What only a real refinement does (streaks from overfitting, wrongly aligned particles, correlated noise) is not
in here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from blushcore.optics import electron_wavelength_angstrom
from blushcore.protocol import BlushError
from blushcore.simulation.finite_coverage import MOST_PARTICLES, coverage_by_particles
from blushcore.simulation.views import PreferredView

_EDGE_OF_DIVISION = 1e-3
"""An unregularised reconstruction is data ÷ (W + 10⁻³⟨W⟩_shell) (Kimanius et al. 2024)."""
_SSNR_AT_RESOLUTION = 1 / 6
"""Where the FSC is 1/7, the spectral signal-to-noise ratio FSC/(1 − FSC) is 1/6."""
_FEWEST_PARTICLES = 300
_LARGEST_OFFSET_ERROR = 0.15
"""In units of the resolution: beyond, the error alone would not let the halves agree so far."""


@dataclass(frozen=True)
class ReconstructionStatistics:
    """What the fast route does to a density. Lengths in Å, angles in degrees."""

    resolution: float
    """Where the FSC of the two half-maps inside the particle's mask is 1/7."""
    b_factor: float = 80.0
    """Extra B factor of the signal in Å²."""
    views: tuple[PreferredView, ...] = ()
    angular_error: float = 0.0
    """Standard deviation of the particles' orientations."""
    flexibility: float = 0.0
    """Standard deviation of the motion in flexible patches, Å."""
    defocus: tuple[float, float] = (8000.0, 20000.0)
    """Range of the underfocus."""
    voltage: float = 300.0
    """Kilovolts."""
    noise_colour: float = 2.0
    """By how many times its white level the power of the images' noise exceeds it at the lowest frequencies."""
    particles: int | None = None
    """In each half: few of them see some directions more often than others. None for very many."""
    offset_error: float = 0.0
    """Standard deviation of the particles' offsets from the true ones along x and y, Å."""


@dataclass(frozen=True)
class HalfMaps:
    """Two half-maps and what they share, float32 ``(z, y, x)`` each."""

    half1: Tensor
    half2: Tensor
    signal: Tensor
    """The mean of the half-maps over all noise: the density with its blur, damping and missing directions."""


def simulate_half_maps(
    density: Tensor,
    mask: Tensor,
    voxel_size: float,
    statistics: ReconstructionStatistics,
    generator: torch.Generator,
) -> HalfMaps:
    """Make two unregularised half-maps of a density.

    Parameters
    ----------
    density
        Noise-free, cubic ``(z, y, x)``; `electron_density` makes one.
    mask
        Where the particle is, same shape, 0 to 1: the resolution is meant inside it.
    voxel_size
        Å.
    statistics
        What the reconstruction is like.
    generator
        Source of the noise and of where the flexible patches lie, on the density's device. The same state gives
        the same maps.

    Raises
    ------
    BlushError
        When the resolution lies beyond what the grid can hold.
    """
    n = density.shape[0]
    if statistics.resolution < 2 * voxel_size:
        raise BlushError(
            f"A resolution of {statistics.resolution:g} Å needs voxels of at most "
            f"{statistics.resolution / 2:g} Å, and these are {voxel_size:g} Å."
        )
    frequency, directions = _frequencies(n, voxel_size, density.device)
    coverages = _coverages(frequency, directions, n * voxel_size, n, statistics, generator)
    blurred = _local_blur(density, frequency, voxel_size, statistics, generator)
    # A component lies in the planes of all images that show it: their offsets blur it as they are, in 2D.
    damping = torch.exp(
        -(statistics.b_factor / 4 + 2 * (math.pi * statistics.offset_error) ** 2) * frequency**2
    )
    signal_spectrum = torch.fft.rfftn(blurred) * damping
    noise_amplitudes = [_noise_amplitude(frequency, coverage, statistics) for coverage in coverages]

    # Power inside the mask at the resolution: all of the signal, the mask's share of the noise.
    shell = (frequency * n * voxel_size).round()
    wanted = n * voxel_size / statistics.resolution
    near = (shell - wanted).abs() <= max(1.0, 0.08 * wanted)
    signal_power = (signal_spectrum[near].abs() ** 2).mean()
    noise_power = (noise_amplitudes[0][near] ** 2).mean() * density.numel() * (mask.square().mean())
    scale = torch.sqrt(signal_power / noise_power / _SSNR_AT_RESOLUTION)

    # Unregularised: data ÷ (W + ε). Where nothing is seen, nothing is known.
    signals = [
        torch.fft.irfftn(signal_spectrum * (coverage / (coverage + _EDGE_OF_DIVISION)), s=density.shape)
        for coverage in coverages
    ]
    half1, half2 = (
        signals[half % len(signals)]
        + torch.fft.irfftn(
            torch.fft.rfftn(torch.randn(density.shape, generator=generator, device=density.device))
            * (scale * noise_amplitudes[half % len(signals)]),
            s=density.shape,
        )
        for half in range(2)
    )
    return HalfMaps(half1, half2, torch.stack(signals).mean(0))


def draw_statistics(
    resolution: float,
    generator: np.random.Generator,
    *,
    anisotropy: float = 0.5,
    few_particles: float = 0.0,
) -> ReconstructionStatistics:
    """Draw plausible statistics for a reconstruction of the given resolution (Å).

    Parameters
    ----------
    resolution
        Where the FSC inside the mask shall be 1/7, Å.
    generator
        Source of all that is drawn.
    anisotropy
        Chance that the views are not uniform.
    few_particles
        Chance that there are so few particles in each half, 300 to 10,000, that it shows: streaks, gaps between
        views. Their offsets have errors then.
    """
    views: list[PreferredView] = []
    if generator.random() < anisotropy:
        for _ in range(generator.integers(1, 4)):
            axis = generator.normal(size=3)
            axis /= np.linalg.norm(axis)
            views.append(
                PreferredView(
                    (float(axis[0]), float(axis[1]), float(axis[2])),
                    float(np.exp(generator.uniform(np.log(2), np.log(30)))),
                    float(np.exp(generator.uniform(np.log(0.5), np.log(30)))),
                )
            )
    usual_b = usual_b_factor(resolution)
    statistics = ReconstructionStatistics(
        resolution=resolution,
        b_factor=float(np.clip(usual_b * np.exp(generator.normal(0, 0.4)), 0, 600)),
        views=tuple(views),
        angular_error=float(generator.uniform(0, 0.5) * resolution),
        flexibility=float(generator.uniform(0, 0.5) * resolution) if generator.random() < 0.5 else 0.0,
        defocus=(float(generator.uniform(4000, 10000)), float(generator.uniform(14000, 28000))),
        voltage=float(generator.choice([200.0, 300.0])),
        noise_colour=float(generator.uniform(0, 4)),
    )
    if few_particles == 0 or generator.random() >= few_particles:
        return statistics
    particles = np.exp(generator.uniform(np.log(_FEWEST_PARTICLES), np.log(MOST_PARTICLES)))
    offset_error = generator.uniform(0, _LARGEST_OFFSET_ERROR) * resolution
    return replace(statistics, particles=round(particles), offset_error=float(offset_error))


def usual_b_factor(resolution: float) -> float:
    """Return the B factor in Å² that reconstructions of a resolution (Å) usually have.

    Worse maps have larger ones (Rosenthal & Henderson 2003: some 30 Å² at 2 Å, several hundred at 10 Å).
    """
    return 12.0 * math.pow(resolution, 1.5)


def _frequencies(
    n: int, voxel_size: float, device: torch.device
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """|k| in 1/Å on the half grid of `rfftn`, and the unit vectors' components (x, y, z)."""
    full, half = (make(n, voxel_size, device=device) for make in (torch.fft.fftfreq, torch.fft.rfftfreq))
    kz, ky, kx = full[:, None, None], full[None, :, None], half[None, None, :]
    frequency = torch.sqrt(kz**2 + ky**2 + kx**2)
    safe = frequency.clamp_min(1e-9)
    return frequency, (kx / safe, ky / safe, kz / safe)


def coverage_of_directions(
    directions: tuple[Tensor, Tensor, Tensor], views: tuple[PreferredView, ...]
) -> Tensor:
    """Return how densely each direction of Fourier space is seen, with mean 1 over all directions.

    A view along d sees the plane across d. For a Watson distribution of views about u the density of planes
    through direction k is its mean over the great circle across k: with q = 1 − (k·u)², that is
    exp(κ(q − 1))·I₀ᵉ(κq/2), I₀ᵉ the exponentially scaled Bessel function.

    Parameters
    ----------
    directions
        Components x, y, z of unit vectors, broadcastable.
    views
        Clusters of views, besides uniform ones of weight 1.
    """
    x, y, z = directions
    total, norm = torch.ones_like(x * y * z), 1.0
    along = torch.linspace(0, 1, 201, dtype=torch.float64)
    for view in views:
        kappa = view.concentration

        def density(q: Tensor, kappa: float = kappa) -> Tensor:
            planes: Tensor = torch.exp(kappa * (q - 1)) * torch.special.i0e(kappa * q / 2)
            return planes

        mean = float(torch.trapezoid(density(1 - along**2), along))
        cosine = x * view.axis[0] + y * view.axis[1] + z * view.axis[2]
        total += view.weight / mean * density(1 - cosine**2)
        norm += view.weight
    return total / norm


def _coverages(
    frequency: Tensor,
    directions: tuple[Tensor, Tensor, Tensor],
    size: float,
    box_size: int,
    statistics: ReconstructionStatistics,
    generator: torch.Generator,
) -> list[Tensor]:
    """Return how densely components are seen in each half: one for both where there are very many particles."""
    if statistics.particles is None or statistics.particles >= MOST_PARTICLES:
        return [coverage_of_directions(directions, statistics.views)]
    per_voxel = frequency * (size / box_size)
    x, y, z = (direction * per_voxel for direction in directions)
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    draws = np.random.default_rng(seed)
    return [
        coverage_by_particles((x, y, z), box_size, statistics.particles, statistics.views, draws)
        for _ in range(2)
    ]


def _noise_amplitude(frequency: Tensor, coverage: Tensor, statistics: ReconstructionStatistics) -> Tensor:
    """Return the standard deviation of the noise at each component up to one factor: σ(k)·√W/(W + ε⟨W⟩)."""
    table = torch.linspace(0, float(frequency.max()) + 1e-6, 2048, dtype=torch.float64)
    wavelength = electron_wavelength_angstrom(statistics.voltage)
    defocus = torch.linspace(*statistics.defocus, 64, dtype=torch.float64)[:, None]
    phase = math.pi * wavelength * defocus * table**2 - 0.5 * math.pi * 2.7e7 * wavelength**3 * table**4
    ctf_power = torch.sin(phase + math.asin(0.1)).square().mean(0)
    image_noise = 1 + statistics.noise_colour * torch.exp(-((table / 0.03) ** 2))
    # The density of planes through a component falls as 1/|k|; near the origin, within 1/(particle's width) of
    # it (here 100 Å), every plane passes.
    seen = ctf_power / (table / 0.01).clamp_min(1)
    radial = torch.sqrt(image_noise / seen).to(frequency)
    position = frequency / float(table[1])
    index = position.long().clamp_max(table.numel() - 2)
    fraction = position - index
    radial_here = radial[index] * (1 - fraction) + radial[index + 1] * fraction
    return radial_here * torch.sqrt(coverage) / (coverage + _EDGE_OF_DIVISION)


def _local_blur(
    density: Tensor,
    frequency: Tensor,
    voxel_size: float,
    statistics: ReconstructionStatistics,
    generator: torch.Generator,
) -> Tensor:
    """Blur by orientation errors (σ = r·σ_angle) and by motion in smooth random patches.

    Between a few Gaussian-blurred copies, voxel by voxel, linearly in the variance.
    """
    n = density.shape[0]
    line = (torch.arange(n, device=density.device) - n // 2) * voxel_size
    radius = torch.sqrt(line[:, None, None] ** 2 + line[:, None] ** 2 + line**2)
    # An error of the orientation moves a point along two of three axes.
    variance = 2 / 3 * (radius * math.radians(statistics.angular_error)) ** 2
    if statistics.flexibility > 0:
        patches = torch.fft.rfftn(torch.randn(density.shape, generator=generator, device=density.device))
        patches = torch.fft.irfftn(patches * torch.exp(-((25.0 * frequency) ** 2) * 2), s=density.shape)
        share = torch.sigmoid(3 * (patches / patches.std() - 1.0))
        variance = variance + share * statistics.flexibility**2
    largest = float(variance.max())
    if largest < 0.01 * voxel_size**2:
        return density
    spectrum = torch.fft.rfftn(density)
    levels = 4
    step = largest / (levels - 1)
    blurred = torch.zeros_like(density)
    for level in range(levels):
        weight = (1 - (variance / step - level).abs()).clamp_min(0)
        copy = (
            density
            if level == 0
            else torch.fft.irfftn(
                spectrum * torch.exp(-2 * (math.pi * frequency) ** 2 * level * step), s=density.shape
            )
        )
        blurred += weight * copy
    return blurred
