"""Does the suite notice? The package's own lines are changed, one at a time, in a copy, and a test must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
# quick, and with oracles that know nothing of the module
SUITE = ("evidence/test_oracles.py", "test_losses.py")
SELECTED = "hand or authors or numpy or identity or labels or condition"
COMPILED_SUITE = ("fast/test_interface.py",)
COMPILED_SELECTED = "authors or several_blocks or cut_graph"


class Mutation(NamedTuple):
    """A line of a module, and what it is changed to."""

    module: str
    old: str
    new: str


LAST_BLOCK = """for begin in range((n_steps - 1) // BLOCK * BLOCK, -1, -BLOCK):
            end = min(begin + BLOCK, n_steps)
            """

MUTATIONS = (
    Mutation("simulation", "current - thr * state.z_sent", "current + thr * state.z_sent"),
    Mutation("simulation", "current - thr * state.z_sent", "current - thr * state.z_sent.detach()"),
    Mutation("simulation", "b = rho * state.b + state.z_own", "b = rho * state.b + state.z_sent"),
    Mutation("simulation", "v - thr - beta * b) / thr", "v - thr + beta * b) / thr"),
    Mutation("simulation", "psi = torch.where(silent, zero, psi)", "psi = psi"),
    Mutation("simulation", "max(parameters.n_ref - 1, 0)", "parameters.n_ref"),
    Mutation("simulation", "z[:, :-1]), dim=1)", "z[:, 1:]), dim=1)"),
    Mutation("simulation", "matrix * (1 - torch.eye(", "matrix * (1 + 0 * torch.eye("),
    Mutation("eligibility", "eps_a = psi * eps_v + (rho - beta * psi) * eps_a", "eps_a = psi * eps_v + rho * eps_a"),
    Mutation("eligibility", "e = psi * (eps_v - beta * eps_a)", "e = psi * (eps_v + beta * eps_a)"),
    Mutation("eligibility", "eps_v = alpha * eps_v + pre[:, :, None]", "eps_v = eps_v + pre[:, :, None]"),
    Mutation("gradients", "c = psi_t * (signal_t + a)", "c = psi_t * (signal_t - a)"),
    Mutation("gradients", "a = rho * a - beta * c", "a = rho * a"),
    Mutation(
        "gradients",
        "w_rec = evaluate(constants, run.psi, signal, previous_spikes(run.z))",
        "w_rec = evaluate(constants, run.psi, signal, run.z)",
    ),
    Mutation(
        "gradients",
        "w_in = evaluate(constants, run.psi, signal, inputs)",
        "w_in = evaluate(constants, run.psi, signal, previous_spikes(inputs))",
    ),
    Mutation("learning_signals", "torch.autograd.grad(loss, run.sent,", "torch.autograd.grad(loss, run.z.unbind(1),"),
    Mutation("learning_signals", "decay * filtered + (1 - decay) * value", "decay * filtered + value"),
    Mutation("evidence/oracles", "reset * g_v  # readout", "0 * g_v  # readout"),
    Mutation("fast/kernels", "v[i] -= thr[i]", "v[i] -= zero"),
    Mutation("fast/kernels", "from_neurons[i] = before", "before = zero"),
    Mutation("fast/kernels", "b[i] += one", "b[i] += zero"),
    Mutation("fast/kernels", "n += free[j] <= t", "n += 1"),
    Mutation("fast/kernels", "height / thr[j] if free[j] <= t else zero", "height / thr[j]"),
    Mutation("fast/kernels", "height = zero if height < zero else height", "height = height"),
    Mutation("fast/kernels", "- beta[j] * b[j]) / thr[j]", "+ beta[j] * b[j]) / thr[j]"),
    Mutation("fast/kernels", "t + 1 + after_spike", "t + after_spike"),
    Mutation("fast/kernels", "sent_start[0], sent_start[1] = 0, n", "sent_start[0], sent_start[1] = 0, 0"),
    Mutation("fast/kernels", "c[j] = psi[k, j] * (signal[k, j] + q[j])", "c[j] = psi[k, j] * signal[k, j]"),
    Mutation("fast/kernels", "q[j] = rho[j] * q[j] - beta[j] * c[j]", "q[j] = rho[j] * q[j] + beta[j] * c[j]"),
    Mutation("fast/kernels", "late[m] = keep * late[m] + take * error[k, m]", "late[m] = take * error[k, m]"),
    Mutation("fast/kernels", "eps_a.q[:] = 1", "eps_a.q[:] = 0"),
    Mutation("fast/kernels", "eps_v[i, j] *= v_left[j]", "eps_v[i, j] *= 1"),
    Mutation("fast/kernels", "mean[i, j] *= mean_left", "mean[i, j] *= 1"),
    Mutation("fast/kernels", "heard[index[s]] = True", "heard[index[s]] = False"),
    Mutation("fast/kernels", "low_passed[sent[s]] += 1", "low_passed[sent[s]] += keep"),
    Mutation("fast/kernels", "late *= keep", "late *= 1"),
    *(  # the same line in two functions, which go on differently
        Mutation("fast/kernels", LAST_BLOCK + then, LAST_BLOCK.replace("n_steps - 1", "n_steps - 2") + then)
        for then in ("broadcast(", "closed_form(")
    ),
)


def suite_passes(folder: Path, mutation: Mutation) -> bool:
    """Run the suite on a copy of the package with one line changed; return whether it passes."""
    shutil.copytree(ROOT / "eprop_nb", folder / "eprop_nb")
    path = folder / "eprop_nb" / f"{mutation.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1, mutation
    path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    check = f"import eprop_nb, pathlib; assert pathlib.Path(eprop_nb.__file__).is_relative_to({str(folder)!r})"
    compiled = mutation.module == "fast/kernels"
    suite = [str(ROOT / "tests" / name) for name in (COMPILED_SUITE if compiled else SUITE)]
    selected = COMPILED_SELECTED if compiled else SELECTED
    # the loops run in plain Python here: on a few neurons that is quicker than compiling them
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "NUMBA_DISABLE_JIT": "1"}
    for command in (
        ["-c", check],
        ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", selected, "-W", "ignore", *suite],
    ):
        result = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if command[0] == "-c":
            assert result.returncode == 0, "the copy must be what is tested"
    assert result.returncode in (0, 1), result.stdout + result.stderr  # anything else is no verdict
    return result.returncode == 0


def test_the_suite_notices_every_mutation(tmp_path: Path) -> None:
    same = tuple(
        Mutation(module, line, line) for module, line in (("simulation", "z.clone()"), ("fast/kernels", "+= one"))
    )
    jobs = (*same, *MUTATIONS)
    with ThreadPoolExecutor(2) as pool:
        passed = dict(
            zip(jobs, pool.map(suite_passes, [tmp_path / str(n) for n in range(len(jobs))], jobs), strict=True)
        )
    assert [mutation for mutation, survived in passed.items() if survived] == list(same)
