"""``blush classify``, and a classification as the terminal shows it."""

from __future__ import annotations

import json

import pytest

from blushcore.cli import main
from blushcore.cli.classification_lines import classification_lines, is_classification
from blushcore.cli.event_lines import describe
from blushcore.protocol import IterationDone
from tiny_mixture import write_tiny_mixture
from tiny_refinement import DIAMETER


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return write_tiny_mixture(tmp_path_factory.mktemp("mixture"), counts=(20, 10))


def words_of(mixture, star, *more: str) -> list[str]:
    reference = mixture.parts[0].reference
    words = f"--reference {reference} --diameter {DIAMETER:g} --initial-lowpass 20 --device cpu --iterations 1"
    words += " --prior wiener"
    return ["classify", str(star), *words.split(), *more]


def test_a_classification_from_the_command_line(mixture, tmp_path, capsys):
    run = tmp_path / "run"
    words = words_of(mixture, mixture.posed, "-K", "2", "--skip-alignment", "-o", str(run))
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["figures"]["classes"] == 2
    assert result["figures"]["alignment"] == "none"
    for name in result["files"].values():
        assert (run / name).is_file()
    assert main(["watch", str(run), "--once"]) == 0
    assert "class 2 " in capsys.readouterr().err


def test_the_end_is_told_in_one_sentence(mixture, tmp_path, capsys):
    second = ["--reference", str(mixture.parts[1].reference)]
    words = words_of(mixture, mixture.posed, *second, "--alignment", "offsets", "-o", str(tmp_path / "run"))
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "30 particles of 24 pixels of 4 Å into 2 classes, from a map each" in told
    assert "done after 1 iteration: " in told
    assert "run_it001_data.star" in told


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["-K", "2", "--skip-alignment"], 1, "has no angles"),
        (["-K", "2", "--skip-alignment", "--alignment", "local"], 2, "contradicts"),
        (["-K", "0"], 2, "--classes"),
        (["-K", "40"], 1, "40 classes are more than the 30 particles"),
    ],
)
def test_what_cannot_work_is_refused_before_there_is_a_run(mixture, tmp_path, capsys, more, code, said):
    run = tmp_path / "run"
    assert main(words_of(mixture, mixture.star, *more, "-o", str(run))) == code
    assert said in capsys.readouterr().err
    assert not run.exists()


FIGURES = {
    "class_distribution": [0.624, 0.376],
    "class_particles": [624, 376],
    "class_resolution_angstrom": [12.0, None],
    "resolution_angstrom": 12.0,
    "change_classes": 0.041,
    "current_size": 44,
    "mean_p_max": 0.613,
    "seconds": 14.21,
    "change_angle_deg": 1.93,
    "change_offset_angstrom": 0.331,
    "alignment": "global",
    "why": "image size 40 → 44 px",
}


def test_an_iteration_in_a_few_lines():
    assert is_classification(FIGURES)
    assert classification_lines(7, FIGURES).splitlines() == [
        "iteration 7: 12.0 Å, 4.1 % changed class, images to 44 px, Pmax 0.61, 14.2 s",
        "  class 1   62.4 % ████████████          12.0 Å    624 particles",
        "  class 2   37.6 % ████████                 ? Å    376 particles",
        "  moved by 1.9° and 0.33 Å",
        "  image size 40 → 44 px",
    ]
    kept = describe(IterationDone(iteration=7, figures={**FIGURES, "alignment": "none", "is_last": True}))
    assert kept.startswith("last iteration 7: ")
    assert "moved" not in kept


def test_what_the_denoiser_took_and_which_class_is_empty_is_told():
    figures = {**FIGURES, "denoising_seconds": 1.42, "empty_classes": [2]}
    head, _, second, *_ = classification_lines(7, figures).splitlines()
    assert head.endswith("14.2 s (10 % in the denoiser)")
    assert second == "  class 2   37.6 % empty"


def test_a_resumed_classification_ends_with_the_same_sentence(mixture, tmp_path, capsys):
    from blushcore.jobs.classify.job import JOB
    from blushcore.runs import create_run

    params = mixture.parameters(particles=mixture.posed, alignment="none", iterations=1)
    create_run(tmp_path / "run", JOB.name, params)
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert "done after 1 iteration: " in capsys.readouterr().err
