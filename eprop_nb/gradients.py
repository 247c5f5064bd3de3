"""Chapter 5: the gradient by e-prop's factorization and by backpropagation through time, and their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.eligibility import trace_step
from eprop_nb.learning_signals import _derivatives, low_pass
from eprop_nb.parameters import NeuronConstants, Parameters, Weights
from eprop_nb.simulation import Simulation, _check_run, previous_spikes, without_self_connections


class Gradients(NamedTuple):
    """The gradient of a loss with respect to each weight matrix, [pre, post]; None for one that was not computed."""

    w_in: Tensor | None = None  #: [n_in, n_rec]
    w_rec: Tensor | None = None  #: [n_rec, n_rec], zero on the diagonal
    w_out: Tensor | None = None  #: [n_rec, n_out]


def sum_of_traces(constants: NeuronConstants, psi: Tensor, signal: Tensor, pre: Tensor) -> Tensor:
    """Return Σ_t L(t) · e(t) from the traces of all synapses at all times, which are built first.

    Parameters
    ----------
    constants : NeuronConstants
        α, ρ and β of the postsynaptic neurons, each [post].
    psi, signal : Tensor
        ψ and L of the postsynaptic neurons, [batch, time, post].
    pre : Tensor
        What arrives at the synapses, [batch, time, pre].

    Returns
    -------
    Tensor
        [pre, post], summed over time and batch. Its memory grows with batch · time · pre · post.
    """
    eps_v = pre.new_zeros(pre.shape[0], pre.shape[2], psi.shape[2])  # [batch, pre, post]
    eps_a, traces = eps_v, []
    for psi_t, pre_t in zip(psi.unbind(1), pre.unbind(1), strict=True):
        eps_v, eps_a, e = trace_step(constants, eps_v, eps_a, psi_t, pre_t)
        traces.append(e)
    return torch.einsum("btj,btij->ij", signal, torch.stack(traces, dim=1))


def online_sum(constants: NeuronConstants, psi: Tensor, signal: Tensor, pre: Tensor) -> Tensor:
    """Return the same as `sum_of_traces` in one pass forward that keeps only the traces of the present.

    Its memory grows with batch · pre · post, and not with time: this is the form for a brain or a chip.
    """
    eps_v = pre.new_zeros(pre.shape[0], pre.shape[2], psi.shape[2])  # [batch, pre, post]
    eps_a, gradient = eps_v, eps_v.new_zeros(eps_v.shape[1:])
    for psi_t, signal_t, pre_t in zip(psi.unbind(1), signal.unbind(1), pre.unbind(1), strict=True):
        eps_v, eps_a, e = trace_step(constants, eps_v, eps_a, psi_t, pre_t)
        gradient += torch.einsum("bj,bij->ij", signal_t, e)
    return gradient


def closed_form_sum(constants: NeuronConstants, psi: Tensor, signal: Tensor, pre: Tensor) -> Tensor:
    """Return the same as `sum_of_traces` without a trace: the sum over time is carried out from its other end.

    The recursions of the traces are linear, and each belongs to one postsynaptic neuron. Transposed, they run
    backwards in time on vectors of the size of the neurons: d_j(t) collects all that the learning signals from t
    on will say about a spike that arrives at neuron j at t; q_j(t) is the adjoint of the adaptation. Memory grows with
    batch · time · post. It is acausal: it needs the whole trial, as BPTT does.
    """
    alpha, rho, _, beta = constants
    q = d = psi.new_zeros(psi.shape[0], psi.shape[2])  # [batch, post]
    arrived = []
    for psi_t, signal_t in zip(psi.flip(1).unbind(1), signal.flip(1).unbind(1), strict=True):
        c = psi_t * (signal_t + q)
        q = rho * q - beta * c
        d = alpha * d + c
        arrived.append(d)
    return torch.einsum("bti,btj->ij", pre, torch.stack(arrived[::-1], dim=1))


#: The ways to sum, by the names that `eprop_gradients` takes.
METHODS = {"traces": sum_of_traces, "online": online_sum, "closed_form": closed_form_sum}


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
    method : {"traces", "online", "closed_form"}
        How to evaluate the sum: from the traces of all times (`sum_of_traces`), forward in time with memory that
        does not grow with the duration (`online_sum`), or backward without any trace (`closed_form_sum`).

    Returns
    -------
    Gradients
        `w_in` and `w_rec`, summed over time and batch.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape, dtype or device, is not finite, `method` is unknown, or a gradient
        overflows.
    MemoryError
        If the traces of the method "traces" are more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), equations (1) and (3), the second with a name for each factor. For a broadcast signal, (4),
    and the readout's memory put into the signal it is equation (28), and with B = W^out the gradient of the
    supplement's equation (17).

    Examples
    --------
    The identity: with the true learning signal, the sum is the gradient.

    >>> import eprop_nb as ep
    >>> p = ep.Parameters()
    >>> weights, inputs = ep.random_weights(p, seed=288), ep.poisson_spikes(p, seed=288)
    >>> run = ep.simulate(p, weights, inputs)
    >>> loss = ep.regression_loss(p, weights, run, ep.random_targets(p, seed=288))
    >>> eprop = ep.eprop_gradients(p, run, inputs, ep.true_learning_signal(loss, run))
    >>> ep.compare(eprop, ep.bptt_gradients(loss, weights)).max_relative_error < 1e-13
    True
    """
    evaluate = METHODS[_checks.one_of("method", method, list(METHODS))]
    _check_run(parameters, run)
    batch, n_steps, n_rec = run.z.shape
    _checks.spikes("inputs", inputs, (batch, n_steps, parameters.n_in), "[batch, time, n_in]", run.z)
    _checks.tensor("signal", signal, (batch, n_steps, n_rec), "[batch, time, n_rec]", run.z)

    if method == "traces":
        n_numbers = batch * n_steps * max(parameters.n_in, n_rec) * n_rec
        _checks.memory("batch, duration, n_in, n_lif and n_alif", "the traces (method='traces')", n_numbers, run.z)

    constants = parameters.constants(like=run.psi)
    w_in = evaluate(constants, run.psi, signal, inputs)
    w_rec = evaluate(constants, run.psi, signal, previous_spikes(run.z))
    for gradient in (w_in, w_rec):
        _checks.no_overflow(gradient, "signal", "the gradient")
    return Gradients(w_in, without_self_connections(w_rec))


@torch.no_grad()
def readout_gradient(parameters: Parameters, run: Simulation, output_signal: Tensor) -> Tensor:
    """Return the gradient of the readout weights, dE/dW^out_jk = Σ_t z̄_j(t) dE/dy_k(t), [n_rec, n_out].

    It is of the same form as equation (3): the low-passed spikes z̄ are the trace, and the derivative of the loss
    with respect to the output is the signal, which is known in time where the loss is a sum over time.

    Parameters
    ----------
    parameters : Parameters
        Uses `kappa` and `kappa_complement`.
    run : Simulation
        The trial.
    output_signal : Tensor
        dE/dy, [batch, time, n_out].

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape, dtype or device, or is not finite, or the gradient overflows.

    Notes
    -----
    Bellec et al. (2020), supplement, equation (18).
    """
    _check_run(parameters, run)
    shape = (*run.z.shape[:2], parameters.n_out)
    _checks.tensor("output_signal", output_signal, shape, "[batch, time, n_out]", run.z)
    filtered = low_pass(run.z, parameters.kappa, parameters.kappa_complement)
    gradient = torch.einsum("btj,btk->jk", filtered, output_signal)
    return _checks.no_overflow(gradient, "output_signal", "the gradient")


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
        If `loss` is no finite scalar of the graph, a weight matrix is no dense floating-point tensor or does not
        require gradients, the loss depends on none of them, or a gradient overflows.
    """
    _checks.instance("weights", weights, Weights)
    for name, weight in zip(Weights._fields, weights, strict=True):
        _checks.form(f"weights.{name}", weight, (None, None), "[pre, post]")
        if not weight.requires_grad:
            raise ValueError(
                f"weights.{name} must require gradients when it is simulated, got one that does not: "
                f"call requires_grad_() on it before simulate"
            )
    gradients = _derivatives(loss, weights)
    if all(gradient is None for gradient in gradients):
        raise ValueError("weights must be those that the loss was computed with, got ones it does not depend on")
    return Gradients(*(torch.zeros_like(w) if g is None else g for w, g in zip(weights, gradients, strict=True)))


class VacuousComparisonError(ValueError):
    """Raised where a comparison would show nothing, because any rule would pass it."""


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
        If the shapes differ, or an entry is NaN or infinite.
    VacuousComparisonError
        If there is no matrix to compare, or the reference is zero: a silent network agrees with any rule, so that
        such a comparison would show nothing. (It is a ValueError.) A recurrent matrix of one neuron has no synapse;
        there both must be zero, and nothing is measured. A reference whose largest entry is below the smallest normal
        number divided by the machine epsilon, 1.0e-292 in float64 and 9.9e-32 in float32, is refused as well: the
        terms that its rounding error is made of were lost on the way, so that a relative error has no meaning.

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> mine = ep.Gradients(w_in=torch.tensor([[1.0, 4.5]]))
    >>> ep.compare(mine, ep.Gradients(w_in=torch.tensor([[1.0, 4.0]]))).relative_errors
    {'w_in': 0.125}
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
        precisions = [torch.finfo(g.dtype) for g in (ours, theirs)]
        # in float64 on the CPU, so that gradients of another dtype or device can be held against each other
        ours, theirs = (g.detach().to("cpu", torch.float64) for g in (ours, theirs))
        scale = theirs.abs().max().item()
        least = max(float(info.tiny / info.eps) for info in precisions)
        no_synapse = name == "w_rec" and theirs.shape == (1, 1)
        if no_synapse and scale == 0 and not bool(ours.any()):
            continue
        if scale == 0:
            raise VacuousComparisonError(
                f"reference.{name} must have an entry other than zero, got none: nothing can be compared"
            )
        if scale < least:
            raise VacuousComparisonError(
                f"reference.{name} must have an entry of at least {least:.1e}, got {scale:.1e} at most: "
                f"what it was computed from has underflowed"
            )
        errors[name] = (ours - theirs).abs().max().item() / scale
    if not errors:
        raise VacuousComparisonError("candidate must have at least one gradient with a synapse to compare, got none")
    return Comparison(errors)
