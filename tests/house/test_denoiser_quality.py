"""The scorecard of a denoiser in small: its figures, its controls, and that it goes on where it was stopped.

One bundle of helices in 64³ voxels, at 6 Å.
"""

from __future__ import annotations

import importlib
import json
import sys
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blushcore.denoiser import DenoisedMap, Denoiser
from blushcore.simulation import read_model_table, read_structure
from blushcore.training.samples import simulate_pair
from synthetic_models import write_model_table

MODULES = (
    "quality_cases",
    "quality_scores",
    "quality_behaviour",
    "helix_likeness",
    "hallucination_material",
    "hallucination",
    "hallucination_trials",
    "quality_report",
    "quality_pictures",
    "denoiser_quality",
)


@pytest.fixture(scope="module")
def bench(repository: Path):
    """The benchmark's modules by name."""
    folder = str(repository / "benchmarks")
    sys.path.insert(0, folder)
    try:
        found = SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
        found.quality_cases.SMALLEST_BOX = 64  # in place of 80: half the time
        found.hallucination.helix_likeness = partial(
            found.helix_likeness.helix_likeness, directions=12, spins=2
        )
        yield found
    finally:
        sys.path.remove(folder)
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return write_model_table(tmp_path_factory.mktemp("quality"), test=2)


@pytest.fixture(scope="module")
def case(bench, table):
    return bench.quality_cases.Case(read_model_table(table, "test")[0], 6.0)


@pytest.fixture(scope="module")
def pair(bench, case):
    return bench.quality_cases.pair_of(case)


@pytest.fixture(scope="module")
def shipped(bench):
    return bench.quality_scores.as_denoise(Denoiser.load(None, "cpu"))


def scaled_by(factor: float):
    def denoise(volume: torch.Tensor, diameter: float) -> DenoisedMap:
        return DenoisedMap(factor * volume, torch.ones_like(volume), 1)

    return denoise


def test_the_truth_scores_one_and_the_peers_better_than_the_input(bench, pair):
    scores = bench.quality_scores
    truth = scores.score_map(pair.truth, pair, 0.0, pair.mask)
    assert min(truth.fsc) == pytest.approx(1)
    assert truth.correlation == pytest.approx(1)
    assert truth.dice == pytest.approx(1)
    found = {name: scores.score_peer(name, pair) for name in ("input", "wiener", "gaussian")}
    assert len(found["input"].fsc) == round(pair.truth.shape[0] * 1.5 / 6.0)
    assert found["wiener"].correlation > found["input"].correlation
    for name in ("wiener", "gaussian"):  # what works shell by shell leaves the FSC nearly alone
        assert found[name].mean_fsc == pytest.approx(found["input"].mean_fsc, abs=0.05)
        assert found[name].solvent < found["input"].solvent


def test_non_local_means_takes_noise_away(bench, pair):
    small = replace(
        pair,
        **{
            part: getattr(pair, part)[16:64, 16:64, 16:64].clone()
            for part in ("half1", "mask", "truth", "half2")
        },
    )
    found = {name: bench.quality_scores.score_peer(name, small) for name in ("input", "non_local_means")}
    assert found["non_local_means"].solvent < 0.8 * found["input"].solvent
    assert found["non_local_means"].correlation > found["input"].correlation - 0.02


def test_the_network_s_baseline_is_the_input_in_its_own_mask(bench, pair):
    half = scaled_by(3.0)
    found = bench.quality_scores.score_network(half, pair)
    assert found["denoised"].mean_fsc == pytest.approx(found["masked"].mean_fsc, abs=1e-6)
    particle = (pair.mask > 0.5).float()
    clipped = bench.quality_scores.score_network(lambda v, _: DenoisedMap(v * particle, particle, 1), pair)
    assert clipped["denoised"].fsc == clipped["masked"].fsc
    assert clipped["denoised"].dice == pytest.approx(1)


def test_cases_differ_in_their_views_alone_and_are_the_same_again(bench, case):
    maps = [bench.quality_cases.pair_of(replace(case, anisotropy=name)) for name in ("even", "one view")]
    assert torch.equal(maps[0].half1, bench.quality_cases.pair_of(case).half1)
    spectra = [torch.fft.rfftn(m.half1 - m.half2).abs().square() for m in maps]
    unevenness = [float(power[20:30, :, 5:].std() / power[20:30, :, 5:].mean()) for power in spectra]
    assert unevenness[1] > 1.3 * unevenness[0]


def test_a_drawn_case_is_a_pair_of_the_training_s_with_the_particle_s_own_diameter(bench, case):
    drawn = replace(case, anisotropy=bench.quality_cases.DRAWN)
    seeds = [0, zlib.crc32(case.entry.name.encode()), 6000]
    pair = simulate_pair(case.entry, np.random.default_rng(seeds), resolution=6.0, size_factor=1.5)
    found = bench.quality_cases.pair_of(drawn)
    assert torch.equal(found.half1, pair.half1)
    assert 20 < found.diameter < pair.half1.shape[0] * 1.5


def test_turns_by_90_degrees_and_mirrors_are_exact(bench):
    volume = torch.randn((8, 8, 8), generator=torch.Generator().manual_seed(0))
    behaviour = bench.quality_behaviour
    for axes in ((0, 1), (1, 2), (2, 0)):
        once = behaviour.quarter_turn(volume, axes)
        assert once[4, 4, 4] == volume[4, 4, 4]
        assert torch.equal(behaviour.quarter_turn(once, axes[::-1]), volume)
        four = volume
        for _ in range(4):
            four = behaviour.quarter_turn(four, axes)
        assert torch.equal(four, volume)
    assert torch.equal(behaviour.mirrored(behaviour.mirrored(volume)), volume)
    assert behaviour.mirrored(volume)[4, 4, 5] == volume[4, 4, 3]


def test_what_does_not_care_how_a_map_lies_is_found_equivariant_and_steady(bench, pair):
    unchanged = bench.hallucination.unchanged(pair.signal)
    found = bench.quality_behaviour.equivariance(unchanged, pair)
    assert found.quarter_turn < 1e-4
    assert found.quarter_turn_fsc > 0.9999
    assert found.any_turn_fsc == pytest.approx(found.any_turn_fsc_of_interpolation, abs=0.02)
    steady = bench.quality_behaviour.drift(scaled_by(0.99), pair, 4)
    assert not steady.diverges
    assert steady.fsc == pytest.approx([steady.fsc[0]] * 4)
    assert bench.quality_behaviour.drift(scaled_by(1.5), pair, 4).diverges


def test_without_rare_kinds_in_the_table_the_trials_are_the_five_on_proteins(bench, table, tmp_path):
    made = bench.hallucination_trials.trials(read_model_table(table, "test"), tmp_path, 0, quick=False)
    assert [trial.name for trial in made] == ["noise", "helix", "mirror", "scrambled", "beads"]
    resolutions = bench.hallucination_trials.HELICAL_RESOLUTIONS
    assert all(len(trial.measures) >= len(resolutions) for trial in made)


@pytest.fixture(scope="module")
def trials(bench, case):
    """Each test of hallucination as (measure, judge), on one small particle."""
    h, subject = bench.hallucination, bench.hallucination.Subject(case)
    other = h.Subject(replace(case, seed=9))
    return {
        "noise": (lambda d: h.measure_noise(d, subject, 2), h.judge_noise),
        "helix": (lambda d: h.measure_helix(d, subject, 3), h.judge_helix),
        "mirror": (lambda d: h.measure_mirror(d, subject), h.judge_mirror),
        "scrambled": (
            lambda d: h.measure_structureless(d, subject, "scrambled", 1),
            lambda f, c: h.judge_structureless(f, c, "scrambled"),
        ),
        "beads": (
            lambda d: h.measure_structureless(d, subject, "beads", 1),
            lambda f, c: h.judge_structureless(f, c, "beads"),
        ),
        "kind": (lambda d: h.measure_kind(d, subject, other), lambda f, c: h.judge_kind(f, c, "kind")),
    }


@pytest.mark.parametrize("name", ["noise", "helix", "mirror", "scrambled", "beads", "kind"])
def test_what_changes_nothing_passes_and_what_goes_by_memory_fails(bench, trials, name):
    measure, judge = trials[name]
    control = measure(bench.hallucination.unchanged)
    verdict = judge(control, control)
    assert verdict.passed, verdict
    verdict = judge(measure(bench.hallucination.from_memory), control)
    assert not verdict.passed, verdict


@pytest.mark.parametrize("name", ["noise", "helix"])
def test_the_shipped_weights_make_nothing_up(bench, trials, shipped, name):
    measure, judge = trials[name]
    verdict = judge(measure(lambda _: shipped), measure(bench.hallucination.unchanged))
    assert verdict.passed, verdict


def test_a_helix_is_found_and_told_from_scrambled_density(bench, case, pair):
    material = bench.hallucination_material
    helix = material.longest_helix(read_structure(case.entry.path))
    assert helix is not None
    assert 18 <= len(helix) <= 22
    assert {chain for chain, _ in helix} == {"A"}
    scrambled = material.with_spectrum_of(material.scrambled(pair, 0), pair.truth * pair.mask)
    likeness = [bench.hallucination.helix_likeness(v, pair.mask, 5.0) for v in (pair.truth, scrambled)]
    assert likeness[0] > likeness[1] + 0.05


def test_the_command_keeps_its_results_and_writes_a_scorecard(bench, table, tmp_path, monkeypatch, capsys):
    command = bench.denoiser_quality
    monkeypatch.setattr(command, "as_denoise", lambda _: scaled_by(0.5))
    words = ["--models", str(table), "--work", str(tmp_path), "--quick", "--limit", "1"]
    words += ["--by-images", "0", "--resolutions", "8", "--only", "quality", "--device", "cpu"]
    assert command.main(words) == 0
    kept = sorted(path.name for path in (tmp_path / "quality").rglob("*.json"))
    assert len(kept) == 3 * 4 + 3  # peers and network at each anisotropy; non-local means on one model
    out = capsys.readouterr().out
    assert "Tier: none" in out

    def never(*_: object) -> None:
        raise AssertionError("this was done before")

    monkeypatch.setattr(command, "score_peer", never)
    monkeypatch.setattr(command, "score_network", never)
    assert command.main(words) == 0
    card = json.loads((tmp_path / "scorecard" / "scorecard.json").read_text(encoding="utf-8"))
    assert len(card["quality"]) == 3
    assert (tmp_path / "scorecard" / "scorecard.png").read_bytes().startswith(b"\x89PNG")
    # What another protocol left is made again.
    path = next((tmp_path / "quality").rglob("wiener.json"))
    path.write_text(json.dumps({"protocol": 0, "content": {}}))
    with pytest.raises(AssertionError, match="done before"):
        command.main(words)


def test_tiers_and_verdicts_are_read_off_the_gains(bench):
    report = bench.quality_report
    assert report.tier([0.04] * 19 + [0.0]).startswith("goal")
    assert report.tier([0.04] * 18 + [0.0] * 2).startswith("trained on a CPU")
    assert report.tier([0.012] * 20).startswith("after half an hour")
    assert report.tier([0.004] * 20) == "none"
    verdict = {"test": "x", "found": 0.0, "bound": 1.0, "meaning": "m", "passed": True}
    found = {"unchanged": [verdict], "from memory": [verdict], "mine": [verdict]}
    card = report.Scorecard("c", {}, [], [], found)
    assert not card.controls_hold
    assert "no verdict counts, in: x." in report.as_markdown(card)
    assert "(tells nothing)" in report.as_markdown(card)
    failing = {**verdict, "found": 2.0, "passed": False}
    card = replace(card, verdicts={"unchanged": [verdict], "from memory": [failing], "mine": [verdict]})
    assert card.controls_hold
    assert "tells nothing" not in report.as_markdown(card)
