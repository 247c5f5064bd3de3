"""The numbers of the compiled path: those of the reference path to the bit, and none that is not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import error, says

import eprop_nb as ep
from eprop_nb import fast

both = pytest.mark.parametrize("method", fast.METHODS)

# ---------------------------------------------------------------------------------------------- the same, to the bit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_simulation_is_the_reference_s_to_the_bit_where_sums_have_one_order(dtype: torch.dtype) -> None:
    # One input, and two neurons without a synapse onto themselves: at most two numbers are added up at a time. The
    # weights are such that many voltages lie where ψ ends, at |u| = 1: a voltage near 0 or near twice the threshold.
    rng, spikes, near = np.random.default_rng(5), 0, 0
    for seed in range(100):
        p = ep.Parameters(
            n_in=1,
            n_lif=1,
            n_alif=1,
            duration=70.0,
            rate_in=200.0,
            threshold=rng.uniform(0.1, 2, 2).tolist(),
            beta=float(rng.uniform(0, 1)),
            dampening=float(rng.uniform(0.1, 1)),
            n_ref=int(rng.integers(0, 4)),
        )
        weights = ep.random_weights(p, seed)
        weights = weights._replace(w_in=2.0 * weights.w_in.abs()).to(dtype)
        inputs = ep.poisson_spikes(p, seed=seed).to(dtype)
        ours, theirs = fast.simulate(p, weights, inputs), ep.simulate(p, weights, inputs)
        for name in fast.Simulation._fields:
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name).detach().numpy())
        spikes += int(ours.z.sum())
        near += int((np.abs(np.abs(ours.v_scaled) - 1) < 1e-3).sum())
    assert spikes > 500
    assert near > 100


@both
def test_a_neuron_at_rest_has_no_psi_and_no_gradient(method: str) -> None:
    thresholds = [0.72, 0.62, 0.49, 1.1, 0.3, 0.07, 0.98, 1.9]  # for some, thr · (1 / thr) is not 1
    assert any(thr * (1 / thr) != 1 for thr in thresholds)
    p = ep.Parameters(threshold=thresholds)
    drawn = ep.random_weights(p, seed=0)
    weights = drawn._replace(w_in=torch.zeros_like(drawn.w_in))
    inputs, targets = ep.poisson_spikes(p, seed=0), ep.random_targets(p, seed=0)
    assert not fast.simulate(p, weights, inputs).psi.any()
    learned = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
    assert not learned.gradients.w_in.any()
    with pytest.raises(ep.VacuousComparisonError):
        ep.compare(learned.gradients.tensors(), learned.gradients.tensors())


@pytest.mark.parametrize("n_ref", [60, 2**31, 2**62, 2**63 - 1])
def test_a_refractory_period_beyond_the_trial_lets_each_neuron_fire_once(n_ref: int) -> None:
    p = ep.Parameters(n_ref=n_ref)
    weights = ep.random_weights(p, seed=1)
    weights = weights._replace(w_in=weights.w_in.abs())
    inputs, targets = ep.poisson_spikes(p, seed=1), ep.random_targets(p, seed=1)
    wanted = ep.simulate(replace(p, n_ref=60), weights, inputs).z.detach().numpy()
    assert wanted.sum(1).max() == 1
    np.testing.assert_array_equal(fast.simulate(p, weights, inputs).z, wanted)
    for method in fast.METHODS:
        learned = fast.broadcast_gradients(p, weights, inputs, targets, method=method)
        np.testing.assert_array_equal(learned.spike_counts, wanted.sum(1))


def test_a_readout_of_long_memory_keeps_all_its_digits() -> None:
    # 1 − κ is 1e-9 here, and has 7 digits if it is computed as 1 − κ
    p = ep.Parameters(n_in=1, n_lif=1, n_alif=0, tau_out=1e9, duration=2.0)
    z = np.ones((1, 2, 1))
    run = fast.Simulation(z, z, z, z, z)
    one = np.ones((1, 1))
    output = fast.readout(p, ep.Weights(one, one, one), run)  # type: ignore[arg-type]  # arrays are fine
    take = 1e-9 - 1e-18 / 2  # 1 − exp(−1e-9), but for terms of 1e-27
    np.testing.assert_allclose(output[0, :, 0], [take, take * (2 - take)], rtol=1e-15)
    gradient = fast.readout_gradient(p, run, z)
    np.testing.assert_allclose(gradient, [[take * (3 - take)]], rtol=1e-15)


# ------------------------------------------------------------------------------------------ nothing that is not finite


def trial(dtype: torch.dtype = torch.float64, **fields: Any) -> dict[str, Any]:
    """Return the arguments of `fast.broadcast_gradients` for a small network that fires."""
    p = ep.Parameters(**({"n_in": 2, "n_lif": 2, "n_alif": 2, "rate_in": 300.0, "duration": 70.0} | fields))
    weights = ep.random_weights(p, seed=0)
    weights = ep.Weights(weights.w_in.detach().abs(), weights.w_rec.detach(), weights.w_out.detach())
    return {
        "parameters": p,
        "weights": ep.Weights(*(w.to(dtype) for w in weights)),
        "inputs": ep.poisson_spikes(p, 3, seed=0).to(dtype),
        "targets": ep.random_targets(p, 3, seed=0).to(dtype),
        "feedback": ep.random_feedback(p, seed=0).to(dtype),
    }


def with_weight(arguments: dict[str, Any], name: str, value: float) -> dict[str, Any]:
    weights = arguments["weights"]
    return arguments | {"weights": weights._replace(**{name: torch.full_like(getattr(weights, name), value)})}


def too_large() -> dict[str, tuple[dict[str, Any], tuple[object, ...]]]:
    """Return arguments of which something overflows, and what the message must name."""
    good, single = trial(), {"dtype": torch.float32}
    return {
        "w_in": (with_weight(good, "w_in", 1e308), ("weights.w_in", "voltages", "1e+308")),
        "w_rec": (with_weight(good, "w_rec", 1e308), ("weights.w_rec", "voltages", "1e+308")),
        "w_out": (with_weight(good, "w_out", 1e308), ("weights.w_out", "output", "1e+308")),
        "targets": (good | {"targets": good["targets"] * 1e200}, ("targets", "output", "e+200")),
        "targets of all trials": (
            # each trial's loss is 1.4e308, that of the three is beyond float64
            good | {"targets": torch.full_like(good["targets"], 2e153)},
            ("targets", "output", "2e+153"),
        ),
        "feedback": (
            good | {"feedback": torch.full_like(good["feedback"], 1e308), "targets": good["targets"] * 100},
            ("feedback", "signal", "1e+308"),
        ),
        "gradient": (good | {"feedback": torch.full_like(good["feedback"], 1e307)}, ("feedback", "gradient", "1e+307")),
        "threshold that underflows": (trial(threshold=1e-50, **single), ("threshold", "float32", "1e-50")),
        "threshold that overflows": (trial(threshold=1e39, **single), ("threshold", "float32", "1e+39")),
        "beta": (trial(beta=1e39, **single), ("beta", "float32", "1e+39")),
        "dampening": (trial(dampening=1e39, **single), ("dampening", "float32", "1e+39")),
        "dampening over threshold": (
            with_weight(trial(dampening=1e200, threshold=1e-110), "w_in", 0.7e-110),
            ("threshold", "u and ψ", "1e-110", "1e+200"),
        ),
    }


TOO_LARGE = too_large()


@both
@pytest.mark.parametrize("label", TOO_LARGE)
def test_what_overflows_is_named(label: str, method: str) -> None:
    arguments, words = TOO_LARGE[label]
    with pytest.raises(ValueError, match=says(*words)):
        fast.broadcast_gradients(**arguments, method=method)


@both
def test_voltages_that_cancel_to_nan_are_not_taken_for_silence(method: str) -> None:
    p = ep.Parameters(n_in=2, n_lif=2, n_alif=1, duration=6.0, n_ref=0, rate_in=1000.0)
    drawn = ep.random_weights(p, seed=0)  # two inputs make a voltage infinite, two spikes then take infinity away
    weights = drawn._replace(w_in=torch.full_like(drawn.w_in, 1e308), w_rec=torch.full_like(drawn.w_rec, -1e308))
    inputs, targets = ep.poisson_spikes(p, seed=0), ep.random_targets(p, seed=0)
    with pytest.raises(ValueError, match=says("run.v", "finite", "overflow")):
        ep.simulate(p, weights, inputs)
    for call in (
        lambda: fast.simulate(p, weights, inputs),
        lambda: fast.broadcast_gradients(p, weights, inputs, targets, method=method),
    ):
        with pytest.raises(ValueError, match=says("weights.w_", "voltages", "1e+308")):
            call()


SIMULATED = {
    "w_in": (("weights.w_in", "voltages"), with_weight(trial(), "w_in", 1e308)),
    "threshold": (("threshold", "float32"), trial(torch.float32, threshold=1e-50)),
    "u": (("threshold", "u and ψ"), with_weight(trial(threshold=1e-300), "w_in", 1e10)),
}


@pytest.mark.parametrize("label", SIMULATED)
def test_a_simulation_that_overflows_is_an_error(label: str) -> None:
    words, arguments = SIMULATED[label]
    with pytest.raises(ValueError, match=says(*words)):
        fast.simulate(*(arguments[name] for name in ("parameters", "weights", "inputs")))


def test_an_infinite_u_is_no_error_where_it_is_not_returned() -> None:
    # far above a tiny threshold: a spike whenever it may, ψ = 0, and no gradient but the readout's
    arguments = with_weight(trial(threshold=1e-300), "w_in", 1e10)
    p, weights, inputs, targets, feedback = arguments.values()
    with pytest.raises(ValueError, match=says("run.v_scaled", "overflow")):
        ep.simulate(p, weights, inputs)
    learned = fast.broadcast_gradients(p, weights, inputs, targets, feedback)
    p = replace(p, threshold=1e-290)  # the same spikes, and u below 1e301
    run = ep.simulate(p, weights, inputs)
    assert run.v_scaled.max() > 1e299
    assert (
        error(learned.gradients.w_out, ep.readout_gradient(p, run, ep.output_error(p, weights, run, targets))) < 1e-13
    )
    assert error(learned.gradients.w_in, torch.zeros(2, 4) + 1) == 1  # that is, zero


@both
def test_sums_that_overflow_are_an_error(method: str) -> None:
    p, weights, inputs, _, _ = trial().values()
    ones = np.ones((3, p.n_steps, p.n_rec))
    run, huge = fast.Simulation(*(ones for _ in fast.Simulation._fields)), 1.7e308 * ones
    with pytest.raises(ValueError, match=says("signal", "gradient", "1.7e+308")):
        fast.eprop_gradients(p, run, inputs, huge, method)
    with pytest.raises(ValueError, match=says("output_signal", "gradient", "1.7e+308")):
        fast.readout_gradient(p, run, huge[:, :, :1])
    with pytest.raises(ValueError, match=says("weights.w_out", "output", "1.7e+308")):
        fast.readout(p, weights._replace(w_out=torch.full_like(weights.w_out, 1.7e308)), run)
    single = fast.Simulation(*(each.astype(np.float32) for each in run))
    with pytest.raises(ValueError, match=says("beta", "float32", "1e+39")):
        fast.eprop_gradients(replace(p, beta=1e39), single, inputs.float(), single.z, method)
    # as large, and fine: one trial, in which each neuron fires once
    one = fast.Simulation(*(np.eye(p.n_steps, p.n_rec)[None] for _ in fast.Simulation._fields))
    assert np.isfinite(fast.readout_gradient(p, one, huge[:1, :, :1])).all()


def test_only_the_trial_with_a_fault_matters_and_the_message_does_not_hang_on_threads() -> None:
    arguments = trial()
    for row in range(3):
        targets = arguments["targets"].clone()
        targets[row, 5] = 1e200
        with pytest.raises(ValueError, match=says("targets", "1e+200")):
            fast.broadcast_gradients(**arguments | {"targets": targets})


@torch.no_grad()
def reference_refuses(arguments: dict[str, Any]) -> bool | None:
    """Return whether the reference path raises on the way to the gradients.

    None where it does so for an infinite u alone, which it returns and the compiled path does not.
    """
    p, weights, inputs, targets, feedback = arguments.values()
    try:
        run = ep.simulate(p, weights, inputs)
        mistake = ep.output_error(p, weights, run, targets)
        signal = ep.low_pass(mistake.flip(1), p.kappa).flip(1) @ feedback.T
        sums = ep.eprop_gradients(p, run, inputs, signal, "closed_form")
        numbers = (run.v, mistake.double().square().sum(), sums.w_in, sums.w_rec, ep.readout_gradient(p, run, mistake))
    except ValueError as refusal:
        return None if "run.v_scaled" in str(refusal) else True
    return not all(bool(each.isfinite().all()) for each in numbers if each is not None)


@both
def test_it_refuses_exactly_what_the_reference_path_refuses(method: str) -> None:
    rng, refused, differences = np.random.default_rng(3), 0, []
    for n in range(250):
        dtype, most = ((torch.float32, 38), (torch.float64, 308))[n % 2]

        def factor(most: int = most) -> float:
            return float(rng.choice([1.0, 1.0, 10 ** rng.uniform(most - 9, most), 10 ** rng.uniform(-most, 9 - most)]))

        arguments = trial(
            dtype,
            duration=float(rng.choice([6, 64, 65, 100])),
            threshold=0.5 * float(rng.choice([1, 1, 1, 1, 10 ** rng.uniform(-50, 50)])),
            n_ref=int(rng.choice([0, 2, 2**62])),
        )
        scaled = ep.Weights(*(w * factor() for w in arguments["weights"]))
        arguments |= {"weights": scaled} | {name: arguments[name] * factor() for name in ("targets", "feedback")}
        if not all(each.isfinite().all() for each in (*scaled, arguments["targets"], arguments["feedback"])):
            continue
        try:
            learned = fast.broadcast_gradients(**arguments, method=method)
        except ValueError:
            ours = True
        else:
            ours = False
            assert math.isfinite(learned.loss)
            assert all(np.isfinite(each).all() for each in learned.gradients if each is not None)
        if (theirs := reference_refuses(arguments)) is None:
            continue
        refused += theirs
        if ours != theirs:
            differences.append(n)
    assert differences == []
    assert 50 < refused < 200
