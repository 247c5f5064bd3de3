"""Known mistakes in e-prop's gradient, each as a change of one of the ingredients of the right sum.

What a mistake makes of the right ingredients is again ingredients, so that two mistakes are one after the other, and
all of them are summed by the general closed form of `eprop_nb.evidence.any_neuron`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb.evidence import any_neuron, neurons
from eprop_nb.evidence.any_neuron import Factors, Unit
from eprop_nb.parameters import NeuronConstants, Parameters
from eprop_nb.simulation import previous_spikes, pseudo_derivative


class Ingredients(NamedTuple):
    """What the gradients of the input and the recurrent weights are a sum of."""

    factors: Factors  #: of the neurons
    signal: Tensor  #: L, [batch, time, n, 1], or one for each component of h
    pre_in: Tensor  #: what arrives at the input synapses, [batch, time, n_in]
    pre_rec: Tensor  #: what arrives at the recurrent synapses, [batch, time, n]
    keep_diagonal: bool = False
    transposed: bool = False


class Context(NamedTuple):
    """What a mistake may need beside the ingredients."""

    parameters: Parameters | None  #: None for a unit of the user's own
    unit: Unit
    run: any_neuron.Run
    inputs: Tensor
    direct: Tensor  #: what dE/dy says to the neurons at once, without the memory of the readout, [batch, time, n]
    kappa: float
    true: Callable[[], Tensor]  #: the true learning signal
    symmetric: Tensor  #: that of symmetric e-prop
    true_of: Callable[[Unit], Tensor] | None  #: the true signal of other units, if that is what was asked for


class Mistake(NamedTuple):
    """A known mistake."""

    name: str
    what: str  #: in words
    change: Callable[[Ingredients, Context], Ingredients]
    anywhere: bool = True  #: whether it can be made for any unit, or only for the book's own neurons
    #: Of two, the one with the lower rank comes first: what puts another ψ or L in its place before what changes it,
    #: this before what changes a decay, and then what takes something away; last comes what adds components to h.
    rank: int = 0


def _signal(change: Callable[[Tensor, Context], Tensor]) -> Callable[[Ingredients, Context], Ingredients]:
    return lambda it, context: it._replace(signal=change(it.signal, context))


def _transition(it: Ingredients, row: int, values: Mapping[int, Tensor]) -> Ingredients:
    changed = it.factors.transition.clone()
    for column, value in values.items():
        changed[..., row, column] = value
    return it._replace(factors=it.factors._replace(transition=changed))


def _psi(it: Ingredients, psi: Tensor) -> Ingredients:
    return it._replace(factors=it.factors._replace(psi=psi))


def _constants(context: Context) -> tuple[Parameters, NeuronConstants]:
    if context.parameters is None:
        raise TypeError("this mistake can be made with the book's own neurons alone")
    return context.parameters, context.parameters.constants(like=context.run.z)


def _scaled_voltage(context: Context) -> Tensor:
    _, constants = _constants(context)
    v, b = context.run.hidden.detach()[..., :2].unbind(-1)
    return (v - constants.threshold - constants.beta * b) / constants.threshold


def _psi_at(context: Context, u: Tensor, silent_steps: int) -> Tensor:
    """Return ψ [batch, time, n, 3] at scaled voltages, and 0 for so many steps after a spike."""
    p, constants = _constants(context)
    psi, spikes = pseudo_derivative(u, p.dampening) / constants.threshold, context.run.z.detach()
    for _ in range(silent_steps):
        spikes = previous_spikes(spikes)
        psi = psi * (1 - spikes)
    return torch.stack((psi, -constants.beta * psi, torch.zeros_like(psi)), -1)


def _masked_psi_at(context: Context, u: Tensor) -> Tensor:
    """Return the same with the silent steps that the neurons have."""
    return _psi_at(context, u, max(_constants(context)[0].n_ref - 1, 0))


def _everywhere(it: Ingredients, context: Context, psi: Tensor) -> Ingredients:
    """Put another ψ into the trace and into what ε_a takes from it."""
    return _psi(_onto_adaptation(it, context, psi), psi)


def _onto_adaptation(it: Ingredients, context: Context, psi: Tensor) -> Ingredients:
    _, constants = _constants(context)
    before = _delayed(psi)  # the step to t takes ψ of t − 1
    return _transition(it, 1, {0: before[..., 0], 1: constants.rho + before[..., 1]})


def _scaled(it: Ingredients, context: Context, scale: float | Tensor) -> Ingredients:
    """Multiply ψ, in the trace and in what ε_a takes from it."""
    rho, row = _constants(context)[1].rho, it.factors.transition[..., 1, :]
    it = _transition(it, 1, {0: scale * row[..., 0], 1: rho + scale * (row[..., 1] - rho)})
    return _psi(it, it.factors.psi * torch.as_tensor(scale, dtype=it.factors.psi.dtype)[..., None])


def _moved(it: Ingredients, context: Context, move: Callable[[Tensor], Tensor]) -> Ingredients:
    """Put ψ of another step in its place; the ε_a of the book's own neurons takes it from there, too."""
    psi = move(it.factors.psi)
    return _psi(it, psi) if context.parameters is None else _everywhere(it, context, psi)


def _reset_in_the_trace(it: Ingredients, context: Context) -> Ingredients:
    _, constants = _constants(context)
    before = _delayed(it.factors.psi)
    return _transition(
        it, 0, {0: constants.alpha - constants.threshold * before[..., 0], 1: -constants.threshold * before[..., 1]}
    )


def _suppressed(it: Ingredients, context: Context) -> Ingredients:
    """Let b and ε_a take up spikes that the refractory period suppresses; those that are sent stay what they are."""
    _, constants = _constants(context)
    v, b, suppressed = context.run.hidden.detach()[..., 0], torch.zeros_like(context.run.z[:, 0]), []
    for voltage in v.unbind(1):
        suppressed.append((voltage - constants.threshold - constants.beta * b) / constants.threshold)
        b = constants.rho * b + (suppressed[-1] > 0)
    u = torch.stack(suppressed, 1)
    return _psi(_onto_adaptation(it, context, _psi_at(context, u, 0)), _masked_psi_at(context, u))


def _early_adaptation(it: Ingredients, context: Context) -> Ingredients:
    _, constants = _constants(context)
    psi, beta, rho = it.factors.psi[..., 0], constants.beta, constants.rho
    ahead = torch.stack((psi * (1 - beta * psi), -beta * psi * (rho - beta * psi), torch.zeros_like(psi)), -1)
    return _psi(it, ahead)


def _wired(it: Ingredients, context: Context, unit: Unit) -> Ingredients:
    """Put the true signal of other units in its place, with which a spike has an effect along other ways."""
    return it if context.true_of is None else it._replace(signal=context.true_of(unit)[..., None])


def _adaptation_sent(parameters: Parameters) -> Unit:
    unit = neurons.alif(parameters)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        after = unit.step(hidden, current, sent).unbind(-1)
        rho = parameters.constants(like=hidden).rho
        return torch.stack((after[0], rho * hidden[..., 1] + sent, after[2]), -1)

    return unit._replace(step=step)


def _later(it: Ingredients) -> Ingredients:
    """Add a copy of ε_a that is one step late, and let the trace take it."""
    transition, drive, psi = it.factors
    wider = torch.nn.functional.pad(transition, (0, 1, 0, 1))
    wider[..., -1, 1] = 1
    moved = torch.cat((psi, psi[..., 1:2]), -1)
    moved[..., 1] = 0
    return it._replace(factors=Factors(wider, torch.nn.functional.pad(drive, (0, 0, 0, 1)), moved))


def _outside(it: Ingredients, context: Context, *, twice: bool) -> Ingredients:
    """Filter the eligibility vector in place of the trace, so that ψ stands outside; or count both."""
    (transition, drive, psi), d = it.factors, it.factors.psi.shape[-1]
    wider = torch.cat((torch.nn.functional.pad(transition, (0, d)), torch.nn.functional.pad(transition, (0, d))), -2)
    wider[..., d:, d:] = context.kappa * torch.eye(d, dtype=psi.dtype)
    signal = context.direct[..., None].expand_as(psi)
    first = it.signal.expand_as(psi) if twice else torch.zeros_like(psi)
    return it._replace(
        factors=Factors(wider, torch.cat((drive, drive), -2), torch.cat((psi, psi), -1)),
        signal=torch.cat((first, signal), -1),
    )


def filtered_back(said: Tensor, decay: float | Tensor) -> Tensor:
    """Return Σ_{t' ≥ t} decay^(t' − t) said(t'), what is said later and still felt."""
    total, found = torch.zeros_like(said[:, 0]), []
    for value in said.flip(1).unbind(1):
        total = decay * total + value
        found.append(total)
    return torch.stack(found[::-1], 1)


def _delayed(x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)


def _next(x: Tensor) -> Tensor:
    return torch.cat((x[:, 1:], torch.zeros_like(x[:, :1])), 1)


def _blind(it: Ingredients, context: Context) -> Ingredients:
    found = any_neuron._factors(context.unit, context.run, torch.zeros_like(context.run.z))
    return it._replace(factors=it.factors._replace(transition=found.transition))


#: What is known to go wrong: in public code, or in the chapters of this book.
MISTAKES = (
    Mistake(
        "ε_a dropped",
        "e = ψ ε_v, as for a LIF neuron",
        lambda it, _: _psi(it, torch.cat((it.factors.psi[..., :1], torch.zeros_like(it.factors.psi[..., 1:])), -1)),
        anywhere=False,
    ),
    Mistake(
        "ε_a without −βψ",
        "ε_a decays with ρ alone: the paper's own simplification (P26), fine for learning, wrong as a gradient",
        lambda it, context: _transition(it, 1, {1: _constants(context)[1].rho}),
        anywhere=False,
        rank=-1,
    ),
    Mistake("ε_a one step late", "e(t) takes ε_a(t − 1)", lambda it, _: _later(it), anywhere=False, rank=1),
    Mistake(
        "ε_a one step early",
        "e(t) takes ε_a(t + 1), which is updated first",
        _early_adaptation,
        anywhere=False,
        rank=-1,
    ),
    Mistake(
        "ε_a added",
        "e = ψ (ε_v + β ε_a): the threshold rises, and with it the distance to a spike",
        lambda it, _: _psi(it, it.factors.psi * torch.tensor([1.0, -1.0, 1.0], dtype=it.factors.psi.dtype)),
        anywhere=False,
    ),
    Mistake(
        "no refractory mask",
        "ψ is not 0 in the refractory period",
        lambda it, c: _everywhere(it, c, _psi_at(c, _scaled_voltage(c), 0)),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "refractory period off by one",
        "ψ is 0 for n_ref steps after a spike, not n_ref − 1",
        lambda it, c: _everywhere(it, c, _psi_at(c, _scaled_voltage(c), _constants(c)[0].n_ref)),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "suppressed spikes adapt",
        "a spike that the refractory period suppresses raises the threshold all the same, and ε_a likewise",
        _suppressed,
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "ψ after the reset",
        "ψ is taken at the voltage from which the threshold has been subtracted",
        lambda it, c: _everywhere(it, c, _masked_psi_at(c, _scaled_voltage(c) - c.run.z.detach())),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "ψ without the adaptation",
        "ψ is taken at the distance from the threshold at rest",
        lambda it, c: _everywhere(
            it, c, _masked_psi_at(c, c.run.hidden.detach()[..., 0] / _constants(c)[1].threshold - 1)
        ),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "ψ without 1/thr",
        "ψ is the derivative by the scaled voltage, and not by the voltage",
        lambda it, c: _scaled(it, c, _constants(c)[1].threshold),
        anywhere=False,
        rank=-2,
    ),
    Mistake(
        "ψ without γ",
        "ψ lacks the dampening factor",
        lambda it, c: _scaled(it, c, 1 / _constants(c)[0].dampening),
        anywhere=False,
        rank=-2,
    ),
    Mistake(
        "ψ without 1/δt",
        "a spike has the height 1/δt, and ψ in the traces has not: right at a time step of 1 ms",
        lambda it, c: _scaled(it, c, _constants(c)[0].dt),
        anywhere=False,
        rank=-2,
    ),
    Mistake("ψ one step late", "e(t) takes ψ(t − 1)", lambda it, c: _moved(it, c, _delayed), rank=-3),
    Mistake("ψ one step early", "e(t) takes ψ(t + 1)", lambda it, c: _moved(it, c, _next), rank=-3),
    Mistake(
        "no memory in the trace",
        "the state before is detached, so that e takes what arrives in the same step alone",
        lambda it, _: it._replace(factors=it.factors._replace(transition=torch.zeros_like(it.factors.transition))),
    ),
    Mistake(
        "γ in the place of α",
        "ε_v decays by the dampening factor",
        lambda it, c: _transition(it, 0, {0: torch.as_tensor(_constants(c)[0].dampening, dtype=it.factors.psi.dtype)}),
        anywhere=False,
        rank=-1,
    ),
    Mistake(
        "κ in the place of α",
        "ε_v decays as the readout does",
        lambda it, c: _transition(it, 0, {0: torch.as_tensor(c.kappa, dtype=it.factors.psi.dtype)}),
        anywhere=False,
        rank=-1,
    ),
    Mistake(
        "α in the place of κ",
        "the error comes back, or the trace is low-passed, with the decay of the neurons",
        _signal(lambda _, c: filtered_back(c.direct, _constants(c)[1].alpha)[..., None]),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "α in the place of ρ",
        "ε_a decays as the voltage does",
        lambda it, c: _transition(
            it, 1, {1: _constants(c)[1].alpha + it.factors.transition[..., 1, 1] - _constants(c)[1].rho}
        ),
        anywhere=False,
        rank=-1,
    ),
    Mistake(
        "reset in the trace",
        "the trace goes through the neuron's own reset: exact beside a signal that leaves it out, and here it does not",
        _reset_in_the_trace,
        anywhere=False,
        rank=-1,
    ),
    Mistake(
        "trace blind to the reset",
        "the eligibility vector goes on as if no spike had been sent",
        _blind,
        rank=-4,
    ),
    Mistake(
        "recurrent spike not shifted",
        "pre = z(t), not z(t − 1)",
        lambda it, c: it._replace(pre_rec=_next(it.pre_rec) + _last(c.run.z.detach())),
    ),
    Mistake(
        "recurrent spike one step late",
        "pre = z(t − 2), not z(t − 1)",
        lambda it, _: it._replace(pre_rec=previous_spikes(it.pre_rec)),
    ),
    Mistake(
        "input one step early",
        "pre = x(t + 1), not x(t): the trace has an input that the voltage has not",
        lambda it, _: it._replace(pre_in=_next(it.pre_in)),
    ),
    Mistake(
        "input one step late",
        "pre = x(t − 1), not x(t)",
        lambda it, _: it._replace(pre_in=previous_spikes(it.pre_in)),
    ),
    Mistake(
        "self-connections kept",
        "the diagonal of w_rec has a gradient",
        lambda it, _: it._replace(keep_diagonal=True),
    ),
    Mistake(
        "w_rec transposed",
        "[post, pre] where [pre, post] was said: in a square matrix it goes unnoticed",
        lambda it, _: it._replace(transposed=not it.transposed),
    ),
    Mistake(
        "ψ outside the filter",
        "the eligibility vector is low-passed and then multiplied by ψ, not their product low-passed",
        lambda it, c: _outside(it, c, twice=False),
        rank=2,
    ),
    Mistake(
        "signal counted twice",
        "the spike is a state of its own as well: the sum of the right gradient and of that with ψ outside the filter",
        lambda it, c: _outside(it, c, twice=True),
        rank=2,
    ),
    Mistake(
        "the readout's memory left out",
        "the learning signal is the error of the moment, though the readout remembers",
        _signal(lambda _, c: c.direct[..., None]),
        rank=-3,
    ),
    Mistake(
        "the readout's memory counted twice",
        "signal and trace are low-passed, both with κ",
        _signal(lambda signal, c: filtered_back(signal, c.kappa)),
    ),
    Mistake(
        "the true learning signal",
        "nothing was cut, and this is BPTT's gradient",
        lambda it, c: it._replace(signal=c.true()[..., None]),
        rank=-3,
    ),
    Mistake(
        "the signal of symmetric e-prop",
        "the readout's weights feed back, and nothing else does",
        lambda it, c: it._replace(signal=c.symmetric[..., None]),
        rank=-3,
    ),
    Mistake(
        "adaptation in the signal",
        "dE/dz counts the neuron's own adaptation, as the trace does",
        lambda it, c: _wired(it, c, _adaptation_sent(_constants(c)[0])),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "reset out of the signal",
        "dE/dz does not count the neuron's own reset",
        lambda it, c: _wired(it, c, neurons.alif(_constants(c)[0], "trace")),
        anywhere=False,
        rank=-3,
    ),
    Mistake(
        "signal one step late",
        "L(t − 1) stands where L(t) should",
        _signal(lambda signal, _: _delayed(signal)),
    ),
    Mistake(
        "signal one step early",
        "L(t + 1) stands where L(t) should",
        _signal(lambda signal, _: _next(signal)),
    ),
    Mistake(
        "mean of the signals times traces",
        "the mean of the signals over the batch multiplies the sum of the traces over it",
        _signal(lambda signal, _: signal.mean(0, keepdim=True).expand_as(signal)),
    ),
)


def _last(z: Tensor) -> Tensor:
    """Return the spikes of the last step, where they are, and nothing else."""
    found = torch.zeros_like(z)
    found[:, -1] = z[:, -1]
    return found


@torch.no_grad()
def gradients(it: Ingredients) -> dict[str, Tensor]:
    """Return the gradients of the input and the recurrent weights that some ingredients make."""
    n_in, n = it.pre_in.shape[2], it.pre_rec.shape[2]
    found = any_neuron._closed_form(it.factors, it.signal, torch.cat((it.pre_in, it.pre_rec), 2))
    w_in, w_rec = found.flatten(1)[:n_in], found.flatten(1)[n_in:]
    if not it.keep_diagonal:
        w_rec = any_neuron._without_self(w_rec, n)
    if it.transposed and w_rec.shape[0] == w_rec.shape[1]:
        w_rec = w_rec.T
    return {"w_in": w_in, "w_rec": w_rec}
