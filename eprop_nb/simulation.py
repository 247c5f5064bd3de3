"""Chapter 2: the network in time — one pure step, and the loop over a trial."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.parameters import NeuronConstants, Parameters, Weights, _check_weights


def pseudo_derivative(v_scaled: Tensor, dampening: float) -> Tensor:
    """Return γ max(0, 1 − |u|), which stands for the derivative of the step function [u > 0] at u = `v_scaled`.

    Parameters
    ----------
    v_scaled : Tensor
        u, of any shape.
    dampening : float
        γ.

    Raises
    ------
    TypeError, ValueError
        If `v_scaled` is no dense floating-point tensor, or `dampening` is not finite and greater than 0.

    Notes
    -----
    Bellec et al. (2020), Methods, "Gradient descent for RSNNs": the pseudo-derivative ψ is this, divided by the
    threshold; the dampening factor is the paper's γ_pd.

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> ep.pseudo_derivative(torch.tensor([-1.5, -0.5, 0.0, 0.5]), dampening=0.5).tolist()
    [0.0, 0.25, 0.5, 0.25]
    """
    u, gamma = _checks.form("v_scaled", v_scaled, None, "of any shape"), _checks.real("dampening", dampening)
    return gamma * torch.clamp(1 - u.abs(), min=0)


class _Spike(torch.autograd.Function):
    """[u > 0] forwards; backwards its pseudo-derivative takes the place of a derivative that is 0 or undefined."""

    @staticmethod
    def forward(ctx: Any, v_scaled: Tensor, dampening: float) -> Tensor:
        ctx.save_for_backward(v_scaled)
        ctx.dampening = dampening
        return (v_scaled > 0).to(v_scaled.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (v_scaled,) = ctx.saved_tensors
        return grad_outputs[0] * pseudo_derivative(v_scaled, ctx.dampening), None


def spike(v_scaled: Tensor, dampening: float) -> Tensor:
    """Return 1 where the scaled voltage is above 0 and 0 elsewhere; differentiable by the pseudo-derivative.

    Arguments and errors as of `pseudo_derivative`.

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> u = torch.tensor([-0.5, 0.5], requires_grad=True)
    >>> z = ep.spike(u, dampening=0.5)
    >>> z.tolist()
    [0.0, 1.0]
    >>> torch.autograd.grad(z.sum(), u)[0].tolist()
    [0.25, 0.25]
    """
    u, gamma = _checks.form("v_scaled", v_scaled, None, "of any shape"), _checks.real("dampening", dampening)
    return _Spike.apply(u, gamma)  # type: ignore[no-any-return,no-untyped-call]  # torch leaves apply untyped


class SpikeFunction(NamedTuple):
    """What makes a spike of a scaled voltage, and what stands for its derivative; both take (u, γ)."""

    function: Callable[[Tensor, float], Tensor]
    derivative: Callable[[Tensor, float], Tensor]


STEP = SpikeFunction(spike, pseudo_derivative)  #: the spike of the paper


class State(NamedTuple):
    """Everything about the recurrent neurons at one time step: tensors [batch, n_rec].

    `z_sent` and `z_own` are one spike and two tensors. What the neuron sends — recurrent input to others, its own
    reset, the loss — is `z_sent`, and differentiating a loss with respect to it gives the learning signal. What its
    own adaptation sees is `z_own`: that path stays inside the neuron and belongs to the eligibility trace. Where the
    line is drawn is a choice: with the reset on the side of the trace the product is the gradient as well (Bellec et
    al. 2020, supplement, (1)), provided that no way is counted twice or left out.
    """

    v: Tensor  #: membrane voltage
    b: Tensor  #: threshold adaptation
    v_scaled: Tensor  #: u, distance from the moving threshold in units of thr
    psi: Tensor  #: ψ, pseudo-derivative dz/dv
    z_sent: Tensor  #: the spike that is sent
    z_own: Tensor  #: the same spike, as the neuron's own adaptation sees it
    refractory: Tensor  #: number of time steps for which the neuron will stay silent


def initial_state(parameters: Parameters, batch: int, like: Tensor) -> State:
    """Return the state before the first time step: all zero, with the dtype and on the device of `like`.

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, `batch` is no whole number of at least 1, or `like` no dense floating-point tensor.
    MemoryError
        If the state is more than the machine can hold.
    """
    _checks.instance("parameters", parameters, Parameters)
    shape = (_checks.whole("batch", batch, least=1), parameters.n_rec)
    like = _checks.form("like", like, None, "of any shape")
    _checks.memory("batch, n_lif and n_alif", "the state", len(State._fields) * math.prod(shape), like)
    return State(*(like.new_zeros(shape) for _ in State._fields))


def step(
    parameters: Parameters, constants: NeuronConstants, state: State, current: Tensor, spikes: SpikeFunction = STEP
) -> State:
    """Advance all neurons by one time step.

    Parameters
    ----------
    parameters : Parameters
        Uses `dampening` and `n_ref`.
    constants : NeuronConstants
        α, ρ, thr and β of each neuron, from ``parameters.constants``.
    state : State
        The state at t − 1.
    current : Tensor
        The synaptic input Σ_i W^in x_i(t) + Σ_i W^rec z_i(t−1), [batch, n_rec].
    spikes : SpikeFunction
        What makes a spike. With a smooth function and its true derivative the model is plain calculus, which
        finite differences can check; a refractory period (`n_ref` above 1) has no meaning then.

    Returns
    -------
    State
        The state at t.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be, or differs in shape, dtype or device. Whether the numbers are finite is
        not looked at in each step: `simulate` does so once.

    Notes
    -----
    Bellec et al. (2020), equations (6) to (10) of Methods, in the time convention of the authors' program. The spike
    in (10) is replaced by its definition (9) in the proof of (1): that is why it is two tensors here.
    """
    _check_step(parameters, constants, state, current, spikes)
    alpha, rho, thr, beta = constants
    b = rho * state.b + state.z_own
    v = alpha * state.v + current - thr * state.z_sent
    v_scaled = (v - thr - beta * b) / thr

    silent = state.refractory > 0
    zero = torch.zeros_like(v)
    z = torch.where(silent, zero, spikes.function(v_scaled, parameters.dampening))
    psi = spikes.derivative(v_scaled.detach(), parameters.dampening) / thr
    psi = torch.where(silent, zero, psi)

    # The heart of the matter: the spike that is sent is a tensor of its own, computed *from*
    # z. The derivative of the loss with respect to it sees all that the spike does to other
    # neurons and to its own reset, but nothing that it does through b, which hangs on z itself.
    z_sent = z.clone()
    if torch.is_grad_enabled() and not z_sent.requires_grad:
        # in the first step, or with constant weights, nothing else would start the graph
        z_sent.requires_grad_()

    after_spike = max(parameters.n_ref - 1, 0)
    refractory = torch.where(z > 0, after_spike, torch.clamp(state.refractory - 1, min=0))
    return State(v, b, v_scaled, psi, z_sent, z, refractory)


def _check_step(
    parameters: Parameters, constants: NeuronConstants, state: State, current: Tensor, spikes: SpikeFunction
) -> None:
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("constants", constants, NeuronConstants)
    _checks.instance("state", state, State)
    _checks.instance("spikes", spikes, SpikeFunction)
    for name, function in zip(SpikeFunction._fields, spikes, strict=True):
        _checks.function(f"spikes.{name}", function)
    n_rec = parameters.n_rec
    _checks.form("current", current, (None, n_rec), "[batch, n_rec]")
    for name, constant in zip(NeuronConstants._fields, constants, strict=True):
        _checks.form(f"constants.{name}", constant, (n_rec,), "[n_rec]", current)
    for name, value in zip(State._fields, state, strict=True):
        _checks.form(f"state.{name}", value, tuple(current.shape), "[batch, n_rec]", current)


class Simulation(NamedTuple):
    """What a trial leaves behind: tensors [batch, time, n_rec], and the sent spikes of each step.

    All but `psi` are part of the graph, so that a loss of them can be differentiated.
    """

    z: Tensor  #: spikes, 0 or 1
    v: Tensor  #: membrane voltage
    b: Tensor  #: threshold adaptation
    v_scaled: Tensor  #: u, distance from the moving threshold in units of thr
    psi: Tensor  #: ψ, pseudo-derivative dz/dv
    sent: tuple[Tensor, ...]  #: the very tensors [batch, n_rec] that the loop sent on, one for each time step


def simulate(
    parameters: Parameters, weights: Weights, inputs: Tensor, *, stop_recurrent_gradient: bool = False
) -> Simulation:
    """Run the network over a batch of trials, from zero states.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Tensors [pre, post]; the diagonal of `w_rec` is not used.
    inputs : Tensor
        Input spikes, 0 or 1, [batch, time, n_in], of the dtype and on the device of the weights.
    stop_recurrent_gradient : bool
        Cut the graph where a sent spike comes back, at the recurrent synapses and at the reset. Nothing changes
        in the simulation; its gradient by autograd becomes that of symmetric e-prop.

    Returns
    -------
    Simulation
        Spikes, voltages, adaptation, scaled voltages and pseudo-derivatives, each [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If a weight or the inputs have the wrong type, shape, dtype or device, are not finite, the inputs hold
        something other than 0 and 1, or the voltages overflow.
    MemoryError
        If the run is more than the machine can hold.

    Examples
    --------
    >>> import eprop_nb as ep
    >>> p = ep.Parameters()
    >>> run = ep.simulate(p, ep.random_weights(p, seed=288), ep.poisson_spikes(p, seed=288))
    >>> tuple(run.z.shape), int(run.z.sum())
    ((1, 50, 8), 28)
    """
    stop = _checks.flag("stop_recurrent_gradient", stop_recurrent_gradient)
    _check_weights(parameters, weights)
    _checks.spikes("inputs", inputs, (None, parameters.n_steps, parameters.n_in), "[batch, time, n_in]", weights.w_in)

    n_numbers = inputs.shape[0] * parameters.n_steps * parameters.n_rec * (len(Simulation._fields) - 1)
    _checks.memory("batch, duration, n_lif and n_alif", "the run", n_numbers, inputs)

    constants = parameters.constants(like=inputs)
    w_rec = without_self_connections(weights.w_rec)
    state = initial_state(parameters, inputs.shape[0], like=inputs)
    states = []
    # All the input currents at once, and taken apart once: to index a tensor of the graph in each step would make
    # the backward pass quadratic in the number of steps.
    for input_current in (inputs @ weights.w_in).unbind(1):  # each [batch, n_rec]
        if stop:
            state = state._replace(z_sent=state.z_sent.detach())
        state = step(parameters, constants, state, input_current + state.z_sent @ w_rec)
        states.append(state)

    sent = tuple(each.z_sent for each in states)
    v, b, v_scaled, psi = (
        torch.stack([getattr(each, name) for each in states], dim=1) for name in ("v", "b", "v_scaled", "psi")
    )
    for name, values in (("v", v), ("v_scaled", v_scaled), ("psi", psi)):
        _checks.no_overflow(values, "weights and parameters", f"run.{name}")
    return Simulation(torch.stack(sent, dim=1), v, b, v_scaled, psi, sent)


def without_self_connections(matrix: Tensor) -> Tensor:
    """Return `matrix` [..., n_rec, n_rec] with zeros on the diagonal: no neuron has a synapse onto itself.

    Raises
    ------
    TypeError, ValueError
        If `matrix` is no dense, finite floating-point tensor, or its last two axes differ in length.

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> ep.without_self_connections(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    axes = "[..., n_rec, n_rec]"
    matrix = _checks.tensor("matrix", matrix, None, axes)  # finite: 0 times infinity would not be 0
    if matrix.ndim < 2 or matrix.shape[-2] != matrix.shape[-1] or not matrix.numel():
        raise ValueError(f"matrix must have the shape {axes}, got {tuple(matrix.shape)}")
    return matrix * (1 - torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device))


def previous_spikes(z: Tensor) -> Tensor:
    """Return the spikes of the step before, z(t − 1), [batch, time, n]: what arrives at recurrent synapses at t.

    Raises
    ------
    TypeError, ValueError
        If `z` is no dense, finite floating-point tensor [batch, time, n].

    Examples
    --------
    >>> import torch
    >>> import eprop_nb as ep
    >>> ep.previous_spikes(torch.tensor([[[1.0], [0.0], [1.0]]])).flatten().tolist()
    [0.0, 1.0, 0.0]
    """
    _checks.tensor("z", z, (None, None, None), "[batch, time, n]")
    return torch.cat((torch.zeros_like(z[:, :1]), z[:, :-1]), dim=1)


def _check_run(parameters: Parameters, run: Simulation, like: Tensor | None = None) -> None:
    """Raise if the tensors of `run` do not have the shape, dtype and device that `parameters` and `like` ask for."""
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("run", run, Simulation)
    shape = (None, parameters.n_steps, parameters.n_rec)
    z = _checks.spikes("run.z", run.z, shape, "[batch, time, n_rec]", like)
    _checks.tensor("run.psi", run.psi, tuple(z.shape), "[batch, time, n_rec]", z)
