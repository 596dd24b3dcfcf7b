"""Steps, the moving average, and going on from a state."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError, JobState
from blushcore.training.trainer import Schedule, Trainer, draw_recycles, new_network
from tiny_training import tiny_network

SHAPE = (2, 12, 12, 12)


def batch(seed: int, *, broken: bool = False):
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(SHAPE, generator=generator)
    blocks, targets = (signal + 0.5 * torch.randn(SHAPE, generator=generator) for _ in range(2))
    masks = (signal > 0).float()
    return blocks * (math.nan if broken else 1), torch.ones(SHAPE), targets, masks, torch.full((2,), 6.0)


def trainer(dropout: float = 0.3, decay: float = 0.9, seed: int = 1, **more) -> Trainer:
    network = tiny_network(seed, dropout)
    return Trainer(network, torch.device("cpu"), reduced_precision=False, ema_decay=decay, seed=seed, **more)


def copied(state: JobState) -> JobState:
    """What a checkpoint makes of a state: arrays of its own, in C order."""
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    return JobState(arrays=arrays, values=dict(state.values))


def steps(training: Trainer, numbers, recycles: int = 1, broken: int | None = None) -> None:
    for number in numbers:
        training.train_step(batch(number, broken=number == broken), 1e-2, recycles)


def test_training_lowers_the_loss():
    training = trainer(dropout=0.0)
    before = float(training.validation_loss(batch(0)).total)
    for _ in range(40):
        training.train_step(batch(0), 1e-2, 0)
    assert float(training.validation_loss(batch(0)).total) < 0.9 * before


@pytest.mark.parametrize("broken", [None, 1])
def test_a_restored_trainer_does_what_it_would_have_done(broken):
    """Weights, moments, average, dropout: all as without the interruption, whatever else draws randomness."""
    whole = trainer()
    steps(whole, range(7), broken=broken)

    first = trainer()
    steps(first, range(3), broken=broken)
    state = copied(first.state())
    torch.manual_seed(999)
    second = trainer()
    second.restore(state)
    assert (second.step, second.skipped) == (3, int(broken is not None))
    torch.rand(17)
    steps(second, range(3, 7), broken=broken)

    expected, found = whole.state(), second.state()
    assert found.values == expected.values
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-6, atol=1e-8, err_msg=name)


def test_the_state_holds_weights_average_and_moments():
    training = trainer()
    assert {name.split(".")[0] for name in training.state().arrays} == {"network", "average"}
    steps(training, range(1))
    names = {name.split(".")[0] for name in training.state().arrays}
    assert names == {"network", "average", "exp_avg", "exp_avg_sq"}
    assert training.state().values == {"step": 1, "first_step": 0, "skipped": 0}


def test_a_state_from_before_skipped_steps_were_counted_is_taken():
    training = trainer()
    steps(training, range(2))
    other = trainer()
    other.restore(JobState(arrays=copied(training.state()).arrays, values={"step": 2}))
    assert (other.step, other.skipped) == (2, 0)


def test_dropout_depends_on_seed_and_step_alone_and_spares_other_randomness():
    def after_one_step(seed: int) -> np.ndarray:
        training = trainer()
        training.seed = seed
        steps(training, [5])
        return training.state().arrays["network.first.weight"]

    torch.manual_seed(1)
    first = after_one_step(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    torch.manual_seed(2)
    assert np.array_equal(first, after_one_step(1))
    assert not np.array_equal(first, after_one_step(2))


def test_a_new_network_is_the_seed_s():
    torch.manual_seed(5)
    one = new_network(3, 0.5)
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(5)))
    again, other = new_network(3, 0.0), new_network(4, 0.5)
    assert torch.equal(one.inc.double_conv.conv1.weight, again.inc.double_conv.conv1.weight)
    assert not torch.equal(one.inc.double_conv.conv1.weight, other.inc.double_conv.conv1.weight)


def test_the_average_follows_the_weights():
    training = trainer(decay=0.5)
    weight = {name: value.clone() for name, value in training.average.state_dict().items()}
    for number in range(8):
        steps(training, [number])
        decay = min(0.5, (2 + number) / (11 + number))
        for name, value in training.network.state_dict().items():
            weight[name] = decay * weight[name] + (1 - decay) * value
    for name, value in training.average.state_dict().items():
        assert torch.allclose(value, weight[name], atol=1e-6)


def test_a_gradient_that_is_no_number_is_skipped_and_ten_in_a_row_are_an_error():
    training = trainer()
    steps(training, range(2))
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    for _ in range(9):
        steps(training, [7], broken=7)
    assert (training.skipped, training.step) == (9, 11)
    assert all(torch.equal(before[name], value) for name, value in training.network.state_dict().items())
    steps(training, range(1))  # a good one in between starts the count anew
    for _ in range(9):
        steps(training, [7], broken=7)
    with pytest.raises(BlushError, match="diverged: 10 gradients in a row"):
        steps(training, [7], broken=7)


def test_recycling_feeds_the_network_its_own_output():
    training = trainer(dropout=0.0)
    blocks, local_std, *_ = batch(0)
    with torch.no_grad():
        once = training.network(blocks, local_std).blocks
        twice = training.network(once, local_std).blocks
    seen = []
    handle = training.network.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].clone()))
    training.train_step(batch(0), 0.0, 2)
    handle.remove()
    for found, expected in zip(seen, (blocks, once, twice), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


def test_given_weights_begin_in_network_and_average():
    other = tiny_network(8, 0.0).state_dict()
    training = trainer()
    training.start_from(other)
    for network in (training.network, training.average):
        assert all(torch.equal(other[name], value) for name, value in network.state_dict().items())


def test_the_schedule_warms_up_and_falls_to_its_last_rate():
    schedule = Schedule(peak=1e-3, last=1e-5, warmup_steps=10)
    assert schedule.rate(0, 0.0) == pytest.approx(1e-4)
    assert schedule.rate(9, 0.0) == pytest.approx(1e-3)
    assert schedule.rate(500, 0.5) == pytest.approx((1e-3 + 1e-5) / 2)
    assert schedule.rate(999, 1.0) == schedule.rate(1200, 1.4) == pytest.approx(1e-5)
    assert Schedule(1e-3, 1e-5, 0).rate(0, 0.0) == pytest.approx(1e-3)


def test_recycles_are_drawn_by_seed_and_step():
    drawn = [draw_recycles(3, step, 5, 0.5) for step in range(2000)]
    assert drawn == [draw_recycles(3, step, 5, 0.5) for step in range(2000)]
    assert drawn != [draw_recycles(4, step, 5, 0.5) for step in range(2000)]
    shares = np.bincount(drawn, minlength=6) / 2000
    assert np.allclose(shares, [0.5, 0.1, 0.1, 0.1, 0.1, 0.1], atol=0.035)
    assert {draw_recycles(0, step, 0, 1.0) for step in range(20)} == {0}
    assert {draw_recycles(0, step, 1, 1.0) for step in range(20)} == {1}


def test_carried_on_weights_count_their_steps_and_have_a_fresh_optimiser():
    """The number of the step goes on; the moments begin with their own first step."""
    first = trainer()
    steps(first, range(3))
    whole = trainer()
    whole.start_from(first.average.state_dict(), step=3)
    steps(whole, range(3, 5))
    second = trainer()
    second.restore(copied(whole.state()))
    assert (second.step, second.first_step) == (5, 3)
    for training in (whole, second):
        steps(training, range(5, 7))
    expected, found = whole.state(), second.state()
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-6, atol=1e-8, err_msg=name)
    [count] = {int(moments["step"]) for moments in second.optimiser.state.values()}
    assert count == 4


def test_what_processes_average_is_what_the_optimiser_takes():
    """Two halves of a batch, their gradients averaged, make the step of the whole batch; dropouts differ."""
    whole = trainer(dropout=0.0)
    steps(whole, [0])

    halves = [tuple(part[i : i + 1] for part in batch(0)) for i in range(2)]
    other = trainer(dropout=0.0)
    caught = []
    lone = trainer(dropout=0.0, average_gradients=lambda gradients: caught.extend(g.clone() for g in gradients))
    lone.train_step(halves[1], 1e-2, 1)

    def average(gradients):
        for mine, its in zip(gradients, caught, strict=True):
            mine.add_(its).div_(2)

    other._average_gradients = average
    other.train_step(halves[0], 1e-2, 1)
    for name, value in whole.network.state_dict().items():
        assert torch.allclose(other.network.state_dict()[name], value, atol=1e-6), name

    one, two = trainer(dropout=0.5), trainer(dropout=0.5, rank=1)
    for training in (one, two):
        steps(training, [5])
    assert not torch.equal(one.network.first.weight, two.network.first.weight)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_all_that_is_restored_lies_where_the_parameters_are():
    """A fused optimiser on a GPU takes the count of steps for memory of the GPU."""
    first = trainer()
    steps(first, range(2))
    elsewhere = torch.device("meta")  # as good as any for asking where things are
    second = Trainer(tiny_network(1, 0.0), elsewhere, reduced_precision=False, ema_decay=0.9, seed=1)
    second.restore(copied(first.state()))
    kept = [tensor for state in second.optimiser.state.values() for tensor in state.values()]
    assert len(kept) == 3 * len(list(second.network.parameters()))
    assert {tensor.device for tensor in kept} == {elsewhere}


def test_the_averaged_weights_are_evaluated_as_they_are_by_then():
    """On the processor by other kernels than PyTorch's, and never by those of an earlier step."""
    generator = torch.Generator().manual_seed(2)
    blocks, local_std = (torch.randn((1, 64, 64, 64), generator=generator) for _ in range(2))
    example = (blocks, local_std.abs())
    training = Trainer(new_network(0, 0.0), torch.device("cpu"), reduced_precision=False, ema_decay=0.5, seed=0)
    before = training.denoised(example).blocks
    with torch.no_grad():
        training.network.outc.weight.add_(0.5)  # as a step would
    training._update_average()
    after = training.denoised(example).blocks
    assert float((after - before).abs().max()) > 0.1
    with torch.no_grad():
        expected = training.average(*example).blocks
    assert float((after - expected).norm() / expected.norm()) < 1e-4
