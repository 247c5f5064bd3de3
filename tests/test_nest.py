"""The package reproduces what NEST computed: a program written by others, event by event, in another language.

NEST's learning signal is known in time, so that the gradient here is e-prop's, with feedback B: dE/dy sent back. Its
loss looks at the last `window` steps; before them the derivative of the loss with respect to the output is zero.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers import array

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.gradients import METHODS

DATA = Path(ep.__file__).parent / "data"
FILES = ("nest_regression", "nest_classification")
TOLERANCE = 1e-13  # of the largest entry of each matrix: float64 rounding, and no more
COMPILED = tuple(f"fast, {method}" for method in fast.METHODS)
EVALUATORS = (*METHODS, *COMPILED, "autograd")


class Nest(NamedTuple):
    """A trial that NEST has run, and what it found."""

    parameters: ep.Parameters
    weights: ep.Weights
    inputs: torch.Tensor  # [batch, time, n_in]
    targets: torch.Tensor  # [batch, time, n_out]
    feedback: torch.Tensor  # B, [n_rec, n_out]
    classes: bool  # whether the loss is the cross-entropy
    window: int  # number of steps, the last ones, that the loss looks at
    spikes: torch.Tensor  # [batch, time, n_rec]
    gradients: ep.Gradients


@cache
def nest(name: str) -> Nest:
    with np.load(DATA / f"{name}.npz") as stored:
        r = {key: stored[key] for key in stored.files}
    fields = [each.name for each in dataclasses.fields(ep.Parameters) if f"param_{each.name}" in r]
    tensors = {key: torch.from_numpy(value) for key, value in r.items() if value.ndim}
    return Nest(
        ep.Parameters(**{each: r[f"param_{each}"].item() for each in fields}),
        ep.Weights(*(tensors[key].requires_grad_() for key in ("w_in", "w_rec", "w_out"))),
        tensors["inputs"],
        tensors["targets"],
        feedback=tensors["feedback"],
        classes=r["loss"].item() == "cross_entropy",
        window=int(r["window"]),
        spikes=tensors["spikes"],
        gradients=ep.Gradients(*(tensors[key] for key in ("g_in", "g_rec", "g_out"))),
    )


def output_signal(trial: Nest, run: ep.Simulation) -> torch.Tensor:
    """Return dE/dy of NEST's loss, [batch, time, n_out]."""
    y = ep.readout(trial.parameters, trial.weights, run).detach()
    error = (y.softmax(dim=2) if trial.classes else y) - trial.targets
    error[:, : -trial.window] = 0
    return error


def sent_back(trial: Nest, error: torch.Tensor) -> torch.Tensor:
    """Return the learning signal for unfiltered traces, Σ_k B_jk dE/dy_k, with the readout's memory in it."""
    return ep.low_pass(error.flip(1), trial.parameters.kappa).flip(1) @ trial.feedback.T


def gradients(trial: Nest, evaluator: str) -> ep.Gradients:
    """Compute what NEST computed, by one of the evaluators of the package."""
    p, weights, x = trial.parameters, trial.weights, trial.inputs
    run = ep.simulate(p, weights, x, stop_recurrent_gradient=True)
    error = output_signal(trial, run)
    signal = sent_back(trial, error)
    if evaluator in METHODS:
        found = ep.eprop_gradients(p, run, x, signal, evaluator)
        return found._replace(w_out=ep.readout_gradient(p, run, error))
    if evaluator in COMPILED:
        own = fast.simulate(p, weights, x)
        there = fast.eprop_gradients(p, own, x, signal, evaluator.removeprefix("fast, ")).tensors()
        return there._replace(w_out=torch.from_numpy(fast.readout_gradient(p, own, error)))
    # A loss whose derivatives by the spikes and the output are these signals: autograd, spikes not coming back.
    output = ep.readout(p, weights, run._replace(z=run.z.detach()))
    return ep.bptt_gradients((signal * run.z).sum() + (error * output).sum(), weights)


@pytest.mark.parametrize("name", FILES)
def test_spikes_equal_those_of_nest(name: str) -> None:
    trial = nest(name)
    run = ep.simulate(trial.parameters, trial.weights, trial.inputs)
    np.testing.assert_array_equal(array(run.z), array(trial.spikes))
    np.testing.assert_array_equal(fast.simulate(*trial[:3]).z, array(trial.spikes))


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("name", FILES)
def test_the_gradients_of_all_matrices_are_those_of_nest(name: str, evaluator: str) -> None:
    report = ep.compare(gradients(nest(name), evaluator), nest(name).gradients)
    assert set(report.relative_errors) == {"w_in", "w_rec", "w_out"}
    assert report.max_relative_error < TOLERANCE


@pytest.mark.parametrize("method", fast.METHODS)
def test_the_compiled_path_in_one_call_is_nest(method: str) -> None:
    trial = nest("nest_regression")
    assert trial.window == trial.parameters.n_steps  # else its loss would be another one
    found = fast.broadcast_gradients(*trial[:4], feedback=trial.feedback, method=method).gradients.tensors()
    assert ep.compare(found, trial.gradients).max_relative_error < TOLERANCE


# That it agrees says something: the trials have all that could go wrong, and what is wrong does not agree.


@pytest.mark.parametrize("name", FILES)
def test_everything_happens_in_the_trials_of_nest(name: str) -> None:
    trial, n_lif = nest(name), nest(name).parameters.n_lif
    assert trial.parameters.n_ref > 1
    assert trial.parameters.beta_per_neuron[-1] > 0
    assert bool(trial.spikes[..., :n_lif].any())
    assert bool(trial.spikes[..., n_lif:].any())
    for gradient in trial.gradients:
        assert gradient is not None
        assert gradient.abs().max() > 0.1
        assert gradient.count_nonzero() > gradient.numel() / 4
    random = nest("nest_classification")
    assert not torch.equal(random.feedback, random.weights.w_out.detach())
    assert random.window < random.parameters.n_steps


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_rule_does_not_agree_with_nest(name: str) -> None:
    trial = nest(name)
    p, x, run = trial.parameters, trial.inputs, ep.simulate(*trial[:3])
    error = output_signal(trial, run)
    right = sent_back(trial, error)
    mask_gone = ep.pseudo_derivative(run.v_scaled.detach(), p.dampening) / p.threshold_per_neuron[0]
    wrong = {
        "a signal without the readout's memory": (p, run, error @ trial.feedback.T),
        "feedback of another network": (p, run, sent_back(trial._replace(feedback=trial.feedback.flip(0)), error)),
        "traces without adaptation": (dataclasses.replace(p, beta=0.0), run, right),
        "a pseudo-derivative in refractory steps": (p, run._replace(psi=mask_gone), right),
    }
    for mistake, (parameters, simulation, signal) in wrong.items():
        found = ep.eprop_gradients(parameters, simulation, x, signal)
        assert ep.compare(found, trial.gradients).max_relative_error > 1e-3, mistake


def test_symmetric_feedback_would_not_agree_where_nest_had_a_random_one() -> None:
    trial = nest("nest_classification")
    symmetric = gradients(trial._replace(feedback=trial.weights.w_out.detach()), "traces")
    assert ep.compare(symmetric, trial.gradients).max_relative_error > 1e-3


def test_a_loss_of_all_steps_would_not_agree_where_nest_had_a_window() -> None:
    trial = nest("nest_classification")
    errors = ep.compare(gradients(trial._replace(window=120), "traces"), trial.gradients).relative_errors
    assert min(errors.values()) > 1e-3
