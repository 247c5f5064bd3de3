"""The factorization: the sum of learning signal × eligibility trace is the gradient, for every network tried."""

from __future__ import annotations

import dataclasses
import math
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Trial, array, error, forward_gradients, make_trial, says, small_parameters
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import eprop_nb as ep
import eprop_nb.gradients
from eprop_nb.evidence.random_networks import LOSSES, Case, Loss, build, output_derivative
from eprop_nb.gradients import METHODS

TOLERANCE = 1e-13
NETWORKS = {
    "the seed experiment": ep.Parameters(),
    "small": small_parameters(),
    "LIF only": ep.Parameters(n_lif=6, n_alif=0, rate_in=200.0),
    "ALIF only": ep.Parameters(n_lif=0, n_alif=6, rate_in=200.0, tau_a=30.0, beta=0.5),
    "one LIF neuron": ep.Parameters(n_lif=1, n_alif=0, rate_in=300.0),
    "one ALIF neuron": ep.Parameters(n_lif=0, n_alif=1, rate_in=300.0, tau_a=15.0, beta=0.3),
    "one input": ep.Parameters(n_in=1, n_lif=2, n_alif=2, rate_in=500.0),
    "short steps": ep.Parameters(dt=0.25, duration=12.5, rate_in=800.0, tau_a=20.0, beta=0.3),
    "long steps": ep.Parameters(dt=3.0, duration=90.0, rate_in=100.0, tau_a=20.0, beta=0.3),
    "a value for each neuron": ep.Parameters(
        n_lif=2,
        n_alif=2,
        tau_v=(5.0, 10.0, 20.0, 40.0),
        tau_a=(10.0, 20.0, 50.0, 5.0),
        rate_in=200.0,
        threshold=(0.4, 0.5, 0.6, 0.7),
        beta=(0.1, 0.0, 0.4, 0.8),
    ),
    "no refractory period, n_ref 0": ep.Parameters(n_ref=0, rate_in=200.0),
    "no refractory period, n_ref 1": ep.Parameters(n_ref=1, rate_in=200.0),
    "long refractory period": ep.Parameters(n_ref=5, rate_in=300.0, beta=0.4, tau_a=30.0),
    "steep": ep.Parameters(dampening=0.9, threshold=0.4, rate_in=100.0, duration=30.0),
    "three outputs": ep.Parameters(n_out=3, rate_in=200.0),
}


def both(trial: Trial) -> tuple[ep.Gradients, ep.Gradients]:
    signal = ep.true_learning_signal(trial.loss, trial.run)
    return (
        ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal),
        ep.bptt_gradients(trial.loss, trial.weights),
    )


def assert_something_happened(trial: Trial, gradients: ep.Gradients) -> None:
    """Agreement is worth nothing in a silent network, or where there is no gradient."""
    assert trial.run.z.any()
    names = ("w_in", "w_rec") if trial.parameters.n_rec > 1 else ("w_in",)
    for name in names:
        assert array(getattr(gradients, name)).any(), name


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_eprop_is_bptt(name: str, seed: int) -> None:
    trial = make_trial(NETWORKS[name], seed=seed, batch=2, gain=0.6)
    eprop, bptt = both(trial)
    assert_something_happened(trial, bptt)
    report = ep.compare(eprop, bptt)
    assert report.max_relative_error < TOLERANCE
    assert set(report.relative_errors) == ({"w_in", "w_rec"} if trial.parameters.n_rec > 1 else {"w_in"})


@pytest.mark.parametrize("name", ["small", "ALIF only", "one ALIF neuron", "short steps", "a value for each neuron"])
def test_both_are_the_gradient_carried_forward_in_time(name: str) -> None:
    # An outside truth: were a path missing from the graph of the simulation, e-prop and BPTT would still agree.
    trial = make_trial(dataclasses.replace(NETWORKS[name], duration=NETWORKS[name].dt * 20), seed=1, batch=2)
    eprop, bptt = both(trial)
    assert_something_happened(trial, bptt)
    forward = forward_gradients(trial)
    assert ep.compare(forward, bptt).max_relative_error < TOLERANCE
    assert ep.compare(forward, eprop).max_relative_error < TOLERANCE


def test_it_holds_for_any_loss_of_the_spikes() -> None:
    trial = make_trial(small_parameters(), batch=2)
    z = trial.run.z
    loss = (z.sum(dim=1) - 3).square().sum() + (z[:, 5:] * z[:, :-5]).sum().sin()  # not linear in the spikes
    eprop, bptt = both(trial._replace(loss=loss))
    assert_something_happened(trial, bptt)
    assert ep.compare(eprop, bptt).max_relative_error < TOLERANCE
    assert bptt.w_out is not None
    assert not bptt.w_out.any()  # the readout is not in this loss


def test_the_direct_signal_gives_another_gradient() -> None:
    trial = make_trial(small_parameters())
    _, bptt = both(trial)
    (direct,) = torch.autograd.grad(trial.loss, trial.run.z, retain_graph=True)
    approximate = ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, direct)
    assert ep.compare(approximate, bptt).max_relative_error > 0.01


def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_trials() -> None:
    trial = make_trial(small_parameters(), batch=3)
    whole = both(trial)
    parts = []
    for k in range(3):
        one = slice(k, k + 1)
        run = ep.simulate(trial.parameters, trial.weights, trial.inputs[one])
        targets = trial.targets[one]
        loss = ep.regression_loss(trial.parameters, trial.weights, run, targets)
        parts.append(both(Trial(trial.parameters, trial.weights, trial.inputs[one], targets, run, loss)))
    for which in range(2):
        for name in ("w_in", "w_rec"):
            mean = np.mean([array(getattr(part[which], name)) for part in parts], axis=0)
            assert error(getattr(whole[which], name), mean) < TOLERANCE


def test_eprop_is_the_sum_of_signal_times_trace_for_any_signal() -> None:
    trial = make_trial(small_parameters(), batch=2)
    p = trial.parameters
    signal = torch.randn(trial.run.z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ep.eprop_gradients(p, trial.run, trial.inputs, signal)
    for pre, gradient in ((trial.inputs, found.w_in), (ep.previous_spikes(trial.run.z), found.w_rec)):
        e = ep.eligibility_traces(p, trial.run, pre.detach()).e
        assert gradient is not None
        for i, j in ((0, 1), (2, 4), (1, 3)):
            expected = sum(signal[k, t, j].item() * e[k, t, i, j].item() for k in range(2) for t in range(p.n_steps))
            assert gradient[i, j].item() == pytest.approx(expected, rel=1e-11, abs=1e-15)
    assert found.w_out is None


def test_there_is_no_gradient_for_self_connections() -> None:
    trial = make_trial(small_parameters())
    moved = trial.weights.w_rec.detach() + torch.eye(5, dtype=torch.float64)
    weights = trial.weights._replace(w_rec=moved.requires_grad_())
    run = ep.simulate(trial.parameters, weights, trial.inputs)
    loss = ep.regression_loss(trial.parameters, weights, run, trial.targets)
    for gradients in both(trial._replace(weights=weights, run=run, loss=loss)):
        w_rec = array(gradients.w_rec)
        assert w_rec.any()
        assert not w_rec.diagonal().any()


def test_the_gradient_of_the_readout_is_the_filtered_spikes_times_the_error() -> None:
    trial = make_trial(small_parameters(), batch=2)
    p = trial.parameters
    _, bptt = both(trial)
    filtered = array(ep.low_pass(trial.run.z, p.kappa))
    output_error = array(ep.output_error(p, trial.weights, trial.run, trial.targets))
    expected = np.einsum("bti,bto->io", filtered, output_error) * 2 / trial.targets.numel()
    assert error(bptt.w_out, expected) < TOLERANCE


def test_single_precision_works_and_is_less_precise() -> None:
    errors = {}
    for dtype in (torch.float32, torch.float64):
        trial = make_trial(ep.Parameters(rate_in=200.0), dtype=dtype)
        eprop, bptt = both(trial)
        assert_something_happened(trial, bptt)
        assert all(g.dtype == dtype for g in (*eprop, *bptt) if g is not None)
        errors[dtype] = ep.compare(eprop, bptt).max_relative_error
    assert errors[torch.float64] < TOLERANCE
    assert 1e-9 < errors[torch.float32] < 1e-5


def test_traces_is_the_method_unless_another_is_asked_for() -> None:
    trial = make_trial(small_parameters())
    signal = ep.true_learning_signal(trial.loss, trial.run)
    default = ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal)
    named = ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal, method="traces")
    assert torch.equal(torch.from_numpy(array(default.w_in)), torch.from_numpy(array(named.w_in)))


def test_gradients_leave_nothing_behind_and_can_be_taken_again() -> None:
    trial = make_trial(small_parameters())
    (eprop, bptt), (eprop_again, bptt_again) = both(trial), both(trial)
    assert all(w.grad is None for w in trial.weights)
    for first, second in ((eprop, eprop_again), (bptt, bptt_again)):
        assert (array(first.w_rec) == array(second.w_rec)).all()
        assert not any(g.requires_grad for g in first if g is not None)


# Three ways to sum.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_is_bptt(name: str, method: str) -> None:
    trial = make_trial(NETWORKS[name], seed=3, batch=2, gain=0.6)
    signal = ep.true_learning_signal(trial.loss, trial.run)
    eprop = ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal, method)
    bptt = ep.bptt_gradients(trial.loss, trial.weights)
    assert_something_happened(trial, bptt)
    assert ep.compare(eprop, bptt).max_relative_error < TOLERANCE


@pytest.mark.parametrize("method", ["online", "closed_form"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_methods_agree_for_any_signal(name: str, method: str) -> None:
    # A signal that no loss has: that they agree owes nothing to what a learning signal is.
    trial = make_trial(NETWORKS[name], seed=3, batch=2, gain=0.6)
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(trial.run.z.shape, generator=generator, dtype=torch.float64)
    one, other = (
        ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal, each) for each in ("traces", method)
    )
    assert ep.compare(other, one).max_relative_error < TOLERANCE


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its base class untyped
    """Count the bytes of the tensors that are alive, after every operation of PyTorch, and keep the largest number."""

    def __init__(self, *given: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.given = {tensor.untyped_storage().data_ptr() for tensor in given}  # these are not counted
        self.alive: list[weakref.ref[torch.Tensor]] = []
        self.peak: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.alive += [weakref.ref(leaf) for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        tensors = [tensor for each in self.alive if (tensor := each()) is not None]
        self.alive = [weakref.ref(tensor) for tensor in tensors]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        self.peak = max(self.peak, sum(n for at, n in storages.items() if at not in self.given))
        return result


def peak(method: str, *, n_steps: int, n_pre: int, n_post: int = 6) -> int:
    p = ep.Parameters(n_lif=0, n_alif=n_post, beta=0.3)
    psi, signal = (torch.full((2, n_steps, n_post), value, dtype=torch.float64) for value in (0.2, 1.0))
    pre = torch.ones(2, n_steps, n_pre, dtype=torch.float64)
    constants = p.constants(like=psi)
    live = LiveBytes(psi, signal, pre, *constants)
    with torch.no_grad(), live:
        METHODS[method](constants, psi, signal, pre)
    return live.peak


def test_the_memory_of_the_online_form_does_not_grow_with_the_duration() -> None:
    synapses = 2 * 5 * 6 * 8  # bytes: batch · pre · post · float64
    long = peak("online", n_steps=80, n_pre=5)
    assert long == peak("online", n_steps=20, n_pre=5)
    assert synapses <= long < 10 * synapses
    assert peak("traces", n_steps=80, n_pre=5) >= 80 * synapses  # so the count does see what is kept


def test_the_memory_of_the_closed_form_does_not_grow_with_the_synapses() -> None:
    one_array = 2 * 80 * 6 * 8  # bytes: batch · time · post · float64
    few, many = (peak("closed_form", n_steps=80, n_pre=n_pre) for n_pre in (4, 64))
    assert one_array <= few < 8 * one_array
    assert many - few <= 2 * (64 - 4) * 6 * 8  # no more than the result itself, and a copy of it
    assert peak("traces", n_steps=80, n_pre=64) > 10 * peak("traces", n_steps=80, n_pre=4)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "rate"])
def test_the_readout_s_gradient_is_bptt_for_every_loss_of_the_output(loss: Loss) -> None:
    case = Case(ep.Parameters(n_out=3, rate_in=300.0), 3, loss, 1.5, 2)
    experiment = build(case)
    found = ep.readout_gradient(case.parameters, experiment.run, output_derivative(case, experiment))
    bptt = ep.bptt_gradients(experiment.loss, experiment.weights)
    assert ep.compare(ep.Gradients(w_out=found), bptt).max_relative_error < TOLERANCE


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda y: y.tolist(), TypeError, "must be a torch.Tensor [batch, time, n_out], got list"),
        (lambda y: y[:, 1:], ValueError, "must have the shape (1, 5, 1) = [batch, time, n_out], got (1, 4, 1)"),
        (lambda y: y.repeat(1, 1, 2), ValueError, "must have the shape (1, 5, 1) = [batch, time, n_out], got"),
        (lambda y: y.float(), TypeError, "must be of dtype torch.float64, as the other tensors are, got"),
        (lambda y: y.to("meta"), ValueError, "must be on the device cpu, where the other tensors are, got"),
        (lambda y: y * math.inf, ValueError, "must be finite, got NaN or infinite entries"),
    ],
)
def test_a_bad_output_signal_is_refused(change: Any, kind: type[Exception], message: str) -> None:
    output_signal = change(torch.ones(1, 5, 1, dtype=torch.float64))
    with pytest.raises(kind, match=says(f"output_signal {message}")):
        ep.readout_gradient(TRIAL.parameters, TRIAL.run, output_signal)


# compare


def matrix(*rows: list[float], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(rows, dtype=dtype)


def test_a_difference_is_measured_in_units_of_the_largest_entry_of_the_reference() -> None:
    reference = ep.Gradients(w_in=matrix([4.0, -8.0]), w_rec=matrix([0.0, 0.5], [0.25, 0.0]))
    candidate = ep.Gradients(w_in=matrix([4.0, -6.0]), w_rec=matrix([0.0, 0.5], [0.5, 0.0]))
    report = ep.compare(candidate, reference)
    assert report.relative_errors == {"w_in": 2 / 8, "w_rec": 0.25 / 0.5}
    assert report.max_relative_error == 0.5
    assert report.max_squared_error == 0.25
    assert ep.compare(reference, reference).max_relative_error == 0


@pytest.mark.parametrize("difference", [0.5, -0.5])
def test_a_gradient_too_small_is_as_wrong_as_one_too_large(difference: float) -> None:
    report = ep.compare(ep.Gradients(matrix([1.0, 2.0 + difference])), ep.Gradients(matrix([1.0, 2.0])))
    assert report.max_relative_error == 0.25


def test_only_the_matrices_of_the_candidate_are_compared() -> None:
    reference = ep.Gradients(matrix([1.0]), matrix([0.0, 1.0], [1.0, 0.0]), matrix([1.0]))
    report = ep.compare(ep.Gradients(w_out=matrix([3.0])), reference)
    assert report.relative_errors == {"w_out": 2.0}


def test_gradients_of_different_dtypes_can_be_held_against_each_other() -> None:
    report = ep.compare(ep.Gradients(matrix([0.1], dtype=torch.float32)), ep.Gradients(matrix([0.1])))
    assert 1e-9 < report.max_relative_error < 1e-7  # the rounding of 0.1, not hidden by rounding both


def test_one_neuron_has_no_recurrent_synapse_to_measure() -> None:
    gradients = ep.Gradients(matrix([2.0]), matrix([0.0]))
    assert ep.compare(gradients, gradients).relative_errors == {"w_in": 0.0}


@pytest.mark.parametrize("name", ["w_in", "w_out"])
def test_one_synapse_from_another_neuron_is_measured(name: str) -> None:
    zero = ep.Gradients(**{name: matrix([0.0])})
    with pytest.raises(ep.VacuousComparisonError, match=says(f"reference.{name} must have an entry other than zero")):
        ep.compare(zero, zero)


NOT_A_TENSOR: Any = [1.0]
GOOD = ep.Gradients(matrix([1.0, 2.0]), matrix([0.0, 1.0], [1.0, 0.0]), matrix([1.0], [2.0]))


@pytest.mark.parametrize("name", ["w_in", "w_rec", "w_out"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["candidate", "reference"])
def test_gradients_that_are_not_finite_are_not_compared(name: str, value: float, side: str) -> None:
    broken = getattr(GOOD, name).clone()
    broken[0, -1] = value
    pair = {"candidate": GOOD, "reference": GOOD, side: GOOD._replace(**{name: broken})}
    with pytest.raises(ValueError, match=says(f"{side}.{name} must be finite, got NaN or infinite")):
        ep.compare(**pair)


@pytest.mark.parametrize("name", ["w_in", "w_rec", "w_out"])
def test_a_reference_of_zeros_is_refused(name: str) -> None:
    zeros = torch.zeros_like(getattr(GOOD, name))
    for candidate in (GOOD, GOOD._replace(**{name: zeros})):
        with pytest.raises(ValueError, match=says(f"reference.{name} must have an entry other than zero, got none")):
            ep.compare(candidate, GOOD._replace(**{name: zeros}))


@pytest.mark.parametrize(("dtype", "least"), [(torch.float64, 2.0**-970), (torch.float32, 2.0**-103)])
def test_gradients_that_have_underflowed_are_not_compared(dtype: torch.dtype, least: float) -> None:
    # From `least` on, all that a rounding error is made of is a normal number; below, part of it is lost.
    assert least == torch.finfo(dtype).tiny / torch.finfo(dtype).eps
    good, bad = (ep.Gradients(matrix([largest, 0.0], dtype=dtype)) for largest in (least, -0.99 * least))
    assert ep.compare(good, good).max_relative_error == 0
    with pytest.raises(ep.VacuousComparisonError, match=says("reference.w_in must have an entry of at least", "got")):
        ep.compare(bad, bad)


def test_the_coarser_of_two_dtypes_decides_what_has_underflowed() -> None:
    double, single = (ep.Gradients(matrix([1e-35], dtype=dtype)) for dtype in (torch.float64, torch.float32))
    assert ep.compare(double, double).max_relative_error == 0
    for pair in ((double, single), (single, double)):
        with pytest.raises(ep.VacuousComparisonError, match=says("at least 9.9e-32, got 1.0e-35 at most")):
            ep.compare(*pair)


@pytest.mark.parametrize("scale", [1e-280, 1e-300, 1e-310])
def test_two_right_gradients_of_a_tiny_loss_agree_until_it_underflows(scale: float) -> None:
    trial = make_trial(small_parameters())
    eprop, bptt = both(trial._replace(loss=trial.loss * scale))
    if scale > 1e-290:
        assert ep.compare(eprop, bptt).max_relative_error < TOLERANCE
    else:
        with pytest.raises(ep.VacuousComparisonError, match=says("what it was computed from has underflowed")):
            ep.compare(eprop, bptt)


@pytest.mark.parametrize(
    ("candidate", "reference", "kind", "message"),
    [
        (GOOD, GOOD._replace(w_rec=None), ValueError, "reference.w_rec must be there, as candidate.w_rec is, got None"),
        (GOOD._replace(w_in=matrix([1.0])), GOOD, ValueError, "candidate.w_in must have the shape (1, 2)"),
        (GOOD, GOOD._replace(w_in=torch.ones(2)), ValueError, "reference.w_in must have the shape (any, any)"),
        (
            GOOD._replace(w_in=NOT_A_TENSOR),
            GOOD,
            TypeError,
            "candidate.w_in must be a torch.Tensor [pre, post], got list",
        ),
        (ep.Gradients(), GOOD, ValueError, "candidate must have at least one gradient with a synapse to compare"),
        (ep.Gradients(), ep.Gradients(), ValueError, "candidate must have at least one gradient with a synapse"),
        (
            ep.Gradients(w_rec=matrix([0.0])),
            ep.Gradients(w_rec=matrix([0.0])),
            ValueError,
            "candidate must have at least one gradient with a synapse to compare, got none",
        ),
        (
            ep.Gradients(w_rec=matrix([1.0])),
            ep.Gradients(w_rec=matrix([0.0])),
            ValueError,
            "reference.w_rec must have an entry other than zero",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    candidate: Any, reference: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=says(message)):
        ep.compare(candidate, reference)


def test_a_silent_network_is_not_taken_for_proof() -> None:
    p = ep.Parameters(duration=5.0, threshold=100.0)
    trial = make_trial(p)
    assert not trial.run.z.any()
    signal = torch.zeros_like(trial.run.z)
    eprop = ep.eprop_gradients(p, trial.run, trial.inputs, signal)
    with pytest.raises(ValueError, match=says("reference.w_in must have an entry other than zero")):
        ep.compare(eprop, eprop)


# What is refused.

TRIAL = make_trial(ep.Parameters(duration=5.0))
SIGNAL = torch.ones_like(TRIAL.run.z)


@pytest.fixture
def no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if traces are built: bad input is refused before any work."""

    def built(*_: object) -> None:
        pytest.fail("traces were built before the arguments were checked")

    monkeypatch.setitem(eprop_nb.gradients.METHODS, "traces", built)


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize("method", ["trace", "", "Traces", None, 1])
def test_an_unknown_method_is_refused(method: Any) -> None:
    with pytest.raises(
        ValueError, match=says("method must be 'traces' or 'online' or 'closed_form'", f"got {method!r}")
    ):
        ep.eprop_gradients(TRIAL.parameters, TRIAL.run, TRIAL.inputs, SIGNAL, method=method)


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize(
    ("name", "change", "kind", "message"),
    [
        ("signal", lambda x: x.numpy(), TypeError, "must be a torch.Tensor [batch, time, n_rec], got ndarray"),
        ("signal", lambda x: x[0], ValueError, "must have the shape (1, 5, 8) = [batch, time, n_rec], got (5, 8)"),
        ("signal", lambda x: x[..., :1], ValueError, "must have the shape (1, 5, 8) = [batch, time, n_rec], got"),
        ("signal", lambda x: x.float(), TypeError, "must be of dtype torch.float64, as the other tensors are, got"),
        ("signal", lambda x: x.to("meta"), ValueError, "must be on the device cpu, where the other tensors are, got"),
        ("signal", lambda x: x * math.nan, ValueError, "must be finite, got NaN or infinite entries"),
        ("inputs", lambda x: x.tolist(), TypeError, "must be a torch.Tensor [batch, time, n_in], got list"),
        ("inputs", lambda x: x[:, 1:], ValueError, "must have the shape (1, 5, 3) = [batch, time, n_in], got"),
        ("inputs", lambda x: torch.cat((x, x)), ValueError, "must have the shape (1, 5, 3) = [batch, time, n_in], got"),
        ("inputs", lambda x: x.float(), TypeError, "must be of dtype torch.float64, as the other tensors are, got"),
        ("inputs", lambda x: x.to("meta"), ValueError, "must be on the device cpu, where the other tensors are, got"),
        ("inputs", lambda x: x * math.nan, ValueError, "must be finite, got NaN or infinite entries"),
        ("inputs", lambda x: x - 1, ValueError, "must hold spikes, that is 0 or 1 in each time step, got an entry -1"),
    ],
)
def test_a_bad_signal_or_bad_inputs_are_refused(name: str, change: Any, kind: type[Exception], message: str) -> None:
    given = {"inputs": TRIAL.inputs, "signal": SIGNAL}
    given[name] = change(given[name])
    with pytest.raises(kind, match=says(f"{name} {message}")):
        ep.eprop_gradients(TRIAL.parameters, TRIAL.run, given["inputs"], given["signal"])


@pytest.mark.usefixtures("no_traces")
def test_a_run_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=says("run.z must have the shape (any, 5, 7)", "got (1, 5, 8)")):
        ep.eprop_gradients(ep.Parameters(duration=5.0, n_lif=3), TRIAL.run, TRIAL.inputs, SIGNAL)


@pytest.mark.parametrize("name", ["w_in", "w_rec", "w_out"])
def test_weights_that_do_not_require_gradients_have_none(name: str) -> None:
    weights = TRIAL.weights._replace(**{name: getattr(TRIAL.weights, name).detach()})
    with pytest.raises(ValueError, match=says(f"weights.{name} must require gradients", "got one that does not")):
        ep.bptt_gradients(TRIAL.loss, weights)


def test_weights_that_were_not_simulated_have_no_gradient() -> None:
    with pytest.raises(ValueError, match=says("weights must be those that the loss was computed with", "got ones")):
        ep.bptt_gradients(TRIAL.loss, TRIAL.weights.to(torch.float64))


def test_a_weight_matrix_that_the_loss_leaves_out_has_a_gradient_of_zeros() -> None:
    gradients = ep.bptt_gradients(TRIAL.weights.w_out.square().sum(), TRIAL.weights)
    assert not array(gradients.w_in).any()
    assert not array(gradients.w_rec).any()
    assert array(gradients.w_out).any()
    assert [None if g is None else g.shape for g in gradients] == [w.shape for w in TRIAL.weights]
