"""Neurons as units for `eprop_nb.evidence.any_neuron`: the book's own two, and others from the literature.

Times are in ms and a step is 1 ms, unless parameters say otherwise. The units of the rest are those of the sources,
and the numbers a common choice of them. Where a neuron jumps at its spike, the jump hangs on the spike that was sent,
and so it belongs to the learning signal; but for `alif`, which has it either way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.evidence.any_neuron import Unit
from eprop_nb.parameters import Parameters
from eprop_nb.simulation import spike

DAMPENING = 0.3


def lif(parameters: Parameters) -> Unit:
    """Return LIF neurons, equal to those of the ground floor: h = (v, steps to stay silent).

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or have ALIF neurons.

    Notes
    -----
    Bellec et al. (2020), equations (6) and (7).
    """
    _checks.instance("parameters", parameters, Parameters)
    if parameters.n_alif:
        raise ValueError(f"parameters must have n_alif = 0, got {parameters.n_alif}")
    p, (alpha, _, thr, _) = parameters, parameters.constants(like=torch.zeros(1, dtype=torch.float64))

    def fires(hidden: Tensor) -> Tensor:
        v, silent = hidden.unbind(-1)
        return torch.where(silent > 0, 0.0, spike((v - thr) / thr, p.dampening))

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v, silent = hidden.unbind(-1)
        v = alpha * v + current[..., 0] - thr * sent
        return torch.stack((v, _stay_silent(silent, sent, p.n_ref)), -1)

    return Unit(step, fires, torch.zeros(p.n_rec, 2, dtype=torch.float64))


def alif(parameters: Parameters, reset: str = "signal") -> Unit:
    """Return LIF and ALIF neurons, equal to those of the ground floor: h = (v, b, steps to stay silent).

    Parameters
    ----------
    parameters : Parameters
        The neurons.
    reset : {"signal", "trace"}
        Whether the reset hangs on the spike that was sent, as on the ground floor, or on the neuron's own. Both are
        exact, and they divide the gradient differently between signal and trace.

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or `reset` is unknown.

    Notes
    -----
    Bellec et al. (2020), equations (6) to (10), and supplement, equation (1), for the reset in the trace.
    """
    _checks.instance("parameters", parameters, Parameters)
    in_trace = _checks.one_of("reset", reset, ("signal", "trace")) == "trace"
    p, (alpha, rho, thr, beta) = parameters, parameters.constants(like=torch.zeros(1, dtype=torch.float64))

    def fires(hidden: Tensor) -> Tensor:
        v, b, silent = hidden.unbind(-1)
        return torch.where(silent > 0, 0.0, spike((v - thr - beta * b) / thr, p.dampening))

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v, b, silent = hidden.unbind(-1)
        own = fires(hidden)
        v = alpha * v + current[..., 0] - thr * (own if in_trace else sent)
        return torch.stack((v, rho * b + own, _stay_silent(silent, sent, p.n_ref)), -1)

    return Unit(step, fires, torch.zeros(p.n_rec, 3, dtype=torch.float64))


def second_order_synapse(n: int) -> Unit:
    """Return LIF neurons whose current rises and falls: h = (current, its rise, v).

    Notes
    -----
    The synapse is an alpha function, two exponential filters in a row with one time constant.
    """
    beta, alpha, thr = math.exp(-1 / 5), math.exp(-1 / 20), 0.6

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 2] - thr) / thr, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        i, rise, v = hidden.unbind(-1)
        rise = beta * rise + current[..., 0]
        i = beta * i + (1 - beta) * rise
        return torch.stack((i, rise, alpha * v + (1 - beta) * i - thr * sent), -1)

    return Unit(step, fires, _start(n, 0.0, 0.0, 0.0))


def izhikevich(n: int) -> Unit:
    """Return Izhikevich's neurons, from regular spiking to fast spiking: h = (v, u).

    Notes
    -----
    Izhikevich (2003), equations (1) to (3), by steps of 1 ms of which v takes two of half the length, as in the
    program that he gives. The values of a and d go from one neuron to the next.
    """
    a, d = (torch.linspace(*ends, n, dtype=torch.float64) for ends in ((0.02, 0.1), (8.0, 2.0)))
    b, c, peak, gain = 0.2, -65.0, 30.0, 20.0

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 0] - peak) / peak, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v, u = hidden.unbind(-1)
        v, u = v + sent * (c - v), u + d * sent
        for _ in range(2):
            v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + gain * current[..., 0])
        return torch.stack((v.clamp(max=2 * peak), u + a * (b * v - u)), -1)

    return Unit(step, fires, _start(n, c, b * c))


def adaptive_exponential(n: int) -> Unit:
    """Return adaptive exponential integrate-and-fire neurons: h = (v, w), in units of the threshold's slope.

    Notes
    -----
    Brette and Gerstner (2005), with v counted from rest in units of the slope factor; the upper
    end of v is cut.
    """
    tau, tau_w, a, b, foot, peak, reset = 20.0, 100.0, 0.3, 2.0, 8.0, 12.0, 0.0

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 0] - peak) / peak, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v, w = hidden.unbind(-1)
        v = v + sent * (reset - v)
        w = w + b * sent
        slope = torch.exp((v - foot).clamp(max=4.0))
        return torch.stack(
            ((v + (slope - v - w) / tau + 4 * current[..., 0]).clamp(max=2 * peak), w + (a * v - w) / tau_w), -1
        )

    return Unit(step, fires, _start(n, 0.0, 0.0))


def two_compartments(n: int) -> Unit:
    """Return neurons with a soma and a dendrite, each with a voltage and a current of its own: h = (soma, dendrite).

    Notes
    -----
    The two voltages leak and are coupled; the spike is that of the soma.
    """
    soma, dendrite, coupling, thr = math.exp(-1 / 15), math.exp(-1 / 40), 0.08, 0.6

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 0] - thr) / thr, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v, u = hidden.unbind(-1)
        flow = coupling * (u - v)
        return torch.stack((soma * v + flow + current[..., 0] - thr * sent, dendrite * u - flow + current[..., 1]), -1)

    return Unit(step, fires, _start(n, 0.0, 0.0))


def resonate_and_fire(n: int) -> Unit:
    """Return neurons whose voltage oscillates below the threshold, each at its own frequency: h = (x, y).

    Notes
    -----
    Izhikevich (2001): a complex voltage x + iy that turns and decays; y is the one that is held against a threshold.
    """
    turn = 2 * math.pi * torch.linspace(0.01, 0.06, n, dtype=torch.float64)
    decay, thr = math.exp(-1 / 20), 0.5
    c, s = decay * turn.cos(), decay * turn.sin()

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 1] - thr) / thr, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        x, y = hidden.unbind(-1)
        return torch.stack((c * x - s * y + current[..., 0], s * x + c * y - thr * sent), -1)

    return Unit(step, fires, _start(n, 0.0, 0.0))


def lstm(n: int) -> Unit:
    """Return LSTM units, with four currents: h = (cell, output gate); what they send is a number and no spike.

    Notes
    -----
    Hochreiter and Schmidhuber (1997), with a forget gate. The gates see currents alone. The output gate is a component
    of h that keeps nothing from one step to the next.
    """

    def gives(hidden: Tensor) -> Tensor:
        cell, out = hidden.unbind(-1)
        return out * torch.tanh(cell)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:  # noqa: ARG001  # it has no reset
        new, opens, keeps, out = current.unbind(-1)
        cell = torch.sigmoid(keeps + 1) * hidden[..., 0] + torch.sigmoid(opens) * torch.tanh(new)
        return torch.stack((cell, torch.sigmoid(out)), -1)

    return Unit(step, gives, _start(n, 0.0, 0.5))


def delayed_synapses(n: int, delay: int = 3) -> Unit:
    """Return LIF neurons whose currents arrive some steps late: h = (v, what is under way, …).

    Raises
    ------
    TypeError, ValueError
        If `delay` is no whole number of at least 1.
    """
    delay = _checks.whole("delay", delay, least=1)
    alpha, thr = math.exp(-1 / 20), 0.6

    def fires(hidden: Tensor) -> Tensor:
        return spike((hidden[..., 0] - thr) / thr, DAMPENING)

    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        v = alpha * hidden[..., 0] + hidden[..., 1] - thr * sent
        return torch.cat((v[..., None], hidden[..., 2:], current), -1)

    return Unit(step, fires, _start(n, *[0.0] * (delay + 1)))


def _stay_silent(silent: Tensor, sent: Tensor, n_ref: int) -> Tensor:
    """Return for how many steps a neuron will stay silent: a number that counts and has no derivative."""
    return torch.where(sent > 0, float(max(n_ref - 1, 0)), (silent - 1).clamp(min=0)).detach()


def _start(n: int, *values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).expand(_checks.whole("n", n, least=1), -1).clone()
