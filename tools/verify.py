"""Hold the identity against BPTT on networks drawn at random, and keep the errors for the book.

python tools/verify.py [COUNT]        10,000 unless said otherwise; writes book/data/random_networks.npz
"""

import json
import multiprocessing
import os
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from eprop_nb import VacuousComparisonError
from eprop_nb.evidence.random_networks import Case, Measurement, measure, random_case

RESULT = Path(__file__).parent.parent / "book" / "data" / "random_networks.npz"
SEED = 2020
BOUND = 1e-13


def case(index: int) -> Case:
    """Return a case by its number; a generator for each makes it independent of all others."""
    return random_case(np.random.default_rng((SEED, index)))


def check(index: int) -> Measurement | None:
    """Measure a case; None if there is nothing to compare."""
    try:
        return measure(case(index))
    except VacuousComparisonError:
        return None


def main(count: int) -> int:
    """Measure `count` cases, write the errors, print a summary; return how many errors are unexplained."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
        found = list(tqdm(pool.imap(check, range(count), chunksize=20), total=count, unit="network"))
    measured = [(index, m) for index, m in enumerate(found) if m is not None]
    methods = list(measured[0][1].errors)
    errors = np.array([[m.errors[method] for method in methods] for _, m in measured])

    conditions = {
        "networks": count,
        "vacuous": count - len(measured),
        "seed": SEED,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    RESULT.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        RESULT,
        methods=methods,
        errors=errors.astype(np.float32),
        spikes=np.array([m.spikes for _, m in measured], dtype=np.int32),
        rounding=np.array([m.rounding for _, m in measured], dtype=np.float32),
        conditions=json.dumps(conditions),
    )
    print(json.dumps(conditions))
    for method, column in zip(methods, errors.T, strict=True):
        worst = measured[int(column.argmax())][0]
        print(f"{method:18} median {np.median(column):.1e}, largest {column.max():.1e} (case {worst})")
    beyond = [(index, m) for index, m in measured if max(m.errors.values()) > BOUND]
    for index, m in beyond:
        verdict = "which rounding explains" if m.explained else "UNEXPLAINED"
        print(f"case {index}: error {max(m.errors.values()):.1e}, rounding can make up to {m.rounding:.1e}, {verdict}")
    return sum(not m.explained for _, m in measured)


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000) else 0)
