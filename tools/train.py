"""Train networks on the paper's tasks, many times over, for the book's chapters on learning.

python tools/train.py pattern | evidence | reward [PROCESSES]

Writes eprop_nb/data/pattern_training.npz, evidence_training.npz or reward_training.npz. It takes minutes for the first,
and about an hour of two cores for each of the others. Training is chaotic, so another processor gives other numbers;
the chapters state what holds with a wide margin, and show the rest in figures. Times are those of one core's work.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from eprop_nb import Parameters, Weights, fast
from eprop_nb.learning import EpropNetwork, tasks, training
from eprop_nb.learning_signals import low_pass

DATA = Path(__file__).parent.parent / "eprop_nb" / "data"
SEEDS = range(20)  # for what is compared
OTHERS = range(100, 105)  # for the choice of learning rates
FEW = range(10)
RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
UPDATES = 600
EVERY = 20  # updates from one cosine to the next
LAST = 20  # updates of which the error at the end is the mean

Result = dict[str, Any]
Job = tuple[str, Callable[..., Any], tuple[Any, ...]]


# ------------------------------------------------------------------------------------------------ pattern generation


def end_of(errors: np.ndarray) -> float:
    """Return the mean error at the end of a training."""
    return float(errors[-LAST:].mean())


def course(method: str, rate: float, seed: int, parameters: Parameters | None = None) -> tuple[np.ndarray, float]:
    """Return the errors of a training on a pattern, and the seconds for one update; infinite where it blows up."""
    try:
        _, found = training.train_pattern(method, seed, rate=rate, updates=UPDATES, parameters=parameters)
    except FloatingPointError:
        return np.full(UPDATES, np.inf), math.nan
    return found.errors, float(np.median(np.diff(found.seconds)))


def gradients(net: EpropNetwork, gradient: str, trial: tasks.Pattern) -> list[torch.Tensor]:
    """Return the gradients with the weights of a network: its own, or those of BPTT."""
    weights = Weights(*(each.detach() for each in (net.w_in, net.w_rec, net.w_out)))
    feedback = "symmetric" if gradient == "bptt" or net.feedback is None else net.feedback.detach()
    twin = EpropNetwork(net.neurons, feedback, gradient, weights=weights)
    output, spikes = twin(trial.inputs)
    # PyTorch gives it no types
    training.pattern_loss(output, spikes, trial)[0].backward()  # type: ignore[no-untyped-call]
    return [each.grad for each in (twin.w_in, twin.w_rec) if each.grad is not None]


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the cosine of the angle between two matrices."""
    return float((a * b).sum() / (a.norm() * b.norm()))


def directions(method: str, rate: float, seed: int, parameters: Parameters | None = None) -> np.ndarray:
    """Return, along a training, the cosines of e-prop's gradient to BPTT's (w_in, w_rec) and of B to w_out."""
    p = tasks.pattern_parameters() if parameters is None else parameters
    trial, found = tasks.pattern_generation(p, seed), []

    def watch(k: int, net: EpropNetwork) -> None:
        if k % EVERY == 0:
            pairs = zip(gradients(net, "eprop", trial), gradients(net, "bptt", trial), strict=True)
            b = net.w_out if net.feedback is None else net.feedback
            found.append([*(cosine(mine, full) for mine, full in pairs), cosine(b.detach(), net.w_out.detach())])

    training.train_pattern(method, seed, rate=rate, updates=UPDATES, parameters=p, watch=watch)
    return np.array(found)


def settings() -> dict[str, Parameters]:
    """Return the networks of the sweep; what is not named is as in the authors' script."""
    p = tasks.pattern_parameters()
    adaptive = replace(p, n_lif=50, n_alif=50, beta=0.1, tau_a=500.0)
    found = {f"duration {t} ms": replace(p, duration=float(t)) for t in (250, 500, 1000, 2000)}
    found |= {f"neurons {n}": replace(p, n_lif=n) for n in (25, 50, 100, 200, 400)}
    found |= {f"input rate {f} Hz": replace(p, rate_in=float(f)) for f in (25, 50, 100, 200)}
    found |= {f"β {beta}": replace(adaptive, beta=beta) for beta in (0.0, 0.03, 0.1, 0.3)}
    found |= {f"τ_a {tau} ms": replace(adaptive, tau_a=float(tau)) for tau in (100, 500, 2000)}
    return found


def of_pattern(pool: Any) -> Result:
    """Return everything about pattern generation."""
    tried = [(m, rate, seed) for m in training.METHODS for rate in RATES for seed in OTHERS]
    ends: dict[tuple[str, float], list[float]] = {}
    for job, (errors, _) in zip(tried, pool(course, tried), strict=True):
        ends.setdefault(job[:2], []).append(end_of(errors))
    chosen = {m: min(RATES, key=lambda rate: float(np.median(ends[m, rate]))) for m in training.METHODS}
    result: Result = {"rates": np.array(RATES), "rates_chosen": np.array([chosen[m] for m in training.METHODS])}
    result["rates_errors"] = np.array([[ends[m, rate] for rate in RATES] for m in training.METHODS])
    runs = [(m, chosen[m], seed) for m in training.METHODS for seed in SEEDS]
    found = pool(course, runs)
    shape = (len(training.METHODS), len(SEEDS))
    result["errors"] = np.array([errors for errors, _ in found], np.float32).reshape(*shape, UPDATES)
    result["seconds"] = np.array([seconds for _, seconds in found]).reshape(shape)
    watched = ("symmetric", "adaptive", "random")
    found = pool(directions, [(m, chosen[m], seed) for m in watched for seed in FEW])
    result["cosines"] = np.array(found, np.float32).reshape(len(watched), len(FEW), -1, 3)
    names = list(settings())
    swept = [(m, chosen[m], seed, p) for p in settings().values() for m in ("bptt", "symmetric") for seed in FEW]
    result["sweep"] = np.array([end_of(errors) for errors, _ in pool(course, swept)]).reshape(len(names), 2, len(FEW))
    along = [("symmetric", chosen["symmetric"], seed, p) for p in settings().values() for seed in FEW]
    result["sweep_cosines"] = np.array(pool(directions, along), np.float32).reshape(len(names), len(FEW), -1, 3)
    result["names"] = np.array(names)
    return result


# ---------------------------------------------------------------------------------------------- evidence accumulation

SMALL = 0.14  # as Glorot draws a readout of 100 neurons and two outputs
EVIDENCE = {  # what is trained: the method, updates, scale of the readout, and whether neurons adapt
    "symmetric": ("symmetric", 150, 1.0, True),
    "bptt": ("bptt", 150, 1.0, True),
    "symmetric, LIF alone": ("symmetric", 150, 1.0, False),
    "readout": ("readout", 150, 1.0, True),
    "random, small readout": ("random", 300, SMALL, True),
    "redrawn, small readout": ("redrawn", 300, SMALL, True),
    "random": ("random", 150, 1.0, True),
    "adaptive, small readout": ("adaptive", 300, SMALL, True),
    "symmetric, small readout": ("symmetric", 300, SMALL, True),
}
DELAYS = (1050, 2100, 4200, 8400)


def remember(
    method: str, updates: int, scale: float, adapts: bool, seed: int, delay: int = 1050
) -> tuple[np.ndarray, float, float]:
    """Return the errors of a training, the error on 512 new trials after it, and the seconds for one update."""
    p = tasks.evidence_parameters(delay)
    if not adapts:
        p = replace(p, n_lif=p.n_rec, n_alif=0)
    net, found = training.train_evidence(method, seed, updates=updates, readout_scale=scale, parameters=p)
    return found.errors, training.evidence_error(net, seed), float(np.median(np.diff(found.seconds)))


def without_a_term(p: Parameters, psi: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return the learning signal with which the exact traces sum to what the traces of (26) sum to with this one.

    The closed form of (24) is c = ψ (L + q), q ← ρ q − β c, and that of (26) is ĉ = ψ (L + r), r ← ρ r − β ψ L. For
    the signal L + r − q the first finds the second's c, and all that follows from it is the same.
    """
    rho, beta = np.array(p.rho, psi.dtype), np.array(p.beta_per_neuron, psi.dtype)
    found, q, r = np.empty_like(signal), np.zeros_like(signal[:, 0]), np.zeros_like(signal[:, 0])
    for t in range(signal.shape[1] - 1, -1, -1):
        found[:, t] = signal[:, t] + r - q
        q = rho * q - beta * psi[:, t] * (signal[:, t] + r)
        r = rho * r - beta * psi[:, t] * signal[:, t]
    return found


def simplified(seed: int, updates: int = 150, rate: float = 5e-3) -> tuple[np.ndarray, float]:
    """Train with symmetric e-prop and the paper's simplified traces, (26); return as `remember` does."""
    p = tasks.evidence_parameters()
    net = training.network("symmetric", p, seed=seed, dtype=torch.float32)
    steps, errors = training.optimizer(net, rate), np.empty(updates)
    for k in range(updates):
        drawn = tasks.evidence_accumulation(p, 64, seed=100_000 * (seed + 1) + k)
        trials = drawn._replace(inputs=drawn.inputs.float())
        weights = Weights(*(each.detach() for each in (net.w_in, net.w_rec, net.w_out)))
        run = fast.forward(p, weights, trials.inputs)
        output = torch.from_numpy(run.output).requires_grad_()
        spikes = torch.from_numpy(run.z).float().requires_grad_()
        loss, errors[k] = training.evidence_loss(output, spikes, trials)
        to_output, to_spikes = torch.autograd.grad(loss, (output, spikes))
        back = low_pass(to_output.flip(1), p.kappa, p.kappa_complement).flip(1)
        signal = without_a_term(p, run.psi, (back @ weights.w_out.T + to_spikes).numpy())
        found = fast.backward(p, run, trials.inputs, torch.zeros_like(to_output), weights.w_out, signal)
        exact = fast.backward(p, run, trials.inputs, to_output, weights.w_out)
        for each, gradient in zip((net.w_in, net.w_rec, net.w_out), (*found[:2], exact.w_out), strict=True):
            each.grad = torch.as_tensor(gradient)
        steps.step()
    return errors, training.evidence_error(net, seed)


def of_evidence(pool: Any) -> Result:
    """Return everything about evidence accumulation."""
    jobs = [(*setting, seed, DELAYS[0]) for setting in EVIDENCE.values() for seed in FEW]
    jobs += [(*EVIDENCE["symmetric"], seed, delay) for delay in DELAYS[1:] for seed in FEW]
    found, result = pool(remember, jobs), {}
    names = [*EVIDENCE, *(f"symmetric, delay {delay}" for delay in DELAYS[1:])]
    for k, name in enumerate(names):
        these = found[k * len(FEW) : (k + 1) * len(FEW)]
        result[f"errors: {name}"] = np.array([errors for errors, _, _ in these], np.float32)
        result[f"error: {name}"] = np.array([error for _, error, _ in these])
        result[f"seconds: {name}"] = np.array([seconds for _, _, seconds in these])
    name = "symmetric, simplified traces"
    these = pool(simplified, [(seed,) for seed in FEW])
    result[f"errors: {name}"] = np.array([errors for errors, _ in these], np.float32)
    result[f"error: {name}"] = np.array([error for _, error in these])
    result["names"] = np.array([*names, name])
    return result


# --------------------------------------------------------------------------------------------------------------- reward

REWARD = {  # what is trained: the method, the scale of the readout, whether neurons adapt, whether rewards are shuffled
    "symmetric": ("symmetric", 0.3, True, False),
    "random": ("random", SMALL, True, False),
    "symmetric, rewards shuffled": ("symmetric", 0.3, True, True),
    "symmetric, LIF alone": ("symmetric", 0.3, False, False),
    "readout": ("readout", 0.3, True, False),
    "symmetric, large readout": ("symmetric", 1.0, True, False),
}


def rewarded(method: str, scale: float, adapts: bool, shuffled: bool, seed: int) -> tuple[np.ndarray, float]:
    """Return the parts without a reward along a training, and the error on 512 new trials after it."""
    p = tasks.evidence_parameters()
    if not adapts:
        p = replace(p, n_lif=p.n_rec, n_alif=0)
    net, found = training.train_reward(method, seed, readout_scale=scale, shuffled=shuffled, parameters=p)
    return found.errors, training.evidence_error(net, seed)


def of_reward(pool: Any) -> Result:
    """Return everything about learning from reward."""
    found = pool(rewarded, [(*setting, seed) for setting in REWARD.values() for seed in FEW])
    result: Result = {"names": np.array(list(REWARD))}
    for k, name in enumerate(REWARD):
        these = found[k * len(FEW) : (k + 1) * len(FEW)]
        result[f"errors: {name}"] = np.array([errors for errors, _ in these], np.float32)
        result[f"error: {name}"] = np.array([error for _, error in these])
    return result


# ------------------------------------------------------------------------------------------------------------- running


def call(job: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
    """Do one job, on one thread."""
    torch.set_num_threads(1)
    function, arguments = job
    return function(*arguments)


def main(what: str, processes: int) -> None:
    """Train, and write the file."""
    make = {"pattern": of_pattern, "evidence": of_evidence, "reward": of_reward}[what]
    with multiprocessing.get_context("spawn").Pool(processes) as workers:

        def pool(function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> list[Any]:
            waiting = workers.imap(call, [(function, job) for job in jobs])
            return list(tqdm(waiting, function.__name__, len(jobs), mininterval=10))

        result = make(pool)
    machine = {"processor": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
    result["conditions"] = np.array(json.dumps(machine | {"numpy": np.__version__}))
    np.savez_compressed(DATA / f"{what}_training.npz", **result)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("pattern", "evidence", "reward"):
        sys.exit("python tools/train.py pattern | evidence | reward [PROCESSES]")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
