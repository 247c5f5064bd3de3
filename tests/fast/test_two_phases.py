"""Forward and backward apart, for any loss: e-prop against the cut graph, BPTT against autograd, over every setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import make_trial, says, small_parameters

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.evidence.random_networks import build, random_case
from eprop_nb.fast import kernels

Trial = tuple[ep.Parameters, ep.Weights, torch.Tensor]


def worst(found: Any, wanted: Any) -> float:
    """Return the largest error of the matrices, in units of the largest entry; where that is zero, both must be."""
    errors = [0.0]
    for ours, theirs in zip(found, wanted, strict=True):
        if theirs.any():
            errors.append(float((ours - theirs).abs().max() / theirs.abs().max()))
        else:
            assert not ours.any()
    return max(errors)


def signals(p: ep.Parameters, batch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw dE/dy and dE/dz."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(batch, p.n_steps, p.n_out))), torch.from_numpy(
        rng.normal(size=(batch, p.n_steps, p.n_rec))
    )


def by_autograd(trial: Trial, seed: int, *, cut: bool) -> tuple[ep.Simulation, ep.Gradients]:
    """Return the run and the gradients of Σ y dE/dy + Σ z dE/dz, along all ways or without the recurrent ones."""
    p, weights, inputs = trial
    weights = ep.Weights(*(each.detach().clone().requires_grad_() for each in weights))
    run = ep.simulate(p, weights, inputs, stop_recurrent_gradient=cut)
    output_signal, spike_signal = signals(p, len(inputs), seed)
    loss = (ep.readout(p, weights, run) * output_signal).sum() + (torch.stack(run.sent, 1) * spike_signal).sum()
    return run, ep.bptt_gradients(loss, weights)


@pytest.mark.parametrize("cases", [pytest.param(8, id="few_settings"), pytest.param(150, id="every_setting")])
def test_both_gradients_agree_to_1e_13(cases: int) -> None:
    generator, fired, long = np.random.default_rng(11), 0, 0
    for seed in range(cases):
        case = random_case(generator)
        if seed % 3 == 0:
            steps = int(generator.integers(kernels.BLOCK - 1, 3 * kernels.BLOCK))
            case = case._replace(parameters=replace(case.parameters, duration=case.parameters.dt * steps))
        p, made = case.parameters, build(case)
        if not made.run.z.any():
            continue
        fired, long = fired + 1, long + (p.n_steps > kernels.BLOCK)
        trial = (p, made.weights, made.inputs)
        output_signal, spike_signal = signals(p, len(made.inputs), seed)
        run = fast.forward(*trial)
        full, wanted = by_autograd(trial, seed, cut=False)
        np.testing.assert_array_equal(run.z, full.z.detach().numpy())
        found = fast.bptt_gradients(p, made.weights, run, made.inputs, output_signal, spike_signal)
        assert worst(found.tensors(), wanted) < 1e-13
        _, wanted = by_autograd(trial, seed, cut=True)
        w_out = made.weights.w_out
        found = fast.backward(p, run, made.inputs, output_signal, w_out, spike_signal)
        assert worst(found.tensors(), wanted) < 1e-13
    assert fired > 0.6 * cases
    assert long > 0.1 * cases


@pytest.fixture
def trial() -> Trial:
    p = small_parameters()
    weights, inputs = make_trial(p, batch=3)[1:3]
    return p, weights, inputs


def test_what_a_run_holds_is_what_the_simulation_and_the_readout_give(trial: Trial) -> None:
    p, weights, _ = trial
    run, whole = fast.forward(*trial), fast.simulate(*trial)
    assert run.z.dtype == np.uint8
    assert run.z.any()
    np.testing.assert_array_equal(run.z, whole.z)
    np.testing.assert_array_equal(run.psi, whole.psi)
    np.testing.assert_array_equal(run.output, fast.readout(p, weights, whole))
    np.testing.assert_array_equal(run.spike_counts, whole.z.sum(1))


def test_two_phases_give_the_bits_of_one(trial: Trial) -> None:
    p, weights, inputs = trial
    targets, feedback = ep.random_targets(p, batch=len(inputs), seed=3), ep.random_feedback(p, 3)
    for given, b in ((None, weights.w_out), (feedback, feedback)):
        once = fast.broadcast_gradients(p, weights, inputs, targets, given)
        run = fast.forward(p, weights, inputs)
        twice = fast.backward(p, run, inputs, run.output - targets.numpy(), b)
        for name in fast.Gradients._fields:
            np.testing.assert_array_equal(getattr(once.gradients, name), getattr(twice, name))
        np.testing.assert_array_equal(once.spike_counts, run.spike_counts)


def test_every_function_takes_a_run_with_bytes(trial: Trial) -> None:
    p, weights, inputs = trial
    run, whole = fast.forward(*trial), fast.simulate(*trial)
    output_signal, signal = signals(p, len(inputs), 5)
    np.testing.assert_array_equal(fast.readout(p, weights, run), fast.readout(p, weights, whole))
    found, wanted = (fast.readout_gradient(p, each, output_signal) for each in (run, whole))
    np.testing.assert_array_equal(found, wanted)
    for method in fast.METHODS:
        for ours, theirs in zip(
            fast.eprop_gradients(p, run, inputs, signal, method)[:2],
            fast.eprop_gradients(p, whole, inputs, signal, method)[:2],
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_any_number_of_threads_gives_the_same_bits(dtype: torch.dtype) -> None:
    p = ep.Parameters(n_in=20, n_lif=20, n_alif=20, n_out=2, duration=150.0)
    weights = ep.random_weights(p, seed=0).to(dtype)
    inputs = ep.poisson_spikes(p, batch=37, seed=0).to(dtype)
    output_signal, spike_signal = (each.to(dtype) for each in signals(p, 37, 1))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            run = fast.forward(p, weights, inputs)
            e_prop = fast.backward(p, run, inputs, output_signal, weights.w_out, spike_signal)
            results.append((run, e_prop, fast.bptt_gradients(p, weights, run, inputs, output_signal, spike_signal)))
    finally:
        torch.set_num_threads(before)
    assert results[0][0].z.any()
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def test_self_connections_are_neither_used_nor_learned(trial: Trial) -> None:
    p, weights, inputs = trial
    output_signal, spike_signal = signals(p, len(inputs), 2)
    run = fast.forward(*trial)
    other = weights._replace(w_rec=weights.w_rec.detach() + torch.eye(p.n_rec))
    for ours, theirs in zip(
        fast.bptt_gradients(p, weights, run, inputs, output_signal, spike_signal),
        fast.bptt_gradients(p, other, run, inputs, output_signal, spike_signal),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert not fast.bptt_gradients(p, weights, run, inputs, output_signal).w_rec.diagonal().any()


def test_arguments_are_left_as_they_were(trial: Trial) -> None:
    p, weights, inputs = trial
    run, (output_signal, spike_signal) = fast.forward(*trial), signals(p, len(inputs), 2)
    given = (*weights, inputs, output_signal, spike_signal)
    before = [each.detach().clone() for each in given]
    fast.bptt_gradients(p, weights, run, inputs, output_signal, spike_signal)
    fast.backward(p, run, inputs, output_signal, weights.w_out, spike_signal)
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))


def test_what_is_wrong_is_named(trial: Trial) -> None:
    p, weights, inputs = trial
    run, (output_signal, spike_signal) = fast.forward(*trial), signals(p, len(inputs), 2)
    with pytest.raises(ValueError, match=says("output_signal must have the shape")):
        fast.backward(p, run, inputs, output_signal[:, 1:], weights.w_out)
    with pytest.raises(ValueError, match=says("feedback must have the shape")):
        fast.backward(p, run, inputs, output_signal, weights.w_out.T)
    with pytest.raises(ValueError, match=says("spike_signal must have the shape")):
        fast.backward(p, run, inputs, output_signal, weights.w_out, spike_signal[..., 1:])
    with pytest.raises(TypeError, match=says("run.z must be an array of uint8")):
        fast.backward(p, run._replace(z=run.z.astype(float)), inputs, output_signal, weights.w_out)
    with pytest.raises(ValueError, match=says("run.z must hold spikes")):
        fast.backward(p, run._replace(z=run.z + np.uint8(2)), inputs, output_signal, weights.w_out)
    with pytest.raises(ValueError, match=says("output_signal must be finite")):
        fast.backward(p, run, inputs, output_signal * np.nan, weights.w_out)
    with pytest.raises(ValueError, match=says("output_signal must be finite")):
        fast.bptt_gradients(p, weights, run, inputs, output_signal * np.nan)
    with pytest.raises(ValueError, match=says("feedback must be finite")):
        fast.backward(p, run, inputs, output_signal, weights.w_out * np.inf)
    with pytest.raises(ValueError, match=says("spike_signal must be finite")):
        fast.bptt_gradients(p, weights, run, inputs, output_signal, spike_signal * np.nan)
    with pytest.raises(ValueError, match=says("spike_signal")):
        fast.bptt_gradients(p, weights, run, inputs, output_signal, spike_signal * 1e308)
    with pytest.raises(ValueError, match=says("weights.w_in")):
        fast.forward(p, weights._replace(w_in=weights.w_in * 1e308), inputs)
    with pytest.raises(ValueError, match=says("inputs must hold spikes")):
        fast.forward(p, weights, inputs * 2)
