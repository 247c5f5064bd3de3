"""The compiled loops behind `eprop_nb.fast`.

Numba compiles each function at its first call, and `eprop_nb.fast.compiling` keeps the machine code. Three rules make
the loops fast:

* A spike is an entry of a list, not a one in a matrix: it adds one row of weights on the way forward and one row of
  gradient on the way back, and a neuron that is silent costs nothing there.
* Each innermost loop writes one or two arrays and reads few. Before it may use vector instructions the compiler has
  to prove, when the loop runs, that its arrays do not overlap, and with many arrays it gives up.
* A function has its own loop over time. To pass an array to a function, or to take a row of it, counts references,
  which costs more than a step of a small network.

A function is given a block of time steps, k = 0, 1, ..., which may be the whole trial. Spikes are listed as
``index[start[k]:start[k + 1]]``. The list `arrived` holds the input spikes of step k in slot k; the list `sent` holds
the spikes of the network one slot later, so that slot k has those of step k − 1, which arrive in step k.

A kernel that is given trials returns whether all of them are fine, and writes to `faults` [batch], which is 0 before,
what is wrong with each. A voltage that has become NaN or infinite stays so until the last step, and the adjoint d that
a ψ or a learning signal has made so, until the first; of u it is kept in mind. A look now and then sees what has
happened anywhere. The gradients are for the caller to look at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprop_nb.fast.compiling import compiled

Array = NDArray[Any]

BLOCK = 64  # time steps; long enough for what is done once a block to weigh little, short enough for the cache

# What can be wrong with a trial, in the order in which it is looked for; 0 is nothing.
GIVEN = 1  # an argument holds NaN or infinity, or spikes that are not 0 or 1
VOLTAGE = 2  # v is not finite
PSI = 3  # u or ψ is not finite
OUTPUT = 4  # the readout or the loss is not finite
SIGNAL = 5  # the learning signal is not finite
GRADIENT = 6  # a gradient is not finite


class Network(NamedTuple):
    """The constants of the neurons, each [n_rec] but for the last two."""

    alpha: Array  # α
    rho: Array  # ρ
    threshold: Array  # thr
    beta: Array  # β
    dampening: Array  # γ
    readout: Array  # κ and 1 − κ, [2]
    after_spike: int  # number of steps for which a neuron is silent after a spike


# ---------------------------------------------------------------------------------------------------------- forwards


@compiled
def all_finite(array: Array) -> bool:
    """Return whether no entry of a contiguous array is NaN or infinite."""
    flat = array.reshape(-1)
    fine = True
    for i in range(flat.shape[0]):
        fine &= np.isfinite(flat[i])
    return fine


@compiled
def list_spikes(spikes: Array, index: Array, start: Array) -> bool:
    """List the spikes of a block [k, neuron], from ``start[0]`` on; return whether every entry is 0 or 1."""
    fine = True
    for k in range(spikes.shape[0]):
        n = start[k]
        for i in range(spikes.shape[1]):  # without a branch, since nothing foretells which neuron fires next
            index[n] = i
            n += spikes[k, i] != 0
        start[k + 1] = n
        for s in range(start[k], n):
            fine &= spikes[k, index[s]] == 1
    return fine


@compiled
def forward(
    network: Network,
    w_in: Array,
    w_rec: Array,
    time: int,
    neurons: Array,
    free: Array,
    psi: Array,
    arrived: Array,
    arrived_start: Array,
    sent: Array,
    sent_start: Array,
) -> None:
    """Run the neurons through the block that begins at `time`; writes psi [k, n_rec] and the spikes they send.

    The state is `neurons`, with the rows v, b, v_scaled, room to add up in (two), and a last one that is 0 as long as u
    has been finite, and NaN from then on; and `free`, the first step in which each neuron may fire again.
    """
    alpha, rho, thr, beta, dampening, _, after_spike = network
    v, b, v_scaled, spoilt = neurons[0], neurons[1], neurons[2], neurons[5]
    from_inputs, from_neurons = neurons[3], neurons[4]
    n_rec = v.shape[0]
    zero, one = v.dtype.type(0), v.dtype.type(1)  # a plain 0.0 would make float64 of float32
    for k in range(psi.shape[0]):
        t = time + k
        # Summed apart, as the reference path does: a network whose traces grow would make much of a last bit of v.
        for j in range(n_rec):
            from_inputs[j] = 0
            from_neurons[j] = 0
        for s in range(arrived_start[k], arrived_start[k + 1]):
            i = arrived[s]
            for j in range(n_rec):
                from_inputs[j] += w_in[i, j]
        for s in range(sent_start[k], sent_start[k + 1]):
            i = sent[s]
            before = from_neurons[i]
            for j in range(n_rec):
                from_neurons[j] += w_rec[i, j]
            from_neurons[i] = before  # no synapse onto itself
        for j in range(n_rec):
            v[j] = alpha[j] * v[j] + (from_inputs[j] + from_neurons[j])
        for j in range(n_rec):
            b[j] = rho[j] * b[j]
        for s in range(sent_start[k], sent_start[k + 1]):
            i = sent[s]
            v[i] -= thr[i]
            b[i] += one
        for j in range(n_rec):
            v_scaled[j] = (v[j] - thr[j] - beta[j] * b[j]) / thr[j]
            spoilt[j] += v_scaled[j] * zero
        for j in range(n_rec):
            height = one - abs(v_scaled[j])
            height = zero if height < zero else height  # asked like this, NaN stays NaN and is found
            psi[k, j] = dampening[j] * height / thr[j] if free[j] <= t else zero

        above = sent_start[k + 1]
        for j in range(n_rec):
            sent[above] = j
            above += v_scaled[j] > zero
        n = sent_start[k + 1]
        for s in range(n, above):  # of those above threshold, the ones that are not refractory
            j = sent[s]
            sent[n] = j
            n += free[j] <= t
        sent_start[k + 2] = n
        for s in range(sent_start[k + 1], n):
            free[sent[s]] = t + 1 + after_spike


@compiled
def fault_of(neurons: Array) -> int:
    """Return what has gone wrong in the steps so far; 0 if nothing."""
    if not all_finite(neurons[0]):
        return VOLTAGE
    return 0 if all_finite(neurons[5]) else PSI


@compiled
def carry_spikes(n_steps: int, sent: Array, sent_start: Array) -> None:
    """Make the spikes of the last step of a block those that arrive in the first step of the next."""
    n = 0
    for s in range(sent_start[n_steps], sent_start[n_steps + 1]):
        sent[n] = sent[s]
        n += 1
    sent_start[0], sent_start[1] = 0, n


@compiled
def read(network: Network, w_out: Array, y: Array, sent: Array, sent_start: Array, output: Array) -> None:
    """Run the readout, whose state is y [n_out], through a block; writes the output [k, n_out]."""
    keep, take = network.readout
    n_out = y.shape[0]
    for k in range(output.shape[0]):
        for m in range(n_out):
            y[m] *= keep
        for s in range(sent_start[k + 1], sent_start[k + 2]):
            i = sent[s]
            for m in range(n_out):
                y[m] += take * w_out[i, m]
        for m in range(n_out):
            output[k, m] = y[m]


@compiled
def subtract(targets: Array, output: Array) -> float:
    """Turn the output [k, n_out] into the error y − y*, in place; return half the sum of its squares."""
    loss = 0.0
    for k in range(output.shape[0]):
        for m in range(output.shape[1]):
            output[k, m] -= targets[k, m]
            loss += 0.5 * output[k, m] * output[k, m]
    return loss


# --------------------------------------------------------------------------------------------------------- backwards


@compiled
def reach(network: Network, late: Array, error: Array) -> None:
    """Turn dE/dy of a block into (1 − κ) Σ κ^(k' − k) dE/dy(k'), in place: a spike reaches every later output.

    `late` [n_out], that sum, is carried along, against the time.
    """
    keep, take = network.readout
    for k in range(error.shape[0] - 1, -1, -1):
        for m in range(late.shape[0]):
            late[m] = keep * late[m] + take * error[k, m]
            error[k, m] = late[m]


@compiled
def broadcast(feedback: Array, error: Array, signal: Array) -> None:
    """Write the signal Σ_m B_jm error_m of a block [k, n_rec]; `feedback` is B transposed, [n_out, n_rec]."""
    for k in range(error.shape[0]):
        signal[k] = 0
        for m in range(error.shape[1]):
            e = error[k, m]
            for j in range(signal.shape[1]):
                signal[k, j] += feedback[m, j] * e


class Adjoint(NamedTuple):
    """What the closed form finds in a block: how much of something one is owed to what arrives at each neuron."""

    rows: Array  # d(k), by a spike that arrives in step k, [k, n_rec]
    d: Array  # the same in the first step; before the call, in the step after the block [n_rec]
    q: Array  # by the adaptation at the beginning of the block; before the call, at its end [n_rec]
    c: Array  # room for the closed form [n_rec]


@compiled
def new_adjoint(n_rec: int, like: Array) -> Adjoint:
    """Make room for a block, with zeros after it."""
    vectors = np.zeros((3, n_rec), like.dtype)
    return Adjoint(np.empty((BLOCK, n_rec), like.dtype), vectors[0], vectors[1], vectors[2])


@compiled
def closed_form(network: Network, psi: Array, signal: Array, adjoint: Adjoint) -> None:
    """Run the closed form backwards through a block, for a learning signal [k, n_rec]."""
    alpha, rho, beta = network.alpha, network.rho, network.beta
    rows, d, q, c = adjoint
    for k in range(psi.shape[0] - 1, -1, -1):
        for j in range(q.shape[0]):
            c[j] = psi[k, j] * (signal[k, j] + q[j])
        for j in range(q.shape[0]):
            q[j] = rho[j] * q[j] - beta[j] * c[j]
        for j in range(q.shape[0]):
            d[j] = alpha[j] * d[j] + c[j]
            rows[k, j] = d[j]


@compiled
def full_adjoint(network: Network, to_senders: Array, psi: Array, signal: Array, adjoint: Adjoint) -> None:
    """Do the same along all ways: BPTT, in which each spike also answers for what it does to the next step.

    What a step owes its spikes is the learning signal of the closed form, found on the way: the signal that is given,
    here the direct one, and by the later step Σ_j W_ij d_j through the synapses, −thr_i d_i through the reset.
    `to_senders` is W^rec transposed, [post, pre], zero on the diagonal.
    """
    alpha, rho, beta, thr = network.alpha, network.rho, network.beta, network.threshold
    rows, d, q, c = adjoint
    n_rec = q.shape[0]
    for k in range(psi.shape[0] - 1, -1, -1):
        for i in range(n_rec):
            c[i] = signal[k, i] - thr[i] * d[i]
        for j in range(n_rec):
            owed = d[j]
            if owed != 0:
                for i in range(n_rec):
                    c[i] += to_senders[j, i] * owed
        for j in range(q.shape[0]):
            c[j] = psi[k, j] * (c[j] + q[j])
        for j in range(q.shape[0]):
            q[j] = rho[j] * q[j] - beta[j] * c[j]
        for j in range(n_rec):
            d[j] = alpha[j] * d[j] + c[j]
            rows[k, j] = d[j]


@compiled
def blame(psi: Array, signal: Array) -> int:
    """Return what has made the adjoint d of a block infinite or NaN; 0 if it has grown so by itself.

    That harms the gradient only if a spike arrives then.
    """
    if not all_finite(psi):
        return PSI
    return 0 if all_finite(signal) else SIGNAL


@compiled
def scatter(rows: Array, n_steps: int, index: Array, start: Array, total: Array) -> None:
    """Add Σ_k pre_i(k) row(k) to `total` [pre, ...]: for each spike, the row of its step."""
    for k in range(n_steps):
        for s in range(start[k], start[k + 1]):
            i = index[s]
            for j in range(total.shape[1]):
                total[i, j] += rows[k, j]


@compiled
def no_self_connections(w_rec: Array) -> None:
    """Set the diagonal to zero: no neuron has a synapse onto itself."""
    for i in range(w_rec.shape[0]):
        w_rec[i, i] = 0


# -------------------------------------------------------------------------------------- forwards, from block to block
#
# The online form keeps the eligibility vectors of all synapses, but advances them once in a block. They obey linear
# equations, so each new vector is a sum of old ones and of what has arrived, with factors that are the same for all
# synapses of a neuron. The closed form finds these factors too: asked not for the loss, but for ε_a at the end of the
# block (no learning signal, q = 1 after it), or for the low-passed trace there (the readout's filter as the signal).


class Traces(NamedTuple):
    """The eligibility vectors of the synapses from one kind of presynaptic neuron, at the end of a block."""

    eps_v: Array  # ε_v [pre, n_rec]
    eps_a: Array  # ε_a [pre, n_rec]
    mean: Array  # F_κ(e), equation (12) of the paper, without a factor 1 − κ [pre, n_rec]; no rows if it is not needed
    heard: Array  # whether the neuron has fired at all; where it has not, all of the above is zero [pre]


@compiled
def new_traces(n_pre: int, n_rec: int, mean: bool, like: Array) -> Traces:
    """Return the traces before the first step: zeros."""
    eps = np.zeros((2, n_pre, n_rec), like.dtype)
    n_mean = n_pre if mean else 0
    return Traces(eps[0], eps[1], np.zeros((n_mean, n_rec), like.dtype), np.zeros(n_pre, np.bool_))


class Factors(NamedTuple):
    """What a block makes of the traces of all the synapses of a neuron."""

    loss: Adjoint
    eps_a: Adjoint
    mean: Adjoint
    arrived_v: Array  # of a spike in step k, what is left of it in ε_v [k, n_rec]
    v: Array  # of ε_v, what is left of it [n_rec]
    mean_left: float  # the same of the low-passed trace
    mean_loss: Array  # of the low-passed trace, what it contributes to the loss [n_rec]


@compiled
def find_factors(network: Network, psi: Array, signal: Array, mean_loss: Array) -> Factors:
    """Compute the factors of a block; `mean_loss` [n_rec] is passed on."""
    n_steps, n_rec = psi.shape
    loss, eps_a, mean = new_adjoint(n_rec, psi), new_adjoint(n_rec, psi), new_adjoint(n_rec, psi)
    closed_form(network, psi, signal, loss)
    eps_a.q[:] = 1
    closed_form(network, psi, np.zeros_like(psi), eps_a)

    keep, _ = network.readout
    filtered = np.empty_like(psi)
    arrived_v, v = np.empty_like(psi), np.ones_like(network.alpha)
    mean_left = psi.dtype.type(1)
    for k in range(n_steps - 1, -1, -1):
        filtered[k] = mean_left
        mean_left *= keep
        arrived_v[k] = v
        v *= network.alpha
    closed_form(network, psi, filtered, mean)
    return Factors(loss, eps_a, mean, arrived_v, v, mean_left, mean_loss)


@compiled
def carry_traces(
    network: Network, factors: Factors, n_steps: int, index: Array, start: Array, traces: Traces, gradient: Array
) -> None:
    """Add to the gradient what spikes in a block and before it contribute there, and take the traces to its end."""
    alpha = network.alpha
    loss, of_a, of_mean, arrived_v, v_left, mean_left, mean_loss = factors
    eps_v, eps_a, mean, heard = traces
    with_mean = mean.shape[0] > 0
    for i in range(heard.shape[0]):
        if not heard[i]:
            continue
        for j in range(alpha.shape[0]):
            gradient[i, j] += eps_v[i, j] * (alpha[j] * loss.d[j]) + eps_a[i, j] * loss.q[j]
        if with_mean:
            for j in range(alpha.shape[0]):
                gradient[i, j] += mean[i, j] * mean_loss[j]
            for j in range(alpha.shape[0]):
                mean[i, j] *= mean_left
                mean[i, j] += eps_v[i, j] * (alpha[j] * of_mean.d[j]) + eps_a[i, j] * of_mean.q[j]
        for j in range(alpha.shape[0]):
            eps_a[i, j] = eps_v[i, j] * (alpha[j] * of_a.d[j]) + eps_a[i, j] * of_a.q[j]
        for j in range(alpha.shape[0]):
            eps_v[i, j] *= v_left[j]
    for s in range(start[0], start[n_steps]):
        heard[index[s]] = True
    scatter(loss.rows, n_steps, index, start, gradient)
    scatter(arrived_v, n_steps, index, start, eps_v)
    scatter(of_a.rows, n_steps, index, start, eps_a)
    if with_mean:
        scatter(of_mean.rows, n_steps, index, start, mean)


@compiled
def carry_readout(
    network: Network,
    reached: Array,
    late: Array,
    sent: Array,
    sent_start: Array,
    low_passed: Array,
    gradient: Array,
) -> None:
    """Do the same for the readout, whose traces are the spikes, F_κ(z) = `low_passed` [n_rec]."""
    keep, _ = network.readout
    for i in range(low_passed.shape[0]):
        for m in range(late.shape[0]):
            gradient[i, m] += low_passed[i] * late[m]
    scatter(reached, reached.shape[0], sent, sent_start[1:], gradient)
    for k in range(reached.shape[0]):
        low_passed *= keep
        for s in range(sent_start[k + 1], sent_start[k + 2]):
            low_passed[sent[s]] += 1


# ------------------------------------------------------------------------------------------------------ whole trials


@compiled
def new_events(n_steps: int, width: int) -> tuple[Array, Array]:
    """Make room for the spikes of `width` neurons in a block; the list is empty."""
    return np.empty(n_steps * width + 1, np.int32), np.zeros(n_steps + 1, np.int64)


@compiled
def new_network(constants: Array, filters: Array, after_spike: int) -> Network:
    """Take apart what is quicker to pass as one array, [5, n_rec]."""
    return Network(constants[0], constants[1], constants[2], constants[3], constants[4], filters, after_spike)


@compiled
def run_trials(
    constants: Array,
    filters: Array,
    after_spike: int,
    w_in: Array,
    w_rec: Array,
    inputs: Array,
    first: int,
    last: int,
    recorded: Array,
    faults: Array,
) -> bool:
    """Simulate trials; writes z, v, b, v_scaled and psi to recorded [5, batch, time, n_rec]."""
    network = new_network(constants, filters, after_spike)
    n_steps, n_in = inputs.shape[1:]
    n_rec = w_rec.shape[0]
    arrived, arrived_start = new_events(1, n_in)
    sent, sent_start = new_events(2, n_rec)
    psi = np.empty((1, n_rec), w_rec.dtype)
    for trial in range(first, last):
        neurons, free = np.zeros((6, n_rec), w_rec.dtype), np.zeros(n_rec, np.int64)
        sent_start[:] = 0
        for t in range(n_steps):
            if not list_spikes(inputs[trial, t : t + 1], arrived, arrived_start):
                faults[trial] = GIVEN
            forward(network, w_in, w_rec, t, neurons, free, psi, arrived, arrived_start, sent, sent_start)
            carry_spikes(1, sent, sent_start)
            for j in range(n_rec):
                recorded[0, trial, t, j] = 0
            for s in range(sent_start[1]):
                recorded[0, trial, t, sent[s]] = 1
            for m in range(3):
                for j in range(n_rec):
                    recorded[1 + m, trial, t, j] = neurons[m, j]
            for j in range(n_rec):
                recorded[4, trial, t, j] = psi[0, j]
        if faults[trial] == 0:
            faults[trial] = fault_of(neurons)
        if faults[trial] == 0 and not all_finite(recorded[4, trial]):
            faults[trial] = PSI
    return not np.any(faults[first:last])


@compiled
def learn_closed_form(
    constants: Array,
    filters: Array,
    after_spike: int,
    w_in: Array,
    w_rec: Array,
    w_out: Array,
    feedback: Array,
    inputs: Array,
    targets: Array,
    first: int,
    last: int,
    loss: Array,
    spike_counts: Array,
    g_in: Array,
    g_rec: Array,
    g_out: Array,
    faults: Array,
) -> bool:
    """Run trials and add their gradients. With the time grow psi, the error and the lists of spikes of one trial."""
    network = new_network(constants, filters, after_spike)
    n_steps, n_in = inputs.shape[1:]
    n_rec, n_out = w_out.shape
    arrived, arrived_start = new_events(n_steps, n_in)
    sent, sent_start = new_events(n_steps + 1, n_rec)
    psi, error = np.empty((n_steps, n_rec), w_out.dtype), np.empty((n_steps, n_out), w_out.dtype)
    signal = np.empty((BLOCK, n_rec), w_out.dtype)
    if not (all_finite(w_in) and all_finite(w_rec) and all_finite(w_out) and all_finite(feedback)):
        faults[first:last] = GIVEN
        return False
    for trial in range(first, last):
        group = ((trial + 1) * len(g_in) - 1) // len(inputs)
        neurons, free = np.zeros((6, n_rec), w_out.dtype), np.zeros(n_rec, np.int64)
        if not list_spikes(inputs[trial], arrived, arrived_start):
            faults[trial] = GIVEN
            continue
        forward(network, w_in, w_rec, 0, neurons, free, psi, arrived, arrived_start, sent, sent_start)
        faults[trial] = fault_of(neurons)
        if faults[trial]:
            continue
        read(network, w_out, np.zeros(n_out, w_out.dtype), sent, sent_start, error)
        loss[trial] = subtract(targets[trial], error)
        if not np.isfinite(loss[trial]):
            faults[trial] = OUTPUT
            continue
        for s in range(sent_start[n_steps + 1]):
            spike_counts[trial, sent[s]] += 1

        reach(network, np.zeros(n_out, w_out.dtype), error)
        scatter(error, n_steps, sent, sent_start[1:], g_out[group])
        adjoint = new_adjoint(n_rec, psi)
        for begin in range((n_steps - 1) // BLOCK * BLOCK, -1, -BLOCK):
            end = min(begin + BLOCK, n_steps)
            broadcast(feedback, error[begin:end], signal)
            closed_form(network, psi[begin:end], signal, adjoint)
            if not all_finite(adjoint.d):
                faults[trial] = blame(psi[begin:end], signal[: end - begin])
                if faults[trial]:
                    break
            scatter(adjoint.rows, end - begin, arrived, arrived_start[begin:], g_in[group])
            scatter(adjoint.rows, end - begin, sent, sent_start[begin:], g_rec[group])
        no_self_connections(g_rec[group])
    return not np.any(faults[first:last])


@compiled
def learn_online(
    constants: Array,
    filters: Array,
    after_spike: int,
    w_in: Array,
    w_rec: Array,
    w_out: Array,
    feedback: Array,
    inputs: Array,
    targets: Array,
    first: int,
    last: int,
    loss: Array,
    spike_counts: Array,
    g_in: Array,
    g_rec: Array,
    g_out: Array,
    faults: Array,
) -> bool:
    """Do the same from the first block to the last, in memory that does not grow with the time."""
    network = new_network(constants, filters, after_spike)
    n_steps, n_in = inputs.shape[1:]
    n_rec, n_out = w_out.shape
    keep, _ = network.readout
    arrived, arrived_start = new_events(BLOCK, n_in)
    sent, sent_start = new_events(BLOCK + 1, n_rec)
    psi, signal = np.empty((BLOCK, n_rec), w_out.dtype), np.empty((BLOCK, n_rec), w_out.dtype)
    error, mean_loss = np.empty((BLOCK, n_out), w_out.dtype), np.empty((1, n_rec), w_out.dtype)
    if not (all_finite(w_in) and all_finite(w_rec) and all_finite(w_out) and all_finite(feedback)):
        faults[first:last] = GIVEN
        return False
    for trial in range(first, last):
        group = ((trial + 1) * len(g_in) - 1) // len(inputs)
        neurons, free = np.zeros((6, n_rec), w_out.dtype), np.zeros(n_rec, np.int64)
        y, low_passed = np.zeros(n_out, w_out.dtype), np.zeros(n_rec, w_out.dtype)
        from_inputs, from_neurons = new_traces(n_in, n_rec, True, w_out), new_traces(n_rec, n_rec, True, w_out)
        sent_start[:] = 0
        loss[trial] = 0
        for begin in range(0, n_steps, BLOCK):
            end = min(begin + BLOCK, n_steps)
            n = end - begin
            if not list_spikes(inputs[trial, begin:end], arrived, arrived_start):
                faults[trial] = GIVEN
                break
            forward(network, w_in, w_rec, begin, neurons, free, psi[:n], arrived, arrived_start, sent, sent_start)
            faults[trial] = fault_of(neurons)
            if faults[trial]:
                break
            read(network, w_out, y, sent, sent_start, error[:n])
            loss[trial] += subtract(targets[trial, begin:end], error[:n])
            if not np.isfinite(loss[trial]):
                faults[trial] = OUTPUT
                break
            for s in range(sent_start[1], sent_start[n + 1]):
                spike_counts[trial, sent[s]] += 1

            late = np.zeros((1, n_out), w_out.dtype)
            reach(network, late[0], error[:n])
            late *= keep  # what is heard in this block of the low-passed traces from before it
            carry_readout(network, error[:n], late[0], sent, sent_start, low_passed, g_out[group])

            broadcast(feedback, error[:n], signal)
            broadcast(feedback, late, mean_loss)
            factors = find_factors(network, psi[:n], signal, mean_loss[0])
            if not all_finite(factors.loss.d):
                faults[trial] = blame(psi[:n], signal[:n])
                if faults[trial]:
                    break
            carry_traces(network, factors, n, arrived, arrived_start, from_inputs, g_in[group])
            carry_traces(network, factors, n, sent, sent_start, from_neurons, g_rec[group])
            carry_spikes(n, sent, sent_start)
        no_self_connections(g_rec[group])
    return not np.any(faults[first:last])


@compiled
def run_forward(
    constants: Array,
    filters: Array,
    after_spike: int,
    w_in: Array,
    w_rec: Array,
    w_out: Array,
    inputs: Array,
    first: int,
    last: int,
    z: Array,
    psi: Array,
    output: Array,
    spike_counts: Array,
    faults: Array,
) -> bool:
    """Simulate trials and keep what learning needs; `z` and `spike_counts` are 0 before."""
    network = new_network(constants, filters, after_spike)
    n_steps, n_in = inputs.shape[1:]
    n_rec, n_out = w_out.shape
    arrived, arrived_start = new_events(n_steps, n_in)
    sent, sent_start = new_events(n_steps + 1, n_rec)
    for trial in range(first, last):
        neurons, free = np.zeros((6, n_rec), w_out.dtype), np.zeros(n_rec, np.int64)
        if not list_spikes(inputs[trial], arrived, arrived_start):
            faults[trial] = GIVEN
            continue
        forward(network, w_in, w_rec, 0, neurons, free, psi[trial], arrived, arrived_start, sent, sent_start)
        faults[trial] = fault_of(neurons)
        if faults[trial]:
            continue
        y = np.zeros(n_out, w_out.dtype)
        read(network, w_out, y, sent, sent_start, output[trial])
        if not all_finite(y):
            faults[trial] = OUTPUT
        for k in range(n_steps):
            for s in range(sent_start[k + 1], sent_start[k + 2]):
                z[trial, k, sent[s]] = 1
                spike_counts[trial, sent[s]] += 1
    return not np.any(faults[first:last])


@compiled
def run_backward(
    constants: Array,
    filters: Array,
    after_spike: int,
    to_senders: Array,
    feedback: Array,
    inputs: Array,
    z: Array,
    psi: Array,
    error: Array,
    signal: Array,
    first: int,
    last: int,
    g_in: Array,
    g_rec: Array,
    g_out: Array,
    faults: Array,
) -> bool:
    """Add the gradients of trials that have been simulated.

    The learning signal is the sum of what `feedback` [n_out, n_rec] makes of dE/dy, `error` [batch, time, n_out], and
    of `signal` [batch, time, n_rec]; each of the two may be empty, with a last axis of length 0. If `to_senders` (see
    `full_adjoint`) has rows, it is the direct part only, and the gradient is that of BPTT.
    """
    network = new_network(constants, filters, after_spike)
    n_steps, n_rec = psi.shape[1:]
    n_out = error.shape[2]
    arrived, arrived_start = new_events(n_steps, inputs.shape[2])
    sent, sent_start = new_events(n_steps + 1, n_rec)
    reached, block = np.empty((n_steps, n_out), psi.dtype), np.zeros((BLOCK, n_rec), psi.dtype)
    for trial in range(first, last):
        group = ((trial + 1) * len(g_in) - 1) // len(inputs)
        fine = all_finite(psi[trial]) and all_finite(error[trial]) and all_finite(signal[trial])
        fine &= list_spikes(inputs[trial], arrived, arrived_start)
        fine &= list_spikes(z[trial], sent, sent_start[1:])
        if not fine:
            faults[trial] = GIVEN
            continue
        if n_out > 0:
            reached[:] = error[trial]
            reach(network, np.zeros(n_out, psi.dtype), reached)
            scatter(reached, n_steps, sent, sent_start[1:], g_out[group])
        adjoint = new_adjoint(n_rec, psi)
        for begin in range((n_steps - 1) // BLOCK * BLOCK, -1, -BLOCK):
            end = min(begin + BLOCK, n_steps)
            if n_out > 0:
                broadcast(feedback, reached[begin:end], block)
            if signal.shape[2] > 0:
                if n_out == 0:
                    block[:] = 0
                block[: end - begin] += signal[trial, begin:end]
            if to_senders.shape[0] > 0:
                full_adjoint(network, to_senders, psi[trial, begin:end], block, adjoint)
            else:
                closed_form(network, psi[trial, begin:end], block, adjoint)
            scatter(adjoint.rows, end - begin, arrived, arrived_start[begin:], g_in[group])
            scatter(adjoint.rows, end - begin, sent, sent_start[begin:], g_rec[group])
        no_self_connections(g_rec[group])
    return not np.any(faults[first:last])


@compiled
def sum_online(
    constants: Array,
    filters: Array,
    after_spike: int,
    inputs: Array,
    z: Array,
    psi: Array,
    signal: Array,
    first: int,
    last: int,
    g_in: Array,
    g_rec: Array,
    faults: Array,
) -> bool:
    """Do the same from the first block to the last, in memory that does not grow with the time."""
    network = new_network(constants, filters, after_spike)
    n_steps, n_rec = psi.shape[1:]
    arrived, arrived_start = new_events(BLOCK, inputs.shape[2])
    sent, sent_start = new_events(BLOCK + 1, n_rec)
    for trial in range(first, last):
        group = ((trial + 1) * len(g_in) - 1) // len(inputs)
        if not (all_finite(psi[trial]) and all_finite(signal[trial])):
            faults[trial] = GIVEN
            continue
        from_inputs, from_neurons = new_traces(inputs.shape[2], n_rec, False, psi), new_traces(n_rec, n_rec, False, psi)
        sent_start[:] = 0
        for begin in range(0, n_steps, BLOCK):
            end = min(begin + BLOCK, n_steps)
            fine = list_spikes(inputs[trial, begin:end], arrived, arrived_start)
            fine &= list_spikes(z[trial, begin:end], sent, sent_start[1:])
            if not fine:
                faults[trial] = GIVEN
                break
            factors = find_factors(network, psi[trial, begin:end], signal[trial, begin:end], network.alpha)
            carry_traces(network, factors, end - begin, arrived, arrived_start, from_inputs, g_in[group])
            carry_traces(network, factors, end - begin, sent, sent_start, from_neurons, g_rec[group])
            carry_spikes(end - begin, sent, sent_start)
        no_self_connections(g_rec[group])
    return not np.any(faults[first:last])


@compiled
def read_trials(
    constants: Array,
    filters: Array,
    after_spike: int,
    w_out: Array,
    z: Array,
    first: int,
    last: int,
    output: Array,
    faults: Array,
) -> bool:
    """Run the readout over trials that have been simulated; writes the output [batch, time, n_out]."""
    network = new_network(constants, filters, after_spike)
    sent, sent_start = new_events(z.shape[1] + 1, z.shape[2])
    for trial in range(first, last):
        if not list_spikes(z[trial], sent, sent_start[1:]):
            faults[trial] = GIVEN
            continue
        y = np.zeros(w_out.shape[1], w_out.dtype)
        read(network, w_out, y, sent, sent_start, output[trial])
        if not all_finite(y):  # it stays so, as a voltage does
            faults[trial] = OUTPUT
    return not np.any(faults[first:last])


@compiled
def sum_readout(
    constants: Array,
    filters: Array,
    after_spike: int,
    z: Array,
    error: Array,
    first: int,
    last: int,
    g_out: Array,
    faults: Array,
) -> bool:
    """Add the readout's gradient of trials that have been simulated, for any dE/dy [batch, time, n_out]."""
    network = new_network(constants, filters, after_spike)
    sent, sent_start = new_events(z.shape[1] + 1, z.shape[2])
    for trial in range(first, last):
        if not (list_spikes(z[trial], sent, sent_start[1:]) and all_finite(error[trial])):
            faults[trial] = GIVEN
            continue
        group = ((trial + 1) * len(g_out) - 1) // len(z)
        reached = error[trial].copy()
        reach(network, np.zeros(error.shape[2], error.dtype), reached)
        scatter(reached, z.shape[1], sent, sent_start[1:], g_out[group])
    return not np.any(faults[first:last])
