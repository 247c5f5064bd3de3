"""Time the programs of `programs.py` and `learners.py` side by side, and measure the memory that each takes.

python benchmarks/speed.py [RESULTS.json] [--quick]        _build/benchmark.json unless said otherwise

Each measurement is a process of its own, held to the same processor cores and the same number of threads. It first
holds the program's gradients against those of another way to compute them, and has no time if they differ by more
than 1e-9; it then takes the peak of its memory in one call, beyond what it held before; then the median time of calls.
A program that learns is measured in the same way in a whole training: the time of an update, and the updates and the
time until a criterion is met.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
SIZES = ((8, 50, 1), (100, 1000, 1), (100, 4000, 1), (100, 1000, 32))  # neurons, time steps, trials
BASE = {"n_rec": 100, "n_steps": 1000, "batch": 1, "n_in": 20, "rate_in": 50.0}
SWEEPS: dict[str, tuple[float, ...]] = {
    "n_steps": (125, 500, 2000, 8000),
    "n_rec": (10, 30, 100, 300, 1000),
    "batch": (1, 4, 16, 64),
    "rate_in": (5, 20, 100, 500),
}
PATIENCE = 2.0  # seconds; a program that takes longer for one call is left out of the rest of a sweep
TOLERANCE = 1e-9  # a wrong rule is off by 1e-3 and more; rounding by some 1e-15
TRAININGS = {  # how many updates a program has to meet the criterion; a few, where only the time is to be measured
    ("pattern", "compiled, e-prop"): 600,
    ("pattern", "compiled, BPTT"): 600,
    ("pattern", "compiled, random e-prop"): 600,
    ("pattern", "JAX, e-prop"): 600,
    ("pattern", "JAX, BPTT"): 600,
    ("pattern", "PyTorch autograd, e-prop"): 20,
    ("pattern", "PyTorch autograd, BPTT"): 20,
    ("pattern", "NEST, random e-prop"): 600,
    ("evidence", "compiled, e-prop"): 150,
    ("evidence", "compiled, BPTT"): 150,
    ("evidence", "compiled, random e-prop"): 20,
    ("evidence", "JAX, e-prop"): 150,
    ("evidence", "JAX, BPTT"): 150,
    ("evidence", "PyTorch autograd, e-prop"): 6,
    ("evidence", "PyTorch autograd, BPTT"): 6,
    ("evidence", "NEST, random e-prop"): 3,
}
SEEDS = range(5)
FEW = 100  # updates; of a program that does not have as many, only the first seed is measured
# A pattern: half of the error that the best readout of an untrained network leaves. Evidence: that of the authors, on
# as many trials as theirs, which here are those of the last eight updates, each of them new to the network.
CRITERIA = {"pattern": (0.03, 1), "evidence": (0.07, 8)}
MEMORY_SHARE = 0.5  # of the machine's memory, that a program may be expected to take


def measure(program: str, problem: dict[str, Any], threads: int) -> dict[str, Any]:
    """Measure one program on one problem, in this process."""
    import torch  # noqa: PLC0415  # after the process has been held to its cores

    torch.set_num_threads(threads)
    from programs import PROGRAMS, Problem, right_answer  # noqa: PLC0415  # after the process has been held to its cores

    size = Problem(**problem)
    started = time.perf_counter()
    PROGRAMS[program](Problem(4, 10, 1))()  # whatever is loaded, compiled or set up once
    first_call = time.perf_counter() - started
    call = PROGRAMS[program](size)
    forget_peak()
    before = memory("VmRSS")
    started = time.perf_counter()
    found = call()
    once = time.perf_counter() - started
    peak = memory("VmHWM") - before

    wanted = right_answer(size, bptt="BPTT" in program)
    error = largest_error(found, wanted)
    if not error < TOLERANCE:
        raise ValueError(f"{program} must find the gradient to {TOLERANCE:g}, and is off by {error:.1e}: {problem}")

    times: list[float] = []
    while len(times) < 5 or (sum(times) < 0.5 and len(times) < 1000):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
        if once > 2 and len(times) >= 2:
            break
    return {
        "median_s": statistics.median(times),
        "fastest_s": min(times),
        "calls": len(times),
        "peak_kB": peak,
        "error": error,
        "first_call_s": first_call,
    }


def measure_learning(program: str, task: str, seed: int, updates: int, threads: int) -> dict[str, Any]:
    """Measure a whole training by one program, in this process."""
    import torch  # noqa: PLC0415  # after the process has been held to its cores

    torch.set_num_threads(threads)
    from learners import LEARNERS, Job, module  # noqa: PLC0415  # after the process has been held to its cores

    learner, few = LEARNERS[program], Job(task, seed, 1, batch=1)
    wanted = module(learner.method, compiled=False).gradients(few)
    error = largest_error(learner.gradients(few), wanted)
    if not error < TOLERANCE:
        raise ValueError(f"{program} must find the gradient to {TOLERANCE:g}, and is off by {error:.1e}: {task}")
    job = Job(task, seed, updates, dtype="float64" if task == "pattern" else "float32")
    learner.learn(job._replace(updates=1))  # whatever is compiled or set up once
    forget_peak()
    before = memory("VmRSS")
    course = learner.learn(job)
    found = {
        "update_s": statistics.median(np.diff(course.seconds, prepend=0.0)),
        "peak_kB": memory("VmHWM") - before,
        "error": error,
        "last_error": float(course.errors[-CRITERIA["evidence"][1] :].mean()),
    }
    needed = first_below(course.errors, *CRITERIA[task])
    if needed is not None:
        found["updates_needed"], found["needed_s"] = needed, float(np.insert(course.seconds, 0, 0.0)[needed])
    return found


def first_below(errors: NDArray[np.float64], level: float, window: int) -> int | None:
    """Return after how many updates the mean error of so many updates is below a level for the first time."""
    means = np.convolve(errors, np.full(window, 1 / window), "valid")
    found = np.flatnonzero(means < level)
    return int(found[0]) + window - 1 if found.size else None


def largest_error(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Return the largest error of some matrices, in units of the largest entry of each."""
    return max(float(np.abs(np.asarray(f) - w).max() / np.abs(w).max()) for f, w in zip(found, wanted, strict=True))


def rates() -> dict[str, float]:
    """Measure how fast one thread can multiply and add, and how fast it can stream arrays that lie in its cache."""
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 512, 512))
    x, y = rng.standard_normal((2, 16_384))  # 256 kB together

    def fastest(call: Callable[[], object]) -> float:
        times = []
        for _ in range(200):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return min(times)

    return {
        "flops_per_s": 2 * 512**3 / fastest(lambda: np.matmul(a, b, out=c)),
        "bytes_per_s": 3 * 8 * len(x) / fastest(lambda: np.add(x, y, out=x)),
    }


def memory(which: str) -> int:
    """Return the size of this process, or the largest it has had, in kB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def forget_peak() -> None:
    """Let the largest size of this process count from now on, where the system knows how."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return


def in_own_process(kind: str, threads: int, **arguments: Any) -> dict[str, Any]:
    """Measure in a process that is held to as many cores as it may have threads; say so if the program cannot run."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads)) | {"JAX_PLATFORMS": "cpu"}
    command = [
        sys.executable,
        str(Path(__file__)),
        "--one",
        json.dumps([kind, arguments | ({} if kind == "rates" else {"threads": threads})]),
    ]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode == 0:
        found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return found
    reason = result.stderr.strip().splitlines()[-1] if result.stderr.strip() else f"ended with {result.returncode}"
    if reason.startswith("ValueError"):  # a wrong gradient is not a matter of speed
        raise ValueError(reason)
    return {"left_out": reason}


def conditions() -> dict[str, Any]:
    """Return what the numbers depend on."""
    cpu = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {}
    for package in ("numpy", "torch", "numba", "jax", "nest-simulator"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_GB": round(physical_memory() / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "dtype": "float64",
        **versions,
    }


def physical_memory() -> float:
    """Return the memory of this machine in bytes; 8 GB where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return 8e9


def needs(program: str, problem: dict[str, Any]) -> float:
    """Return the bytes that the traces of all synapses at all times will take; 0 for the other programs."""
    if program != "PyTorch, traces":
        return 0.0
    p = problem
    traces: float = 8.0 * p["batch"] * p["n_steps"] * p["n_rec"] * max(p["n_rec"], p["n_in"])
    return 2 * traces  # a list, and its stack


def main(target: Path, *, quick: bool) -> None:
    """Measure everything, print the ratios, and write `target`."""
    from programs import PROGRAMS  # noqa: PLC0415  # after the process has been held to its cores

    cores = conditions()["cores"]
    rows: list[dict[str, Any]] = []

    def row(group: str, program: str, problem: dict[str, Any], threads: int) -> dict[str, Any]:
        if needs(program, problem) > MEMORY_SHARE * physical_memory():
            found: dict[str, Any] = {"left_out": f"needs {needs(program, problem) / 1e9:.0f} GB of memory"}
        else:
            found = in_own_process("measure", threads, program=program, problem=problem)
        rows.append({"group": group, "program": program, "threads": threads, **problem, **found})
        said = found.get("left_out") or f"{found['median_s'] * 1e3:10.3f} ms  {found['peak_kB'] / 1e3:9.1f} MB"
        sizes = " × ".join(str(problem[name]) for name in ("n_rec", "n_steps", "batch"))
        print(f"{group:8} {sizes:16} {threads} threads  {program:26} {said}", flush=True)
        return rows[-1]

    for threads in sorted({1, min(2, cores)}):
        for n_rec, n_steps, batch in SIZES:
            problem = BASE | {"n_rec": n_rec, "n_steps": n_steps, "batch": batch}
            if n_rec == 8:
                problem |= {"n_in": 3, "rate_in": 100.0}  # the seed experiment
            here = [row("sizes", program, problem, threads) for program in PROGRAMS]
            ratio(here)
    if not quick:
        for name, values in SWEEPS.items():
            slow: set[str] = set()
            for value in values:
                for program in PROGRAMS:
                    if program in slow:
                        continue
                    found = row(name, program, BASE | {name: value}, min(2, cores))
                    if found.get("median_s", 0.0) > PATIENCE:
                        slow.add(program)

    target.parent.mkdir(parents=True, exist_ok=True)
    text = {
        "conditions": conditions(),
        "rates": in_own_process("rates", 1),
        "measurements": rows,
        "trainings": [] if quick else trainings(),
    }
    target.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    print(f"written: {target}")


def trainings() -> list[dict[str, Any]]:
    """Measure every program that learns, on one core."""
    rows = []
    for (task, program), updates in TRAININGS.items():
        for seed in SEEDS[:1] if updates < FEW else SEEDS:
            found = in_own_process("learning", 1, program=program, task=task, seed=seed, updates=updates)
            rows.append({"task": task, "program": program, "seed": seed, "updates": updates} | found)
            said = found.get("left_out") or f"{found['update_s'] * 1e3:10.3f} ms  {found['peak_kB'] / 1e3:9.1f} MB"
            needed = f"  {found['needed_s']:8.2f} s to the criterion" if "needed_s" in found else ""
            print(f"learning {task:9} seed {seed}  {program:26} {said}{needed}", flush=True)
    return rows


def ratio(rows: list[dict[str, Any]]) -> None:
    """Print how many times the time of the compiled closed form the others take, at one size."""
    ours = next(row for row in rows if row["program"] == "compiled, closed form")["median_s"]
    parts = [f"{row['program']} {row['median_s'] / ours:.1f}" for row in rows if "median_s" in row]
    others = [row for row in rows if "median_s" in row and not row["program"].startswith("compiled")]
    best = min(others, key=lambda row: row["median_s"])
    print("   times the compiled closed form: " + ", ".join(parts[1:]))
    print(f"   the fastest other program, {best['program']}, takes {best['median_s'] / ours:.1f} times as long\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "_build" / "benchmark.json")
    parser.add_argument("--quick", action="store_true", help="the four sizes only")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, arguments = json.loads(given.one)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.get("threads", 1)])
        kinds: dict[str, Callable[..., Any]] = {"rates": rates, "measure": measure, "learning": measure_learning}
        print(json.dumps(kinds[kind](**arguments)))
    else:
        main(given.results, quick=given.quick)
