"""Wrong versions of the rule, each without one of its ingredients: what a check of e-prop has to notice.

They are here to be caught: as a gradient each one is wrong. (As a learning rule one of them is the paper's own.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.gradients import Gradients
from eprop_nb.parameters import NeuronConstants, Parameters, Weights
from eprop_nb.simulation import (
    Simulation,
    initial_state,
    previous_spikes,
    pseudo_derivative,
    step,
    without_self_connections,
)


class Trial(NamedTuple):
    """A trial with its loss, as a control needs it."""

    parameters: Parameters
    weights: Weights
    inputs: Tensor  #: [batch, time, n_in]
    run: Simulation
    loss: Callable[[Simulation], Tensor]  #: the loss of a simulation of this trial
    signal: Tensor  #: its true learning signal, [batch, time, n_rec]


class Control(NamedTuple):
    """A wrong version of the rule."""

    name: str
    mistake: str  #: what is wrong with it, in words
    gradients: Callable[[Trial], Gradients]


@torch.no_grad()
def _rule(
    trial: Trial,
    *,
    signal: Tensor | None = None,
    psi: Tensor | None = None,
    pre_in: Tensor | None = None,
    pre_rec: Tensor | None = None,
    keep_diagonal: bool = False,
    next_eps_a: Callable[[NeuronConstants, Tensor, Tensor, Tensor], Tensor] | None = None,
    lag: int = 0,
) -> Gradients:
    # The right rule, written out once more, with a place for each mistake. `next_eps_a` takes (constants, ψ, ε_v,
    # ε_a) and returns ε_a of the next step; `lag` delays the use of ε_a by that number of steps.
    p, run, n_in = trial.parameters, trial.run, trial.inputs.shape[2]
    signal = trial.signal if signal is None else signal
    psi = run.psi if psi is None else psi
    pre = torch.cat(
        (
            trial.inputs if pre_in is None else pre_in,
            previous_spikes(run.z.detach()) if pre_rec is None else pre_rec,
        ),
        dim=2,
    )
    constants = p.constants(like=psi)
    alpha, rho, _, beta = constants
    eps_v = psi.new_zeros(psi.shape[0], pre.shape[2], p.n_rec)  # [batch, pre, post]
    eps_a, gradient = eps_v, eps_v.new_zeros(eps_v.shape[1:])
    used = [eps_a] * lag
    for t in range(p.n_steps):
        psi_t = psi[:, t, None, :]
        used.append(eps_a)
        eps_v = alpha * eps_v + pre[:, t, :, None]
        e = psi_t * (eps_v - beta * used.pop(0))
        gradient = gradient + torch.einsum("bj,bij->ij", signal[:, t], e)
        if next_eps_a is None:
            eps_a = psi_t * eps_v + (rho - beta * psi_t) * eps_a
        else:
            eps_a = next_eps_a(constants, psi_t, eps_v, eps_a)
    w_rec = gradient[n_in:]
    return Gradients(gradient[:n_in], w_rec if keep_diagonal else without_self_connections(w_rec))


def _psi_with_mask(trial: Trial, silent_steps: int) -> Tensor:
    # ψ as it would be if a neuron were refractory for `silent_steps` steps after a spike
    run = trial.run
    thr = trial.parameters.constants(like=run.psi).threshold
    psi = pseudo_derivative(run.v_scaled.detach(), trial.parameters.dampening) / thr
    mask, spikes = torch.ones_like(psi), run.z.detach()
    for _ in range(silent_steps):
        spikes = previous_spikes(spikes)
        mask = mask * (1 - spikes)
    return psi * mask


def rewired_signal(trial: Trial, *, adaptation_counts: bool = False, reset_counts: bool = True) -> Tensor:
    """Return the learning signal when the derivative is taken along other ways; the defaults are the right ones.

    Parameters
    ----------
    trial : Trial
        The trial; it is simulated again, with the same spikes.
    adaptation_counts : bool
        Let the neuron's own adaptation hang on the sent spike, so that the signal counts it.
    reset_counts : bool
        Let the reset hang on the sent spike, so that the signal counts it.

    Returns
    -------
    Tensor
        [batch, time, n_rec]

    Raises
    ------
    TypeError, ValueError
        If `trial` is none, its tensors do not fit one another, or the others are not True or False.
    """
    _check(trial)
    adaptation_counts = _checks.flag("adaptation_counts", adaptation_counts)
    reset_counts = _checks.flag("reset_counts", reset_counts)
    p, weights = trial.parameters, trial.weights
    constants = p.constants(like=trial.inputs)
    w_rec = without_self_connections(weights.w_rec)
    state = initial_state(p, trial.inputs.shape[0], like=trial.inputs)
    sent = []
    for current in (trial.inputs @ weights.w_in).unbind(1):
        total = current + state.z_sent @ w_rec
        for_adaptation = state.z_sent if adaptation_counts else state.z_own
        for_reset = state.z_sent if reset_counts else state.z_own
        state = step(p, constants, state._replace(z_own=for_adaptation, z_sent=for_reset), total)
        sent.append(state.z_sent)
    loss = trial.loss(trial.run._replace(z=torch.stack(sent, dim=1), sent=tuple(sent)))
    return torch.stack(torch.autograd.grad(loss, sent), dim=1)


_RULES = (
    Control(
        "ε_a dropped",
        "e = ψ ε_v, as for a LIF neuron",
        lambda t: _rule(t, next_eps_a=lambda _c, _psi, _v, a: torch.zeros_like(a)),
    ),
    Control(
        "ε_a without −βψ",
        "ε_a decays with ρ alone: the paper's own simplification (P26), fine for learning there, wrong as a gradient",
        lambda t: _rule(t, next_eps_a=lambda c, psi, v, a: psi * v + c.rho * a),
    ),
    Control("ε_a one step late", "e(t) takes ε_a(t − 1)", lambda t: _rule(t, lag=1)),
    Control("no refractory mask", "ψ is not 0 in the refractory period", lambda t: _rule(t, psi=_psi_with_mask(t, 0))),
    Control(
        "refractory period off by one",
        "ψ is 0 for n_ref steps after a spike, not n_ref − 1",
        lambda t: _rule(t, psi=_psi_with_mask(t, t.parameters.n_ref)),
    ),
    Control(
        "recurrent spike not shifted",
        "pre = z(t), not z(t − 1)",
        lambda t: _rule(t, pre_rec=t.run.z.detach()),
    ),
    Control(
        "input spike shifted",
        "pre = x(t − 1), not x(t)",
        lambda t: _rule(t, pre_in=previous_spikes(t.inputs)),
    ),
    Control("self-connections kept", "the diagonal has a gradient", lambda t: _rule(t, keep_diagonal=True)),
    Control(
        "adaptation in the signal",
        "dE/dz counts the neuron's own adaptation, as the trace does",
        lambda t: _rule(t, signal=rewired_signal(t, adaptation_counts=True)),
    ),
    Control(
        "reset out of the signal",
        "dE/dz does not count the neuron's own reset",
        lambda t: _rule(t, signal=rewired_signal(t, reset_counts=False)),
    ),
    Control(
        "spikes of height 1/δt",
        "the traces take a spike for 1/δt",
        lambda t: _rule(
            t,
            pre_in=t.inputs / t.parameters.dt,
            pre_rec=previous_spikes(t.run.z.detach()) / t.parameters.dt,
        ),
    ),
)


def _check(trial: Trial) -> None:
    _checks.instance("trial", trial, Trial)
    _checks.instance("trial.parameters", trial.parameters, Parameters)
    _checks.instance("trial.run", trial.run, Simulation)
    p = trial.parameters
    axes, each = "[batch, time, n_rec]", (p.n_steps, p.n_rec)
    z = _checks.spikes("trial.run.z", trial.run.z, (None, *each), axes)
    _checks.tensor("trial.run.psi", trial.run.psi, tuple(z.shape), axes, z)
    _checks.spikes("trial.inputs", trial.inputs, (len(z), p.n_steps, p.n_in), "[batch, time, n_in]", z)
    _checks.tensor("trial.signal", trial.signal, tuple(z.shape), axes, z)


def _checked(control: Control) -> Control:
    def gradients(trial: Trial) -> Gradients:
        _check(trial)
        return control.gradients(trial)

    return control._replace(gradients=gradients)


#: The wrong rules, each with its arguments checked; the last one is right at a time step of 1 ms.
CONTROLS = tuple(_checked(control) for control in _RULES)

AUTHORS_TIME_STEP = _checked(
    Control(
        "ψ of the traces without 1/δt",
        "ψ in the traces is δt times what it is in the simulation",
        lambda t: _rule(t, psi=t.run.psi * t.parameters.dt),
    )
)
"""What the traces of the authors' verification program are to its simulation at a time step other than 1 ms.

There a spike has the height 1/δt, in the simulation and in the traces, so that its derivative by the voltage is ψ/δt;
the traces take ψ for it, in e and in ε_a. In this book's units, where a spike is 1, that is δt ψ in the place of ψ.
(Its refractory counters differ as well, which this leaves aside.) At 1 ms the rule is right.
"""


def right_rule(trial: Trial) -> Gradients:
    """Return the gradient by the rule with nothing left out, from the same code as the controls.

    Raises
    ------
    TypeError, ValueError
        If `trial` is none, or its tensors do not fit one another. (The controls raise the same.)
    """
    _check(trial)
    return _rule(trial)
