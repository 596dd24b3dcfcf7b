"""Reading atomic models, and tables of them."""

from __future__ import annotations

import gzip

import gemmi
import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.simulation import atom_positions, read_model_table, read_structure
from synthetic_models import pdb_line, write_bundle, write_model_table


def test_a_pdb_file_gives_its_atoms(tmp_path):
    positions = atom_positions(read_structure(write_bundle(tmp_path / "bundle.pdb")))
    assert positions.shape == (378, 3)
    assert np.ptp(positions, axis=0).max() < 40


def test_mmcif_and_gzip_give_the_same(tmp_path):
    path = write_bundle(tmp_path / "bundle.pdb")
    expected = atom_positions(read_structure(path))
    gemmi.read_structure(str(path)).make_mmcif_document().write_file(str(tmp_path / "bundle.cif"))
    (tmp_path / "bundle.pdb.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("bundle.cif", "bundle.pdb.gz"):
        assert np.allclose(atom_positions(read_structure(tmp_path / name)), expected, atol=2e-3)


def test_waters_hydrogens_and_further_models_are_left_out(tmp_path):
    position = np.array([1.0, 2.0, 3.0])
    atoms = [pdb_line(1, "CA", "A", 1, position, 20), pdb_line(2, "H", "A", 1, position, 20)]
    water = "HETATM    3  O   HOH B   2       9.000   9.000   9.000  1.00 20.00           O"
    lines = ["MODEL        1", *atoms, water, "ENDMDL", "MODEL        2", *atoms, "ENDMDL", "END"]
    (tmp_path / "two.pdb").write_text("\n".join(lines) + "\n")
    assert atom_positions(read_structure(tmp_path / "two.pdb")).tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.pdb", None, "There is no atomic model"),
        ("empty.pdb", b"", "holds no atoms"),
        ("text.pdb", b"good morning\n", "holds no atoms"),
        ("noise.cif", b"\x00\x01 not mmcif", "cannot be read as an atomic model"),
        ("cut.pdb.gz", gzip.compress(b"REMARK\n" * 1000)[:-9], "cannot be read as an atomic model"),
        ("plain.pdb.gz", b"REMARK\n", "cannot be read as an atomic model"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_is_no_model_is_refused(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BlushError, match=sentence):
        read_structure(tmp_path / name)


def test_a_table_is_read_by_split(tmp_path):
    table = write_model_table(tmp_path, train=2, validation=1)
    train = read_model_table(table, "train")
    assert [entry.name for entry in train] == ["b000", "b001"]
    assert train[0].path == tmp_path / "bundle0.pdb"
    assert train[0].extent_angstrom == 36
    assert len(read_model_table(table)) == 3


def test_a_faulty_table_is_refused(tmp_path):
    table = tmp_path / "models.tsv"
    with pytest.raises(BlushError, match="no table of models"):
        read_model_table(table)
    table.write_text("pdb\tfile\n1abc\t1abc.pdb\n")
    with pytest.raises(BlushError, match="lacks the columns extent_A, split"):
        read_model_table(table)
    table.write_text("pdb\tfile\tsplit\textent_A\n1abc\t1abc.pdb\ttrain\t10x20\n2abc\t2abc.pdb\ttrain\tlarge\n")
    with pytest.raises(BlushError, match=r"Line 3 of .* has the extent 'large'"):
        read_model_table(table)
