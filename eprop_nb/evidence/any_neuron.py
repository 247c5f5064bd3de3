"""E-prop for any neuron: what the paper's equations (13) and (14) say, for a unit that is given as a function.

The ground floor is written for one neuron, whose derivatives are worked out by hand. Here they are taken by machine: a
unit says how its hidden state steps on and when it spikes, and the rest follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.gradients import Comparison, Gradients, VacuousComparisonError, bptt_gradients, compare
from eprop_nb.learning_signals import _derivatives
from eprop_nb.parameters import Weights

METHODS = ("traces", "online", "closed_form")
_SAME = 1e-9  # of the largest entry: what a step may differ by when it is computed for all times at once


class Unit(NamedTuple):
    """A kind of neuron: three things that its user gives.

    `step` and `spike` are called with any number of leading axes, and must do the same for each of them.
    """

    #: step(hidden [..., n, d], current [..., n, m], sent [..., n]) returns hidden [..., n, d] one step on. `sent` is
    #: what the unit sent in the step before: what hangs on it belongs to the learning signal. A step that uses
    #: ``spike(hidden)`` instead keeps that way inside the neuron, and it belongs to the trace.
    step: Callable[[Tensor, Tensor, Tensor], Tensor]
    spike: Callable[[Tensor], Tensor]  #: spike(hidden [..., n, d]) returns z [..., n]
    start: Tensor  #: the hidden state before the first step, [n, d]


class Run(NamedTuple):
    """What a batch of trials leaves behind; all of it is part of the graph."""

    z: Tensor  #: what the units give, [batch, time, n]
    hidden: Tensor  #: h, [batch, time, n, d]
    currents: Tensor  #: [batch, time, n, m]
    sent: tuple[Tensor, ...]  #: the very tensors [batch, n] that the loop sent on, one for each time step


class Factors(NamedTuple):
    """The derivatives inside a neuron that eligibility traces are made of."""

    transition: Tensor  #: ∂h(t)/∂h(t−1), [batch, time, n, d, d]
    drive: Tensor  #: ∂h(t)/∂(current), [batch, time, n, d, m]
    psi: Tensor  #: ∂z(t)/∂h(t), [batch, time, n, d]


def simulate(unit: Unit, weights: Weights, inputs: Tensor, *, stop_recurrent_gradient: bool = False) -> Run:
    """Run a network of such units over a batch of trials.

    Parameters
    ----------
    unit : Unit
        The neurons; the dtype and the device are those of its start.
    weights : Weights
        `w_in` [n_in, n · m] and `w_rec` [n, n · m]: the m currents of a neuron stand side by side. What a neuron would
        send to itself is not used. `w_out` is not used either.
    inputs : Tensor
        [batch, time, n_in]; any finite numbers.
    stop_recurrent_gradient : bool
        Cut the graph where what a unit has sent comes back, at the recurrent synapses and at `sent`. The gradient by
        autograd becomes that of symmetric e-prop.

    Returns
    -------
    Run
        The spikes and hidden states.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; if `unit.step` or `unit.spike` returns something of another shape or
        dtype, or the hidden state does not stay finite.
    MemoryError
        If the run is more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), Methods, "Network models": h(t) = M(h(t−1), z(t−1), x(t), W), z(t) = f(h(t)).
    """
    stop = _checks.flag("stop_recurrent_gradient", stop_recurrent_gradient)
    n, d, m = _check_unit(unit, weights)
    start = unit.start
    _checks.tensor("inputs", inputs, (None, None, weights.w_in.shape[0]), "[batch, time, n_in]", start)
    batch, n_steps = inputs.shape[:2]
    _checks.memory("batch, time, n and d", "the run", batch * n_steps * n * (d + m + 1), start)
    w_rec = _without_self(weights.w_rec, n)
    hidden = start.detach().expand(batch, n, d)
    z_sent = _sent(unit, hidden, (batch, n)).detach()
    recorded: list[tuple[Tensor, Tensor, Tensor]] = []
    for input_current in (inputs @ weights.w_in).unbind(1):
        if stop:
            z_sent = z_sent.detach()
        current = (input_current + z_sent @ w_rec).view(batch, n, m)
        hidden = _checks.form("what unit.step returns", unit.step(hidden, current, z_sent), (batch, n, d), _H, start)
        # A tensor of its own, as in `eprop_nb.step`: the derivative with respect to it does not see what the unit's own
        # next step makes of `spike(hidden)`.
        z_sent = _sent(unit, hidden, (batch, n)).clone()
        if torch.is_grad_enabled() and not z_sent.requires_grad:
            z_sent.requires_grad_()
        recorded.append((z_sent, hidden, current))
    sent, states, currents = zip(*recorded, strict=True)
    run = Run(torch.stack(sent, 1), torch.stack(states, 1), torch.stack(currents, 1), sent)
    _checks.no_overflow(run.hidden, "unit, weights and inputs", "the hidden state")
    return run


def true_learning_signal(loss: Tensor, run: Run) -> Tensor:
    """Return the learning signal L(t) = dE/dz(t), as `eprop_nb.true_learning_signal` does, [batch, time, n].

    Raises
    ------
    TypeError, ValueError
        If `loss` is not a finite scalar of the graph, or does not depend on what the units have sent.
    """
    _checks.instance("run", run, Run)
    signals = _derivatives(loss, run.sent)
    if all(signal is None for signal in signals):
        raise ValueError("loss must depend on what the units of run have sent, got one that does not")
    return torch.stack(
        [torch.zeros_like(z) if signal is None else signal for z, signal in zip(run.sent, signals, strict=True)], dim=1
    )


def factors(unit: Unit, run: Run) -> Factors:
    """Return the derivatives of all steps of a run, by d + 1 reverse passes over all of them at once.

    Parameters
    ----------
    unit : Unit
        The neurons of the run.
    run : Run
        The trials.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; if `unit.step` is not pure, so that the same state and current gives
        another one than it gave in the run; or if it is not local, so that a neuron's state hangs on that of another
        by another way than its current.
    """
    _checks.instance("unit", unit, Unit)
    _checks.instance("run", run, Run)
    return _factors(unit, run, _before(unit, run.z.detach()))


def _factors(unit: Unit, run: Run, sent: Tensor) -> Factors:
    """Return the derivatives of all steps, with what has been sent in the step before each of them."""
    first = unit.start.detach().expand_as(run.hidden[:, :1])
    before = torch.cat((first, run.hidden[:, :-1].detach()), 1).requires_grad_()
    currents = run.currents.detach().requires_grad_()
    with torch.enable_grad():
        after = unit.step(before, currents, sent)
        _check_step(unit, run, (before, currents, sent), after)
        rows = [
            torch.autograd.grad(after[..., k].sum(), (before, currents), retain_graph=True, materialize_grads=True)
            for k in range(after.shape[-1])
        ]
        hidden = run.hidden.detach().requires_grad_()
        (psi,) = torch.autograd.grad(unit.spike(hidden).sum(), hidden, materialize_grads=True)
    transition, drive = (torch.stack(each, -2) for each in zip(*rows, strict=True))
    return Factors(transition, drive, psi)


@torch.no_grad()
def _before(unit: Unit, z: Tensor) -> Tensor:
    """Return what arrives at the recurrent synapses, z(t − 1), with what is sent at the start."""
    return torch.cat((unit.spike(unit.start.expand(len(z), 1, *unit.start.shape)), z[:, :-1]), 1)


@torch.no_grad()
def eprop_gradients(unit: Unit, run: Run, inputs: Tensor, signal: Tensor, method: str = "closed_form") -> Gradients:
    """Return dE/dW = Σ_t L(t) · e(t) for the input and the recurrent weights of any unit.

    Parameters
    ----------
    unit : Unit
        The neurons of the run.
    run : Run
        The trials.
    inputs : Tensor
        Their inputs, [batch, time, n_in].
    signal : Tensor
        The learning signal L, [batch, time, n].
    method : {"traces", "online", "closed_form"}
        From eligibility vectors, kept or forgotten; or by one adjoint vector for each neuron, backwards in time.

    Returns
    -------
    Gradients
        `w_in` [n_in, n · m] and `w_rec` [n, n · m], summed over time and batch.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be, or as `factors` raises.
    MemoryError
        If the traces of the method "traces" are more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), equations (13) and (14). With D = ∂h(t)/∂h(t−1) and C = ∂h(t)/∂(current), the eligibility
    vector is ε(t) = D(t) ε(t−1) + C(t) pre(t), and the trace ψ(t) · ε(t). Transposed, λ(t) = D(t+1)ᵀ λ(t+1) + ψ(t) L(t)
    and dE/dW = Σ_t pre(t) C(t)ᵀ λ(t).
    """
    _checks.one_of("method", method, METHODS)
    found = factors(unit, run)
    batch, n_steps, n, _ = run.hidden.shape
    _checks.tensor("inputs", inputs, (batch, n_steps, None), "[batch, time, n_in]", run.z)
    _checks.tensor("signal", signal, (batch, n_steps, n), "[batch, time, n]", run.z)
    m = found.drive.shape[-1]
    if method == "traces":
        _checks.memory("batch, time, n_in, n and d", "the traces", batch * n_steps * (n + inputs.shape[2]) * n * m)
    pre = torch.cat((inputs, _before(unit, run.z)), 2)
    evaluate = {"traces": _from_traces, "online": _online, "closed_form": _closed_form}[method]
    both, n_in = evaluate(found, signal[..., None], pre).flatten(1), inputs.shape[2]
    w_in, w_rec = both[:n_in], both[n_in:]
    for gradient in (w_in, w_rec):
        _checks.no_overflow(gradient, "signal", "the gradient")
    return Gradients(w_in, _without_self(w_rec, n))


def verify(unit: Unit, weights: Weights, inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, Comparison]:
    """Hold e-prop with the true learning signal against BPTT, and symmetric e-prop against the cut graph.

    Parameters
    ----------
    unit : Unit
        The neurons.
    weights : Weights
        `w_in` and `w_rec` as `simulate` takes them; `w_out` is whatever the loss makes of it.
    inputs : Tensor
        [batch, time, n_in].
    loss : callable
        loss(z) returns a scalar for what the units have sent, z [batch, time, n].

    Returns
    -------
    dict of str to Comparison
        By method, and "symmetric": the errors of each matrix.

    Raises
    ------
    TypeError, ValueError
        As `simulate` and `factors`.
    VacuousComparisonError
        If no unit sends anything, or none could by a small change, so that any rule would pass.
    """
    n, _, _ = _check_unit(unit, weights)
    _checks.function("loss", loss)
    held = Weights(*(weight.detach().clone().requires_grad_() for weight in weights))
    run = simulate(unit, held, inputs)
    if not bool(run.z.any()):
        raise VacuousComparisonError("unit must send something in this trial, got a silent network")
    if not bool(factors(unit, run).psi.any()):
        raise VacuousComparisonError("unit must have a derivative of its spikes other than 0 in this trial, got none")
    value = loss(run.z)
    reference = Gradients(*bptt_gradients(value, held)[:2])
    reference = reference._replace(w_rec=_without_self(_there(reference.w_rec), n))
    signal = true_learning_signal(value, run)
    found = {each: compare(eprop_gradients(unit, run, inputs, signal, each), reference) for each in METHODS}
    cut = simulate(unit, held, inputs, stop_recurrent_gradient=True)
    value = loss(cut.z)
    reference = Gradients(*bptt_gradients(value, held)[:2])
    signal = true_learning_signal(value, cut)
    return found | {"symmetric": compare(eprop_gradients(unit, cut, inputs, signal), reference)}


# ------------------------------------------------------------------------------------------------------- three orders
#
# Of the signal [batch, time, n, 1], and of what arrives at all synapses [batch, time, pre], each gives [pre, post, m].


def _from_traces(found: Factors, signal: Tensor, pre: Tensor) -> Tensor:
    traces = []
    vector = pre.new_zeros(1)
    for transition, drive, psi, arriving in zip(*(each.unbind(1) for each in (*found, pre)), strict=True):
        vector = _next_vector(transition, drive, vector, arriving)
        traces.append(torch.einsum("bjk,bijkc->bijc", psi, vector))
    return torch.einsum("btj,btijc->ijc", signal[..., 0], torch.stack(traces, 1))


def _online(found: Factors, signal: Tensor, pre: Tensor) -> Tensor:
    vector = gradient = pre.new_zeros(1)
    for transition, drive, psi, arriving, said in zip(*(x.unbind(1) for x in (*found, pre, signal)), strict=True):
        vector = _next_vector(transition, drive, vector, arriving)
        gradient = gradient + torch.einsum("bjk,bijkc->ijc", said * psi, vector)
    return gradient


def _next_vector(transition: Tensor, drive: Tensor, vector: Tensor, arriving: Tensor) -> Tensor:
    """Return the eligibility vectors of the next step, (14), [batch, pre, post, d, m]."""
    new = torch.einsum("bjkc,bi->bijkc", drive, arriving)
    return new if vector.ndim == 1 else new + torch.einsum("bjkl,bijlc->bijkc", transition, vector)


def _closed_form(found: Factors, signal: Tensor, pre: Tensor) -> Tensor:
    adjoint, adjoints = torch.zeros_like(found.psi[:, 0]), []
    for transition, told in zip(
        found.transition.flip(1).unbind(1), (found.psi * signal).flip(1).unbind(1), strict=True
    ):
        adjoints.append(adjoint + told)
        adjoint = (transition * adjoints[-1][..., None]).sum(-2)  # d is small: faster than a product of matrices
    worth = torch.einsum("btjkc,btjk->btjc", found.drive, torch.stack(adjoints[::-1], 1))
    return torch.einsum("bti,btjc->ijc", pre, worth)


# ------------------------------------------------------------------------------------------------------------- checks

_H = "[batch, n, d]"


def _check_unit(unit: Unit, weights: Weights) -> tuple[int, int, int]:
    """Return n, d and m, or raise if the weights do not fit the unit."""
    _checks.instance("unit", unit, Unit)
    _checks.function("unit.step", unit.step)
    _checks.function("unit.spike", unit.spike)
    start = _checks.tensor("unit.start", unit.start, (None, None), "[n, d]")
    _checks.instance("weights", weights, Weights)
    n, d = start.shape
    _checks.tensor("weights.w_in", weights.w_in, (None, None), "[n_in, n · m]", start)
    width = weights.w_in.shape[1]
    if width % n:
        raise ValueError(f"weights.w_in must have a multiple of n = {n} columns, got {width}")
    _checks.tensor("weights.w_rec", weights.w_rec, (n, width), "[n, n · m]", start)
    return n, d, width // n


def _sent(unit: Unit, hidden: Tensor, shape: tuple[int, int]) -> Tensor:
    return _checks.form("what unit.spike returns", unit.spike(hidden), shape, "[batch, n]", hidden)


def _without_self(matrix: Tensor, n: int) -> Tensor:
    """Return a matrix [n, n · m] with zeros where a neuron would send to itself."""
    others = 1 - torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    return matrix * others.repeat_interleave(matrix.shape[1] // n, 1)


def _near(ours: Tensor, theirs: Tensor, scale: Tensor) -> bool:
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() <= _SAME * (1 + scale.abs().max()))


def _check_step(unit: Unit, run: Run, given: tuple[Tensor, Tensor, Tensor], after: Tensor) -> None:
    """Raise if a step is not that of the run, or if a neuron's hangs on another neuron, in its value or derivative."""
    before, currents, sent = given
    if torch.equal(sent, _before(unit, run.z.detach())) and not _near(after, run.hidden, run.hidden):
        raise ValueError("unit.step must be pure, got another hidden state from the same arguments than in the run")
    half = torch.arange(before.shape[2], device=before.device) % 2 == 0
    for these in (half, ~half):
        if bool(these.all()) or not bool(these.any()):  # of one neuron
            continue
        # The others find themselves in the state of another time, with other currents and spikes.
        moved = [torch.where(these.view(-1, *[1] * (x.ndim - 3)), x, x.roll(1, 1)) for x in given]
        kept = unit.step(*moved)[:, :, these]
        back = torch.autograd.grad(after[:, :, these].sum(), (before, currents), retain_graph=True, allow_unused=True)
        others = [each[:, :, ~these] for each in back if each is not None]
        if not _near(kept, after[:, :, these], after) or any(bool(each.any()) for each in others):
            raise ValueError(
                "unit.step must be local: the hidden state of a neuron may hang on its own state, current and spike "
                "alone, got one that hangs on those of another neuron"
            )


def _there(matrix: Tensor | None) -> Tensor:
    if matrix is None:  # bptt_gradients has computed it
        raise AssertionError
    return matrix
