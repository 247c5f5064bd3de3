"""The identity on networks drawn at random: every weight, every setting, three evaluators, two oracles."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eprop_nb.evidence import oracles
from eprop_nb.gradients import METHODS, Gradients, bptt_gradients, compare, eprop_gradients, readout_gradient
from eprop_nb.learning_signals import cross_entropy_loss, rate_loss, readout, regression_loss, true_learning_signal
from eprop_nb.parameters import (
    Parameters,
    Weights,
    poisson_spikes,
    random_targets,
    random_weights,
    seeded_generator,
)
from eprop_nb.simulation import Simulation, simulate

Loss = Literal["regression", "cross-entropy", "rate", "sum"]
LOSSES: tuple[Loss, ...] = ("regression", "cross-entropy", "rate", "sum")


class Case(NamedTuple):
    """All that defines one check: the same case gives the same numbers."""

    parameters: Parameters
    batch: int
    loss: Loss  # "sum" is the sum of the others
    gain: float  # factor on the input and recurrent weights
    seed: int  # of weights, inputs, targets and labels


class Measurement(NamedTuple):
    """How far each way to the gradient is from BPTT by autograd, as a maximum relative error over all weights."""

    spikes: int
    errors: dict[str, float]  # "traces", "online", "closed_form" and "hand-written BPTT"
    rounding: float  # what rounding can do to the gradient of this network, to first order, as a relative error

    @property
    def explained(self) -> bool:
        """Whether every error is below 1e-13, or no larger than rounding can make it in this network."""
        return max(self.errors.values()) <= max(1e-13, self.rounding)


def random_case(generator: np.random.Generator) -> Case:
    """Draw a case over all settings: any time step, refractory period, adaptation, per-neuron values, batch, loss."""
    g = generator
    n_lif, n_alif = (int(n) for n in g.integers(0, 6, 2))
    if n_lif + n_alif == 0:
        n_alif = 1
    dt = float(2.0 ** g.uniform(-2, 2))  # 0.25 to 4 ms

    def value(low: float, high: float) -> float | list[float]:
        # one for all, or one for each recurrent neuron; evenly on a logarithmic scale
        drawn = np.exp(g.uniform(np.log(low), np.log(high), n_lif + n_alif)).tolist()
        return drawn if g.random() < 0.5 else float(drawn[0])

    loss = LOSSES[g.integers(len(LOSSES))]
    parameters = Parameters(
        n_in=int(g.integers(1, 6)),
        n_lif=n_lif,
        n_alif=n_alif,
        n_out=int(g.integers(1 if loss in ("regression", "rate") else 2, 4)),
        dt=dt,
        duration=dt * int(g.integers(5, 61)),
        tau_v=value(2, 60),
        tau_a=value(10, 1000),
        tau_out=float(g.uniform(2, 60)),
        rate_in=float(g.uniform(0.1, 0.7)) * 1000 / dt,
        threshold=value(0.2, 1.2),
        beta=0.0 if g.random() < 0.2 else value(0.01, 1.5),
        dampening=float(g.uniform(0.1, 1.0)),
        n_ref=int(g.integers(0, 7)),
    )
    return Case(parameters, int(g.integers(1, 4)), loss, float(g.uniform(0.7, 2.0)), int(g.integers(2**32)))


class Experiment(NamedTuple):
    """A case, drawn and run."""

    weights: Weights
    inputs: Tensor  # [batch, time, n_in]
    targets: Tensor  # [batch, time, n_out]
    labels: Tensor  # [batch]
    run: Simulation
    loss: Tensor


def build(case: Case, device: str = "cpu") -> Experiment:
    """Draw the weights and the inputs of a case, run it, and compute its loss."""
    p, seed = case.parameters, case.seed
    drawn = random_weights(p, seed)
    weights = Weights(drawn.w_in * case.gain, drawn.w_rec * case.gain, drawn.w_out).to(device)
    inputs = poisson_spikes(p, case.batch, seed=seed).to(device)
    targets = random_targets(p, case.batch, seed=seed).to(device)
    labels = torch.from_numpy(seeded_generator("labels", seed).integers(p.n_out, size=case.batch)).to(device)

    run = simulate(p, weights, inputs)
    loss = run.z.new_zeros(())
    if case.loss in ("regression", "sum"):
        loss = loss + regression_loss(p, weights, run, targets)
    if case.loss in ("cross-entropy", "sum"):
        loss = loss + cross_entropy_loss(p, weights, run, labels)
    if case.loss in ("rate", "sum"):
        loss = loss + rate_loss(p, run, rate=20.0)
    return Experiment(weights, inputs, targets, labels, run, loss)


@torch.no_grad()
def output_derivative(case: Case, experiment: Experiment) -> Tensor:
    """Return dE/dy, [batch, time, n_out], from the formulas of the losses."""
    y = readout(case.parameters, experiment.weights, experiment.run)
    derivative = torch.zeros_like(y)
    if case.loss in ("regression", "sum"):
        derivative += 2 * (y - experiment.targets) / y.numel()
    if case.loss in ("cross-entropy", "sum"):
        right = torch.nn.functional.one_hot(experiment.labels, case.parameters.n_out)
        derivative[:, -1] += (torch.softmax(y[:, -1], dim=1) - right) / len(right)
    return derivative


def measure(case: Case, device: str = "cpu") -> Measurement:
    """Hold all ways to the gradient of a case against BPTT by autograd.

    Parameters
    ----------
    case : Case
        The network and the trial.
    device : str
        Where PyTorch computes; the oracle in NumPy stays on the CPU.

    Returns
    -------
    Measurement
        The number of spikes, and the maximum relative error of each way.

    Raises
    ------
    VacuousComparisonError
        If the gradient of a weight matrix is zero, so that there is nothing to compare.
    """
    p, experiment = case.parameters, build(case, device)
    weights, inputs, _, _, run, loss = experiment
    bptt = bptt_gradients(loss, weights)
    (direct,) = torch.autograd.grad(loss, run.z, retain_graph=True)
    signal = true_learning_signal(loss, run)
    w_out = None
    if case.loss != "rate":  # the rate loss does not look at the readout
        w_out = readout_gradient(p, run, output_derivative(case, experiment))

    errors = {}
    for method in METHODS:
        w_in, w_rec, _ = eprop_gradients(p, run, inputs, signal, method)
        errors[method] = compare(Gradients(w_in, w_rec, w_out), bptt).max_relative_error

    on_cpu = (each.detach().cpu().numpy() for each in (weights.w_in, weights.w_rec, inputs, direct))
    hand_w_in, hand_w_rec, x, hand_direct = on_cpu
    trial = oracles.simulate(p, hand_w_in, hand_w_rec, x)
    hand = oracles.bptt(p, trial, hand_w_rec, x, hand_direct)
    by_hand = Gradients(torch.from_numpy(hand.w_in), torch.from_numpy(hand.w_rec))
    errors["hand-written BPTT"] = compare(by_hand, bptt).max_relative_error
    condition = oracles.condition_number(p, trial, hand_w_in, hand_w_rec, x, hand_direct)
    unit_roundoff = np.finfo(float).eps / 2  # each term passes through one rounding in each step, about
    return Measurement(int(run.z.sum().item()), errors, float(p.n_steps * unit_roundoff * condition))
