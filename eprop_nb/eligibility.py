"""Chapter 4: what a synapse has done to its neuron — eligibility vectors and eligibility traces."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.parameters import NeuronConstants, Parameters
from eprop_nb.simulation import Simulation, _check_run


class EligibilityTraces(NamedTuple):
    """Eligibility vectors and traces of every synapse at every time: tensors [batch, time, pre, post].

    The trace is what Bellec et al. (2020) define in equation (2).
    """

    eps_v: Tensor  #: ε_v, how far the synapse's spikes have moved the voltage
    eps_a: Tensor  #: ε_a, how far they have moved the adaptation
    e: Tensor  #: e, how far they move the spike: the eligibility trace


def trace_step(
    constants: NeuronConstants, eps_v: Tensor, eps_a: Tensor, psi: Tensor, pre: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Advance the traces of all synapses by one time step.

    Parameters
    ----------
    constants : NeuronConstants
        α, ρ and β of the postsynaptic neurons, each [post].
    eps_v, eps_a : Tensor
        ε_v(t − 1) and ε_a(t), [batch, pre, post]: the adaptation lags by one step.
    psi : Tensor
        ψ(t) of the postsynaptic neurons, [batch, post].
    pre : Tensor
        What arrives at t, [batch, pre].

    Returns
    -------
    tuple of Tensor
        ε_v(t), ε_a(t + 1) and e(t), [batch, pre, post].

    Raises
    ------
    TypeError, ValueError
        If an argument is no dense floating-point tensor, or differs in shape, dtype or device. Whether the numbers are
        finite is not looked at in each step: `eligibility_traces` does so once.

    Notes
    -----
    Bellec et al. (2020), equations (22) to (25). A simplification of the paper's, (26), leaves out the term −βψ; the
    sum over time is then no longer the gradient.
    """
    _check_trace_step(constants, eps_v, eps_a, psi, pre)
    alpha, rho, _, beta = constants
    psi = psi[:, None, :]  # [batch, 1, post]
    eps_v = alpha * eps_v + pre[:, :, None]
    e = psi * (eps_v - beta * eps_a)
    eps_a = psi * eps_v + (rho - beta * psi) * eps_a
    return eps_v, eps_a, e


def _check_trace_step(constants: NeuronConstants, eps_v: Tensor, eps_a: Tensor, psi: Tensor, pre: Tensor) -> None:
    _checks.instance("constants", constants, NeuronConstants)
    _checks.form("eps_v", eps_v, (None, None, None), "[batch, pre, post]")
    batch, n_pre, n_post = eps_v.shape
    _checks.form("eps_a", eps_a, (batch, n_pre, n_post), "[batch, pre, post]", eps_v)
    _checks.form("psi", psi, (batch, n_post), "[batch, post]", eps_v)
    _checks.form("pre", pre, (batch, n_pre), "[batch, pre]", eps_v)
    for name, constant in zip(NeuronConstants._fields, constants, strict=True):
        _checks.form(f"constants.{name}", constant, (n_post,), "[post]", eps_v)


@torch.no_grad()
def eligibility_traces(parameters: Parameters, run: Simulation, pre: Tensor) -> EligibilityTraces:
    """Return ε_v, ε_a and e for all pairs of a presynaptic signal and a recurrent neuron.

    Parameters
    ----------
    parameters : Parameters
        The network.
    run : Simulation
        Uses the pseudo-derivatives `psi` [batch, time, n_rec].
    pre : Tensor
        The spikes, 0 or 1, that arrive at the synapses at each time, [batch, time, pre]: the inputs as they are
        for the input weights, ``previous_spikes(run.z)`` for the recurrent weights.

    Returns
    -------
    EligibilityTraces
        Tensors [batch, time, pre, post]. For recurrent weights the pairs (j, j) have traces too, although there is
        no such synapse: `without_self_connections` removes them.

    Raises
    ------
    TypeError, ValueError
        If `pre` or `run` have the wrong shape, dtype or device, `pre` holds something other than 0 and 1, or a trace
        overflows.
    MemoryError
        If the traces are more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), equations (22) to (25), and (13) and (14) for any model of a neuron. The trace holds
    nothing of the loss and nothing of the future: it can be computed while the network runs.

    Examples
    --------
    >>> import eprop_nb as ep
    >>> p = ep.Parameters()
    >>> inputs = ep.poisson_spikes(p, seed=288)
    >>> run = ep.simulate(p, ep.random_weights(p, seed=288), inputs)
    >>> traces = ep.eligibility_traces(p, run, inputs)
    >>> tuple(traces.e.shape)
    (1, 50, 3, 8)
    """
    _check_run(parameters, run)
    batch, n_steps, n_rec = run.psi.shape
    _checks.spikes("pre", pre, (batch, n_steps, None), "[batch, time, pre]", run.psi)

    n_pre = pre.shape[2]
    _checks.memory("batch, duration, n_lif, n_alif and pre", "the traces", 3 * pre.numel() * n_rec, pre)

    constants = parameters.constants(like=run.psi)
    traces = EligibilityTraces(*run.psi.new_empty(3, batch, n_steps, n_pre, n_rec))
    eps_v = run.psi.new_zeros(batch, n_pre, n_rec)
    eps_a = torch.zeros_like(eps_v)
    for t in range(n_steps):
        traces.eps_a[:, t] = eps_a
        eps_v, eps_a, e = trace_step(constants, eps_v, eps_a, run.psi[:, t], pre[:, t])
        traces.eps_v[:, t], traces.e[:, t] = eps_v, e
    for name, values in zip(EligibilityTraces._fields, traces, strict=True):
        _checks.no_overflow(values, "parameters", name)
    return traces
