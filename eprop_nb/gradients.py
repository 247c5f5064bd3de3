"""Chapter 5: the gradient by e-prop's factorization and by backpropagation through time, and their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.eligibility import eligibility_traces
from eprop_nb.learning_signals import check_loss
from eprop_nb.parameters import Parameters, Weights
from eprop_nb.simulation import Simulation, check_run, previous_spikes, without_self_connections

METHODS = ("traces",)


class Gradients(NamedTuple):
    """The gradient of a loss with respect to each weight matrix, [pre, post]; None for one that was not computed."""

    w_in: Tensor | None = None  # [n_in, n_rec]
    w_rec: Tensor | None = None  # [n_rec, n_rec], zero on the diagonal
    w_out: Tensor | None = None  # [n_rec, n_out]


@torch.no_grad()
def eprop_gradients(
    parameters: Parameters, run: Simulation, inputs: Tensor, signal: Tensor, method: str = "traces"
) -> Gradients:
    """Return dE/dW = Σ_t L(t) · e(t) for the input and the recurrent weights.

    With the true learning signal this is the gradient, exactly; with an approximate one it is an e-prop learning
    rule.

    Parameters
    ----------
    parameters : Parameters
        The network.
    run : Simulation
        The trial.
    inputs : Tensor
        The input spikes of the trial, 0 or 1, [batch, time, n_in].
    signal : Tensor
        The learning signal L, [batch, time, n_rec].
    method : {"traces"}
        How to evaluate the sum: "traces" builds the eligibility trace of every synapse at every time.

    Returns
    -------
    Gradients
        `w_in` and `w_rec`, summed over time and batch.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape, dtype or device, is not finite, or `method` is unknown.

    Notes
    -----
    Bellec et al. (2020), equation (1).
    """
    _checks.one_of("method", method, METHODS)
    check_run(parameters, run)
    batch, n_steps, n_rec = run.z.shape
    _checks.spikes("inputs", inputs, (batch, n_steps, parameters.n_in), "[batch, time, n_in]", run.z)
    _checks.tensor("signal", signal, (batch, n_steps, n_rec), "[batch, time, n_rec]", run.z)

    def gradient(pre: Tensor) -> Tensor:  # [batch, time, pre] -> [pre, post]
        return torch.einsum("btj,btij->ij", signal, eligibility_traces(parameters, run, pre).e)

    return Gradients(gradient(inputs), without_self_connections(gradient(previous_spikes(run.z))))


def bptt_gradients(loss: Tensor, weights: Weights) -> Gradients:
    """Return the gradient of the loss by backpropagation through time, that is by autograd through the simulation.

    Parameters
    ----------
    loss : Tensor
        A scalar computed from a simulation with these weights. Its graph is kept.
    weights : Weights
        The very tensors that were simulated; each must require gradients.

    Returns
    -------
    Gradients
        `w_in`, `w_rec` and `w_out`; zeros for a matrix on which the loss does not depend.

    Raises
    ------
    TypeError, ValueError
        If `loss` is no finite scalar of the graph, a weight matrix does not require gradients, or the loss depends
        on none of them.
    """
    check_loss(loss)
    _checks.instance("weights", weights, Weights)
    for name, weight in zip(Weights._fields, weights, strict=True):
        if not weight.requires_grad:
            raise ValueError(
                f"weights.{name} must require gradients when it is simulated, got one that does not: "
                f"call requires_grad_() on it before simulate"
            )
    gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise ValueError("weights must be those that the loss was computed with, got ones it does not depend on")
    return Gradients(*(torch.zeros_like(w) if g is None else g for w, g in zip(weights, gradients, strict=True)))


@dataclass(frozen=True)
class Comparison:
    """How far a gradient is from a reference; each matrix is measured in units of the reference's largest entry.

    Parameters
    ----------
    relative_errors : dict of str to float
        For each weight matrix, the largest absolute difference divided by the largest absolute entry of the
        reference.
    """

    relative_errors: dict[str, float]

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all matrices."""
        return max(self.relative_errors.values())

    @property
    def max_squared_error(self) -> float:
        """Its square: the measure that the authors' verification prints."""
        return self.max_relative_error**2


def compare(candidate: Gradients, reference: Gradients) -> Comparison:
    """Measure how far a gradient is from a reference, for each weight matrix that the candidate has.

    Parameters
    ----------
    candidate : Gradients
        The gradient in question, e.g. from `eprop_gradients`.
    reference : Gradients
        The gradient to hold it against, e.g. from `bptt_gradients`.

    Returns
    -------
    Comparison
        ``max_relative_error``, ``max_squared_error`` and the errors of each matrix.

    Raises
    ------
    ValueError
        If there is no matrix to compare, the shapes differ, an entry is NaN or infinite, or the reference is zero:
        any silent network agrees with a gradient of zero, so that such a comparison would show nothing. A recurrent
        matrix of one neuron has no synapse; there both must be zero, and nothing is measured.
    """
    _checks.instance("candidate", candidate, Gradients)
    _checks.instance("reference", reference, Gradients)
    errors = {}
    for name in Gradients._fields:
        ours, theirs = getattr(candidate, name), getattr(reference, name)
        if ours is None:
            continue
        if theirs is None:
            raise ValueError(f"reference.{name} must be there, as candidate.{name} is, got None")
        _checks.tensor(f"reference.{name}", theirs, (None, None), "[pre, post]")
        _checks.tensor(f"candidate.{name}", ours, tuple(theirs.shape), "[pre, post]")
        # in float64 on the CPU, so that gradients of another dtype or device can be held against each other
        ours, theirs = (g.detach().to("cpu", torch.float64) for g in (ours, theirs))
        scale = theirs.abs().max().item()
        no_synapse = name == "w_rec" and theirs.shape == (1, 1)
        if no_synapse and scale == 0 and not bool(ours.any()):
            continue
        if scale == 0:
            raise ValueError(f"reference.{name} must have an entry other than zero, got none: nothing can be compared")
        errors[name] = (ours - theirs).abs().max().item() / scale
    if not errors:
        raise ValueError("candidate must have at least one gradient with a synapse to compare, got none")
    return Comparison(errors)
