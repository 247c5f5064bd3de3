"""The benchmark measures what it says, and refuses a program that is fast and wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import learners
import numpy as np
import programs
import pytest
import speed
import torch
import units
from helpers import says

SCRIPT = Path(speed.__file__)
COMMITTED = Path(__file__).parent.parent.parent / "eprop_nb" / "data" / "benchmark.json"
SMALL = {"n_rec": 10, "n_steps": 150, "batch": 2, "n_in": 5, "rate_in": 200.0}
HERE = [name for name in programs.PROGRAMS if not name.startswith("JAX")]  # `make bench` installs JAX, `make test` not


@pytest.mark.parametrize("name", HERE)
def test_every_program_finds_the_gradient_and_is_measured(name: str) -> None:
    threads = torch.get_num_threads()
    found = speed.measure(name, SMALL, threads)
    assert 0 < found["error"] < 1e-12 or name == "PyTorch, closed form"  # which is its own right answer
    assert 0 < found["fastest_s"] <= found["median_s"]
    assert found["calls"] >= 5


def test_a_program_that_is_wrong_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(problem: programs.Problem) -> programs.Call:
        w_in, w_rec, w_out = programs.compiled(problem, "closed_form")()
        return lambda: (w_in, 1.001 * np.asarray(w_rec), w_out)

    monkeypatch.setitem(programs.PROGRAMS, "wrong", wrong)
    with pytest.raises(ValueError, match=says("wrong must find the gradient", "1.0e-03")):
        speed.measure("wrong", SMALL, torch.get_num_threads())


def test_a_program_that_cannot_run_is_left_out_with_its_reason() -> None:
    found = speed.in_own_process("measure", 1, program="COBOL", problem=SMALL)
    assert found == {"left_out": "KeyError: 'COBOL'"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the largest size of a process, and forgets it")
def test_the_peak_of_memory_is_that_of_the_call() -> None:
    size = SMALL | {"n_rec": 100, "n_steps": 1000, "batch": 1}
    names = ("compiled, online", "PyTorch, traces")
    found = {name: speed.in_own_process("measure", 1, program=name, problem=size)["peak_kB"] for name in names}
    assert found["PyTorch, traces"] > 8 * 1000 * 100 * 100 / 1000  # of the recurrent synapses alone
    assert found["compiled, online"] < 8 * 1000 * 100 / 1000 * 2


def test_the_committed_results_are_whole() -> None:
    results = json.loads(COMMITTED.read_text(encoding="utf-8"))
    groups = {row["group"] for row in results["measurements"]}
    assert groups == {"sizes", *speed.SWEEPS}
    assert {row["program"] for row in results["measurements"]} == set(programs.PROGRAMS)
    measured = [row for row in results["measurements"] if "median_s" in row]
    assert all(row["error"] < speed.TOLERANCE for row in measured)
    assert len(measured) > 0.9 * len(results["measurements"])
    assert results["conditions"]["jax"] != "not installed"


def test_it_says_how_it_is_run() -> None:
    said = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert "--quick" in said


# -------------------------------------------------------------------------------------------------- programs that learn


@pytest.mark.parametrize("task", ["pattern", "evidence"])
@pytest.mark.parametrize("name", [name for name in learners.LEARNERS if name.startswith("compiled")])
def test_a_program_that_learns_finds_the_gradient_of_autograd(name: str, task: str) -> None:
    learner, job = learners.LEARNERS[name], learners.Job(task, 0, 1, batch=1)
    wanted = learners.module(learner.method, compiled=False).gradients(job)
    assert 0 < speed.largest_error(learner.gradients(job), wanted) < 1e-13
    assert all(np.abs(each).max() > 1e-4 for each in wanted)


def test_a_training_is_measured_to_its_criterion() -> None:
    found = speed.measure_learning("compiled, BPTT", "pattern", 0, 60, torch.get_num_threads())
    course = learners.LEARNERS["compiled, BPTT"].learn(learners.Job("pattern", 0, 60))
    level, _ = speed.CRITERIA["pattern"]
    assert (course.errors[: found["updates_needed"] - 1] >= level).all()
    assert course.errors[found["updates_needed"]] < level
    assert 0.5 < found["needed_s"] / (found["updates_needed"] * found["update_s"]) < 5


def test_the_first_update_at_which_a_mean_is_below_a_level() -> None:
    errors = np.array([0.9, 0.1, 0.9, 0.2, 0.1, 0.1])
    assert speed.first_below(errors, 0.15, 1) == 1
    assert speed.first_below(errors, 0.16, 2) == 4  # after update 4, those before updates 3 and 4 are 0.2 and 0.1
    assert speed.first_below(errors, 0.01, 2) is None


def test_a_learner_that_is_wrong_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    right = learners.LEARNERS["compiled, e-prop"]
    wrong = right._replace(gradients=lambda job: [1.001 * each for each in right.gradients(job)])
    monkeypatch.setitem(learners.LEARNERS, "wrong", wrong)
    with pytest.raises(ValueError, match=says("wrong must find the gradient", "1.0e-03")):
        speed.measure_learning("wrong", "pattern", 0, 2, torch.get_num_threads())


def test_the_committed_trainings_are_whole() -> None:
    results = json.loads(COMMITTED.read_text(encoding="utf-8"))
    found = {(row["task"], row["program"]): row for row in results["trainings"]}
    assert set(found) == set(speed.TRAININGS)
    assert {program for _, program in found} == set(learners.LEARNERS)
    assert all(row["error"] < speed.TOLERANCE for row in results["trainings"])
    assert results["conditions"]["nest-simulator"] != "not installed"


# --------------------------------------------------------------------------------------------------------- any neuron


def test_any_neuron_is_measured_beside_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    found = units.measure(*units.UNITS["LIF and ALIF"])
    assert set(found) == {"simulation", "derivatives", "closed form", "traces", "autograd"}
    assert min(found.values()) > 0
    monkeypatch.setattr(units, "TOLERANCE", 0.0)  # which no rule can meet
    with pytest.raises(RuntimeError, match=says("closed_form must be the gradient of autograd")):
        units.measure(*units.UNITS["two compartments"])
    with pytest.raises(RuntimeError, match=says("must send something")):
        units.measure(*units.UNITS["LIF and ALIF"][:2], 0.0)


def test_the_committed_times_of_any_neuron_are_whole() -> None:
    results = json.loads((COMMITTED.parent / "units.json").read_text(encoding="utf-8"))
    assert set(results["seconds"]) == set(units.UNITS)
    assert results["conditions"]["neurons"] == units.N
