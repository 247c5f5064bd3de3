"""The paper's two supervised tasks, seeded: pattern generation, and evidence accumulation.

Bellec et al. (2020), supplement, pages 30 to 31 and 21 to 22, with the settings of the authors' tutorial scripts. A
time step is 1 ms in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.parameters import Parameters, seeded_generator

# ------------------------------------------------------------------------------------------------ pattern generation

CYCLES = (1, 2, 3, 5)  # of the sines that a pattern is made of, in a trial


class Pattern(NamedTuple):
    """One trial of pattern generation, which is the same in every update."""

    inputs: Tensor  # spikes that never change, [1, time, n_in]
    targets: Tensor  # the pattern, [1, time, n_out]


def pattern_parameters() -> Parameters:
    """Return the network of the authors' tutorial: 100 LIF neurons without a refractory period, one output.

    There the threshold is 0.03 and the input has a factor 1 − α. Divided by that factor, both are this book's model.
    """
    threshold = 0.03 / -math.expm1(-1 / 30)
    return Parameters(
        n_in=100,
        n_lif=100,
        n_alif=0,
        n_out=1,
        duration=1000.0,
        tau_v=30.0,
        tau_out=30.0,
        rate_in=50.0,
        threshold=threshold,
        n_ref=1,
    )


def sum_of_sines(n_steps: int, amplitudes: Sequence[float], phases: Sequence[float]) -> Tensor:
    """Return a sum of sines of 1, 2, 3 and 5 cycles that begins at 0 and is 1 where it is farthest from it, [time].

    Parameters
    ----------
    n_steps : int
        The length; the last step is the end of the last cycle.
    amplitudes, phases : sequence of float
        One for each sine.

    Raises
    ------
    TypeError, ValueError
        If `n_steps` is no whole number of at least 2, or there are not four finite amplitudes and phases.
    """
    n_steps = _checks.whole("n_steps", n_steps, least=2)
    total = np.zeros(n_steps)
    given = {"amplitudes": np.asarray(amplitudes, float), "phases": np.asarray(phases, float)}
    for name, values in given.items():
        if values.shape != (len(CYCLES),) or not np.isfinite(values).all():
            raise ValueError(f"{name} must be {len(CYCLES)} finite numbers, got {values.tolist()}")
    for amplitude, phase, cycles in zip(*given.values(), CYCLES, strict=True):
        total += amplitude * np.sin(np.linspace(phase, phase + 2 * np.pi * cycles, n_steps))
    total -= total[0]
    return torch.from_numpy(total / max(np.abs(total).max(), 1e-6))


def pattern_generation(parameters: Parameters, seed: int) -> Pattern:
    """Draw input spikes, and for each output a pattern that the network should give on hearing them.

    Parameters
    ----------
    parameters : Parameters
        Uses `n_in`, `n_out`, `n_steps`, `rate_in` and `dt`.
    seed : int
        Seed of the NumPy generator.

    Returns
    -------
    Pattern
        Poisson spikes, none in the first step, and sums of sines with amplitudes from 0.5 to 2 and any phases; float64.

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or `seed` is no whole number from 0 to 2³² − 1.
    """
    _checks.instance("parameters", parameters, Parameters)
    p, generator = parameters, seeded_generator("pattern", seed)
    spikes = generator.random((1, p.n_steps, p.n_in)) < p.rate_in * p.dt / 1000
    spikes[:, 0] = False
    patterns = [
        sum_of_sines(p.n_steps, generator.uniform(0.5, 2, 4).tolist(), generator.uniform(0, 2 * np.pi, 4).tolist())
        for _ in range(p.n_out)
    ]
    return Pattern(torch.from_numpy(spikes.astype(np.float64)), torch.stack(patterns, -1)[None])


# ---------------------------------------------------------------------------------------------- evidence accumulation

N_CUES, CUE, GAP, DECISION = 7, 100, 50, 150  # how many cues, and in steps: a cue, the gap before it, the decision
GROUP = 10  # neurons that say left, that say right, that ask for the decision, and that only make noise


class Evidence(NamedTuple):
    """A batch of trials of evidence accumulation."""

    inputs: Tensor  # spikes, [batch, time, 40]
    cues: Tensor  # on which side each cue was, 0 or 1, [batch, 7]
    labels: Tensor  # the side with more of them, [batch]


def evidence_parameters(delay: int = 1050) -> Parameters:
    """Return the network of the paper: 50 LIF and 50 ALIF neurons, for a delay of so many ms after the last cue.

    Raises
    ------
    TypeError, ValueError
        If `delay` is no whole number of at least 0.
    """
    duration = N_CUES * (GAP + CUE) + _checks.whole("delay", delay, least=0) + DECISION
    beta = 1.7 * math.expm1(-1 / 2000) / math.expm1(-1 / 20)
    return Parameters(
        n_in=4 * GROUP,
        n_lif=50,
        n_alif=50,
        n_out=2,
        duration=float(duration),
        tau_a=2000.0,
        rate_in=40.0,
        threshold=0.6,
        beta=beta,
        n_ref=5,
    )


def cue_probabilities(n_steps: int, cues: Tensor) -> Tensor:
    """Return with what probability each input neuron fires in each step, [batch, time, 40].

    40 Hz for the neurons of a side while a cue is on it, and for those that ask, in the last 150 steps; 10 Hz for those
    that make noise, all the time.

    Parameters
    ----------
    n_steps : int
        The length of a trial.
    cues : Tensor
        On which side each cue is, 0 or 1, [batch, n_cues].

    Raises
    ------
    TypeError, ValueError
        If the cues are none, or a trial is too short for them and the decision.
    """
    if not (isinstance(cues, Tensor) and cues.ndim == 2 and bool(((cues == 0) | (cues == 1)).all())):
        raise ValueError(f"cues must be a torch.Tensor [batch, n_cues] of 0 and 1, got {cues!r}")
    shortest = cues.shape[1] * (GAP + CUE) + DECISION
    n_steps = _checks.whole("n_steps", n_steps, least=shortest)
    probabilities = np.zeros((len(cues), n_steps, 4 * GROUP))
    for trial, sides in enumerate(cues.tolist()):
        for k, side in enumerate(sides):
            start = k * (GAP + CUE) + GAP
            probabilities[trial, start : start + CUE, side * GROUP : (side + 1) * GROUP] = 0.04
    probabilities[:, -DECISION:, 2 * GROUP : 3 * GROUP] = 0.04
    probabilities[:, :, 3 * GROUP :] = 0.01
    return torch.from_numpy(probabilities)


def evidence_accumulation(parameters: Parameters, batch: int, *, seed: int) -> Evidence:
    """Draw trials: in each a side is chosen by a coin, each of 7 cues is on it with probability 0.7, and spikes say so.

    Parameters
    ----------
    parameters : Parameters
        From `evidence_parameters`; uses `n_in`, which must be 40, and `n_steps`.
    batch : int
        Number of trials.
    seed : int
        Seed of the NumPy generator.

    Returns
    -------
    Evidence
        Spikes, none in the first step; cues; and labels.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    MemoryError
        If the spikes are more than the machine can hold.
    """
    _checks.instance("parameters", parameters, Parameters)
    batch = _checks.whole("batch", batch, least=1)
    if parameters.n_in != 4 * GROUP:
        raise ValueError(f"parameters must have n_in = {4 * GROUP}, got {parameters.n_in}")
    _checks.memory("batch and duration", "what is drawn", 2 * batch * parameters.n_steps * 4 * GROUP)
    generator = seeded_generator("evidence", seed)
    sides = generator.integers(0, 2, batch)
    on_it = generator.random((batch, N_CUES)) < 0.7
    cues = np.where(on_it, sides[:, None], 1 - sides[:, None])
    probabilities = cue_probabilities(parameters.n_steps, torch.from_numpy(cues)).numpy()
    spikes = generator.random(probabilities.shape) < probabilities
    spikes[:, 0] = False
    labels = (cues.sum(1) > N_CUES // 2).astype(np.int64)
    return Evidence(torch.from_numpy(spikes.astype(np.float64)), torch.from_numpy(cues), torch.from_numpy(labels))
