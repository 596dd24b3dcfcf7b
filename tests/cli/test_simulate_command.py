"""``blush simulate`` from its command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blushcore.cli import main
from synthetic_models import write_bundle

NAMES = ["half1.mrc", "half2.mrc", "mask.mrc", "signal.mrc", "simulation.json", "truth.mrc"]


def test_it_writes_its_files_and_says_what_resolution_came_out(tmp_path, capsys):
    model, out = write_bundle(tmp_path / "bundle.pdb"), tmp_path / "out"
    words = ["simulate", str(model), "-o", str(out), "--resolution", "6", "--voxel-size", "1.5", "--json"]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "done"
    assert 4.5 < result["figures"]["fsc_resolution"] < 8
    assert sorted(path.name for path in out.iterdir()) == NAMES
    assert main([*words[:-1], "--overwrite"]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("Wrote half1.mrc, half2.mrc, ")
    assert said.endswith(f" to {out}.")


def test_half_maps_that_agree_nowhere_have_no_resolution(tmp_path, capsys, monkeypatch):
    model, out = write_bundle(tmp_path / "bundle.pdb"), tmp_path / "out"
    nowhere = lambda half1, _, **__: np.zeros(len(half1) // 2 + 1)  # noqa: E731
    monkeypatch.setattr("blushcore.jobs.simulate.half_maps.fsc", nowhere)
    assert main(["simulate", str(model), "-o", str(out), "--voxel-size", "1.5"]) == 0
    assert "the FSC inside the mask falls below 1/7 from the first shell on." in capsys.readouterr().err

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    record = json.loads((out / "simulation.json").read_text(), parse_constant=refuse)
    assert record["fsc_resolution"] is None


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("blushcore.jobs.simulate.half_maps.read_structure", lambda _: pytest.fail("it began"))
    model, out = write_bundle(tmp_path / "bundle.pdb"), tmp_path / "out"
    out.mkdir()
    (out / "truth.mrc").write_bytes(b"precious")
    assert main(["simulate", str(model), "-o", str(out), "--json"]) == 1
    captured = capsys.readouterr()
    assert "truth.mrc exists already. Give --overwrite" in captured.err
    assert "exists already" in json.loads(captured.out)["problem"]
    assert main(["simulate", str(model), "-o", str(model / "out")]) == 1
    assert "bundle.pdb is not a folder" in capsys.readouterr().err


def test_a_map_is_not_overwritten_by_the_set_that_is_made_of_it(tmp_path, capsys):
    truth = tmp_path / "truth.mrc"
    truth.write_bytes(b"precious")
    words = ["simulate", str(truth), "--kind", "particles", "-o", str(tmp_path), "--overwrite"]
    assert main(words) == 1
    assert "truth.mrc is one of the files to be read. Give another name" in capsys.readouterr().err
    assert truth.read_bytes() == b"precious"


def test_wrong_usage_is_told_in_a_sentence(tmp_path, capsys):
    model = write_bundle(tmp_path / "bundle.pdb")
    assert main(["simulate", str(model), "-o", str(tmp_path / "out"), "--preferred-views", "sideways"]) == 2
    assert "--preferred-views: 'sideways' is neither none, mild, strong nor" in capsys.readouterr().err
    assert main(["simulate", str(model), "-o", str(tmp_path / "out"), "--resolution", "0"]) == 2
    assert main(["simulate", str(tmp_path / "no.pdb"), "-o", str(tmp_path / "out")]) == 1
    assert "There is no atomic model" in capsys.readouterr().err
