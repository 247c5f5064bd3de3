"""Readout, losses and learning signals: held against cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from helpers import array, chain, error, make_trial, says, small_parameters

import eprop_nb as ep

HALF = 1 / math.log(2)  # the time constant that halves in one step of 1 ms


def tiny(n_lif: int, n_alif: int, steps: int, beta: float = 0.0, n_ref: int = 1) -> ep.Parameters:
    """Return a network whose voltages, adaptations and readouts halve in each step, with a threshold of 1."""
    return ep.Parameters(
        n_in=1,
        n_lif=n_lif,
        n_alif=n_alif,
        duration=float(steps),
        tau_v=HALF,
        tau_a=HALF,
        tau_out=HALF,
        threshold=1.0,
        beta=beta,
        dampening=0.5,
        n_ref=n_ref,
    )


def signal_of(run: ep.Simulation, cost: list[list[float]]) -> tuple[list[list[float]], list[list[float]]]:
    """Return ψ and the learning signal, [time, neuron], of a loss that charges `cost` for each spike."""
    loss = (run.z[0] * torch.tensor(cost, dtype=torch.float64)).sum()
    return run.psi[0].tolist(), ep.true_learning_signal(loss, run)[0].tolist()


# Readout and losses.


def test_the_readout_of_one_spike_decays_from_1_minus_kappa() -> None:
    p = tiny(1, 0, 5)
    weights, run = chain(p, 1.5, 0.0, [0, 1, 0, 0, 0])
    assert run.z[0, :, 0].tolist() == [0, 1, 0, 0, 0]
    output = ep.readout(p, weights._replace(w_out=torch.tensor([[3.0]], dtype=torch.float64)), run)
    assert output[0, :, 0].tolist() == pytest.approx([0.0, 1.5, 0.75, 0.375, 0.1875], abs=1e-14)


def test_the_readout_uses_its_own_time_constant() -> None:
    p = ep.Parameters(n_in=1, n_lif=1, n_alif=0, dt=0.5, duration=1.0, tau_out=7.0, threshold=0.5, n_ref=1)
    weights, run = chain(p, 1.5, 0.0, [1, 0])
    assert run.z[0, :, 0].tolist() == [1, 1]
    kappa = math.exp(-0.5 / 7)
    assert ep.readout(p, weights, run)[0, :, 0].tolist() == pytest.approx([1 - kappa, 1 - kappa**2], rel=1e-13)


def test_low_pass_keeps_a_constant_and_sums_an_impulse_to_one() -> None:
    signal = torch.zeros(2, 200, 1, dtype=torch.float64)
    signal[0], signal[1, 0] = 3.0, 1.0
    filtered = ep.low_pass(signal, 0.8)
    assert filtered[0, -1].item() == pytest.approx(3.0, rel=1e-12)
    assert filtered[1].sum().item() == pytest.approx(1.0, rel=1e-12)
    expected = [0.2 * 0.8**t for t in range(5)]
    assert filtered[1, :5, 0].tolist() == pytest.approx(expected, rel=1e-13)


def test_low_pass_takes_one_signal_for_each_trial_as_well() -> None:
    signal = torch.rand(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    filtered = ep.low_pass(signal, 0.6)
    assert filtered.shape == (3, 6)
    assert torch.equal(filtered, ep.low_pass(signal[..., None], 0.6)[..., 0])
    assert filtered[2, 1].item() == pytest.approx(
        0.6 * 0.4 * signal[2, 0].item() + 0.4 * signal[2, 1].item(), rel=1e-14
    )


def test_low_pass_with_a_gain_of_1_is_the_filter_of_the_paper() -> None:
    signal = torch.rand(2, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    paper = ep.low_pass(signal, 0.8, 1.0)
    assert paper[0, 1, 2].item() == pytest.approx(0.8 * signal[0, 0, 2].item() + signal[0, 1, 2].item(), rel=1e-14)
    assert error((1 - 0.8) * paper, ep.low_pass(signal, 0.8)) < 1e-14


def test_low_pass_uses_the_number_that_its_check_returns() -> None:
    signal = torch.rand(1, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for half in (Decimal("0.5"), Fraction(1, 2), np.array(0.5), torch.tensor(0.5)):
        assert torch.equal(ep.low_pass(signal, half), ep.low_pass(signal, 0.5))  # type: ignore[arg-type]  # as good


@pytest.mark.parametrize("tau_out", [20.0, 1e6, 1e12, 1e17])
def test_a_readout_with_a_long_memory_keeps_its_digits(tau_out: float) -> None:
    # All digits of 1 − κ, where subtracting leaves 10 of them at 1e6 and none at 1e17.
    p = ep.Parameters(n_in=1, n_lif=1, n_alif=0, duration=3.0, tau_out=tau_out, threshold=0.5, n_ref=1)
    weights, run = chain(p, 2.0, 0.0, [1, 1, 1])
    assert run.z[0, :, 0].tolist() == [1, 1, 1]
    x = Fraction(1) / Fraction(tau_out)
    exact = [float(sum((-1) ** (k + 1) * (t * x) ** k / math.factorial(k) for k in range(1, 12))) for t in (1, 2, 3)]
    assert ep.readout(p, weights, run)[0, :, 0].tolist() == pytest.approx(exact, rel=4e-16)  # 1 − κ^t
    gradient = ep.readout_gradient(p, run, torch.ones(1, 3, 1, dtype=torch.float64))
    assert gradient.item() == pytest.approx(sum(exact), rel=4e-16)


def test_low_pass_without_decay_is_the_signal_itself() -> None:
    signal = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ep.low_pass(signal, 0.0), signal)


def test_the_loss_is_the_mean_over_trials_time_and_outputs() -> None:
    trial = make_trial(small_parameters(), batch=3)
    output = ep.readout(trial.parameters, trial.weights, trial.run)
    assert trial.run.z.any()
    squares = [(y - w) ** 2 for y, w in zip(array(output).flat, array(trial.targets).flat, strict=True)]
    assert len(squares) == 3 * 25 * 2
    assert trial.loss.item() == pytest.approx(sum(squares) / len(squares), rel=1e-13)
    assert trial.loss.shape == ()


def test_the_output_error_is_output_minus_target() -> None:
    trial = make_trial(small_parameters())
    difference = ep.output_error(trial.parameters, trial.weights, trial.run, trial.targets)
    assert torch.equal(difference, ep.readout(trial.parameters, trial.weights, trial.run) - trial.targets)


# The true learning signal, worked out by hand. c(t) is what the loss charges for the spike at t.


def test_a_spike_is_charged_for_the_reset_it_causes() -> None:
    # v: 0.75, 1.125 (spike), 0.3125: ψ > 0 throughout, so that every reset reaches the spikes after it.
    weights, run = chain(tiny(1, 0, 3), 0.75, 0.0, [1, 1, 1])
    assert run.z[0, :, 0].tolist() == [0, 1, 0]
    c = [5.0, 3.0, 2.0]
    psi, signal = signal_of(run, [[x] for x in c])
    p0, p1, p2 = (row[0] for row in psi)
    assert (p0, p1, p2) == pytest.approx((0.375, 0.4375, 0.15625), abs=1e-14)  # 0.5 max(0, 1 − |v − 1|)
    l2 = c[2]
    l1 = c[1] - 1.0 * p2 * l2  # −thr ψ(2): by its reset
    l0 = c[0] - 1.0 * (p1 * l1 + 0.5 * p2 * l2)  # on v(1), and half of it still on v(2)
    assert [row[0] for row in signal] == pytest.approx([l0, l1, l2], abs=1e-14)
    assert l0 == pytest.approx(5.0 - 0.4375 * 2.6875 - 0.15625, abs=1e-14)
    assert weights.w_in.grad is None  # nothing is accumulated on the way


def test_a_spike_is_charged_for_what_it_does_to_the_next_neuron() -> None:
    onwards = 1.25
    weights, run = chain(tiny(2, 0, 3), 1.25, onwards, [1, 0, 0])
    assert run.z[0].tolist() == [[1, 0], [0, 1], [0, 0]]
    c = [[1.0, 2.0], [3.0, 5.0], [7.0, 11.0]]
    psi, signal = signal_of(run, c)
    # v of the first: 1.25, −0.375, −0.1875; of the second: 0, 1.25, −0.375.
    assert [x for row in psi for x in row] == pytest.approx([0.375, 0.0, 0.0, 0.375, 0.0, 0.0], abs=1e-14)
    # Only the second neuron's spike at 1 can be moved, and by the first neuron's at 0; that it then resets counts for
    # nothing as ψ(2) = 0. The second neuron's own spike at 0, which did not happen, would have reset v(1).
    expected: list[list[float]] = [[1 + onwards * 0.375 * 5, 2 - 1.0 * 0.375 * 5], [3, 5], [7, 11]]
    for found, wanted in zip(signal, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-14)
    assert weights.w_rec[0, 1].item() == onwards


def test_a_spike_is_charged_for_all_later_ones_down_the_chain() -> None:
    # The last neuron is two synapses on: the effect of the first one's spike at 0 is w ψ w ψ of the cost.
    weights, run = chain(tiny(3, 0, 3), 1.25, 1.25, [1, 0, 0])
    _, signal = signal_of(run, [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert run.z[0].tolist() == torch.eye(3).tolist()
    assert signal[0][0] == pytest.approx((1.25 * 0.375) ** 2, abs=1e-14)
    assert signal[1][1] == pytest.approx(1.25 * 0.375, abs=1e-14)
    assert signal[2] == [0, 0, 1]
    assert weights.w_rec.requires_grad


def test_what_a_spike_does_through_its_own_adaptation_is_not_in_the_signal() -> None:
    # The spike at 0 lowers u(1) by the reset (thr = 1) and by adaptation (β = 0.5). Only the reset is charged to it.
    _, run = chain(tiny(0, 1, 2, beta=0.5), 1.25, 0.0, [1, 1])
    assert run.z[0, :, 0].tolist() == [1, 0]
    assert run.b[0, :, 0].tolist() == [0, 1]
    psi, signal = signal_of(run, [[2.0], [4.0]])
    assert psi[1][0] == pytest.approx(0.5 * (1 - 0.625), abs=1e-14)  # v(1) = 0.875, less 1 + 0.5
    assert signal[0][0] == pytest.approx(2.0 - 1.0 * psi[1][0] * 4.0, abs=1e-14)
    with_adaptation = 2.0 - (1.0 + 0.5) * psi[1][0] * 4.0
    assert abs(signal[0][0] - with_adaptation) > 0.1


def test_adaptation_that_a_reset_brings_about_later_is_in_the_signal() -> None:
    # What leaves the neuron as a sent spike and comes back by the reset does count, adaptation and all: the reset by
    # the spike at 0 moves the spike at 1, and that one moves b(2).
    _, run = chain(tiny(0, 1, 3, beta=0.25), 1.0, 0.0, [1, 1, 1])
    psi, signal = signal_of(run, [[0.0], [0.0], [1.0]])
    p1, p2 = psi[1][0], psi[2][0]
    assert min(p1, p2) > 0.1
    v1 = p1 * (-1.0 * p2 - 0.25 * p2) + 0.5 * p2  # dE/dv(1): by the reset and by b of z(1), and by v(2) itself
    assert signal[0][0] == pytest.approx(-1.0 * v1, abs=1e-14)


def test_a_silent_neuron_has_a_signal_for_a_spike_it_could_not_fire() -> None:
    _, run = chain(tiny(1, 0, 3, n_ref=3), 1.25, 0.0, [1, 1, 1])
    psi, signal = signal_of(run, [[1.0], [1.0], [1.0]])
    assert psi[1:] == [[0], [0]]
    assert signal == [[1], [1], [1]]  # resets change nothing while ψ = 0


def test_the_total_derivative_differs_from_the_direct_one() -> None:
    trial = make_trial(small_parameters())
    signal = ep.true_learning_signal(trial.loss, trial.run)
    (direct,) = torch.autograd.grad(trial.loss, trial.run.z, retain_graph=True)
    assert error(direct, signal) > 0.01
    # Nothing follows the last spike but the readout: there the two agree.
    assert torch.equal(direct[:, -1], signal[:, -1])
    # And the direct one is the error, filtered backwards and broadcast, as symmetric e-prop has it.
    p, factor = trial.parameters, 2 / trial.targets.numel()
    output_error = ep.output_error(p, trial.weights, trial.run, trial.targets)
    filtered = ep.low_pass(output_error.flip(1), p.kappa).flip(1)
    assert error(direct, factor * filtered @ trial.weights.w_out.T) < 1e-13


def test_the_signal_does_not_need_weights_in_the_graph() -> None:
    trial = make_trial(small_parameters())
    constant = ep.Weights(*(w.detach() for w in trial.weights))
    run = ep.simulate(trial.parameters, constant, trial.inputs)
    loss = ep.regression_loss(trial.parameters, constant, run, trial.targets)
    found, wanted = ep.true_learning_signal(loss, run), ep.true_learning_signal(trial.loss, trial.run)
    assert error(found, wanted) < 1e-13


def test_the_signal_can_be_asked_for_twice_and_leaves_no_gradients() -> None:
    trial = make_trial(small_parameters())
    first, second = (ep.true_learning_signal(trial.loss, trial.run) for _ in range(2))
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert all(w.grad is None for w in trial.weights)


def test_a_loss_of_one_moment_has_no_signal_after_it() -> None:
    trial = make_trial(small_parameters())
    signal = ep.true_learning_signal(torch.stack(trial.run.sent[:10], dim=1).sum(), trial.run)
    assert signal.shape == trial.run.z.shape
    assert bool((signal[:, 9] == 1).all())
    assert not signal[:, 10:].any()


# Approximations.


def test_the_broadcast_signal_is_the_error_of_the_same_moment_sent_back() -> None:
    trial = make_trial(small_parameters(), batch=2)
    feedback = ep.random_feedback(trial.parameters, seed=1)
    signal = ep.broadcast_learning_signal(trial.parameters, trial.weights, trial.run, trial.targets, feedback)
    tensors = (ep.readout(trial.parameters, trial.weights, trial.run), trial.targets, feedback)
    output, targets, b = (array(x) for x in tensors)
    for k, t, j in ((0, 0, 0), (1, 24, 4), (0, 13, 2)):
        expected = sum(b[j, o] * (output[k, t, o] - targets[k, t, o]) for o in range(2))
        assert signal[k, t, j].item() == pytest.approx(expected, rel=1e-12)
    assert signal.shape == trial.run.z.shape
    assert not signal.requires_grad


def test_the_broadcast_signal_knows_nothing_of_the_future() -> None:
    trial = make_trial(small_parameters())
    changed = trial.targets.clone()
    changed[:, 10:] += 1.0
    before, after = (
        ep.broadcast_learning_signal(trial.parameters, trial.weights, trial.run, targets, trial.weights.w_out)
        for targets in (trial.targets, changed)
    )
    assert torch.equal(before[:, :10], after[:, :10])
    assert bool((before[:, 10:] != after[:, 10:]).all())


def test_one_update_of_the_feedback_adds_the_change_and_then_decays_the_sum() -> None:
    weight, change = torch.tensor([[2.0, -4.0]]), torch.tensor([[0.5, 1.0]])
    assert ep.adapt_feedback(weight, change, 0.25).tolist() == [[1.875, -2.25]]
    assert ep.adapt_feedback(weight, change, 0.0).tolist() == [[2.5, -3.0]]
    assert ep.adapt_feedback(weight, change, 1.0).tolist() == [[0.0, 0.0]]
    assert weight.tolist() == [[2.0, -4.0]]


def test_the_same_changes_align_the_feedback_with_the_readout() -> None:
    p = ep.Parameters(n_out=2)
    readout, feedback = ep.random_weights(p, 0).w_out.detach(), ep.random_feedback(p, 0)
    start = (readout - feedback).norm().item()
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        change = 0.1 * torch.randn(readout.shape, generator=generator, dtype=torch.float64)
        readout, feedback = (ep.adapt_feedback(each, change, 0.05) for each in (readout, feedback))
    assert (readout - feedback).norm().item() == pytest.approx(start * 0.95**100, rel=1e-9)
    cosine = torch.nn.functional.cosine_similarity(readout.flatten(), feedback.flatten(), dim=0)
    assert cosine.item() > 0.99


# What is refused.

TRIAL = make_trial(ep.Parameters(duration=5.0, n_out=2))
OTHER = make_trial(ep.Parameters(duration=5.0, n_out=2))


def poisoned(tensor: torch.Tensor) -> torch.Tensor:
    changed = tensor.detach().clone()
    changed.view(-1)[0] = math.nan
    return changed


LOSSES: dict[str, tuple[Any, type[Exception], str]] = {
    "no tensor": (0.5, TypeError, "loss must be a torch.Tensor with one entry, got float"),
    "nothing": (None, TypeError, "loss must be a torch.Tensor with one entry, got NoneType"),
    "not scalar": (TRIAL.run.z, TypeError, "loss must be a torch.Tensor with one entry, got (1, 5, 8)"),
    "whole number": (torch.tensor(1), TypeError, "loss must be of dtype torch.float32 or torch.float64, got"),
    "not in the graph": (TRIAL.loss.detach(), ValueError, "loss must be part of the graph of the simulation, got a"),
    "NaN": (TRIAL.loss * math.nan, ValueError, "loss must be finite, got nan"),
    "infinite": (TRIAL.loss + math.inf, ValueError, "loss must be finite, got inf"),
}


@pytest.mark.parametrize("case", LOSSES)
@pytest.mark.parametrize("take", ["true_learning_signal", "bptt_gradients"])
def test_a_bad_loss_is_refused_in_clear_words(case: str, take: str) -> None:
    loss, kind, message = LOSSES[case]
    with pytest.raises(kind, match=says(message)):
        getattr(ep, take)(loss, TRIAL.run if take == "true_learning_signal" else TRIAL.weights)


@pytest.mark.parametrize("loss", [OTHER.loss, TRIAL.weights.w_out.sum()])
def test_a_loss_that_does_not_depend_on_the_run_has_no_signal(loss: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=says("loss must depend on the spikes of run, got one that does not")):
        ep.true_learning_signal(loss, TRIAL.run)


def test_a_run_without_a_graph_has_no_signal() -> None:
    with torch.no_grad():
        run = ep.simulate(TRIAL.parameters, TRIAL.weights, TRIAL.inputs)
    loss = ep.regression_loss(TRIAL.parameters, TRIAL.weights, run, TRIAL.targets)  # in the graph by w_out
    with pytest.raises(ValueError, match=says("run must have been simulated with gradients", "got one made under")):
        ep.true_learning_signal(loss, run)


TARGETS_OR_FEEDBACK: list[tuple[Callable[[Any], Any], type[Exception], str, str]] = [
    (lambda x: x.tolist(), TypeError, "must be a torch.Tensor", "got list"),
    (lambda x: x[:-1], ValueError, "must have the shape", "got"),
    (lambda x: x[..., :1], ValueError, "must have the shape", "got"),
    (lambda x: x.transpose(-1, -2), ValueError, "must have the shape", "got"),
    (lambda x: x.float(), TypeError, "must be of dtype torch.float64", "got torch.float32"),
    (lambda x: x.long(), TypeError, "must be of dtype torch.float32 or torch.float64", "got torch.int64"),
    (lambda x: x.to("meta"), ValueError, "must be on the device cpu", "got meta"),
    (poisoned, ValueError, "must be finite", "got NaN or infinite entries"),
]


@pytest.mark.parametrize("case", TARGETS_OR_FEEDBACK)
def test_bad_targets_are_refused_in_clear_words(case: Any) -> None:
    change, kind, *message = case
    targets = change(TRIAL.targets)
    with pytest.raises(kind, match=says("targets ", *message)):
        ep.regression_loss(TRIAL.parameters, TRIAL.weights, TRIAL.run, targets)
    with pytest.raises(kind, match=says("targets ", *message)):
        ep.broadcast_learning_signal(TRIAL.parameters, TRIAL.weights, TRIAL.run, targets, TRIAL.weights.w_out)


@pytest.mark.parametrize("case", TARGETS_OR_FEEDBACK)
def test_bad_feedback_is_refused_in_clear_words(case: Any) -> None:
    change, kind, *message = case
    feedback = change(ep.random_feedback(TRIAL.parameters, 0))
    with pytest.raises(kind, match=says("feedback ", *message)):
        ep.broadcast_learning_signal(TRIAL.parameters, TRIAL.weights, TRIAL.run, TRIAL.targets, feedback)


def test_a_readout_of_another_network_is_refused() -> None:
    narrow = ep.random_weights(ep.Parameters(n_lif=3), 0)
    with pytest.raises(ValueError, match=says("weights.w_in must have the shape (3, 8)", "got (3, 7)")):
        ep.readout(TRIAL.parameters, narrow, TRIAL.run)
    longer = ep.Parameters(duration=6.0, n_out=2)
    with pytest.raises(ValueError, match=says("run.z must have the shape (any, 6, 8)", "got (1, 5, 8)")):
        ep.readout(longer, TRIAL.weights, TRIAL.run)
    with pytest.raises(TypeError, match=says("run.z must be of dtype torch.float32", "got torch.float64")):
        ep.readout(TRIAL.parameters, TRIAL.weights.to(torch.float32), TRIAL.run)


@pytest.mark.parametrize("decay", [-0.1, 1.1, math.nan])
def test_a_decay_is_between_0_and_1(decay: float) -> None:
    with pytest.raises(
        ValueError, match=says("decay must be a finite number of at least 0 and at most 1", f"got {decay}")
    ):
        ep.adapt_feedback(torch.ones(2, 1), torch.ones(2, 1), decay)


@pytest.mark.parametrize(
    ("weight", "change", "kind", "message"),
    [
        ([1.0], torch.ones(2, 1), TypeError, "weight must be a torch.Tensor [n_rec, n_out], got list"),
        (torch.ones(2), torch.ones(2), ValueError, "weight must have the shape (any, any)"),
        (torch.ones(2, 1), torch.ones(1, 2), ValueError, "change must have the shape (2, 1) = [n_rec, n_out], got"),
        (torch.ones(2, 1), torch.ones(2, 1).double(), TypeError, "change must be of dtype torch.float32"),
        (torch.ones(2, 1), torch.ones(2, 1, device="meta"), ValueError, "change must be on the device cpu"),
        (torch.ones(2, 1), poisoned(torch.ones(2, 1)), ValueError, "change must be finite"),
    ],
)
def test_a_bad_update_is_refused_in_clear_words(weight: Any, change: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=says(message)):
        ep.adapt_feedback(weight, change, 0.1)


def test_low_pass_wants_a_time_axis_and_a_decay() -> None:
    with pytest.raises(
        ValueError, match=says("signal must have the shape (any, any, ...) = [batch, time, ...]", "(3,)")
    ):
        ep.low_pass(torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match=says("decay must be", "at most 1", "got 2.0")):
        ep.low_pass(torch.zeros(1, 3), 2.0)
