"""Eligibility vectors and traces, held against their definition as sums over the past and as local derivatives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import Trial, array, chain, error, make_trial, plain_traces, says, small_parameters

import eprop_nb as ep

HALF = 1 / math.log(2)  # the time constant that halves in one step of 1 ms


def per_neuron_parameters() -> ep.Parameters:
    return ep.Parameters(
        n_in=2,
        n_lif=2,
        n_alif=2,
        dt=0.5,
        duration=10.0,
        tau_v=(3.0, 4.0, 5.0, 6.0),
        tau_a=(7.0, 8.0, 9.0, 2.0),
        rate_in=900.0,
        threshold=(0.4, 0.5, 0.6, 0.3),
        beta=(0.2, 0.0, 0.5, 0.9),
        n_ref=2,
    )


def presynaptic(trial: Trial, kind: str) -> torch.Tensor:
    return trial.inputs if kind == "in" else ep.previous_spikes(trial.run.z).detach()


@pytest.mark.parametrize("kind", ["in", "rec"])
@pytest.mark.parametrize("parameters", [small_parameters(), per_neuron_parameters()])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_recursion_is_the_sum_over_the_past(parameters: ep.Parameters, kind: str, seed: int) -> None:
    trial = make_trial(parameters, seed=seed, batch=2)
    pre = presynaptic(trial, kind)
    traces = ep.eligibility_traces(parameters, trial.run, pre)
    for k in range(2):
        plain = plain_traces(parameters, array(trial.run.psi[k]), array(pre[k]))
        for name, wanted in plain.items():
            assert error(getattr(traces, name)[k], wanted) < 1e-13, name


@pytest.mark.parametrize("kind", ["in", "rec"])
@pytest.mark.parametrize("parameters", [small_parameters(), per_neuron_parameters()])
def test_the_trace_is_the_derivative_of_the_spike_while_what_others_send_stands_still(
    parameters: ep.Parameters, kind: str
) -> None:
    # The neuron's equations once more, for one synapse each: all that arrives, and the reset, is a constant;
    # only the neuron's own v, b and spike follow the weight. [dz/dW]_local by autograd.
    trial = make_trial(parameters, seed=3)
    pre, run = presynaptic(trial, kind), trial.run
    traces = ep.eligibility_traces(parameters, run, pre)
    alpha, rho, _, beta = parameters.constants(like=run.z)
    compared = 0
    for i in range(pre.shape[2]):
        weight = torch.zeros(parameters.n_rec, dtype=torch.float64, requires_grad=True)
        v = b = z = torch.zeros(parameters.n_rec, dtype=torch.float64)
        for t in range(parameters.n_steps):
            b = rho * b + z
            v = alpha * v + weight * pre[0, t, i]
            moved = v - beta * b
            z = run.z[0, t].detach() + run.psi[0, t] * (moved - moved.detach())
            (derivative,) = torch.autograd.grad(z.sum(), weight, retain_graph=True)
            torch.testing.assert_close(derivative, traces.e[0, t, i], rtol=1e-12, atol=1e-14)
            compared += int(derivative.count_nonzero())
    assert compared > 30


def test_the_traces_of_one_synapse_followed_by_hand() -> None:
    # α = ρ = 1/2, thr = 1, β = 1/2, γ = 1/2, and a neuron kept just below its threshold.
    p = ep.Parameters(
        n_in=1, n_lif=0, n_alif=1, duration=4.0, tau_v=HALF, tau_a=HALF, threshold=1.0, beta=0.5, dampening=0.5
    )
    _, run = chain(p, 0.5, 0.0, [1, 1, 0, 1])
    assert not run.z.any()
    psi = [0.25, 0.375, 0.1875, 0.34375]  # half of v: 0.5, 0.75, 0.375, 0.6875
    assert run.psi[0, :, 0].tolist() == pytest.approx(psi, abs=1e-14)
    traces = ep.eligibility_traces(p, run, torch.tensor([[[1.0], [1.0], [0.0], [1.0]]], dtype=torch.float64))
    eps_v = [1.0, 1.5, 0.75, 1.375]
    assert traces.eps_v[0, :, 0, 0].tolist() == pytest.approx(eps_v, abs=1e-14)
    a1 = 0.25 * 1.0
    a2 = 0.375 * 1.5 + (0.5 - 0.5 * 0.375) * a1
    a3 = 0.1875 * 0.75 + (0.5 - 0.5 * 0.1875) * a2
    assert traces.eps_a[0, :, 0, 0].tolist() == pytest.approx([0.0, a1, a2, a3], abs=1e-14)
    e = [s * (ev - 0.5 * ea) for s, ev, ea in zip(psi, eps_v, (0.0, a1, a2, a3), strict=True)]
    assert traces.e[0, :, 0, 0].tolist() == pytest.approx(e, abs=1e-14)


def test_the_trace_of_a_lif_neuron_is_the_filtered_input_times_psi() -> None:
    trial = make_trial(ep.Parameters(n_alif=0, rate_in=300.0))
    traces = ep.eligibility_traces(trial.parameters, trial.run, trial.inputs)
    assert trial.run.z.any()
    assert traces.eps_a.any()  # it is there, and β = 0 makes nothing of it
    assert torch.equal(traces.e, trial.run.psi[:, :, None, :] * traces.eps_v)


def test_there_is_no_trace_in_the_refractory_period_and_the_vectors_go_on() -> None:
    trial = make_trial(small_parameters())
    traces = ep.eligibility_traces(trial.parameters, trial.run, trial.inputs)
    after_a_spike = ep.previous_spikes(trial.run.z)[0] > 0
    assert after_a_spike.any()
    assert not traces.e[0].transpose(1, 2)[after_a_spike].any()
    assert traces.eps_v[0].transpose(1, 2)[after_a_spike].any()


def test_a_trace_knows_nothing_of_the_future_or_of_other_trials() -> None:
    trial = make_trial(small_parameters(), batch=2)
    changed = trial.inputs.clone()
    changed[0, 10:] = 1 - changed[0, 10:]
    before, after = (ep.eligibility_traces(trial.parameters, trial.run, pre) for pre in (trial.inputs, changed))
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a[0, :10], b[0, :10])
        assert torch.equal(a[1], b[1])
        assert not torch.equal(a[0, 10:], b[0, 10:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_traces_have_an_axis_for_each_side_of_the_synapse_and_no_graph(dtype: torch.dtype) -> None:
    trial = make_trial(small_parameters(), batch=2, dtype=dtype)
    for trace in ep.eligibility_traces(trial.parameters, trial.run, trial.inputs):
        assert trace.shape == (2, 25, 3, 5)
        assert trace.dtype == dtype
        assert not trace.requires_grad


# What is refused.


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda x: x.numpy(), TypeError, "pre must be a torch.Tensor [batch, time, pre], got ndarray"),
        (lambda x: x[0], ValueError, "pre must have the shape (2, 25, any) = [batch, time, pre], got (25, 3)"),
        (lambda x: x[:1], ValueError, "pre must have the shape (2, 25, any) = [batch, time, pre], got (1, 25, 3)"),
        (lambda x: x[:, 1:], ValueError, "pre must have the shape (2, 25, any) = [batch, time, pre], got (2, 24, 3)"),
        (lambda x: x[..., :0], ValueError, "pre must have the shape (2, 25, any) = [batch, time, pre], got (2, 25, 0)"),
        (lambda x: x.float(), TypeError, "pre must be of dtype torch.float64, as the other tensors are"),
        (lambda x: x.bool(), TypeError, "pre must be of dtype torch.float32 or torch.float64, got torch.bool"),
        (lambda x: x.to("meta"), ValueError, "pre must be on the device cpu, where the other tensors are, got meta"),
        (lambda x: x + math.nan, ValueError, "pre must be finite, got NaN or infinite entries"),
        (lambda x: x + 1, ValueError, "pre must hold spikes, that is 0 or 1 in each time step, got an entry 2.0"),
    ],
)
def test_bad_presynaptic_spikes_are_refused(change: Any, kind: type[Exception], message: str) -> None:
    trial = make_trial(small_parameters(), batch=2)
    with pytest.raises(kind, match=says(message)):
        ep.eligibility_traces(trial.parameters, trial.run, change(trial.inputs))


@pytest.mark.parametrize(
    ("field", "change", "kind", "message"),
    [
        ("z", lambda x: x[:, 1:], ValueError, "run.z must have the shape (any, 25, 5) = [batch, time, n_rec], got"),
        ("z", lambda x: x + 0.5, ValueError, "run.z must hold spikes"),
        ("z", lambda x: x.tolist(), TypeError, "run.z must be a torch.Tensor"),
        ("psi", lambda x: x[..., 1:], ValueError, "run.psi must have the shape (1, 25, 5) = [batch, time, n_rec], got"),
        ("psi", lambda x: x.float(), TypeError, "run.psi must be of dtype torch.float64"),
        ("psi", lambda x: x.to("meta"), ValueError, "run.psi must be on the device cpu"),
        ("psi", lambda x: x * math.nan, ValueError, "run.psi must be finite"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(field: str, change: Any, kind: type[Exception], message: str) -> None:
    trial = make_trial(small_parameters())
    run = trial.run._replace(**{field: change(getattr(trial.run, field))})
    with pytest.raises(kind, match=says(message)):
        ep.eligibility_traces(trial.parameters, run, trial.inputs)
