"""The compiled path against the reference path: every setting, both methods, any learning signal, any feedback."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import error, filtered_rule, make_trial, says, small_parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from test_properties import PLAIN, cases
from test_reference import reference, reference_parameters

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.evidence.random_networks import Case, build, output_derivative
from eprop_nb.fast import interface, kernels

both = pytest.mark.parametrize("method", fast.METHODS)


def arrays(w_in: Any, w_rec: Any, w_out: Any) -> ep.Weights:
    """Return weights that hold NumPy arrays."""
    return ep.Weights(w_in, w_rec, w_out)


def detached(run: ep.Simulation) -> ep.Simulation:
    z, v, b, v_scaled, psi = (each.detach() for each in run[:5])
    return ep.Simulation(z, v, b, v_scaled, psi, run.sent)


def largest_error(found: fast.Gradients, wanted: ep.Gradients) -> float | None:
    """Return the largest relative error of all matrices, or None where the wanted one is zero and tells nothing."""
    errors = []
    for name in ep.Gradients._fields:
        ours, theirs = getattr(found, name), getattr(wanted, name)
        if ours is None:
            continue
        if not theirs.any():
            assert not ours.any()
            if name == "w_rec" and theirs.shape == (1, 1):
                continue
            return None
        errors.append(error(ours, theirs))
    return max(errors)


def longer(case: Case, steps: int) -> Case:
    return case._replace(parameters=replace(case.parameters, duration=case.parameters.dt * steps))


def reference_sums(
    p: ep.Parameters, run: ep.Simulation, inputs: torch.Tensor, signal: torch.Tensor
) -> tuple[ep.Gradients, float]:
    """Return the gradients of the reference path, and what to ask of another path.

    That is 1e-13; or less, where the sum over time cancels so far that the reference's own evaluators differ by more.
    """
    closed_form, traces = (ep.eprop_gradients(p, run, inputs, signal, method) for method in ("closed_form", "traces"))
    own = [
        error(getattr(traces, name), getattr(closed_form, name))
        for name in ("w_in", "w_rec")
        if getattr(closed_form, name).any()
    ]
    return closed_form, max([1e-13, *own])


def test_spikes_are_equal_and_gradients_agree_to_1e_13_over_every_setting() -> None:
    trials, found_errors, long = [], [], 0

    def hold(found: fast.Gradients, wanted: ep.Gradients, allowed: float) -> None:
        largest = largest_error(found, wanted)
        if largest is not None:
            assert largest <= allowed
            found_errors.append(largest)

    @settings(PLAIN, max_examples=200)
    @given(cases(), st.one_of(st.none(), st.integers(kernels.BLOCK - 1, 3 * kernels.BLOCK)))
    def check(case: Case, steps: int | None) -> None:
        nonlocal long
        if steps is not None:
            case = longer(case, steps)
        p, made = case.parameters, build(case)
        weights, inputs, targets = made.weights, made.inputs, made.targets
        ours, theirs = fast.simulate(p, weights, inputs), detached(made.run)
        np.testing.assert_array_equal(ours.z, theirs.z.numpy())
        if not ours.z.any():
            return
        trials.append(case)
        long += p.n_steps > kernels.BLOCK
        for name in ("v", "b", "v_scaled", "psi"):
            wanted = getattr(theirs, name).numpy()
            assert np.abs(getattr(ours, name) - wanted).max() <= 1e-13 * max(1, theirs.v.abs().max().item())
        output = ep.readout(p, weights, theirs).detach()
        np.testing.assert_allclose(fast.readout(p, weights, ours), output.numpy(), rtol=0, atol=1e-13)

        derivative = output_derivative(case, made)
        if derivative.any():
            g_out = fast.readout_gradient(p, ours, derivative)
            assert error(g_out, ep.readout_gradient(p, theirs, derivative)) < 1e-13

        signal = ep.true_learning_signal(made.loss, made.run)
        closed_form, allowed = reference_sums(p, theirs, inputs, signal)
        for method in fast.METHODS:
            hold(fast.eprop_gradients(p, ours, inputs, signal, method), closed_form, allowed)

        for feedback in (None, ep.random_feedback(p, case.seed)):
            back = weights.w_out.detach() if feedback is None else feedback
            mistake = output - targets
            signal = ep.low_pass(mistake.flip(1), p.kappa).flip(1) @ back.T
            closed_form, allowed = reference_sums(p, theirs, inputs, signal)
            closed_form = closed_form._replace(w_out=ep.readout_gradient(p, theirs, mistake))
            for method in fast.METHODS:
                learned = fast.broadcast_gradients(p, weights, inputs, targets, feedback, method)
                np.testing.assert_array_equal(learned.spike_counts, theirs.z.sum(1).numpy())
                assert math.isclose(learned.loss, 0.5 * mistake.square().sum().item(), rel_tol=1e-13)
                hold(learned.gradients, closed_form, allowed)

    check()
    beyond = [each for each in found_errors if each > 1e-13]
    print(f"{len(trials)} trials, {long} of several blocks; {len(found_errors)} gradients, {len(beyond)} above 1e-13")
    assert len(trials) > 150
    assert long > 50
    assert len(found_errors) > 800
    assert len(beyond) < len(found_errors) / 100


@pytest.mark.parametrize("name", ["seed_defaults", "adaptive_batch"])
def test_it_reproduces_the_authors_program(name: str) -> None:
    p, r = reference_parameters(name), reference(name)
    weights = arrays(*(r[key] for key in ("w_in", "w_rec", "w_out")))
    run = fast.simulate(p, weights, r["inputs"])
    np.testing.assert_array_equal(run.z, r["spikes"])
    for ours, key in ((run.v, "v"), (run.b, "b"), (run.v_scaled, "v_scaled"), (run.psi, "psi")):
        assert error(ours, r[key]) < 1e-13
    assert error(fast.readout(p, weights, run), r["y"]) < 1e-13
    for method in fast.METHODS:
        found = fast.eprop_gradients(p, run, r["inputs"], r["dE_dz"], method)
        assert error(found.w_rec, r["g_bptt"]) < 1e-13
        assert error(found.w_in, r["g_bptt_in"]) < 1e-13


@both
def test_it_reproduces_the_authors_symmetric_eprop(method: str) -> None:
    p, r = reference_parameters("symmetric_online"), reference("symmetric_online")
    weights = arrays(*(r[key] for key in ("w_in", "w_rec", "w_out")))
    learned = fast.broadcast_gradients(p, weights, r["inputs"], r["y_target"], method=method)
    assert math.isclose(learned.loss, float(r["loss"]), rel_tol=1e-13)
    assert error(learned.gradients.w_rec, r["g_autodiff"]) < 1e-13
    assert error(learned.gradients.w_in, r["g_autodiff_in"]) < 1e-13


@both
def test_symmetric_feedback_is_autograd_s_gradient_of_the_cut_graph(method: str) -> None:
    trial = make_trial(replace(small_parameters(), duration=150.0), batch=3)
    p = trial.parameters
    run = ep.simulate(p, trial.weights, trial.inputs, stop_recurrent_gradient=True)
    loss = 0.5 * ep.output_error(p, trial.weights, run, trial.targets).square().sum()
    learned = fast.broadcast_gradients(p, trial.weights, trial.inputs, trial.targets, method=method)
    report = ep.compare(learned.gradients.tensors(), ep.bptt_gradients(loss, trial.weights))
    assert set(report.relative_errors) == {"w_in", "w_rec", "w_out"}
    assert report.max_relative_error < 1e-13


@both
def test_any_signal_is_summed_over_several_blocks(method: str) -> None:
    trial = make_trial(replace(small_parameters(), duration=150.0), batch=2)
    p, run = trial.parameters, detached(trial.run)
    signal = torch.from_numpy(np.random.default_rng(0).standard_normal(run.z.shape))
    wanted = ep.eprop_gradients(p, run, trial.inputs, signal, "traces")
    found = fast.eprop_gradients(p, fast.simulate(p, trial.weights, trial.inputs), trial.inputs, signal, method)
    assert ep.compare(found.tensors(), wanted).max_relative_error < 1e-13
    g_out = fast.readout_gradient(p, run, trial.targets)
    assert error(g_out, ep.readout_gradient(p, run, trial.targets)) < 1e-13


@both
def test_adaptive_feedback_learns_as_the_reference_path_does(method: str) -> None:
    trial = make_trial(small_parameters(), batch=2)
    p, rate = trial.parameters, 1e-3

    def updates(gradients: Callable[[ep.Weights, torch.Tensor], ep.Gradients]) -> tuple[ep.Weights, torch.Tensor]:
        weights = ep.Weights(*(w.detach() for w in trial.weights))
        feedback = ep.random_feedback(p, seed=1)
        for _ in range(5):
            g_in, g_rec, g_out = gradients(weights, feedback)
            assert g_in is not None
            assert g_rec is not None
            assert g_out is not None
            feedback = ep.adapt_feedback(feedback, -rate * g_out, decay=0.01)
            w_out = ep.adapt_feedback(weights.w_out, -rate * g_out, decay=0.01)
            weights = ep.Weights(weights.w_in - rate * g_in, weights.w_rec - rate * g_rec, w_out)
        return weights, feedback

    @torch.no_grad()
    def slow(weights: ep.Weights, feedback: torch.Tensor) -> ep.Gradients:
        run = ep.simulate(p, weights, trial.inputs)
        return filtered_rule(p, weights, trial.inputs, trial.targets, run, feedback)

    def quick(weights: ep.Weights, feedback: torch.Tensor) -> ep.Gradients:
        learned = fast.broadcast_gradients(p, weights, trial.inputs, trial.targets, feedback, method)
        return learned.gradients.tensors()

    (ours, b_ours), (theirs, b_theirs) = updates(quick), updates(slow)
    assert error(b_ours, b_theirs) < 1e-12
    for w_ours, w_theirs, w_before in zip(ours, theirs, trial.weights, strict=True):
        assert error(w_ours - w_before.detach(), w_theirs - w_before.detach()) < 1e-12


def large_trials(batch: int = 37) -> tuple[ep.Parameters, ep.Weights, torch.Tensor, torch.Tensor]:
    p = ep.Parameters(n_in=7, n_lif=12, n_alif=13, n_out=2, duration=150.0, rate_in=150.0)
    weights = ep.random_weights(p, seed=3)
    return p, weights, ep.poisson_spikes(p, batch, seed=3), ep.random_targets(p, batch, seed=3)


@both
@pytest.mark.parametrize("batch", [1, 16, 37])
def test_the_result_is_the_same_bits_on_every_run_and_with_any_number_of_threads(
    method: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface, "_WORTH_A_THREAD", 0)
    workers = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, threads: int) -> None:
            workers.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(interface, "ThreadPoolExecutor", Pool)
    p, weights, inputs, targets = large_trials(batch)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 1, 2, 2, 3, 5, 16, 16):
            torch.set_num_threads(threads)
            learned = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
            run = fast.simulate(p, weights, inputs)
            summed = fast.eprop_gradients(p, run, inputs, torch.sin(100 * torch.from_numpy(run.v)), method)
            g_out = fast.readout_gradient(p, run, targets)
            everything = (*learned.gradients, learned.spike_counts, *run, *summed[:2], g_out)
            results.append((learned.loss, *(each.tobytes() for each in everything if each is not None)))
    finally:
        torch.set_num_threads(before)
    assert all(result == results[0] for result in results)
    assert max(workers) == 15 if batch > 1 else not workers  # beside the thread that calls


@both
def test_a_batch_is_the_sum_of_its_trials(method: str) -> None:
    p, weights, inputs, targets = large_trials(21)
    whole = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
    pairs = zip(inputs, targets, strict=True)
    parts = [fast.broadcast_gradients(p, weights, x[None], y[None], method=method) for x, y in pairs]
    for name in fast.Gradients._fields:
        assert error(sum(getattr(part.gradients, name) for part in parts), getattr(whole.gradients, name)) < 1e-13
    assert math.isclose(sum(part.loss for part in parts), whole.loss, rel_tol=1e-13)
    np.testing.assert_array_equal(np.concatenate([part.spike_counts for part in parts]), whole.spike_counts)


@both
def test_float32_stays_float32_and_agrees_with_the_reference_path(method: str) -> None:
    # seed 288, since no |u| is so small that rounding in float32 could move a spike
    p = ep.Parameters()
    weights = ep.random_weights(p, seed=288).to(torch.float32)
    inputs, targets = (draw(p, seed=288).float() for draw in (ep.poisson_spikes, ep.random_targets))
    run, ours = ep.simulate(p, weights, inputs), fast.simulate(p, weights, inputs)
    assert run.v_scaled.abs().min() > 0.001
    np.testing.assert_array_equal(ours.z, run.z.detach().numpy())
    assert error(ours.psi.astype(float), run.psi) < 1e-5
    with torch.no_grad():
        wanted = filtered_rule(p, weights, inputs, targets, run)
    learned = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
    signal = ep.true_learning_signal(ep.regression_loss(p, weights, run, targets), run)
    summed = fast.eprop_gradients(p, ours, inputs, signal, method)
    everything = (*ours, *learned.gradients, *summed[:2], fast.readout(p, weights, ours))
    assert {each.dtype for each in everything if each is not None} == {np.dtype(np.float32)}
    assert largest_error(learned.gradients, wanted) < 1e-5  # type: ignore[operator]  # not None: it fires
    assert largest_error(summed, ep.eprop_gradients(p, run, inputs, signal)) < 1e-5  # type: ignore[operator]  # same


def test_arrays_and_tensors_of_any_layout_give_the_same_and_are_left_alone() -> None:
    p, weights, inputs, targets = large_trials(3)
    wanted = fast.broadcast_gradients(p, weights, inputs, targets)
    plain = arrays(*(w.detach().numpy().copy() for w in weights))
    strided = arrays(*(np.asfortranarray(w) for w in plain))
    frozen = np.repeat(inputs.numpy(), 2, axis=0)[::2]
    frozen.flags.writeable = False
    for each in (plain, strided):
        before = [w.copy() for w in each]  # type: ignore[attr-defined]  # they are arrays here
        found = fast.broadcast_gradients(p, each, frozen, targets.numpy())
        for name in fast.Gradients._fields:
            np.testing.assert_array_equal(getattr(found.gradients, name), getattr(wanted.gradients, name))
        for w, w_before in zip(each, before, strict=True):
            np.testing.assert_array_equal(w, w_before)
    assert all(w.requires_grad and w.grad is None for w in weights)


def test_the_diagonal_of_w_rec_is_not_used() -> None:
    p, weights, inputs, targets = large_trials(2)
    other = weights._replace(w_rec=weights.w_rec.detach() + 7 * torch.eye(p.n_rec, dtype=torch.float64))
    one, two = (fast.broadcast_gradients(p, w, inputs, targets) for w in (weights, other))
    np.testing.assert_array_equal(one.gradients.w_rec, two.gradients.w_rec)
    assert not one.gradients.w_rec.diagonal().any()
    assert one.gradients.w_rec.any()


def spoiled(tensor: torch.Tensor, value: float) -> torch.Tensor:
    copy = tensor.detach().clone()
    copy.view(-1)[-1] = value
    return copy


def bad_calls() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return for each kind of bad input the function and what to change among its arguments."""
    p, weights, inputs, targets = large_trials(2)
    run = detached(ep.simulate(p, weights, inputs))
    signal = torch.zeros_like(run.z)
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    functions: dict[str, dict[str, Any]] = {
        "simulate": {"weights": weights, "inputs": inputs},
        "readout": {"weights": weights, "run": run},
        "eprop_gradients": {"run": run, "inputs": inputs, "signal": signal},
        "readout_gradient": {"run": run, "output_signal": targets},
    }
    for function, good in functions.items():
        changes: dict[str, tuple[str, Any]] = {"no parameters": ("parameters", {})}
        for name, value in good.items():
            if isinstance(value, torch.Tensor):
                changes |= {
                    f"{name} too short": (name, value[:, :-1]),
                    f"{name} of no trial": (name, value[:0]),
                    f"{name} without a batch": (name, value[0]),
                    f"{name} of whole numbers": (name, value.long()),
                    f"{name} of bfloat16": (name, value.bfloat16()),
                    f"{name} of the other dtype": (name, value.float()),
                    f"{name} with NaN": (name, spoiled(value, math.nan)),
                    f"{name} with infinity": (name, spoiled(value, math.inf)),
                }
        if "inputs" in good:
            changes["inputs of a half"] = ("inputs", spoiled(inputs, 0.5))
        if "weights" in good:
            changes["weights no Weights"] = ("weights", tuple(weights))
            changes["w_rec of the other dtype"] = ("weights", weights._replace(w_rec=weights.w_rec.float()))
            for field in ep.Weights._fields:
                w = getattr(weights, field)
                changes[f"{field} too short"] = ("weights", weights._replace(**{field: w[:-1]}))
                changes[f"{field} with NaN"] = ("weights", weights._replace(**{field: spoiled(w, math.nan)}))
        if "run" in good:
            changes["run no Simulation"] = ("run", run.z)
            changes["z of a half"] = ("run", run._replace(z=spoiled(run.z, 0.5)))
            changes["psi with NaN"] = ("run", run._replace(psi=spoiled(run.psi, math.nan)))
            changes["psi too short"] = ("run", run._replace(psi=run.psi[:, :-1]))
        for label, (name, value) in changes.items():
            calls[f"{function}: {label}"] = (function, {"parameters": p, **good, name: value})
    calls["eprop_gradients: unknown method"] = (
        "eprop_gradients",
        {"parameters": p, "run": run, "inputs": inputs, "signal": signal, "method": "magic"},
    )
    return calls


BAD = bad_calls()


@pytest.mark.parametrize("label", BAD)
def test_bad_input_gets_the_error_of_the_reference_path(label: str) -> None:
    name, arguments = BAD[label]
    with pytest.raises((TypeError, ValueError)) as slow:
        getattr(ep, name)(**arguments)
    with pytest.raises(slow.type) as quick:
        getattr(fast, name)(**arguments)
    if "unknown method" not in label:  # the two have other methods to offer
        assert str(quick.value) == str(slow.value)


@pytest.mark.parametrize("method", fast.METHODS)
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"inputs": [[0.0, 1.0]]}, TypeError, says("inputs", "NumPy array or a torch.Tensor", "got list")),
        ({"inputs": np.zeros((2, 150, 7), bool)}, TypeError, says("inputs", "float32 or float64", "got bool")),
        ({"inputs": np.full((2, 150, 7), 2.0)}, ValueError, says("inputs", "0 or 1", "2.0")),
        ({"inputs": np.zeros((2, 150, 8))}, ValueError, says("inputs", "(any, 150, 7)", "got (2, 150, 8)")),
        ({"inputs": torch.zeros(2, 150, 7).to("meta")}, ValueError, says("inputs", "device cpu", "got meta")),
        ({"targets": np.zeros((2, 150, 2), np.float32)}, TypeError, says("targets", "float64", "got float32")),
        ({"targets": np.full((2, 150, 2), np.nan)}, ValueError, says("targets", "finite")),
        ({"targets": np.zeros((1, 150, 2))}, ValueError, says("targets", "(2, 150, 2)", "got (1, 150, 2)")),
        ({"feedback": np.zeros((2, 25))}, ValueError, says("feedback", "(25, 2)", "got (2, 25)")),
        ({"feedback": np.full((25, 2), np.inf)}, ValueError, says("feedback", "finite")),
        ({"method": "traces"}, ValueError, says("method", "closed_form", "online", "traces")),
        ({"parameters": None}, TypeError, says("parameters", "Parameters", "NoneType")),
        ({"weights": None}, TypeError, says("weights", "Weights", "NoneType")),
    ],
    ids=str,
)
def test_broadcast_gradients_refuses_bad_input(
    change: dict[str, Any], kind: type[Exception], words: str, method: str
) -> None:
    p, weights, inputs, targets = large_trials(2)
    good = {"parameters": p, "weights": weights, "inputs": inputs, "targets": targets, "method": method}
    with pytest.raises(kind, match=words):
        fast.broadcast_gradients(**{**good, **change})


def test_an_output_that_overflows_is_an_error() -> None:
    p, weights, inputs, targets = large_trials(2)
    huge = weights._replace(w_out=torch.full_like(weights.w_out, 1e308))
    with pytest.raises(ValueError, match=says("weights", "overflow")):
        fast.broadcast_gradients(p, huge, inputs, targets)


PEAK = """
import sys
import numpy as np
import eprop_nb as ep
from eprop_nb import fast

def peak_of(call):
    # Linux keeps the largest size of a process, and forgets it when 5 is written here
    call()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    size = {}
    for when in ("before", "after"):
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        size[when] = int(lines["VmRSS" if when == "before" else "VmHWM"].split()[0])
        if when == "before":
            call()
    return size["after"] - size["before"]

for steps in (2_000, 40_000):
    p = ep.Parameters(n_in=5, n_lif=50, n_alif=50, duration=float(steps))
    weights = ep.random_weights(p, seed=0)
    inputs, targets = ep.poisson_spikes(p, seed=0).numpy(), ep.random_targets(p, seed=0).numpy()
    print(peak_of(lambda: fast.broadcast_gradients(p, weights, inputs, targets, method=sys.argv[1])))
"""


def peaks(method: str) -> list[int]:
    """Return the memory in kB that a trial of 2,000 and one of 40,000 steps took at its peak, beside its arguments."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-c", PEAK, method], capture_output=True, text=True, check=True, env=environment
    )
    return [int(line) for line in result.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the largest size of a process, and forgets it")
def test_the_memory_of_the_online_form_does_not_grow_with_time() -> None:
    short, long = peaks("online")
    assert long < short + 500  # kB; pages come and go
    psi = 40_000 * 100 * 8 / 1000
    _, whole = peaks("closed_form")
    assert psi < whole < 2 * psi  # the same measurement sees what does grow: psi and the lists of spikes


def test_a_new_process_takes_compiled_code_from_the_cache() -> None:
    call = """
import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.fast import interface, kernels
p = ep.Parameters()
weights, x, y = ep.random_weights(p, seed=0), ep.poisson_spikes(p, seed=0), ep.random_targets(p, seed=0)
fast.broadcast_gradients(p, weights, x, y)
stats = kernels.learn_closed_form.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
    found = ""
    for _ in range(2):  # the first may have to fill the cache
        found = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["1", "0"]
