"""The particles of some classes, and whether their images are found from where the table is put."""

from __future__ import annotations

import pytest

from blushcore.particles import (
    largest_class,
    particles_of_classes,
    read_particles,
    where_images_are_missed,
)
from blushcore.protocol import BlushError

HEAD = "data_optics\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n_rlnImageSize\n1 1.5 8\n\n"


@pytest.fixture
def table(tmp_path):
    """Six particles of classes 3, 1, 3, 1, 2, 0 in a project two folders above them; the stack is there."""
    rows = "".join(f"{i + 1:06d}@Extract/all.mrcs 1 {k}\n" for i, k in enumerate((3, 1, 3, 1, 2, 0)))
    star = tmp_path / "project/Class3D/run1/run_it025_data.star"
    star.parent.mkdir(parents=True)
    names = "_rlnImageName\n_rlnOpticsGroup\n_rlnClassNumber\n"
    star.write_text(f"{HEAD}data_particles\nloop_\n{names}{rows}")
    stack = tmp_path / "project/Extract/all.mrcs"
    stack.parent.mkdir()
    stack.write_bytes(b"")  # its name is all that is looked for
    return read_particles(star, needs_ctf=False)


def test_the_rows_of_the_classes_stay_in_their_order(table):
    assert particles_of_classes(table, [3, 2]).source_row.tolist() == [1, 3, 5]
    assert largest_class(table) == 1  # as many as class 3; unassigned ones are no class
    with pytest.raises(BlushError, match=r"no particle of class 4, 7\. It has 1 of class 0, 2 of class 1, 1 "):
        particles_of_classes(table, [1, 4, 7])


def test_a_table_elsewhere_than_in_its_project_is_told_of(table, tmp_path):
    project = tmp_path / "project"
    for folder in (project, project / "Class3D/run1", project / "not/there/yet"):
        assert where_images_are_missed(table, folder / "good.star") == ""
    said = where_images_are_missed(table, tmp_path / "good.star")
    assert said.startswith("From there it cannot be refined as it is")
    assert f"Extract/all.mrcs is neither in {tmp_path} nor in a folder above it" in said
