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
SUITE = ("test_oracles.py", "test_losses.py")  # quick, and with oracles that know nothing of the package
SELECTED = "hand or authors or numpy or identity or labels or condition"


class Mutation(NamedTuple):
    """A line of a module, and what it is changed to."""

    module: str
    old: str
    new: str


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
    Mutation("oracles", "reset * g_v  # readout", "0 * g_v  # readout"),
)


def suite_passes(folder: Path, mutation: Mutation | None) -> bool:
    """Run the suite on a copy of the package with one line changed; return whether it passes."""
    shutil.copytree(ROOT / "eprop_nb", folder / "eprop_nb")
    if mutation is not None:
        path = folder / "eprop_nb" / f"{mutation.module}.py"
        source = path.read_text(encoding="utf-8")
        assert source.count(mutation.old) == 1, mutation
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    check = f"import eprop_nb, pathlib; assert pathlib.Path(eprop_nb.__file__).is_relative_to({str(folder)!r})"
    suite = [str(ROOT / "tests" / name) for name in SUITE]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    for command in (
        ["-c", check],
        ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", SELECTED, "-W", "ignore", *suite],
    ):
        result = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if command[0] == "-c":
            assert result.returncode == 0, "the copy must be what is tested"
    assert result.returncode in (0, 1), result.stdout + result.stderr  # anything else is no verdict
    return result.returncode == 0


def test_the_suite_notices_every_mutation(tmp_path: Path) -> None:
    jobs: list[Mutation | None] = [None, *MUTATIONS]
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda pair: suite_passes(tmp_path / str(pair[0]), pair[1]), enumerate(jobs)))
    assert passed[0], "the copy without a mutation must pass"
    assert not [mutation for mutation, survived in zip(jobs[1:], passed[1:], strict=True) if survived]
