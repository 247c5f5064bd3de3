"""Hold every known mistake against all others on networks drawn at random, and count what the diagnosis calls it.

python tools/confusion.py [COUNT [SEED]]        50 networks with seed 2024 unless said otherwise

In each network the right gradient (by its traces, from the ground floor), every known mistake that changes something,
some pairs of them, some with a constant factor, and some things that are no known mistake are diagnosed. With the seed
of the book, and no other, the counts are written to eprop_nb/data/confusion.npz.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

import eprop_nb as ep
from eprop_nb import evidence
from eprop_nb.evidence import diagnosis
from eprop_nb.evidence.mistakes import MISTAKES, gradients
from eprop_nb.evidence.random_networks import random_case

RESULT = Path(__file__).parent.parent / "eprop_nb" / "data" / "confusion.npz"
SEED, COUNT = 2024, 50
SIGNALS = ("symmetric", "true", "random")
BY_NAME = {each.name: each for each in MISTAKES}
KNOWN = tuple(BY_NAME)
FACTOR, PAIR = "one and a factor", "two at once"
CALLED = ("right", *KNOWN, "a factor", FACTOR, PAIR, "unknown")
MADE = ("right", *KNOWN, FACTOR, PAIR)
SEVERAL = 3  # networks have so many pairs, and so many with a factor, each
UNKNOWN = ("noise of 1 %", "signs alone", "every other step", "ψ squared", "three mistakes")
SMALL = 1e-7  # of the largest entry: below it a mistake is none in this network


class Found(NamedTuple):
    """What was called what in a network."""

    size: tuple[int, int]  # neurons and steps
    called: list[tuple[str, tuple[str, ...]]]  # what was made, and all that it could be


def check(numbers: tuple[int, int]) -> Found | None:
    """Diagnose everything in one network; None if there is nothing to compare."""
    index, seed = numbers
    draw = np.random.default_rng((seed, index))
    case, signal = random_case(draw), SIGNALS[index % 3]
    p = case.parameters
    drawn = ep.random_weights(p, case.seed)
    weights = ep.Weights(case.gain * drawn.w_in.detach(), case.gain * drawn.w_rec.detach(), drawn.w_out.detach())
    inputs = ep.poisson_spikes(p, case.batch, seed=case.seed)
    targets = ep.random_targets(p, case.batch, seed=case.seed)
    feedback = ep.random_feedback(p, case.seed) if signal == "random" else None
    here = diagnosis.experiment(p, weights, inputs, targets, signal, feedback=feedback)
    plain = gradients(here.right)
    if not all(bool(each.any()) for each in plain.values()):
        return None

    def differ(made: dict[str, torch.Tensor]) -> float:
        return difference(made, plain)

    def diagnosed(made: object) -> diagnosis.Verdict:
        return diagnosis.diagnose(made, p, weights, inputs, targets, signal, feedback=feedback)

    def called(made: object) -> tuple[str, ...]:
        return names_of(diagnosed(made))

    run = ep.simulate(p, weights, inputs)
    found = [("right", called(ep.eprop_gradients(p, run, inputs, here.right.signal[..., 0], "traces")))]
    singles = {}
    for mistake in MISTAKES:
        made = gradients(mistake.change(here.right, here.context))
        if differ(made) > SMALL:
            singles[mistake.name] = made
            found.append((mistake.name, called(made)))
    if (blind := blind_to_a_hard_reset(p, weights, inputs, targets)) is not None:
        found.append(("trace blind to the reset", blind))
    for name in draw.choice(list(singles), SEVERAL, replace=False):
        times = float(draw.uniform(0.1, 10))
        verdict = diagnosed({key: times * each for key, each in singles[name].items()})
        names = names_of(verdict)
        # a factor and another mistake that come to the same are right as well, and one that is not among them is wrong
        found.append((FACTOR, names if (name,) in verdict.mistakes or names == ("a factor",) else ("unknown",)))
    for _ in range(SEVERAL):
        pair = draw.choice(list(singles), 2, replace=False).tolist()
        first, second = sorted(pair, key=lambda name: BY_NAME[name].rank)
        if BY_NAME[first].rank == 2:
            continue  # there is one filter, and so one mistake about where it stands
        both = BY_NAME[second].change(BY_NAME[first].change(here.right, here.context), here.context)
        made = gradients(both)
        if min(difference(made, each) for each in (plain, singles[first], singles[second])) < SMALL:
            continue  # one of the two does nothing beside the other
        verdict = diagnosed(made)
        recognised = any(set(each) == set(pair) for each in verdict.mistakes)
        found.append((PAIR, (PAIR,) if recognised else names_of(verdict)))
    for name, made in unknown(here, draw).items():
        if differ(made) > SMALL:
            found.append((name, called(made)))
    return Found((p.n_rec, p.n_steps), found)


def difference(made: dict[str, torch.Tensor], plain: dict[str, torch.Tensor]) -> float:
    """Return how far a gradient is from another one, in units of the largest entry."""
    return max(float((made[name] - plain[name]).abs().max() / plain[name].abs().max()) for name in plain)


def names_of(verdict: diagnosis.Verdict) -> tuple[str, ...]:
    """Return what a verdict calls a gradient; more than one if they cannot be told apart."""
    if verdict.right:
        return ("right",)
    if any(len(each) > 1 for each in verdict.mistakes):
        return (PAIR,)
    if verdict.factor is not None:
        return (FACTOR,) if verdict.mistakes else ("a factor",)
    return tuple(each for (each,) in verdict.mistakes) or ("unknown",)


def blind_to_a_hard_reset(
    p: ep.Parameters, weights: ep.Weights, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[str, ...] | None:
    """Return what this mistake is called where it can be made: with neurons whose voltage is set to zero by a spike."""
    lif = evidence.neurons.alif(p)

    def step(hidden: torch.Tensor, current: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
        v, b = lif.step(hidden, current, torch.zeros_like(sent))[..., :2].unbind(-1)
        kept = current[..., 0] + (1 - sent) * (v - current[..., 0])
        return torch.stack((kept, b, lif.step(hidden, current, sent)[..., 2].detach()), -1)

    unit, kappa, gain = lif._replace(step=step), p.kappa, p.kappa_complement
    here = diagnosis.experiment(unit, weights, inputs, targets, kappa=kappa, gain=gain)
    mistake = next(each for each in MISTAKES if each.name == "trace blind to the reset")
    made, plain = gradients(mistake.change(here.right, here.context)), gradients(here.right)
    if not all(bool(each.any()) for each in plain.values()) or difference(made, plain) < SMALL:
        return None
    return names_of(diagnosis.diagnose(made, unit, weights, inputs, targets, kappa=kappa, gain=gain))


def unknown(here: diagnosis.Experiment, draw: np.random.Generator) -> dict[str, dict[str, torch.Tensor]]:
    """Return gradients that no known mistake makes, nor two."""
    right, plain = here.right, gradients(here.right)

    def changed(factor: torch.Tensor) -> dict[str, torch.Tensor]:
        return gradients(right._replace(factors=right.factors._replace(psi=right.factors.psi * factor)))

    noise = {
        name: each + 0.01 * each.abs().max() * torch.from_numpy(draw.standard_normal(each.shape))
        for name, each in plain.items()
    }
    times = (torch.arange(right.signal.shape[1]) % 2).double()[None, :, None, None]
    three = right
    for name in ("self-connections kept", "input one step early", "ψ outside the filter"):
        three = BY_NAME[name].change(three, here.context)
    return dict(
        zip(
            UNKNOWN,
            (
                noise,
                {name: each.sign() for name, each in plain.items()},
                changed(times),
                changed(right.factors.psi[..., :1]),
                gradients(three),
            ),
            strict=True,
        )
    )


def main(count: int, seed: int) -> int:
    """Diagnose `count` networks, print and write the counts; return how many things went by a wrong name."""
    found: list[Found] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
        with tqdm(total=count, unit="network", mininterval=10) as bar:
            for each in pool.imap(check, ((index, seed) for index in range(3 * count))):
                if each is not None:
                    found.append(each)
                    bar.update()
                if len(found) == count:
                    break
        pool.terminate()
    made = (*MADE, *UNKNOWN)
    counts, seen = np.zeros((len(made), len(CALLED)), int), np.zeros(len(made), int)
    elsewhere = []  # what was called something else as well: row, column, neurons and steps
    for each in found:
        for name, names in each.called:
            row = made.index(name)
            seen[row] += 1
            for called in names:
                counts[row, CALLED.index(called)] += 1
                if called != (name if name in CALLED else "unknown"):
                    elsewhere.append((row, CALLED.index(called), *each.size))
    wrong = 0
    for row, name in enumerate(made):
        wanted = name if name in CALLED else "unknown"
        missed = seen[row] - counts[row, CALLED.index(wanted)]
        wrong += int(missed)
        print(f"{name:36} {seen[row]:3} times, missed {missed} times")
    print(*((made[row], CALLED[column], n, steps) for row, column, n, steps in elsewhere), sep="\n")
    conditions = {"networks": len(found), "seed": seed, "torch": torch.__version__, "numpy": np.__version__}
    conditions |= {"machine": f"{platform.system()} {platform.machine()}"}
    print(json.dumps(conditions))
    if seed == SEED and count == COUNT:
        data = {
            "made": np.array(made),
            "called": np.array(CALLED),
            "counts": counts,
            "seen": seen,
            "elsewhere": np.array(elsewhere),
        }
        np.savez_compressed(RESULT, allow_pickle=False, **data, conditions=np.array(json.dumps(conditions)))
    return wrong


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(1 if main(*(given + [COUNT, SEED][len(given) :])) else 0)
