"""General e-prop: against autograd for neurons of many kinds, against the ground floor, and against bad neurons."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import error, says
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from torch import Tensor

import eprop_nb as ep
from eprop_nb.evidence import any_neuron, neurons
from eprop_nb.evidence.any_neuron import METHODS, Unit
from eprop_nb.gradients import VacuousComparisonError

EXAMPLES = int(os.environ.get("EXAMPLES", "40"))  # of each kind of neuron; `make verify` asks for more
NEURONS: dict[str, tuple[Callable[[int], Unit], int, float]] = {  # how to make n of them, their currents, a gain
    "LIF": (lambda n: neurons.lif(ep.Parameters(n_lif=n, n_alif=0)), 1, 1.5),
    "ALIF": (lambda n: neurons.alif(ep.Parameters(n_lif=n // 2, n_alif=n - n // 2, beta=0.4, n_ref=3)), 1, 1.5),
    "ALIF, reset in the trace": (
        lambda n: neurons.alif(ep.Parameters(n_lif=n // 2, n_alif=n - n // 2, beta=0.4, n_ref=3), "trace"),
        1,
        1.5,
    ),
    "second-order synapse": (neurons.second_order_synapse, 1, 4.0),
    "Izhikevich": (neurons.izhikevich, 1, 3.0),
    "adaptive exponential": (neurons.adaptive_exponential, 1, 3.0),
    "two compartments": (neurons.two_compartments, 2, 1.5),
    "resonate-and-fire": (neurons.resonate_and_fire, 1, 2.0),
    "LSTM": (neurons.lstm, 4, 1.0),
    "delayed synapses": (neurons.delayed_synapses, 1, 1.5),
}


def drawn(n: int, n_in: int, currents: int, seed: int, gain: float) -> ep.Weights:
    draw = torch.Generator().manual_seed(seed)
    sizes = ((n_in, n * currents), (n, n * currents), (n, 2))
    w_in, w_rec, w_out = (torch.randn(size, generator=draw, dtype=torch.float64) / size[0] ** 0.5 for size in sizes)
    return ep.Weights(gain * w_in, w_rec, w_out)


def spikes(batch: int, steps: int, n_in: int, seed: int, chance: float = 0.2) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(batch, steps, n_in, generator=draw, dtype=torch.float64) < chance).double()


def loss_of(weights: ep.Weights, shape: torch.Size, seed: int) -> Callable[[Tensor], Tensor]:
    wanted = torch.randn((*shape[:2], 2), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    w_out = weights.w_out.detach()
    return lambda z: (ep.low_pass(z, 0.9, 0.1) @ w_out - wanted).square().sum() / 2


# ------------------------------------------------------------------------------------------------------ it is e-prop


@pytest.mark.parametrize("name", NEURONS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    n=st.integers(2, 6),
    n_in=st.integers(1, 4),
    steps=st.integers(20, 60),
    batch=st.integers(1, 3),
    seed=st.integers(0, 10_000),
    analog=st.booleans(),
)
def test_e_prop_is_the_gradient_for_any_neuron(
    name: str, n: int, n_in: int, steps: int, batch: int, seed: int, analog: bool
) -> None:
    make, currents, gain = NEURONS[name]
    unit, weights = make(n), drawn(n, n_in, currents, seed, 2 * gain)
    inputs = spikes(batch, steps, n_in, seed)
    if analog:
        inputs = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    loss = loss_of(weights, inputs.shape, seed)
    try:
        found = any_neuron.verify(unit, weights, inputs, loss)
    except VacuousComparisonError as refused:
        event(str(refused)[:30])
        assume(condition=False)
        return
    assert set(found) == {*METHODS, "symmetric"}
    assert max(each.max_relative_error for each in found.values()) < 1e-13


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alifs", [0, 3])
def test_the_books_neurons_as_units_are_those_of_the_ground_floor(method: str, alifs: int) -> None:
    p = ep.Parameters(n_in=4, n_lif=3, n_alif=alifs, beta=0.4, tau_a=30.0, n_ref=3, rate_in=200.0)
    weights = ep.random_weights(p, seed=3)
    weights = weights._replace(w_in=weights.w_in.detach().abs().requires_grad_())
    inputs, targets = ep.poisson_spikes(p, 2, seed=3), ep.random_targets(p, 2, seed=3)
    ground = ep.simulate(p, weights, inputs)
    unit = neurons.alif(p) if alifs else neurons.lif(p)
    run = any_neuron.simulate(unit, weights, inputs)
    assert ground.z.sum() > 10
    assert torch.equal(run.z, ground.z)
    assert error(run.hidden[..., 0], ground.v) < 1e-15
    if alifs:
        assert error(run.hidden[..., 1], ground.b) < 1e-15
    assert error(any_neuron.factors(unit, run).psi[..., 0], ground.psi) < 1e-15
    signal = ep.true_learning_signal(ep.regression_loss(p, weights, ground, targets), ground)
    loss = (ep.low_pass(run.z, p.kappa, p.kappa_complement) @ weights.w_out - targets).square().mean()
    assert error(any_neuron.true_learning_signal(loss, run), signal / signal.abs().max() * _largest(loss, run)) < 1e-14
    ours = any_neuron.eprop_gradients(unit, run, inputs, signal, method)
    theirs = ep.eprop_gradients(p, ground, inputs, signal)
    assert error(ours.w_in, theirs.w_in) < 1e-14
    assert error(ours.w_rec, theirs.w_rec) < 1e-14


def _largest(loss: Tensor, run: any_neuron.Run) -> Tensor:
    return any_neuron.true_learning_signal(loss, run).abs().max()


def test_both_splits_of_the_reset_are_exact_and_a_mixture_is_not() -> None:
    p = ep.Parameters(n_in=4, n_lif=0, n_alif=5, beta=0.4, n_ref=1, rate_in=200.0)
    weights = drawn(5, 4, 1, 0, 1.5)
    weights = weights._replace(w_in=weights.w_in.abs())
    inputs = ep.poisson_spikes(p, 2, seed=1)
    loss = loss_of(weights, inputs.shape, 0)
    signals, gradients, units = {}, {}, {}
    for reset in ("signal", "trace"):
        units[reset] = neurons.alif(p, reset)
        found = any_neuron.verify(units[reset], weights, inputs, loss)
        assert max(each.max_relative_error for each in found.values()) < 1e-13
        held = ep.Weights(*(w.clone().requires_grad_() for w in weights))
        run = any_neuron.simulate(units[reset], held, inputs)
        signals[reset] = any_neuron.true_learning_signal(loss(run.z), run)
        gradients[reset] = any_neuron.eprop_gradients(units[reset], run, inputs, signals[reset])
    assert error(signals["trace"], signals["signal"]) > 1e-2
    assert error(gradients["trace"].w_rec, gradients["signal"].w_rec) < 1e-13
    for ours, theirs in itertools.permutations(units):  # counted twice, and not at all
        mixed = any_neuron.eprop_gradients(units[ours], run, inputs, signals[theirs])
        assert error(mixed.w_rec, gradients["signal"].w_rec) > 1e-2


def test_a_users_own_surrogate_counts() -> None:
    class Triangle(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)  # type: ignore[attr-defined]  # PyTorch's own
            return (x > 0).to(x.dtype)

        @staticmethod
        def backward(ctx: object, *grads: Tensor) -> Tensor:
            x: Tensor = ctx.saved_tensors[0]  # type: ignore[attr-defined]  # PyTorch's own
            return grads[0] / (1 + 10 * x.abs()) ** 2

    def fires(hidden: Tensor) -> Tensor:
        found: Tensor = Triangle.apply(hidden[..., 0] - 1)  # type: ignore[no-untyped-call]  # PyTorch gives it no types
        return found

    unit = Unit(lambda h, i, s: 0.9 * h + i - s[..., None], fires, torch.zeros(4, 1, dtype=torch.float64))
    weights, inputs = drawn(4, 3, 1, 0, 3.0), spikes(2, 40, 3, 0)
    found = any_neuron.verify(unit, weights, inputs, loss_of(weights, inputs.shape, 0))
    assert max(each.max_relative_error for each in found.values()) < 1e-13
    run = any_neuron.simulate(unit, weights, inputs)
    x = run.hidden[..., 0] - 1
    assert error(any_neuron.factors(unit, run).psi[..., 0], 1 / (1 + 10 * x.abs()) ** 2) < 1e-15


def test_a_neuron_that_is_above_its_threshold_at_the_start_has_sent_a_spike() -> None:
    unit = neurons.lif(ep.Parameters(n_lif=3, n_alif=0, n_ref=1))
    unit = unit._replace(start=torch.tensor([[5.0, 0.0]] * 3, dtype=torch.float64))
    weights, inputs = drawn(3, 2, 1, 1, 3.0), spikes(1, 30, 2, 0)
    found = any_neuron.verify(unit, weights, inputs, loss_of(weights, inputs.shape, 0))
    assert max(each.max_relative_error for each in found.values()) < 1e-13


# ------------------------------------------------------------------------------------------------------ what is refused

LEAKY = Unit(
    lambda h, i, s: 0.9 * h + i - s[..., None],
    lambda h: ep.spike(h[..., 0] - 1, 0.3),
    torch.zeros(4, 1, dtype=torch.float64),
)


def attempt(unit: Unit, *, gain: float = 3.0) -> None:
    weights, inputs = drawn(4, 3, 1, 0, gain), spikes(2, 30, 3, 0)
    any_neuron.verify(unit, weights, inputs, loss_of(weights, inputs.shape, 0))


def test_the_neuron_that_the_refusals_start_from_is_fine() -> None:
    attempt(LEAKY)


def test_a_step_that_reaches_other_neurons_is_refused() -> None:
    by_value = LEAKY._replace(step=lambda h, i, s: LEAKY.step(h, i, s) + 0.01 * h.detach().mean(-2, keepdim=True))
    by_derivative = LEAKY._replace(step=lambda h, i, s: LEAKY.step(h, i, s) + 0.01 * _straight(h))
    for unit in (by_value, by_derivative):
        with pytest.raises(ValueError, match=says("unit.step must be local", "another neuron")):
            attempt(unit)


def _straight(h: Tensor) -> Tensor:
    """Return zeros whose derivative is that of the mean over the neurons."""
    mean = h.mean(-2, keepdim=True)
    return torch.add(torch.zeros_like(h), mean - mean.detach())


def test_a_step_that_is_not_pure_is_refused() -> None:
    count = itertools.count()
    unit = LEAKY._replace(step=lambda h, i, s: LEAKY.step(h, i, s) + 0.01 * next(count))
    with pytest.raises(ValueError, match=says("unit.step must be pure")):
        attempt(unit)


def test_a_silent_or_flat_network_is_refused() -> None:
    with pytest.raises(VacuousComparisonError, match=says("unit", "silent")):
        attempt(LEAKY, gain=1e-3)
    flat = LEAKY._replace(spike=lambda h: (h[..., 0] > 1).double() + 0 * h[..., 0])
    with pytest.raises(VacuousComparisonError, match=says("unit", "derivative", "none")):
        attempt(flat)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (LEAKY._replace(step=lambda h, _i, _s: h[..., 0]), says("what unit.step returns", "[batch, n, d]")),
        (LEAKY._replace(step=lambda h, _i, _s: h.float()), says("what unit.step returns", "float64", "float32")),
        (LEAKY._replace(spike=lambda h: h), says("what unit.spike returns", "[batch, n]")),
        (LEAKY._replace(start=torch.zeros(4)), says("unit.start", "[n, d]")),
        (LEAKY._replace(start=torch.zeros(3, 1, dtype=torch.float64)), says("weights.w_in", "multiple of n = 3")),
        (LEAKY._replace(step=lambda h, i, _s: 1e9 * h + 1e300 * i), says("hidden state is finite", "overflow")),
        (Unit(None, *LEAKY[1:]), says("unit.step must be a function", "NoneType")),  # type: ignore[arg-type]  # refused
        ("LIF", says("unit must be an instance", "Unit")),
    ],
)
def test_what_is_no_unit_is_refused_by_name(unit: Unit, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        attempt(unit)


def test_what_does_not_fit_the_run_is_refused_by_name() -> None:
    weights, inputs = drawn(4, 3, 1, 0, 3.0), spikes(2, 30, 3, 0)
    run = any_neuron.simulate(LEAKY, weights, inputs)
    with pytest.raises(ValueError, match=says("method", "closed_form")):
        any_neuron.eprop_gradients(LEAKY, run, inputs, run.z, "by hand")
    with pytest.raises(ValueError, match=says("signal", "[batch, time, n]")):
        any_neuron.eprop_gradients(LEAKY, run, inputs, run.z[:, 1:])
    with pytest.raises(ValueError, match=says("loss", "does not")):
        any_neuron.true_learning_signal(torch.ones((), requires_grad=True).double() * 2, run)
    with pytest.raises(ValueError, match=says("parameters must have n_alif = 0", 4)):
        neurons.lif(ep.Parameters())
    with pytest.raises(ValueError, match=says("reset", "signal", "trace")):
        neurons.alif(replace(ep.Parameters()), "nowhere")


def test_the_traces_of_an_lstm_are_those_worked_out_by_hand() -> None:
    # The cell of the authors' model for TIMIT (its gates, their order aside, and a forget bias of 1). With c the cell,
    # the vector of a gate's synapse is ε(t) = f(t) ε(t−1) + ∂c(t)/∂I · pre(t), and its trace o(t) (1 − tanh²c(t)) ε(t);
    # that of the output gate has no memory.
    n, n_in, steps = 4, 3, 25
    unit, weights = neurons.lstm(n), drawn(n, n_in, 4, 5, 2.0)
    inputs = torch.randn(2, steps, n_in, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    loss = loss_of(weights, inputs.shape, 5)
    held = ep.Weights(*(weight.requires_grad_() for weight in weights))
    run = any_neuron.simulate(unit, held, inputs)
    signal = any_neuron.true_learning_signal(loss(run.z), run).numpy()
    currents = run.currents.detach().numpy()
    gate = 1 / (1 + np.exp(-currents + np.array([0.0, 0.0, -1.0, 0.0])))
    new, opens, keeps, out = np.tanh(currents[..., 0]), gate[..., 1], gate[..., 2], gate[..., 3]
    cell = np.zeros((2, n))
    eps = np.zeros((3, 2, n_in, n))
    gradient = np.zeros((n_in, n, 4))
    for t in range(steps):
        by_current = np.stack(
            (
                opens[:, t] * (1 - new[:, t] ** 2),
                new[:, t] * opens[:, t] * (1 - opens[:, t]),
                cell * keeps[:, t] * (1 - keeps[:, t]),
            )
        )
        pre = inputs[:, t].numpy()
        eps = keeps[:, t, None] * eps + by_current[:, :, None] * pre[..., None]
        cell = keeps[:, t] * cell + opens[:, t] * new[:, t]
        slope = out[:, t] * (1 - np.tanh(cell) ** 2)
        of_output = (out[:, t] * (1 - out[:, t]) * np.tanh(cell))[:, None] * pre[..., None]
        traces = np.concatenate((slope[:, None] * eps, of_output[None]))
        gradient += np.einsum("bj,gbij->ijg", signal[:, t], traces)
    found = any_neuron.eprop_gradients(unit, run, inputs, torch.from_numpy(signal))
    assert error(found.w_in, gradient.reshape(n_in, 4 * n)) < 1e-13
