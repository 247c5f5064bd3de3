"""Other ways to the gradient, which share no code with the package: NumPy, loops and the chain rule by hand.

They are slow and plain. What they have in common with the rest is the definition of the model, and nothing else.
Their arguments are NumPy arrays, or what NumPy makes one of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eprop_nb import _checks
from eprop_nb.evidence import _arrays
from eprop_nb.evidence._arrays import Array
from eprop_nb.parameters import Parameters


class Trial(NamedTuple):
    """A trial as NumPy arrays [batch, time, n_rec]."""

    z: Array  #: spikes
    v: Array  #: membrane voltage
    b: Array  #: threshold adaptation
    psi: Array  #: pseudo-derivative


class HandGradients(NamedTuple):
    """Gradients [pre, post] and, where the method has one, the learning signal [batch, time, n_rec]."""

    w_in: Array
    w_rec: Array
    signal: Array | None = None


def simulate(parameters: Parameters, w_in: ArrayLike, w_rec: ArrayLike, inputs: ArrayLike) -> Trial:
    """Simulate trial by trial and step by step in NumPy.

    Parameters
    ----------
    parameters : Parameters
        The network.
    w_in, w_rec : array_like
        Weights [n_in, n_rec] and [n_rec, n_rec].
    inputs : array_like
        Input spikes, [batch, time, n_in].

    Returns
    -------
    Trial
        Arrays [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or an array holds no finite numbers, has the wrong shape, or `inputs` are no spikes.

    Notes
    -----
    Bellec et al. (2020), Methods, "LIF neurons" and "LSNNs", equations (6) to (10). A neuron is refractory as long as
    one of its last ``n_ref - 1`` steps has a spike, which is looked up here and not counted down.
    """
    _checks.instance("parameters", parameters, Parameters)
    w_in = _arrays.array("w_in", w_in, (parameters.n_in, parameters.n_rec), "[n_in, n_rec]")
    w_rec, x = _recurrent(parameters, w_rec), _inputs(parameters, inputs, None)
    alpha, rho, thr, beta = _constants(parameters)
    shape = (x.shape[0], parameters.n_steps, parameters.n_rec)
    z, v, b, psi = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for k in range(shape[0]):
        for t in range(shape[1]):
            v[k, t] = x[k, t] @ w_in
            if t > 0:
                v[k, t] += alpha * v[k, t - 1] + z[k, t - 1] @ w_rec - thr * z[k, t - 1]
                b[k, t] = rho * b[k, t - 1] + z[k, t - 1]
            u = (v[k, t] - thr - beta * b[k, t]) / thr
            free = ~z[k, max(t - parameters.n_ref + 1, 0) : t].any(axis=0)
            z[k, t] = free & (u > 0)
            psi[k, t] = free * parameters.dampening / thr * np.maximum(0, 1 - np.abs(u))
    return Trial(z, v, b, psi)


def regression_derivative(parameters: Parameters, w_out: ArrayLike, z: ArrayLike, targets: ArrayLike) -> Array:
    """Return the partial derivative of the regression loss with respect to each spike, through the readout alone.

    ∂E/∂z_j(t) = 2/n Σ_{t' ≥ t} (1 − κ) κ^(t'−t) Σ_k (y_k(t') − y*_k(t')) W^out_jk, where n is the number of terms
    of the mean.

    Parameters
    ----------
    parameters : Parameters
        The network.
    w_out : array_like
        Readout weights [n_rec, n_out].
    z : array_like
        Spikes [batch, time, n_rec].
    targets : array_like
        What the readout should give, y*, [batch, time, n_out].

    Returns
    -------
    Array
        [batch, time, n_rec]

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or an array holds no finite numbers or has the wrong shape.

    Notes
    -----
    Bellec et al. (2020), supplement, equation (14), for the mean of squares in place of half the sum.
    """
    _checks.instance("parameters", parameters, Parameters)
    p = parameters
    w_out = _arrays.array("w_out", w_out, (p.n_rec, p.n_out), "[n_rec, n_out]")
    z = _arrays.spikes("z", z, (None, p.n_steps, p.n_rec), "[batch, time, n_rec]")
    target = _arrays.array("targets", targets, (z.shape[0], p.n_steps, p.n_out), "[batch, time, n_out]")
    steps, kappa = np.arange(z.shape[1]), np.exp(-parameters.dt / parameters.tau_out)
    age = steps[:, None] - steps[None, :]
    kernel = np.where(age >= 0, (1 - kappa) * kappa ** np.maximum(age, 0), 0.0)  # [t', t]
    output = np.einsum("st,btj,jk->bsk", kernel, z, w_out)
    derivative: Array = 2 / target.size * np.einsum("st,bsk,jk->btj", kernel, output - target, w_out)
    return derivative


def bptt(parameters: Parameters, trial: Trial, w_rec: ArrayLike, inputs: ArrayLike, direct: ArrayLike) -> HandGradients:
    """Backpropagate through time by hand: the adjoints of every variable of every step, last step first.

    Parameters
    ----------
    parameters : Parameters
        The network.
    trial : Trial
        What `simulate` returned.
    w_rec : array_like
        Recurrent weights [n_rec, n_rec].
    inputs : array_like
        Input spikes [batch, time, n_in].
    direct : array_like
        ∂E/∂z, what the loss itself says of each spike, [batch, time, n_rec].

    Returns
    -------
    HandGradients
        The gradients, and the adjoint of the sent spikes: the true learning signal.

    Raises
    ------
    TypeError, ValueError
        If `parameters` or `trial` are none, or an array holds no finite numbers or has the wrong shape.

    Notes
    -----
    The chain rule for equations (6) to (10) of Bellec et al. (2020), with ψ in place of the derivative of a spike.
    """
    w_rec, x, direct = _arguments(parameters, trial, w_rec, inputs, direct)
    alpha, rho, thr, beta = _constants(parameters)
    batch, n_steps, n_rec = trial.z.shape
    signal = np.zeros_like(trial.z)
    g_in, g_rec = np.zeros((x.shape[2], n_rec)), np.zeros((n_rec, n_rec))
    for k in range(batch):
        g_v, g_b = np.zeros(n_rec), np.zeros(n_rec)  # adjoints of v and b at t + 1
        for t in reversed(range(n_steps)):
            psi = trial.psi[k, t]
            g_sent = direct[k, t] + w_rec @ g_v - thr * g_v  # readout, other neurons, own reset
            g_z = g_sent + g_b  # and own adaptation
            g_v, g_b = alpha * g_v + psi * g_z, rho * g_b - beta * psi * g_z
            signal[k, t] = g_sent
            g_in += np.outer(x[k, t], g_v)
            if t > 0:
                g_rec += np.outer(trial.z[k, t - 1], g_v)
    return HandGradients(g_in, _no_diagonal(g_rec), signal)


def forward_mode(
    parameters: Parameters, trial: Trial, w_rec: ArrayLike, inputs: ArrayLike, direct: ArrayLike
) -> HandGradients:
    """Carry the derivative of every neuron by every weight forward in time, exactly: real-time recurrent learning.

    For small networks only. With n neurons there are n² weights, and a derivative of each of the n neurons by each of
    them: memory for n³ numbers. In each step every such derivative is passed on along the n synapses of its neuron,
    which makes n⁴ products. e-prop passes on only what stays in the neuron of the weight, and needs n² of both.

    Parameters
    ----------
    parameters, trial, w_rec, inputs, direct
        As of `bptt`.

    Returns
    -------
    HandGradients
        The gradients; there is no learning signal.

    Raises
    ------
    TypeError, ValueError
        As `bptt`.

    Notes
    -----
    The costs: Bellec et al. (2020), page 10.
    """
    w_rec, x, direct = _arguments(parameters, trial, w_rec, inputs, direct)
    alpha, rho, thr, beta = _constants(parameters)
    batch, n_steps, n_rec = trial.z.shape
    n_pre = x.shape[2] + n_rec
    gradient = np.zeros((n_pre, n_rec))
    own = np.eye(n_rec)  # [post, neuron]: a weight onto `post` acts on the voltage of `post` only
    for k in range(batch):
        dv, db, dz = (np.zeros((n_pre, n_rec, n_rec)) for _ in range(3))  # derivative of [neuron] by [pre, post]
        z_before = np.zeros(n_rec)
        for t in range(n_steps):
            arriving = np.concatenate((x[k, t], z_before))  # [pre]
            db = rho * db + dz
            dv = alpha * dv + arriving[:, None, None] * own + dz @ w_rec - thr * dz
            dz = trial.psi[k, t] * (dv - beta * db)
            gradient += dz @ direct[k, t]
            z_before = trial.z[k, t]
    return HandGradients(gradient[: x.shape[2]], _no_diagonal(gradient[x.shape[2] :]))


def _arguments(
    parameters: Parameters, trial: Trial, w_rec: ArrayLike, inputs: ArrayLike, direct: ArrayLike
) -> tuple[Array, Array, Array]:
    # what `bptt` and `forward_mode` are given, checked: w_rec without its diagonal, inputs, ∂E/∂z
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("trial", trial, Trial)
    axes, each = "[batch, time, n_rec]", (parameters.n_steps, parameters.n_rec)
    z = _arrays.spikes("trial.z", trial.z, (None, *each), axes)
    _arrays.array("trial.psi", trial.psi, z.shape, axes)
    direct = _arrays.array("direct", direct, z.shape, axes)
    return _recurrent(parameters, w_rec), _inputs(parameters, inputs, z.shape[0]), direct


def _recurrent(parameters: Parameters, w_rec: ArrayLike) -> Array:
    n_rec = parameters.n_rec
    return _no_diagonal(_arrays.array("w_rec", w_rec, (n_rec, n_rec), "[n_rec, n_rec]"))


def _inputs(parameters: Parameters, inputs: ArrayLike, batch: int | None) -> Array:
    shape = (batch, parameters.n_steps, parameters.n_in)
    return _arrays.spikes("inputs", inputs, shape, "[batch, time, n_in]")


def _constants(parameters: Parameters) -> tuple[Array, Array, Array, Array]:
    dt, n_rec = parameters.dt, parameters.n_rec
    tau_v, tau_a, thr = (
        np.broadcast_to(np.asarray(value, dtype=float), n_rec)
        for value in (parameters.tau_v, parameters.tau_a, parameters.threshold)
    )
    beta = np.asarray(parameters.beta, dtype=float)
    if beta.ndim == 0:
        beta = beta * (np.arange(n_rec) >= parameters.n_lif)  # the LIF neurons come first
    return np.exp(-dt / tau_v), np.exp(-dt / tau_a), thr, beta


def _no_diagonal(matrix: Array) -> Array:
    return matrix - np.diag(np.diag(matrix))
