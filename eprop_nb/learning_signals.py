"""Chapter 3: what a spike does to the loss — readout, losses, and learning signals true and approximate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.parameters import Parameters, Weights, _check_weights, seeded_generator
from eprop_nb.simulation import Simulation, _check_run


def readout(parameters: Parameters, weights: Weights, run: Simulation) -> Tensor:
    """Return the output y(t) = z̄(t) W^out of leaky readout neurons, [batch, time, n_out]; z̄ is `low_pass` of z.

    Parameters
    ----------
    parameters : Parameters
        Uses `kappa`, the decay of the readout: z̄(t) = κ z̄(t−1) + (1 − κ) z(t).
    weights : Weights
        Uses `w_out` [n_rec, n_out].
    run : Simulation
        Uses the spikes `z` [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If the weights or the run do not have the shapes of `parameters`, or differ in dtype or device.

    Notes
    -----
    Bellec et al. (2020), equation (11), with the factor 1 − κ of the authors' program and no bias.
    """
    _check_weights(parameters, weights)
    _check_run(parameters, run, like=weights.w_out)
    output = low_pass(run.z, parameters.kappa, parameters.kappa_complement) @ weights.w_out
    return _checks.no_overflow(output, "weights.w_out", "the output")


def low_pass(signal: Tensor, decay: float, gain: float | None = None) -> Tensor:
    """Return x̄(t) = κ x̄(t−1) + g x(t) along axis 1 of x = `signal`, from x̄ = 0, with κ = `decay` and g = `gain`.

    Parameters
    ----------
    signal : Tensor
        x, [batch, time, ...].
    decay : float
        κ, from 0 to 1.
    gain : float, optional
        g, finite and greater than 0; 1 − κ if not given, as in the readout, where ``Parameters.kappa_complement`` is
        the same without the rounding of κ. With 1 it is the filter F_κ of the paper.

    Raises
    ------
    TypeError, ValueError
        If `decay` or `gain` is no such number, or `signal` no dense, finite floating-point tensor [batch, time, ...].

    Notes
    -----
    Bellec et al. (2020), equation (12), which has no factor: x̄ is (1 − κ) F_κ(x).

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> spikes = torch.tensor([[[1.0], [0.0], [1.0]]])
    >>> ep.low_pass(spikes, decay=0.5).flatten().tolist()
    [0.5, 0.25, 0.625]
    >>> ep.low_pass(spikes, decay=0.5, gain=1.0).flatten().tolist()
    [1.0, 0.5, 1.25]
    """
    keep = _checks.real("decay", decay, zero_allowed=True, most=1)
    take = 1 - keep if gain is None else _checks.real("gain", gain)
    axes = "[batch, time, ...]"
    signal = _checks.tensor("signal", signal, None, axes)
    if signal.ndim < 2 or not signal.numel():
        raise ValueError(f"signal must have the shape (any, any, ...) = {axes}, got {tuple(signal.shape)}")
    filtered = torch.zeros_like(signal[:, 0])
    trace = []
    for value in signal.unbind(1):
        filtered = keep * filtered + take * value
        trace.append(filtered)
    return torch.stack(trace, dim=1)


def output_error(parameters: Parameters, weights: Weights, run: Simulation, targets: Tensor) -> Tensor:
    """Return y(t) − y*(t), [batch, time, n_out], for `targets` y* of the same shape.

    Arguments and errors as of `regression_loss`.
    """
    output = readout(parameters, weights, run)
    return output - _checks.tensor("targets", targets, tuple(output.shape), "[batch, time, n_out]", output)


def regression_loss(parameters: Parameters, weights: Weights, run: Simulation, targets: Tensor) -> Tensor:
    """Return the mean of (y(t) − y*(t))² over trials, time and outputs: a scalar.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Uses `w_out`.
    run : Simulation
        The trial.
    targets : Tensor
        What the readout should give, y*, [batch, time, n_out].

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape, dtype or device, the targets are not finite, or the loss overflows.

    Notes
    -----
    The loss of the authors' verification, E_mse. The paper's own is half the sum instead, E_½: Bellec et al. (2020),
    supplement, (13).
    """
    loss = output_error(parameters, weights, run, targets).square().mean()
    return _checks.no_overflow(loss, "targets and weights.w_out", "the loss")


def cross_entropy_loss(parameters: Parameters, weights: Weights, run: Simulation, labels: Tensor) -> Tensor:
    """Return the cross-entropy of softmax(y) at the end of the trial, averaged over the batch: a scalar.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Uses `w_out`.
    run : Simulation
        The trial.
    labels : Tensor
        The right class of each trial, whole numbers from 0 to n_out − 1, of dtype torch.int64, [batch].

    Raises
    ------
    TypeError, ValueError
        If `labels` have the wrong shape, dtype or range, or another argument the wrong shape, dtype or device.

    Notes
    -----
    Bellec et al. (2020), supplement, equation (19): π_k = softmax_k(y), E = −Σ_k π*_k log π_k, there summed over time,
    here at the last time step.
    """
    output = readout(parameters, weights, run)[:, -1]  # [batch, n_out]
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        got = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor [batch] of dtype torch.int64, got {got}")
    labels = _checks.dense("labels", labels, "[batch]")
    if labels.device != output.device:
        raise ValueError(f"labels must be on the device {output.device}, where the run is, got {labels.device}")
    if labels.shape != output.shape[:1]:
        raise ValueError(f"labels must have the shape ({output.shape[0]},) = [batch], got {tuple(labels.shape)}")
    if labels.min() < 0 or labels.max() >= parameters.n_out:
        raise ValueError(f"labels must be from 0 to n_out - 1 = {parameters.n_out - 1}, got {labels.tolist()}")
    loss = torch.nn.functional.cross_entropy(output, labels)
    return _checks.no_overflow(loss, "weights.w_out", "the loss")


def rate_loss(parameters: Parameters, run: Simulation, rate: float) -> Tensor:
    """Return half the sum over neurons of (f_j − f*)², which keeps firing rates near a target: a scalar.

    Parameters
    ----------
    parameters : Parameters
        Uses `dt` (ms).
    run : Simulation
        The trial. f_j is the mean rate of neuron j over time and batch, in spikes per ms.
    rate : float
        The target f*, in Hz.

    Raises
    ------
    TypeError, ValueError
        If `rate` is negative or no number, the run does not fit the parameters, or the loss overflows.

    Notes
    -----
    Bellec et al. (2020), supplement, equations (5) to (7).
    """
    target = _checks.real("rate", rate, zero_allowed=True) / 1000  # per ms
    _check_run(parameters, run)
    loss = 0.5 * (run.z.mean((0, 1)) / parameters.dt - target).square().sum()
    return _checks.no_overflow(loss, "rate", "the loss")


def true_learning_signal(loss: Tensor, run: Simulation) -> Tensor:
    """Return the learning signal L(t) = dE/dz(t), the total derivative of the loss with respect to each sent spike.

    Total means: with all that the spike causes later — in the readout, in other neurons, in its own neuron's
    reset — so that the signal at t depends on the future of t. Only the step from z(t) to the neuron's own adaptation
    b(t+1) is left out: that belongs to the eligibility trace. The derivative is taken at the very tensors that
    the loop of `simulate` sent on; with respect to their stack ``run.z`` autograd would give the direct, partial
    one.

    Parameters
    ----------
    loss : Tensor
        A scalar computed from the spikes of `run`, E. Its graph is kept, so that other derivatives can follow.
        What it takes from the voltages or from the weights, as a weight decay does, is not part of the signal:
        the factorization is about what spikes do.
    run : Simulation
        The trial.

    Returns
    -------
    Tensor
        dE/dz, [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If `loss` is not a finite scalar of the graph, does not depend on the spikes of `run`, or its derivatives
        overflow.

    Notes
    -----
    Bellec et al. (2020): the total derivative dE/dz_j(t) of equation (1), which is the ideal learning signal; (4) is
    what e-prop puts in its place.
    """
    _checks.instance("run", run, Simulation)
    if not isinstance(run.sent, tuple) or not run.sent:
        raise TypeError(f"run.sent must be the spikes that simulate has sent, a tuple, got {type(run.sent).__name__}")
    for t, sent in enumerate(run.sent):
        _checks.form(f"run.sent[{t}]", sent, (None, None), "[batch, n_rec]", run.sent[0] if t else None)
    if not all(sent.requires_grad for sent in run.sent):
        raise ValueError("run must have been simulated with gradients enabled, got one made under torch.no_grad()")
    signals = _derivatives(loss, run.sent)
    if all(signal is None for signal in signals):
        raise ValueError("loss must depend on the spikes of run, got one that does not")
    return torch.stack(
        [torch.zeros_like(z) if signal is None else signal for z, signal in zip(run.sent, signals, strict=True)], dim=1
    )


def broadcast_learning_signal(
    parameters: Parameters, weights: Weights, run: Simulation, targets: Tensor, feedback: Tensor
) -> Tensor:
    """Return L_j(t) = Σ_k B_jk (y_k(t) − y*_k(t)), a learning signal that is known at time t.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Uses `w_out`.
    run : Simulation
        The trial.
    targets : Tensor
        What the readout should give, y*, [batch, time, n_out].
    feedback : Tensor
        B, [n_rec, n_out]: ``weights.w_out`` for symmetric e-prop, `random_feedback` for random e-prop, or
        what `adapt_feedback` makes of it for adaptive e-prop.

    Returns
    -------
    Tensor
        [batch, time, n_rec]

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape, dtype or device.

    Notes
    -----
    Bellec et al. (2020), equation (4), for a loss of half the sum of squared errors.
    """
    _check_weights(parameters, weights)
    shape = (parameters.n_rec, parameters.n_out)
    _checks.tensor("feedback", feedback, shape, "[n_rec, n_out]", weights.w_out)
    with torch.no_grad():
        signal = output_error(parameters, weights, run, targets) @ feedback.T
    return _checks.no_overflow(signal, "targets, weights.w_out and feedback", "the learning signal")


def random_feedback(parameters: Parameters, seed: int) -> Tensor:
    """Draw feedback weights that know nothing of `w_out`: standard normal, float64, [n_rec, n_out].

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or `seed` is no whole number from 0 to 2³² − 1.
    MemoryError
        If the weights are more than the machine can hold.
    """
    _checks.instance("parameters", parameters, Parameters)
    shape = (parameters.n_rec, parameters.n_out)
    _checks.memory("n_lif, n_alif and n_out", "the feedback", math.prod(shape))
    return torch.from_numpy(seeded_generator("feedback", seed).standard_normal(shape))


def adapt_feedback(weight: Tensor, change: Tensor, decay: float) -> Tensor:
    """Return (1 − decay) · (`weight` + `change`): one update of adaptive e-prop, and the decay after it.

    Applied to the readout weights and the feedback weights alike, with the same `change`, it lets what they
    differ in decay away, so that the feedback aligns with the readout.

    Parameters
    ----------
    weight : Tensor
        W^out or B before the update, [n_rec, n_out].
    change : Tensor
        What the update adds, of the same shape.
    decay : float
        The part c that decays, from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the two tensors differ in shape, dtype or device, `decay` is no number from 0 to 1, or the sum overflows.

    Notes
    -----
    Bellec et al. (2020), supplement, Note 2: the weights decay after each update, as Kolen and Pollack have it.

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> readout, feedback, change = (torch.tensor([[w]]) for w in (1.0, 2.0, 4.0))
    >>> ep.adapt_feedback(readout, change, decay=0.5).item(), ep.adapt_feedback(feedback, change, decay=0.5).item()
    (2.5, 3.0)
    """
    rate = _checks.real("decay", decay, zero_allowed=True, most=1)
    _checks.tensor("weight", weight, (None, None), "[n_rec, n_out]")
    _checks.tensor("change", change, tuple(weight.shape), "[n_rec, n_out]", weight)
    return _checks.no_overflow((1 - rate) * (weight + change), "weight and change", "their sum")


def _derivatives(loss: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the derivatives of a loss, None for a tensor on which it does not depend; raise if there can be none."""
    _checks.form("loss", loss, None, "with one entry")
    if loss.numel() != 1:
        raise TypeError(f"loss must be a torch.Tensor with one entry, got {tuple(loss.shape)}")
    if not bool(torch.isfinite(loss).all()):
        raise ValueError(f"loss must be finite, got {loss.item()}")
    if not loss.requires_grad:
        raise ValueError("loss must be part of the graph of the simulation, got a constant")
    try:
        found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    except RuntimeError as error:  # it was freed by backward(), or changed in place
        raise ValueError(f"loss must have a graph that can be differentiated, got: {error}") from error
    for derivative in found:
        if derivative is not None:
            _checks.no_overflow(derivative, "loss", "its derivative")
    return found
