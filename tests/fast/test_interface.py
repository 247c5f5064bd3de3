"""The compiled path against the reference path: every setting and length, both methods, any signal, any feedback."""

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
from test_reference import reference, reference_parameters

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.evidence.random_networks import Case, build, output_derivative, random_case
from eprop_nb.fast import interface, kernels
from eprop_nb.gradients import closed_form_sum

both = pytest.mark.parametrize("method", fast.METHODS)


def arrays(w_in: Any, w_rec: Any, w_out: Any) -> ep.Weights:
    """Return weights that hold NumPy arrays."""
    return ep.Weights(w_in, w_rec, w_out)


def detached(run: ep.Simulation) -> ep.Simulation:
    z, v, b, v_scaled, psi = (each.detach() for each in run[:5])
    return ep.Simulation(z, v, b, v_scaled, psi, run.sent)


def longer(case: Case, steps: int) -> Case:
    return case._replace(parameters=replace(case.parameters, duration=case.parameters.dt * steps))


def as_reference(run: fast.Simulation) -> ep.Simulation:
    """Return the numbers of a compiled simulation as the reference path takes them."""
    z, v, b, v_scaled, psi = map(torch.from_numpy, run)
    return ep.Simulation(z, v, b, v_scaled, psi, tuple(z.unbind(1)))


@torch.no_grad()
def reference_learning(
    p: ep.Parameters,
    weights: ep.Weights,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    run: ep.Simulation,
    feedback: torch.Tensor | None,
) -> tuple[float, torch.Tensor, ep.Gradients]:
    """Return what `fast.broadcast_gradients` should find: the loss, the learning signal behind it, the gradients."""
    mistake = ep.output_error(p, weights, run, targets)
    back = weights.w_out if feedback is None else feedback
    signal = ep.low_pass(mistake.flip(1), p.kappa, p.kappa_complement).flip(1) @ back.T
    sums = ep.eprop_gradients(p, run, inputs, signal, "closed_form")
    w_out = ep.readout_gradient(p, run, mistake)
    return 0.5 * mistake.square().sum().item(), signal, sums._replace(w_out=w_out)


def cancellation(p: ep.Parameters, run: ep.Simulation, signal: torch.Tensor, pre: torch.Tensor) -> torch.Tensor:
    """Return the sum Σ_t L e with every product in it taken without its sign, [pre, post].

    The closed form does that if β is negative and the signal is not. Rounding is some 2⁻⁵² of this, in any order.
    """
    constants = p.constants(like=run.psi)
    return closed_form_sum(constants._replace(beta=-constants.beta), run.psi, signal.abs(), pre)


def test_spikes_are_equal_and_gradients_agree_to_1e_13_over_every_setting() -> None:
    # Networks from a generator: what hypothesis draws hangs on the modules that are loaded, and so on the other tests.
    generator, trials, long, found_errors, bounds = np.random.default_rng(2020), 0, 0, [], []

    def hold(p: ep.Parameters, run: ep.Simulation, inputs: torch.Tensor, signal: torch.Tensor, found: Any) -> None:
        wanted = ep.eprop_gradients(p, run, inputs, signal, "closed_form")
        for name, pre in (("w_in", inputs), ("w_rec", ep.previous_spikes(run.z))):
            ours, theirs = getattr(found, name), getattr(wanted, name)
            if not theirs.any():
                assert not ours.any()
                continue
            whole = (cancellation(p, run, signal, pre).max() / theirs.abs().max()).item()
            bounds.append(max(1e-13, 16 * 2.0**-52 * whole))  # 7 is the most that was seen in 20,000 gradients
            found_errors.append(error(ours, theirs))
            assert found_errors[-1] <= bounds[-1]

    for _ in range(250):
        case = random_case(generator)
        if generator.random() < 0.4:
            case = longer(case, int(generator.integers(kernels.BLOCK - 1, 3 * kernels.BLOCK)))
        p, made = case.parameters, build(case)
        weights, inputs, targets = made.weights, made.inputs, made.targets
        ours, theirs = fast.simulate(p, weights, inputs), detached(made.run)
        np.testing.assert_array_equal(ours.z, theirs.z.numpy())
        if not ours.z.any():
            continue
        trials += 1
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

        # from here on with one ψ for both: a network whose traces grow makes much of its last bit
        run, signal = as_reference(ours), ep.true_learning_signal(made.loss, made.run)
        for method in fast.METHODS:
            hold(p, run, inputs, signal, fast.eprop_gradients(p, ours, inputs, signal, method))
        for feedback in (None, ep.random_feedback(p, case.seed)):
            loss, signal, gradients = reference_learning(p, weights, inputs, targets, run, feedback)
            for method in fast.METHODS:
                learned = fast.broadcast_gradients(p, weights, inputs, targets, feedback, method)
                np.testing.assert_array_equal(learned.spike_counts, theirs.z.sum(1).numpy())
                assert math.isclose(learned.loss, loss, rel_tol=1e-13)
                assert error(learned.gradients.w_out, gradients.w_out) < 1e-13
                hold(p, run, inputs, signal, learned.gradients)

    beyond = sum(each > 1e-13 for each in found_errors)
    loose = sum(each > 1e-12 for each in bounds)
    print(
        f"{trials} trials, {long} of several blocks; {len(bounds)} gradients: {beyond} above 1e-13, {loose} held less"
    )
    assert trials > 200
    assert long > 60
    assert len(found_errors) > 2000
    assert beyond < len(found_errors) / 100
    assert loose < len(bounds) / 10


@pytest.mark.parametrize("steps", [1, 63, 64, 65, 127, 128, 129])
def test_lengths_around_several_blocks_agree_in_every_function(steps: int) -> None:
    trial = make_trial(replace(small_parameters(), duration=float(steps)), batch=2)
    p, weights, inputs, targets, run = trial.parameters, trial.weights, trial.inputs, trial.targets, detached(trial.run)
    signal = torch.from_numpy(np.random.default_rng(0).standard_normal(run.z.shape))

    def agree(found: Any, wanted: Any) -> None:
        if steps == 1 and not wanted.any():  # nothing has been sent before the first step
            assert not found.any()
        else:
            assert error(found, wanted) < 1e-13

    ours = fast.simulate(p, weights, inputs)
    for name in fast.Simulation._fields:
        agree(getattr(ours, name), getattr(run, name))
    agree(fast.readout(p, weights, ours), ep.readout(p, weights, run).detach())
    agree(fast.readout_gradient(p, ours, targets), ep.readout_gradient(p, run, targets))
    for method in fast.METHODS:
        found, wanted = (
            module.eprop_gradients(p, run, inputs, signal, way) for module, way in ((fast, method), (ep, "traces"))
        )
        assert wanted.w_in.any()
        agree(found.w_in, wanted.w_in)
        agree(found.w_rec, wanted.w_rec)
        for feedback in (None, ep.random_feedback(p, 0)):
            learned = fast.broadcast_gradients(p, weights, inputs, targets, feedback, method)
            loss, _, gradients = reference_learning(p, weights, inputs, targets, run, feedback)
            assert math.isclose(learned.loss, loss, rel_tol=1e-13)
            np.testing.assert_array_equal(learned.spike_counts, run.z.sum(1).numpy())
            for name in fast.Gradients._fields:
                agree(getattr(learned.gradients, name), getattr(gradients, name))


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
    assert ep.compare(learned.gradients.tensors(), wanted).max_relative_error < 1e-5
    assert ep.compare(summed.tensors(), ep.eprop_gradients(p, run, inputs, signal)).max_relative_error < 1e-5


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

method = sys.argv[1]
for steps in (2_000, 40_000):
    p = ep.Parameters(n_in=5, n_lif=50, n_alif=50, duration=float(steps))
    weights = ep.random_weights(p, seed=0)
    inputs, targets = ep.poisson_spikes(p, seed=0).numpy(), ep.random_targets(p, seed=0).numpy()
    print(peak_of(lambda: fast.broadcast_gradients(p, weights, inputs, targets, method=method)))

    # as many spikes as can be, so that it shows where their list is kept
    z = np.ones((1, steps, p.n_rec))
    run = fast.Simulation(z, z, z, z, z)
    print(peak_of(lambda: fast.eprop_gradients(p, run, inputs, z, method)))
"""


def peaks(method: str) -> list[int]:
    """Return the memory in kB that a trial of 2,000 and one of 40,000 steps took at its peak, beside its arguments.

    For `broadcast_gradients`, for `eprop_gradients`, then for both with the long trial.
    """
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-c", PEAK, method], capture_output=True, text=True, check=True, env=environment
    )
    return [int(line) for line in result.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the largest size of a process, and forgets it")
def test_the_memory_of_the_online_form_does_not_grow_with_time() -> None:
    learning, summing, long_learning, long_summing = peaks("online")
    assert long_learning < learning + 500  # kB; pages come and go
    assert long_summing < summing + 500
    _, _, long_learning, long_summing = peaks("closed_form")
    psi, spikes = 40_000 * 100 * 8 / 1000, 40_000 * 100 * 4 / 1000
    assert psi < long_learning < 2 * psi  # the same measurement sees what does grow: psi and the lists of spikes
    assert spikes < long_summing < 2 * spikes


@both
@pytest.mark.parametrize("function", ["broadcast_gradients", "eprop_gradients"])
def test_each_method_is_computed_by_its_own_kernel(function: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p, weights, inputs, targets = large_trials(2)
    run = fast.simulate(p, weights, inputs)
    called: list[str] = []

    def listed(name: str) -> Callable[..., bool]:
        kernel = getattr(kernels, name)

        def call(*arguments: Any) -> bool:
            called.append(name)
            return bool(kernel(*arguments))

        return call

    expected = {"broadcast_gradients": "learn_", "eprop_gradients": "sum_"}[function] + method
    if expected == "sum_closed_form":
        expected = "run_backward"
    for name in ("learn_online", "learn_closed_form", "sum_online", "run_backward"):
        monkeypatch.setattr(kernels, name, listed(name))
    if function == "broadcast_gradients":
        fast.broadcast_gradients(p, weights, inputs, targets, method=method)
    else:
        fast.eprop_gradients(p, run, inputs, run.v, method)
    assert called == [expected]


@both
def test_the_sums_of_many_trials_take_no_more_than_their_room(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p, weights, inputs, targets = large_trials(21)
    one_sum = 8 * (p.n_in * p.n_rec + p.n_rec * p.n_rec + p.n_rec * p.n_out)
    wanted, counts = fast.broadcast_gradients(p, weights, inputs, targets, method=method), []
    for room in (0, 3 * one_sum + 1, 2**30):
        monkeypatch.setattr(interface, "_ROOM", room)
        counts.append(len(interface._sums(21, np.dtype(float), *(w.shape for w in weights))[0]))
        found = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
        for name in fast.Gradients._fields:
            assert error(getattr(found.gradients, name), getattr(wanted.gradients, name)) < 1e-13
    assert counts == [1, 3, 16]


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
