"""Chapter 3: what a spike does to the loss — readout, losses, and learning signals true and approximate."""

from __future__ import annotations

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.parameters import Parameters, Weights, check_weights, seeded_generator
from eprop_nb.simulation import Simulation, check_run


def readout(parameters: Parameters, weights: Weights, run: Simulation) -> Tensor:
    """Return the output y(t) = a(t) W^out of leaky readout neurons, [batch, time, n_out].

    Parameters
    ----------
    parameters : Parameters
        Uses `kappa`, the decay of the readout: a(t) = κ a(t−1) + (1 − κ) z(t).
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
    check_weights(parameters, weights)
    check_run(parameters, run, like=weights.w_out)
    return low_pass(run.z, parameters.kappa) @ weights.w_out


def low_pass(signal: Tensor, decay: float) -> Tensor:
    """Return a(t) = κ a(t−1) + (1 − κ) x(t) along axis 1 of x = `signal`, from a = 0, with κ = `decay`.

    Raises
    ------
    TypeError, ValueError
        If `decay` is no number from 0 to 1, or `signal` has no axis 1.
    """
    _checks.real("decay", decay, zero_allowed=True, most=1)
    if not isinstance(signal, Tensor) or signal.ndim < 2:
        got = f"the shape {tuple(signal.shape)}" if isinstance(signal, Tensor) else type(signal).__name__
        raise ValueError(f"signal must be a tensor [batch, time, ...], got {got}")
    filtered = torch.zeros_like(signal[:, 0])
    trace = []
    for value in signal.unbind(1):
        filtered = decay * filtered + (1 - decay) * value
        trace.append(filtered)
    return torch.stack(trace, dim=1)


def output_error(parameters: Parameters, weights: Weights, run: Simulation, targets: Tensor) -> Tensor:
    """Return y(t) − y*(t), [batch, time, n_out], for `targets` y* of the same shape."""
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
        If an argument has the wrong shape, dtype or device, or the targets are not finite.

    Notes
    -----
    The loss of the authors' verification. The paper's own regression loss is half the sum instead.
    """
    return output_error(parameters, weights, run, targets).square().mean()


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
    Bellec et al. (2020), Methods: π_k = softmax_k(y), E = −Σ_k π*_k log π_k, here at the last time step.
    """
    output = readout(parameters, weights, run)[:, -1]  # [batch, n_out]
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        got = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor [batch] of dtype torch.int64, got {got}")
    if labels.shape != output.shape[:1]:
        raise ValueError(f"labels must have the shape ({output.shape[0]},) = [batch], got {tuple(labels.shape)}")
    if labels.min() < 0 or labels.max() >= parameters.n_out:
        raise ValueError(f"labels must be from 0 to n_out - 1 = {parameters.n_out - 1}, got {labels.tolist()}")
    return torch.nn.functional.cross_entropy(output, labels)


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
        If `rate` is negative or no number, or the run does not fit the parameters.

    Notes
    -----
    Bellec et al. (2020), Methods, "Firing rate regularization".
    """
    target = _checks.real("rate", rate, zero_allowed=True) / 1000  # per ms
    check_run(parameters, run)
    return 0.5 * (run.z.mean((0, 1)) / parameters.dt - target).square().sum()


def true_learning_signal(loss: Tensor, run: Simulation) -> Tensor:
    """Return the learning signal L(t) = dE/dz(t), the total derivative of the loss with respect to each sent spike.

    Total means: with all that the spike causes later — in the readout, in other neurons, in its own neuron's
    reset — so the signal at t depends on the future of t. Only the step from z(t) to the neuron's own adaptation
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
        If `loss` is not a finite scalar of the graph, or does not depend on the spikes of `run`.

    Notes
    -----
    Bellec et al. (2020), equation (1).
    """
    check_loss(loss)
    _checks.instance("run", run, Simulation)
    if not run.sent[0].requires_grad:
        raise ValueError("run must have been simulated with gradients enabled, got one made under torch.no_grad()")
    signals = torch.autograd.grad(loss, run.sent, retain_graph=True, allow_unused=True)
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
    check_weights(parameters, weights)
    shape = (parameters.n_rec, parameters.n_out)
    _checks.tensor("feedback", feedback, shape, "[n_rec, n_out]", weights.w_out)
    with torch.no_grad():
        return output_error(parameters, weights, run, targets) @ feedback.T


def random_feedback(parameters: Parameters, seed: int) -> Tensor:
    """Draw feedback weights that know nothing of `w_out`: standard normal, float64, [n_rec, n_out].

    Raises
    ------
    TypeError, ValueError
        If `seed` is no whole number from 0 to 2³² − 1.
    """
    _checks.instance("parameters", parameters, Parameters)
    return torch.from_numpy(seeded_generator("feedback", seed).standard_normal((parameters.n_rec, parameters.n_out)))


def adapt_feedback(weight: Tensor, change: Tensor, decay: float) -> Tensor:
    """Return (1 − decay) · `weight` + `change`: one update of adaptive e-prop.

    Applied to the readout weights and the feedback weights alike, with the same `change`, it lets what they
    differ in decay away, so that the feedback aligns with the readout.

    Raises
    ------
    TypeError, ValueError
        If the two tensors differ in shape, dtype or device, or `decay` is no number from 0 to 1.

    Notes
    -----
    Bellec et al. (2020), Methods, "Adaptive e-prop".
    """
    _checks.real("decay", decay, zero_allowed=True, most=1)
    _checks.tensor("weight", weight, (None, None), "[n_rec, n_out]")
    _checks.tensor("change", change, tuple(weight.shape), "[n_rec, n_out]", weight)
    return (1 - decay) * weight + change


def check_loss(loss: object) -> None:
    """Raise if `loss` is not a finite scalar that autograd can differentiate."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"loss must be a tensor with one entry, got {got}")
    if not bool(torch.isfinite(loss).all()):
        raise ValueError(f"loss must be finite, got {loss.item()}")
    if not loss.requires_grad:
        raise ValueError("loss must be part of the graph of the simulation, got a constant")
