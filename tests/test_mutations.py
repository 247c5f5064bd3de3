"""Does the suite notice? The package's own lines are changed, one at a time, in a copy, and a test must fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from mutating import Changed

# quick, and with oracles that know nothing of the module
SUITE = (
    "evidence/test_oracles.py",
    "test_losses.py",
    "-k",
    "hand or authors or numpy or identity or labels",
)
COMPILED_SUITE = (
    "fast/test_interface.py",
    "fast/test_two_phases.py",
    "-k",
    "authors or several_blocks or cut_graph or few_settings",
)


class Mutation(NamedTuple):
    """A line of a module, and what it is changed to."""

    module: str
    old: str
    new: str


LAST_BLOCK = """for begin in range((n_steps - 1) // BLOCK * BLOCK, -1, -BLOCK):
            end = min(begin + BLOCK, n_steps)
            """
Q_OLD = """
        for j in range(q.shape[0]):
            q[j] = rho[j] * q[j] - beta[j] * c[j]"""

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
    Mutation("gradients", "c = psi_t * (signal_t + q)", "c = psi_t * (signal_t - q)"),
    Mutation("gradients", "q = rho * q - beta * c", "q = rho * q"),
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
    Mutation("learning_signals", "_derivatives(loss, run.sent)", "_derivatives(loss, run.z.unbind(1))"),
    Mutation("learning_signals", "keep * filtered + take * value", "keep * filtered + value"),
    Mutation("evidence/oracles", "- thr * g_v  # readout", "- 0 * g_v  # readout"),
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
    *(  # the same line in two functions, which begin differently
        Mutation("fast/kernels", before + Q_OLD, before + Q_OLD.replace("- beta", "+ beta"))
        for before in ("c[j] = psi[k, j] * (signal[k, j] + q[j])", "c[j] = psi[k, j] * (c[j] + q[j])")
    ),
    Mutation("fast/kernels", "c[i] = signal[k, i] - thr[i] * d[i]", "c[i] = signal[k, i]"),
    Mutation("fast/kernels", "c[i] += to_senders[j, i] * owed", "c[i] += to_senders[i, j] * owed"),
    Mutation("fast/kernels", "late[m] = keep * late[m] + take * error[k, m]", "late[m] = take * error[k, m]"),
    Mutation("fast/kernels", "eps_a.q[:] = 1", "eps_a.q[:] = 0"),
    Mutation("fast/kernels", "eps_v[i, j] *= v_left[j]", "eps_v[i, j] *= 1"),
    Mutation("fast/kernels", "mean[i, j] *= mean_left", "mean[i, j] *= 1"),
    Mutation("fast/kernels", "heard[index[s]] = True", "heard[index[s]] = False"),
    Mutation("fast/kernels", "low_passed[sent[s]] += 1", "low_passed[sent[s]] += keep"),
    Mutation("fast/kernels", "late *= keep", "late *= 1"),
    *(  # the same line in two functions, which go on differently
        Mutation("fast/kernels", LAST_BLOCK + then, LAST_BLOCK.replace("n_steps - 1", "n_steps - 2") + then)
        for then in ("broadcast(", "if n_out > 0:")
    ),
)
UNCHANGED = (Mutation("simulation", "z.clone()", "z.clone()"), Mutation("fast/kernels", "+= one", "+= one"))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    with Changed(tmp_path_factory.mktemp("changed")) as process:
        yield process


def notices(changed: Changed, mutation: Mutation) -> bool:
    source = changed.source(mutation.module)
    assert source.count(mutation.old) == 1
    suite = COMPILED_SUITE if mutation.module == "fast/kernels" else SUITE
    outcome = changed.run(mutation.module, source.replace(mutation.old, mutation.new), suite)
    assert outcome.verdict, outcome.output
    return not outcome.passed


def names(mutations: tuple[Mutation, ...]) -> list[str]:
    return [f"{each.module}: {each.old} -> {each.new}" for each in mutations]


@pytest.mark.parametrize("mutation", UNCHANGED, ids=names(UNCHANGED))
def test_without_a_change_the_tests_pass(changed: Changed, mutation: Mutation) -> None:
    assert not notices(changed, mutation)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=names(MUTATIONS))
def test_a_change_is_noticed(changed: Changed, mutation: Mutation) -> None:
    assert notices(changed, mutation)


@pytest.mark.parametrize("mutation", UNCHANGED, ids=names(UNCHANGED))
def test_and_nothing_is_left_of_the_changes(changed: Changed, mutation: Mutation) -> None:
    assert not notices(changed, mutation)


def test_what_says_nothing_of_a_change_is_no_verdict(changed: Changed) -> None:
    source = changed.source("simulation")
    for module, tests in ((source + "\n)", SUITE), (source, ("test_losses.py", "-k", "no_such_test"))):
        outcome = changed.run("simulation", module, tests)
        assert not outcome.verdict
        assert not outcome.passed


def test_a_change_without_end_is_given_up(changed: Changed) -> None:
    endless = changed.source("simulation") + "\nwhile True:\n    pass\n"
    assert changed.run("simulation", endless, SUITE, seconds=1).output == "no end"
    assert not notices(changed, UNCHANGED[0])  # a new process goes on
