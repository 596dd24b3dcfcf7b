"""The same twelve particles as every RELION since 3.0 writes them, and their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from particle_files import stack_bytes

COUNT = 12
BOX = 8
PIXEL_SIZE = 1.5
ROWS = np.arange(COUNT)
DEFOCUS = 12000.0 + 100 * ROWS
ANGLES = np.stack([-170.0 + 20 * ROWS, 10.0 * ROWS, 5.0 * ROWS - 30], axis=1)
OFFSETS_ANGSTROM = np.stack([0.75 * (ROWS - 6), 1.5 * (6 - ROWS)], axis=1)
MICROGRAPHS = [f"Micrographs/{'abc'[row // 4]}.mrc" for row in ROWS]
NAMES = [f"{row // 2 + 1:06d}@Extract/{'even' if row % 2 == 0 else 'odd'}.mrcs" for row in ROWS]


def image_values(row: int) -> np.ndarray:
    """What the image of a row (from 0) holds; exact in every number type a stack can have."""
    pixels = np.arange(BOX * BOX).reshape(BOX, BOX)
    return (pixels + row) % 100


def write_images(project: Path, *, mode: int = 2, order: str = "<") -> None:
    """Two stacks, between which the rows alternate."""
    (project / "Extract").mkdir(exist_ok=True)
    for parity, name in enumerate(("even", "odd")):
        images = np.stack([image_values(row) for row in range(parity, COUNT, 2)])
        (project / "Extract" / f"{name}.mrcs").write_bytes(stack_bytes(images, mode=mode, order=order))


def loop(name: str, columns: dict[str, object]) -> str:
    """One block of a STAR file."""
    labels = "".join(f"_{label} #{number} \n" for number, label in enumerate(columns, 1))
    rows = zip(*(list(column) for column in columns.values()), strict=True)
    body = "".join(" ".join(str(value) for value in row) + " \n" for row in rows)
    return f"\ndata_{name}\n\nloop_ \n{labels}{body} \n"


def columns_of_particles() -> dict[str, object]:
    """What all flavours have."""
    return {
        "rlnImageName": NAMES,
        "rlnMicrographName": MICROGRAPHS,
        "rlnDefocusU": DEFOCUS,
        "rlnDefocusV": DEFOCUS - 50,
        "rlnDefocusAngle": ROWS * 3.0,
        "rlnAngleRot": ANGLES[:, 0],
        "rlnAngleTilt": ANGLES[:, 1],
        "rlnAnglePsi": ANGLES[:, 2],
        "rlnNormCorrection": 0.9 + 0.01 * ROWS,
        "rlnMyOwnLabel": [f"label{row}" for row in ROWS],
    }


def relion30(**more: object) -> str:
    """A single table; optics in every row, offsets in pixels."""
    return loop(
        "",
        columns_of_particles()
        | {
            "rlnVoltage": [300.0] * COUNT,
            "rlnSphericalAberration": [2.7] * COUNT,
            "rlnAmplitudeContrast": [0.1] * COUNT,
            "rlnDetectorPixelSize": [15.0] * COUNT,
            "rlnMagnification": [100000.0] * COUNT,
            "rlnOriginX": OFFSETS_ANGSTROM[:, 0] / PIXEL_SIZE,
            "rlnOriginY": OFFSETS_ANGSTROM[:, 1] / PIXEL_SIZE,
        }
        | more,
    )


def optics_columns(groups: int = 1) -> dict[str, object]:
    """An optics block of so many groups."""
    return {
        "rlnOpticsGroupName": [f"opticsGroup{number + 1}" for number in range(groups)],
        "rlnOpticsGroup": list(range(1, groups + 1)),
        "rlnMicrographOriginalPixelSize": [0.75] * groups,
        "rlnVoltage": [300.0] * groups,
        "rlnSphericalAberration": [2.7] * groups,
        "rlnAmplitudeContrast": [0.1] * groups,
        "rlnImagePixelSize": [PIXEL_SIZE] * groups,
        "rlnImageSize": [BOX] * groups,
        "rlnImageDimensionality": [2] * groups,
    }


def particle_columns() -> dict[str, object]:
    """A particles block of RELION 3.1 and later."""
    return columns_of_particles() | {
        "rlnOpticsGroup": [1] * COUNT,
        "rlnOriginXAngst": OFFSETS_ANGSTROM[:, 0],
        "rlnOriginYAngst": OFFSETS_ANGSTROM[:, 1],
    }


def relion31(**more: object) -> str:
    """Two blocks, with the line of the version."""
    version = "\n# version 30001\n"
    return version + loop("optics", optics_columns()) + version + loop("particles", particle_columns() | more)


def relion4(**more: object) -> str:
    """With aberrations, magnification and a block of general facts."""
    optics = optics_columns() | {
        "rlnOddZernike": ["[0.1,0.2,-1.5,0,0,2.5]"],
        "rlnEvenZernike": ["[2.2,27.0,4.1]"],
        "rlnMagMat00": [1.01],
        "rlnMagMat01": [0.0],
        "rlnMagMat10": [0.0],
        "rlnMagMat11": [0.99],
    }
    general = "\n# version 30001\n\ndata_general\n\n_rlnSomething   1\n\n"
    return general + loop("optics", optics) + loop("particles", particle_columns() | more)


def relion5(**more: object) -> str:
    """No empty lines after the blocks' names, and the blocks in the other order."""
    text = (
        "\n# version 50001\n" + loop("particles", particle_columns() | more) + loop("optics", optics_columns())
    )
    return text.replace("\n\nloop_", "\nloop_")


FLAVOURS = {"3.0": relion30, "3.1": relion31, "4": relion4, "5": relion5}


def write_project(project: Path, text: str) -> Path:
    """Images, and a STAR file two folders below the project; returns the STAR file."""
    write_images(project)
    (project / "Refine3D" / "job012").mkdir(parents=True, exist_ok=True)
    star = project / "Refine3D" / "job012" / "run_data.star"
    star.write_text(text)
    return star
