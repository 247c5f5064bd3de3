"""What several test modules need: small trials, and the model written a second time, plainly and without autograd."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.learning import tasks

Array = NDArray[np.floating[Any]]


def says(*parts: object) -> str:
    """Return the pattern of a message that holds all these parts, in this order."""
    return ".*".join(re.escape(str(part)) for part in parts)


def array(tensor: torch.Tensor | None) -> Array:
    assert tensor is not None
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def error(found: torch.Tensor | Array | None, wanted: torch.Tensor | Array | None) -> float:
    """Return the largest difference in units of the largest entry of `wanted`, which must not be zero."""
    found, wanted = (x if isinstance(x, np.ndarray) else array(x) for x in (found, wanted))
    assert found.shape == wanted.shape
    scale = np.abs(wanted).max()
    assert scale > 0, "a comparison with zeros shows nothing"
    return float(np.abs(found - wanted).max() / scale)


class Trial(NamedTuple):
    """A simulated trial, with all that it was made of."""

    parameters: ep.Parameters
    weights: ep.Weights
    inputs: torch.Tensor
    targets: torch.Tensor
    run: ep.Simulation
    loss: torch.Tensor


def make_trial(
    parameters: ep.Parameters, *, seed: int = 0, batch: int = 1, gain: float = 0.5, dtype: torch.dtype = torch.float64
) -> Trial:
    """Simulate random trials. Their inputs excite, by `gain`: at 0.5 most neurons spike, few are far from threshold."""
    drawn = ep.random_weights(parameters, seed)
    weights = drawn._replace(w_in=gain * drawn.w_in.detach().abs()).to(dtype)
    inputs = ep.poisson_spikes(parameters, batch, seed=seed).to(dtype)
    targets = ep.random_targets(parameters, batch, seed=seed).to(dtype)
    run = ep.simulate(parameters, weights, inputs)
    return Trial(parameters, weights, inputs, targets, run, ep.regression_loss(parameters, weights, run, targets))


def small_parameters() -> ep.Parameters:
    """Return a small network in which everything happens: LIF and ALIF, strong fast adaptation, refractory steps."""
    return ep.Parameters(
        n_lif=2, n_alif=3, n_out=2, duration=25.0, tau_v=9.0, tau_a=12.0, rate_in=300.0, beta=0.4, n_ref=3
    )


def chain(
    parameters: ep.Parameters, to_first: float, onwards: float, spikes: list[float], *, onto_itself: float = 0.0
) -> tuple[ep.Weights, ep.Simulation]:
    """Simulate one input that drives neuron 0, which drives neuron 1, and so on."""
    n = parameters.n_rec
    w_in = torch.zeros(1, n, dtype=torch.float64)
    w_in[0, 0] = to_first
    w_rec = torch.diag(torch.full((n - 1,), onwards, dtype=torch.float64), 1) if n > 1 else torch.zeros(1, 1).double()
    w_rec += onto_itself * torch.eye(n, dtype=torch.float64)
    w_out = torch.ones(n, parameters.n_out, dtype=torch.float64)
    weights = ep.Weights(*(w.requires_grad_() for w in (w_in, w_rec, w_out)))
    inputs = torch.tensor(spikes, dtype=torch.float64)[None, :, None]
    return weights, ep.simulate(parameters, weights, inputs)


def plain_simulation(p: ep.Parameters, w_in: Array, w_rec: Array, inputs: Array) -> dict[str, Array]:
    """Simulate one trial, inputs [time, n_in], by the sums that the recursions of the package stand for.

    v and b are sums over the whole past, and a neuron is refractory if it fired in one of the n_ref − 1 steps before.
    """
    n_steps, n_rec = len(inputs), w_rec.shape[0]
    z, v, b, u, psi = (np.zeros((n_steps, n_rec)) for _ in range(5))
    for t in range(n_steps):
        for j in range(n_rec):
            thr, beta = p.threshold_per_neuron[j], p.beta_per_neuron[j]
            for s in range(t + 1):
                arrived = sum(w_in[i, j] * inputs[s, i] for i in range(w_in.shape[0]))
                if s > 0:
                    arrived += sum(w_rec[i, j] * z[s - 1, i] for i in range(n_rec) if i != j) - thr * z[s - 1, j]
                v[t, j] += p.alpha[j] ** (t - s) * arrived
            b[t, j] = sum(p.rho[j] ** (t - 1 - s) * z[s, j] for s in range(t))
            u[t, j] = (v[t, j] - thr - beta * b[t, j]) / thr
            if not z[max(t - p.n_ref + 1, 0) : t, j].any():
                z[t, j] = float(u[t, j] > 0)
                psi[t, j] = p.dampening / thr * max(0.0, 1 - abs(u[t, j]))
    return {"z": z, "v": v, "b": b, "v_scaled": u, "psi": psi}


def plain_traces(p: ep.Parameters, psi: Array, pre: Array) -> dict[str, Array]:
    """Write ε_v, ε_a, e [time, pre, post] of one trial as sums over the past, from psi and pre [time, neuron].

    A presynaptic spike at s moves v(t) by α^(t−s). What it moved the spike of step s by, ψ(s) ε_v(s), moves b(s+1)
    as much; from there on b passes itself on, directly by ρ and through the spike that it suppresses by −βψ.
    """
    n_steps, n_pre, n_post = len(psi), pre.shape[1], psi.shape[1]
    eps_v, eps_a, e = (np.zeros((n_steps, n_pre, n_post)) for _ in range(3))
    for j in range(n_post):
        alpha, rho, beta = p.alpha[j], p.rho[j], p.beta_per_neuron[j]
        for i in range(n_pre):
            for t in range(n_steps):
                eps_v[t, i, j] = sum(alpha ** (t - s) * pre[s, i] for s in range(t + 1))
                eps_a[t, i, j] = sum(
                    math.prod(rho - beta * psi[r, j] for r in range(s + 1, t)) * psi[s, j] * eps_v[s, i, j]
                    for s in range(t)
                )
                e[t, i, j] = psi[t, j] * (eps_v[t, i, j] - beta * eps_a[t, i, j])
    return {"eps_v": eps_v, "eps_a": eps_a, "e": e}


def forward_gradients(trial: Trial) -> ep.Gradients:
    """Differentiate the mean squared error of a trial forwards in time, every weight at once, without autograd.

    The derivative of each state with respect to each weight is carried along; only ψ is taken from the package.
    """
    p, w_out = trial.parameters, array(trial.weights.w_out)
    w_rec = array(trial.weights.w_rec) * (1 - np.eye(p.n_rec))
    alpha, rho, thr, beta = (np.array(c) for c in (p.alpha, p.rho, p.threshold_per_neuron, p.beta_per_neuron))
    x, z, psi, targets = (array(each) for each in (trial.inputs, trial.run.z, trial.run.psi, trial.targets))
    onto_j = np.eye(p.n_rec)
    both: list[torch.Tensor] = []
    for n_pre, pre in ((p.n_in, x), (p.n_rec, np.concatenate((np.zeros_like(z[:, :1]), z[:, :-1]), axis=1))):
        gradient = np.zeros((n_pre, p.n_rec))
        for k in range(len(x)):
            dv, db, dz, da = (np.zeros((n_pre, p.n_rec, p.n_rec)) for _ in range(4))  # d state_j / d w_il [i, l, j]
            a = np.zeros(p.n_rec)
            for t in range(p.n_steps):
                db = rho * db + dz
                dv = alpha * dv + dz @ w_rec - thr * dz + pre[k, t][:, None, None] * onto_j
                dz = psi[k, t] * (dv - beta * db)
                a, da = (p.kappa * old + (1 - p.kappa) * new for old, new in ((a, z[k, t]), (da, dz)))
                gradient += da @ w_out @ (a @ w_out - targets[k, t]) * 2 / targets.size
        both.append(torch.from_numpy(gradient))
    return ep.Gradients(both[0], both[1] * (1 - torch.eye(p.n_rec, dtype=torch.float64)))


def filtered_rule(
    p: ep.Parameters,
    weights: ep.Weights,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    run: ep.Simulation,
    feedback: torch.Tensor | None = None,
) -> ep.Gradients:
    """Return e-prop with a broadcast signal, from traces low-passed by the readout's decay; symmetric if not told."""
    back = weights.w_out.detach() if feedback is None else feedback
    now = ep.broadcast_learning_signal(p, weights, run, targets, back)
    w_in, w_rec = (
        torch.einsum("btj,btij->ij", now, ep.low_pass(ep.eligibility_traces(p, run, pre).e, p.kappa))
        for pre in (inputs, ep.previous_spikes(run.z.detach()))
    )
    w_out = ep.readout_gradient(p, run, ep.output_error(p, weights, run, targets).detach())
    return ep.Gradients(w_in, ep.without_self_connections(w_rec), w_out)


def single(array: Array) -> NDArray[np.float64]:
    """Return the numbers as the script of NEST's test holds its weights, in single precision."""
    return array.astype(np.float32).astype(np.float64)


def losses_of_nests_pattern(updates: int) -> list[float]:
    """Train on a pattern as NEST's test does, with its draws, and return the loss before each update."""
    p, draw = tasks.pattern_parameters(), np.random.RandomState(1)
    sizes = ((100, 100), (100, 100), (100, 1), (100, 1))
    w_in, w_rec, w_out, feedback = (single(draw.randn(*size) / 10) for size in sizes)
    np.fill_diagonal(w_rec, 0)
    inputs = (draw.rand(1, 1000, 100) < 0.05).astype(float)
    inputs[:, 0] = 0
    amplitudes, phases = draw.uniform(0.5, 2, 4), draw.uniform(0, 2 * np.pi, 4)
    targets = tasks.sum_of_sines(1000, amplitudes.tolist(), phases.tolist()).numpy()[None, :, None]

    weights, losses = [w_in, w_rec, w_out], []
    for _ in range(updates):
        run = fast.forward(p, ep.Weights(*weights), inputs)  # type: ignore[arg-type]  # arrays are fine
        error = run.output - targets
        losses.append(float(0.5 * np.sum(error**2)))
        too_often = 300 * (run.spike_counts / 1000 - 0.01) / 1000
        signal = np.repeat(too_often[:, None], 1000, axis=1)
        found = [each for each in fast.backward(p, run, inputs, error, feedback, signal) if each is not None]
        weights = [weight - 1e-4 * gradient for weight, gradient in zip(weights, found, strict=True)]
    return losses
