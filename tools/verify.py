"""Hold the identity against BPTT on networks drawn at random, and keep the errors for the book.

python tools/verify.py [COUNT [SEED]]        10,000 with seed 2020 unless said otherwise

Each network is also computed with 50 digits, where e-prop and BPTT must agree to 40. Of those with an error above the
bound in float64, against BPTT by autograd or against 50 digits, the file tells how it falls, digit by digit. With the
seed of the book, and no other, the result is written to eprop_nb/data/random_networks.npz.
"""

import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mpmath
import numpy as np
import torch
from tqdm import tqdm

from eprop_nb import VacuousComparisonError
from eprop_nb.evidence.random_networks import BOUND, Case, Measurement, Recomputation, measure, random_case, recompute

RESULT = Path(__file__).parent.parent / "eprop_nb" / "data" / "random_networks.npz"
SEED = 2020
DIGITS = (16, 20, 30, 50)


class Checked(NamedTuple):
    """A network that could be compared."""

    number: int
    measured: Measurement
    recomputed: Recomputation

    @property
    def above(self) -> bool:
        """Whether one of the ways is further from BPTT by autograd, or from 50 digits, than the bound."""
        return max(*self.measured.errors.values(), *self.recomputed.errors.values()) > BOUND


def case(index: int, seed: int) -> Case:
    """Return a case by its number; a generator for each makes it independent of all others."""
    return random_case(np.random.default_rng((seed, index)))


def check(numbers: tuple[int, int]) -> Checked | None:
    """Measure the case with this index and seed, and recompute it; None if there is nothing to compare."""
    index, seed = numbers
    try:
        measured = measure(case(index, seed))
    except VacuousComparisonError:
        return None
    checked = Checked(index, measured, recompute(case(index, seed), DIGITS[-1:]))
    return checked._replace(recomputed=recompute(case(index, seed), DIGITS)) if checked.above else checked


def main(count: int, seed: int) -> int:
    """Check `count` cases, print a summary, write the errors; return how many cases do not agree with 50 digits."""
    jobs = [(index, seed) for index in range(count)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
        found = [
            each
            for each in tqdm(pool.imap(check, jobs, chunksize=20), total=count, unit="network", mininterval=10)
            if each
        ]
    conditions = {
        "networks": count,
        "vacuous": count - len(found),
        "seed": seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "mpmath": mpmath.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    data = collect(found)
    if seed == SEED:
        RESULT.parent.mkdir(exist_ok=True)
        np.savez_compressed(RESULT, allow_pickle=False, **data, conditions=np.array(json.dumps(conditions)))
    print(json.dumps(conditions))
    report(found)
    return sum(not each.recomputed.is_rounding for each in found)


def collect(found: list[Checked]) -> dict[str, np.ndarray]:
    """Return the arrays that the file holds; `above_...` are of the networks above the bound alone."""
    above = [each for each in found if each.above]
    methods, ways = list(found[0].measured.errors), list(found[0].recomputed.errors)
    return {
        "methods": np.array(methods),
        "errors": np.array([[each.measured.errors[m] for m in methods] for each in found], dtype=np.float32),
        "spikes": np.array([each.measured.spikes for each in found], dtype=np.int32),
        "ways": np.array(ways),
        "own_errors": np.array([[each.recomputed.errors[w] for w in ways] for each in found], dtype=np.float32),
        "disagreement": np.array([each.recomputed.disagreement[DIGITS[-1]] for each in found]),
        "digits": np.array(DIGITS),
        "above_index": np.array([each.number for each in above], dtype=np.int32),
        "above_row": np.array([row for row, each in enumerate(found) if each.above], dtype=np.int32),
        "above_disagreement": by_digits([each.recomputed.disagreement for each in above], DIGITS),
        "above_rounding": by_digits([each.recomputed.rounding for each in above], DIGITS[:-1]),
        "above_same_spikes": by_digits([each.recomputed.same_spikes for each in above], DIGITS).astype(bool),
    }


def by_digits(values: Sequence[Mapping[int, float]], digits: Sequence[int]) -> np.ndarray:
    """Return an array [network, digits]."""
    return np.array([[value[n] for n in digits] for value in values], dtype=float).reshape(-1, len(digits))


def report(found: list[Checked]) -> None:
    """Print the errors of each way, and each network above the bound."""
    for method in found[0].measured.errors:
        worst = max(found, key=lambda each: each.measured.errors[method])
        median = np.median([each.measured.errors[method] for each in found])
        print(
            f"{method:18} against BPTT by autograd: median {median:.1e}, "
            f"largest {worst.measured.errors[method]:.1e} (case {worst.number})"
        )
    for way in found[0].recomputed.errors:
        errors = [each.recomputed.errors[way] for each in found]
        print(
            f"{way:18} against {DIGITS[-1]} digits: median {np.median(errors):.1e}, largest {max(errors):.1e}, "
            f"{sum(error > BOUND for error in errors)} above {BOUND}"
        )
    largest = max(each.recomputed.disagreement[DIGITS[-1]] for each in found)
    print(f"e-prop against BPTT, both with {DIGITS[-1]} digits: largest {largest:.1e} of {len(found)} networks")
    for each in found:
        if not each.above and each.recomputed.is_rounding:
            continue
        recomputed = each.recomputed
        print(f"case {each.number}: {'rounding' if recomputed.is_rounding else 'NOT ROUNDING'}")
        shown: dict[str, Mapping[str, float] | Mapping[int, float]] = {
            "against BPTT by autograd": each.measured.errors,
            f"against {DIGITS[-1]} digits": recomputed.errors,
            "the worse of both by digits": recomputed.rounding,
            "e-prop against BPTT by digits": recomputed.disagreement,
        }
        for what, values in shown.items():
            print(f"    {what:29}", {name: f"{error:.1e}" for name, error in values.items()})


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(1 if main(*(given + [10_000, SEED][len(given) :])) else 0)
