"""The identity on networks drawn at random: every weight, every setting, three evaluators, two oracles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.evidence import extended, oracles
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
#: The losses that a case can have.
LOSSES: tuple[Loss, ...] = ("regression", "cross-entropy", "rate", "sum")
#: Names of two ways to the gradient.
AUTOGRAD, BY_HAND = "BPTT by autograd", "hand-written BPTT"
BOUND = 1e-13  #: an error in float64 above this asks for more digits
RATE = 20.0  #: Hz, target of the rate loss


class Case(NamedTuple):
    """All that defines one check: the same case gives the same numbers."""

    parameters: Parameters
    batch: int
    loss: Loss  #: "sum" is the sum of the others
    gain: float  #: factor on the input and recurrent weights
    seed: int  #: of weights, inputs, targets and labels


class Measurement(NamedTuple):
    """How far each way to the gradient is from BPTT by autograd, as a maximum relative error over all weights."""

    spikes: int
    errors: dict[str, float]  #: "traces", "online", "closed_form" and "hand-written BPTT"


class Recomputation(NamedTuple):
    """The same case with more digits, and how far float64 is from that."""

    same_spikes: dict[int, bool]  #: by number of digits: are they those of float64, all of them?
    disagreement: dict[int, float]  #: by number of digits: e-prop against BPTT, both with so many
    rounding: dict[int, float]  #: by number of digits: the worse of the two against BPTT with the most digits
    errors: dict[str, float]  #: of each way in float64, and of BPTT by autograd, against BPTT with the most digits

    @property
    def amplification(self) -> float:
        """What became of an error in the last digit, at the worst: the largest error in units of the last digit."""
        return max((error * 10.0**digits for digits, error in self.rounding.items()), default=0.0)

    @property
    def is_rounding(self) -> bool:
        """Whether the identity holds with most digits, and what float64 lacks is no more than its last digits.

        The spikes must be the same, the two gradients with most digits must agree to all but ten of them, and an
        error of float64 above the bound must be less than a hundred times what rounding did in the same network
        with other numbers of digits, in units of the last.
        """
        most = max(self.disagreement)
        allowed = max(BOUND, 100 * self.amplification * float(np.finfo(float).eps))
        return (
            self.same_spikes[most]
            and self.disagreement[most] < 10.0 ** (10 - most)
            and max(self.errors.values()) < allowed
        )


def random_case(generator: np.random.Generator) -> Case:
    """Draw a case over all settings: any time step, refractory period, adaptation, per-neuron values, batch, loss.

    Raises
    ------
    TypeError
        If `generator` is no NumPy generator.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator must be a numpy.random.Generator, got {type(generator).__name__}")
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
    inputs: Tensor  #: [batch, time, n_in]
    targets: Tensor  #: [batch, time, n_out]
    labels: Tensor  #: [batch]
    run: Simulation
    loss: Tensor


def build(case: Case, device: str = "cpu") -> Experiment:
    """Draw the weights and the inputs of a case, run it, and compute its loss.

    Parameters
    ----------
    case : Case
        The network and the trial.
    device : str
        Where PyTorch computes.

    Raises
    ------
    TypeError, ValueError
        If `case` is none or a field of it is out of range, or there is no such device.
    """
    _checks.instance("case", case, Case)
    _checks.one_of("case.loss", case.loss, LOSSES)
    _checks.real("case.gain", case.gain)
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
        loss = loss + rate_loss(p, run, RATE)
    return Experiment(weights, inputs, targets, labels, run, loss)


@torch.no_grad()
def output_derivative(case: Case, experiment: Experiment) -> Tensor:
    """Return dE/dy, [batch, time, n_out], from the formulas of the losses.

    Raises
    ------
    TypeError, ValueError
        If `case` or `experiment` are none, or do not belong together.
    """
    _checks.instance("case", case, Case)
    _checks.instance("experiment", experiment, Experiment)
    y = readout(case.parameters, experiment.weights, experiment.run)
    derivative = torch.zeros_like(y)
    if case.loss in ("regression", "sum"):
        derivative += 2 * (y - experiment.targets) / y.numel()
    if case.loss in ("cross-entropy", "sum"):
        right = torch.nn.functional.one_hot(experiment.labels, case.parameters.n_out)
        derivative[:, -1] += (torch.softmax(y[:, -1], dim=1) - right) / len(right)
    return derivative


def _gradients(case: Case, experiment: Experiment) -> dict[str, Gradients]:
    # by every way: the three of e-prop, BPTT by autograd, and BPTT by hand in NumPy
    p, (weights, inputs, _, _, run, loss) = case.parameters, experiment
    (direct,) = torch.autograd.grad(loss, run.z, retain_graph=True)
    signal = true_learning_signal(loss, run)
    w_out = None
    if case.loss != "rate":  # the rate loss does not look at the readout
        w_out = readout_gradient(p, run, output_derivative(case, experiment))
    found = {method: eprop_gradients(p, run, inputs, signal, method)._replace(w_out=w_out) for method in METHODS}
    found[AUTOGRAD] = bptt_gradients(loss, weights)

    # the oracle in NumPy stays on the CPU
    w_in, w_rec, x, hand_direct = (e.detach().cpu().numpy() for e in (weights.w_in, weights.w_rec, inputs, direct))
    hand = oracles.bptt(p, oracles.simulate(p, w_in, w_rec, x), w_rec, x, hand_direct)
    found[BY_HAND] = Gradients(torch.from_numpy(hand.w_in), torch.from_numpy(hand.w_rec))
    return found


def measure(case: Case, device: str = "cpu") -> Measurement:
    """Hold all ways to the gradient of a case against BPTT by autograd.

    Parameters
    ----------
    case : Case
        The network and the trial.
    device : str
        Where PyTorch computes.

    Returns
    -------
    Measurement
        The number of spikes, and the maximum relative error of each way.

    Raises
    ------
    VacuousComparisonError
        If the gradient of a weight matrix is zero, so that there is nothing to compare.
    TypeError, ValueError
        As `build`.
    """
    experiment = build(case, device)
    ways = _gradients(case, experiment)
    bptt = ways.pop(AUTOGRAD)
    errors = {name: compare(found, bptt).max_relative_error for name, found in ways.items()}
    return Measurement(int(experiment.run.z.sum().item()), errors)


def recompute(case: Case, digits: Sequence[int] = (16, 20, 30, 50)) -> Recomputation:
    """Compute both gradients of a case with more and more digits, and the errors of float64 against the last.

    Parameters
    ----------
    case : Case
        The network and the trial.
    digits : sequence of int
        Numbers of decimal digits (see `extended.solve`).

    Returns
    -------
    Recomputation
        Whether the spikes are the same, how far e-prop is from BPTT, and what rounding did to each way. With one
        number of digits alone there is no `rounding` to judge errors of float64 above the bound by.

    Raises
    ------
    TypeError, ValueError
        As `build`, or if `digits` are no whole numbers of at least 1.
    """
    digits = [_checks.whole("digits", n, least=1) for n in digits]
    if not digits:
        raise ValueError("digits must be at least one whole number, got none")
    experiment = build(case)
    weights, inputs, targets, labels, run, _ = experiment
    w_in, w_rec, w_out = (w.detach().numpy() for w in weights)
    problem = extended.Problem(
        case.parameters,
        w_in,
        w_rec,
        w_out,
        inputs.numpy(),
        targets=targets.numpy() if case.loss in ("regression", "sum") else None,
        labels=labels.numpy() if case.loss in ("cross-entropy", "sum") else None,
        rate=RATE if case.loss in ("rate", "sum") else None,
    )
    solved = {n: extended.solve(problem, n) for n in digits}
    most, spikes = max(digits), run.z.detach().numpy()
    exact = solved[most].bptt
    ways = {
        name: tuple(None if matrix is None else matrix.numpy() for matrix in found)
        for name, found in _gradients(case, experiment).items()
    }
    return Recomputation(
        same_spikes={n: bool((found.z == spikes).all()) for n, found in solved.items()},
        disagreement={n: extended.largest_error(found.eprop, found.bptt) for n, found in solved.items()},
        rounding={
            n: max(extended.largest_error(way, exact) for way in (found.eprop, found.bptt))
            for n, found in solved.items()
            if n < most
        },
        errors={name: extended.largest_error(way, exact) for name, way in ways.items()},
    )
