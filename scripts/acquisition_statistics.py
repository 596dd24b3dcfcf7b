"""Condense real particle tables into the few numbers that simulated images are drawn from.

    python scripts/acquisition_statistics.py METADATA_FOLDER -o resources/simulation/acquisition.json

Of each table: microscope, quantiles of defocus and astigmatism, spread of the offsets, and how densely the
directions on a half sphere are seen (192 HEALPix pixels, d and −d together). No table is copied.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import healpix
import numpy as np
import starfile

NSIDE = 4
DEFOCUS_LEVELS, ASTIGMATISM_LEVELS = np.linspace(0, 1, 33), np.linspace(0, 1, 17)


def main() -> int:
    """Read the tables that the development data hold and write their statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    betagal, optics = read_star(args.folder / "relion30_tutorial_betagal_particles.star.gz")
    ferritin, _ = read_star(args.folder / "relion_tests_ap_s_c2d.star.gz")
    virus, _ = read_star(args.folder / "relion5_1_run_it025_data.star.gz")
    cryosparc = np.load(args.folder / "cryosparc_P12_J24_001_particles.cs")
    sets = [
        {
            "name": "beta-galactosidase, 24 micrographs",
            **microscope(*(float(optics[f"rln{c}"].iloc[0]) for c in COLUMNS)),
            **defocus(betagal.rlnDefocusU.to_numpy(), betagal.rlnDefocusV.to_numpy()),
            "directions": directions(betagal.rlnAngleRot.to_numpy(), betagal.rlnAngleTilt.to_numpy()),
        },
        {
            "name": "apoferritin, 15 micrographs",
            **microscope(*(float(ferritin[f"rln{c}"].iloc[0]) for c in COLUMNS)),
            **defocus(ferritin.rlnDefocusU.to_numpy(), ferritin.rlnDefocusV.to_numpy()),
            "directions": None,
        },
        {
            "name": "cryoSPARC particles, 200 kV",
            **microscope(200.0, float(cryosparc["ctf/cs_mm"][0]), float(cryosparc["ctf/amp_contrast"][0])),
            **defocus(cryosparc["ctf/df1_A"], cryosparc["ctf/df2_A"]),
            "directions": directions(*viewed_along(cryosparc["alignments3D/pose"])),
        },
        {
            "name": "virus pentamers of a tomogram (directions alone; CTFs of apoferritin)",
            **microscope(300.0, 2.7, 0.1),
            **defocus(ferritin.rlnDefocusU.to_numpy(), ferritin.rlnDefocusV.to_numpy()),
            "directions": directions(virus.rlnAngleRot.to_numpy(), virus.rlnAngleTilt.to_numpy()),
        },
    ]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"nside": NSIDE, "sets": sets}) + "\n", encoding="utf-8")
    print(f"{args.output}: {args.output.stat().st_size} bytes")
    return 0


COLUMNS = ("Voltage", "SphericalAberration", "AmplitudeContrast")


def read_star(path: Path) -> tuple[Any, Any]:
    """Return the particles and the optics (None in old files) of a compressed STAR file."""
    with tempfile.NamedTemporaryFile(suffix=".star") as plain:
        plain.write(gzip.decompress(path.read_bytes()))
        plain.flush()
        blocks = starfile.read(plain.name)
    return (blocks["particles"], blocks["optics"]) if isinstance(blocks, dict) else (blocks, None)


def microscope(voltage: float, aberration: float, contrast: float) -> dict[str, Any]:
    """Return the entries of kilovolts, mm and a fraction."""
    return {
        "voltage_kilovolts": voltage,
        "spherical_aberration_mm": round(aberration, 3),
        "amplitude_contrast": round(contrast, 3),
    }


def defocus(u: np.ndarray, v: np.ndarray) -> dict[str, Any]:
    """Return quantiles in Å."""
    return {
        "defocus_angstrom": np.quantile((u + v) / 2, DEFOCUS_LEVELS).round(0).tolist(),
        "astigmatism_angstrom": np.quantile(np.abs(u - v), ASTIGMATISM_LEVELS).round(0).tolist(),
    }


def directions(rot_deg: np.ndarray, tilt_deg: np.ndarray) -> list[int]:
    """Count how often each pixel is seen, opposite directions together."""
    theta, phi = np.deg2rad(np.asarray(tilt_deg, float)), np.deg2rad(np.asarray(rot_deg, float))
    pixels = np.concatenate(
        [
            healpix.ang2pix(NSIDE, t % np.pi, p % (2 * np.pi))
            for t, p in ((theta, phi), (np.pi - theta, phi + np.pi))
        ]
    )
    return np.bincount(pixels, minlength=12 * NSIDE**2).tolist()


def viewed_along(rotation_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rot and tilt in degrees of the axis that each rotation vector (radians) takes to z, up to its sign."""
    angle = np.linalg.norm(rotation_vectors, axis=1, keepdims=True)
    axis = rotation_vectors / np.maximum(angle, 1e-9)
    z = np.array([0.0, 0.0, 1.0])
    along = z * np.cos(angle) + np.cross(axis, z) * np.sin(angle) + axis * axis[:, 2:] * (1 - np.cos(angle))
    return np.rad2deg(np.arctan2(along[:, 1], along[:, 0])), np.rad2deg(np.arccos(np.clip(along[:, 2], -1, 1)))


if __name__ == "__main__":
    sys.exit(main())
