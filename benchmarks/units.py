"""Time e-prop for any neuron beside autograd's backward pass, in one run.

python benchmarks/units.py [RESULTS.json]        _build/units.json unless said otherwise

For each kind of neuron, 100 of them with 40 inputs, 8 trials of 200 steps: the simulation, the derivatives inside the
neurons, the gradient by the closed form and by traces that are forgotten, each with these derivatives, and the backward
pass of autograd. All on one thread, the median of several calls; the gradients are held against autograd's first.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import eprop_nb as ep
from eprop_nb import evidence
from eprop_nb.evidence import any_neuron, neurons

ROOT = Path(__file__).parent.parent
N, N_IN, BATCH, STEPS, CALLS = 100, 40, 8, 200, 5
P = ep.Parameters(n_in=N_IN, n_lif=N // 2, n_alif=N // 2)
UNITS = {  # the neurons, how many currents each of them has, and how strong the input must be for it to spike
    "LIF and ALIF": (evidence.alif(P), 1, 0.5),
    "second-order synapse": (neurons.second_order_synapse(N), 1, 1.0),
    "Izhikevich": (neurons.izhikevich(N), 1, 6.0),
    "two compartments": (neurons.two_compartments(N), 2, 0.7),
    "LSTM": (neurons.lstm(N), 4, 0.5),
}
TOLERANCE = 1e-9


def timed(call: Callable[[], object]) -> float:
    """Return the median time of a call, in seconds."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(unit: evidence.Unit, currents: int, strength: float) -> dict[str, float]:
    """Return the times for one kind of neuron."""
    draw = np.random.default_rng(0)

    def weight(rows: int, columns: int) -> torch.Tensor:
        return torch.from_numpy(strength * draw.standard_normal((rows, columns)) / rows**0.5).requires_grad_()

    weights = ep.Weights(weight(N_IN, N * currents), weight(N, N * currents), weight(N, 2))
    inputs = torch.from_numpy((draw.random((BATCH, STEPS, N_IN)) < 0.1).astype(float))
    run = evidence.simulate(unit, weights, inputs)
    activity = float(run.z.detach().abs().mean())
    if not 0.001 < activity < 1:
        raise RuntimeError(f"the neurons must send something, got a mean of {activity}")
    loss = (run.z @ weights.w_out).square().sum()
    reference = ep.bptt_gradients(loss, weights)
    signal = evidence.true_learning_signal(loss, run)
    for method in ("closed_form", "online"):
        found = evidence.eprop_gradients(unit, run, inputs, signal, method)
        error = ep.compare(found, reference._replace(w_out=None)).max_relative_error
        if error > TOLERANCE:
            raise RuntimeError(f"{method} must be the gradient of autograd, got an error of {error}")
    return {
        "simulation": timed(lambda: evidence.simulate(unit, weights, inputs)),
        "derivatives": timed(lambda: any_neuron.factors(unit, run)),
        "closed form": timed(lambda: evidence.eprop_gradients(unit, run, inputs, signal)),
        "traces": timed(lambda: evidence.eprop_gradients(unit, run, inputs, signal, "online")),
        "autograd": timed(lambda: ep.bptt_gradients(loss, weights)),
    }


def main(path: Path) -> None:
    """Measure all, and write the times."""
    torch.set_num_threads(1)
    result = {name: measure(*unit) for name, unit in UNITS.items()}
    conditions = {"neurons": N, "inputs": N_IN, "trials": BATCH, "steps": STEPS, "torch": torch.__version__}
    conditions |= {"machine": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"conditions": conditions, "seconds": result}, indent=1) + "\n", encoding="utf-8")
    for name, times in result.items():
        print(name, {what: f"{1000 * seconds:.0f} ms" for what, seconds in times.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "units.json")
