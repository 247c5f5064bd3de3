"""Both gradients once more, in numbers of as many digits as one likes.

Is a difference rounding, or a mistake? Rounding errors fall as digits are added, and mistakes do not. Nothing here is
shared with the package but the definition of the model: loops over arrays of mpmath's numbers, with every constant
computed anew from the parameters. It is slow: some 0.1 s for ten neurons and sixty steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprop_nb import _checks
from eprop_nb.evidence import _arrays
from eprop_nb.parameters import Parameters

Array = NDArray[Any]  # of mpmath's numbers, which NumPy adds and multiplies as objects


class Problem(NamedTuple):
    """A trial as plain arrays, and the loss that judges it."""

    parameters: Parameters
    w_in: ArrayLike  #: [n_in, n_rec]
    w_rec: ArrayLike  #: [n_rec, n_rec]
    w_out: ArrayLike  #: [n_rec, n_out]
    inputs: ArrayLike  #: spikes, [batch, time, n_in]
    targets: ArrayLike | None  #: of the regression, [batch, time, n_out]; None leaves this loss out of the sum
    labels: ArrayLike | None  #: right classes of the cross-entropy, [batch]; None leaves it out
    rate: float | None  #: target of the rate loss, in Hz; None leaves it out


class MatrixGradients(NamedTuple):
    """A gradient, by matrix [pre, post]."""

    w_in: Array
    w_rec: Array
    w_out: Array


class Solution(NamedTuple):
    """The spikes of a trial, and the gradient by two ways."""

    z: NDArray[np.int_]  #: [batch, time, n_rec]
    bptt: MatrixGradients  #: adjoints of every variable, last step first
    eprop: MatrixGradients  #: Σ_t L(t) e(t), traces first step first; L is BPTT's adjoint of the sent spike


class _Constants(NamedTuple):
    alpha: Array  # α, ρ, v_th and β, each [n_rec]
    rho: Array
    thr: Array
    beta: Array
    kappa: Any
    gamma: Any
    dt: Any


def solve(problem: Problem, digits: int) -> Solution:
    """Simulate a trial and differentiate its loss by BPTT and by e-prop, all with so many decimal digits.

    Parameters
    ----------
    problem : Problem
        Its numbers are taken for exact.
    digits : int
        Decimal digits that mpmath works with; float64 has nearly 16.

    Returns
    -------
    Solution
        Spikes, and both gradients, of mpmath's numbers.

    Raises
    ------
    TypeError, ValueError
        If `problem` is none, an array of it holds no finite numbers or has the wrong shape, `labels` or `rate` are out
        of range, or `digits` is no whole number of at least 1.

    Notes
    -----
    Bellec et al. (2020), equations (3), (6) to (11), (24) and (25), and ψ of Methods, "Gradient descent for RSNNs".
    e-prop is evaluated by its traces: its closed form would be line by line what BPTT does.
    """
    problem, digits = _checked(problem), _checks.whole("digits", digits, least=1)
    with mpmath.workdps(digits):
        x = np.asarray(problem.inputs).astype(int)
        w_in, w_rec, w_out = (_numbers(w) for w in (problem.w_in, problem.w_rec, problem.w_out))
        np.fill_diagonal(w_rec, _ZERO)
        constants = _constants(problem.parameters)
        z, psi = _simulate(problem.parameters, constants, w_in, w_rec, x)
        direct, g_out = _loss_by_spike(problem, constants, w_out, z)
        # what arrives at the synapses, of inputs and neurons: [batch, time, n_in + n_rec]
        pre = np.concatenate((x, np.concatenate((np.zeros_like(z[:, :1]), z[:, :-1]), axis=1)), axis=2)
        bptt, signal = _bptt(constants, w_rec, psi, direct, pre)
        both = (bptt, _eprop(constants, psi, signal, pre))
        n_in = x.shape[2]
        for gradient in both:
            np.fill_diagonal(gradient[n_in:], _ZERO)  # there are no self-connections
        return Solution(z, *(MatrixGradients(g[:n_in], g[n_in:], g_out) for g in both))


def largest_error(found: tuple[ArrayLike | None, ...], exact: MatrixGradients) -> float:
    """Return the largest difference in units of the largest entry of the same matrix, over all matrices.

    Parameters
    ----------
    found : tuple of array_like or None
        `w_in`, `w_rec` and `w_out`, of floats or of mpmath's numbers; None for a matrix that is not there.
    exact : MatrixGradients
        What they are held against. Where a matrix is zero, `found` must be zero too.

    Returns
    -------
    float
        Infinite where a matrix should be zero and is not.
    """
    worst = 0.0
    with mpmath.workdps(100):  # so that the comparison adds nothing
        for ours, theirs in zip(found, exact, strict=True):
            if ours is None:
                continue
            difference, scale = np.abs(_numbers(ours) - theirs).max(), np.abs(theirs).max()
            if difference > 0:
                worst = max(worst, float(difference / scale) if scale > 0 else np.inf)
    return worst


def _checked(problem: Problem) -> Problem:
    _checks.instance("problem", problem, Problem)
    _checks.instance("problem.parameters", problem.parameters, Parameters)
    p = problem.parameters
    x = _arrays.spikes("inputs", problem.inputs, (None, p.n_steps, p.n_in), "[batch, time, n_in]")
    targets, labels, rate = problem.targets, problem.labels, problem.rate
    if targets is not None:
        targets = _arrays.array("targets", targets, (len(x), p.n_steps, p.n_out), "[batch, time, n_out]")
    if labels is not None:
        labels = _arrays.array("labels", labels, (len(x),), "[batch]")
        if not np.isin(labels, np.arange(p.n_out)).all():
            raise ValueError(f"labels must be whole numbers from 0 to n_out - 1 = {p.n_out - 1}, got {labels.tolist()}")
    return Problem(
        p,
        _arrays.array("w_in", problem.w_in, (p.n_in, p.n_rec), "[n_in, n_rec]"),
        _arrays.array("w_rec", problem.w_rec, (p.n_rec, p.n_rec), "[n_rec, n_rec]"),
        _arrays.array("w_out", problem.w_out, (p.n_rec, p.n_out), "[n_rec, n_out]"),
        x,
        targets,
        labels,
        None if rate is None else _checks.real("rate", rate, zero_allowed=True),
    )


def _constants(p: Parameters) -> _Constants:
    dt = mpmath.mpf(p.dt)
    thr, tau_v, tau_a = (_numbers(np.broadcast_to(value, p.n_rec)) for value in (p.threshold, p.tau_v, p.tau_a))
    alpha, rho = (np.array([mpmath.exp(-dt / each) for each in tau]) for tau in (tau_v, tau_a))
    # one β for all is that of the ALIF neurons, which come after the LIF neurons
    beta = _numbers(p.beta if isinstance(p.beta, tuple) else [0.0] * p.n_lif + [p.beta] * p.n_alif)
    return _Constants(alpha, rho, thr, beta, mpmath.exp(-dt / mpmath.mpf(p.tau_out)), mpmath.mpf(p.dampening), dt)


def _simulate(
    p: Parameters, constants: _Constants, w_in: Array, w_rec: Array, x: NDArray[np.int_]
) -> tuple[NDArray[np.int_], Array]:
    # spikes and ψ, [batch, time, n_rec]
    alpha, rho, thr, beta, _, gamma, _ = constants
    z, psi = np.zeros((*x.shape[:2], p.n_rec), dtype=int), _zeros(*x.shape[:2], p.n_rec)
    for k in range(x.shape[0]):
        v, b, before = _zeros(p.n_rec), _zeros(p.n_rec), np.zeros(p.n_rec, dtype=int)
        for t in range(x.shape[1]):
            b = rho * b + before
            v = alpha * v + x[k, t] @ w_in + before @ w_rec - thr * before
            u = (v - thr - beta * b) / thr
            for j in range(p.n_rec):
                if not z[k, max(t - p.n_ref + 1, 0) : t, j].any():  # no spike in the n_ref − 1 steps before
                    z[k, t, j] = u[j] > 0
                    psi[k, t, j] = gamma / thr[j] * max(_ZERO, 1 - abs(u[j]))
            before = z[k, t]
    return z, psi


def _loss_by_spike(problem: Problem, constants: _Constants, w_out: Array, z: NDArray[np.int_]) -> tuple[Array, Array]:
    # what the loss itself says of each spike, [batch, time, n_rec], and its gradient by the readout's weights
    (batch, n_steps, n_rec), n_out, kappa = z.shape, w_out.shape[1], constants.kappa
    bar, y, by_y = _zeros(batch, n_steps, n_rec), _zeros(batch, n_steps, n_out), _zeros(batch, n_steps, n_out)
    for t in range(n_steps):
        bar[:, t] = (1 - kappa) * z[:, t] + kappa * (bar[:, t - 1] if t > 0 else _ZERO)
        y[:, t] = bar[:, t] @ w_out
    if problem.targets is not None:  # the mean of (y − y*)²
        by_y += 2 * (y - _numbers(problem.targets)) / mpmath.mpf(y.size)
    if problem.labels is not None:  # −log softmax at the last step, the mean over trials
        for k, label in enumerate(np.asarray(problem.labels)):
            weight = np.array([mpmath.exp(each) for each in y[k, -1]])
            by_y[k, -1] += (weight / weight.sum() - (np.arange(n_out) == label).astype(int)) / mpmath.mpf(batch)
    direct, g_out, later = _zeros(batch, n_steps, n_rec), _zeros(n_rec, n_out), _zeros(batch, n_out)
    for t in reversed(range(n_steps)):
        later = kappa * later + (1 - kappa) * by_y[:, t]
        direct[:, t] = later @ w_out.T
        g_out += bar[:, t].T @ by_y[:, t]
    if problem.rate is not None:  # ½ Σ_j (f_j − f*)², rates per ms
        time = batch * n_steps * constants.dt
        direct += (z.sum(axis=(0, 1)) / time - mpmath.mpf(problem.rate) / 1000) / time
    return direct, g_out


def _bptt(constants: _Constants, w_rec: Array, psi: Array, direct: Array, pre: NDArray[np.int_]) -> tuple[Array, Array]:
    # the gradient [pre, post], and the adjoint of the sent spikes [batch, time, n_rec]
    alpha, rho, thr, beta, _, _, _ = constants
    gradient, signal = _zeros(pre.shape[2], psi.shape[2]), _zeros(*psi.shape)
    for k in range(psi.shape[0]):
        g_v, g_b = _zeros(psi.shape[2]), _zeros(psi.shape[2])  # adjoints of v and b at t + 1
        for t in reversed(range(psi.shape[1])):
            signal[k, t] = direct[k, t] + w_rec @ g_v - thr * g_v  # readout, other neurons, own reset
            by_u = psi[k, t] * (signal[k, t] + g_b)  # and own adaptation
            g_v, g_b = alpha * g_v + by_u, rho * g_b - beta * by_u
            gradient += pre[k, t][:, None] * g_v
    return gradient, signal


def _eprop(constants: _Constants, psi: Array, signal: Array, pre: NDArray[np.int_]) -> Array:
    alpha, rho, _, beta, _, _, _ = constants
    gradient = _zeros(pre.shape[2], psi.shape[2])
    for k in range(psi.shape[0]):
        eps_v, eps_a = np.zeros_like(gradient), np.zeros_like(gradient)
        for t in range(psi.shape[1]):
            eps_v = alpha * eps_v + pre[k, t][:, None]
            gradient += signal[k, t] * psi[k, t] * (eps_v - beta * eps_a)
            eps_a = psi[k, t] * eps_v + (rho - beta * psi[k, t]) * eps_a
    return gradient


_ZERO = mpmath.mpf(0)


def _numbers(values: ArrayLike) -> Array:
    numbers: Array = np.vectorize(mpmath.mpf, otypes=[object])(values)
    return numbers


def _zeros(*shape: int) -> Array:
    return np.full(shape, _ZERO, dtype=object)
