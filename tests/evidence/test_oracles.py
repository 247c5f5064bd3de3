"""The gradient by ways that share no code with the package: NumPy by hand, forward mode, finite differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Array, array, error, make_trial, small_parameters
from test_reference import FILES, reference, reference_parameters

import eprop_nb as ep
from eprop_nb.evidence import oracles
from eprop_nb.gradients import METHODS

TOLERANCE = 1e-13
SETTINGS = {
    "seed experiment": ep.Parameters(),
    "everything at once": small_parameters(),
    "LIF only": ep.Parameters(n_alif=0, duration=30.0),
    "ALIF only, fast": ep.Parameters(n_lif=0, tau_a=15.0, beta=0.8, duration=40.0, n_ref=0),
    "half a millisecond": ep.Parameters(dt=0.5, duration=30.0, n_ref=4, rate_in=300.0),
    "each its own": ep.Parameters(
        n_lif=1, n_alif=2, tau_v=[5.0, 20.0, 50.0], tau_a=[10.0, 80.0, 900.0], threshold=[0.4, 0.6, 0.9], duration=40.0
    ),
}


def by_hand(p: ep.Parameters, seed: int, batch: int) -> tuple[oracles.Trial, dict[str, oracles.HandGradients], Array]:
    trial = make_trial(p, seed=seed, batch=batch)
    w_in, w_rec, w_out = (array(w) for w in trial.weights)
    x, y = array(trial.inputs), array(trial.targets)
    run = oracles.simulate(p, w_in, w_rec, x)
    direct = oracles.regression_derivative(p, w_out, run.z, y)
    ways = {f.__name__: f(p, run, w_rec, x, direct) for f in (oracles.bptt, oracles.forward_mode)}
    return run, ways, direct


@pytest.mark.parametrize("p", SETTINGS.values(), ids=SETTINGS)
def test_the_simulation_in_numpy_is_the_package_s(p: ep.Parameters) -> None:
    trial, (run, _, _) = make_trial(p, seed=1, batch=2), by_hand(p, 1, 2)
    assert run.z.any()
    assert np.array_equal(run.z, array(trial.run.z))
    for name in ("v", "psi"):
        assert error(getattr(run, name), getattr(trial.run, name)) < TOLERANCE
    assert error(run.b, trial.run.b) < TOLERANCE


@pytest.mark.parametrize("way", ["bptt", "forward_mode"])
@pytest.mark.parametrize("p", SETTINGS.values(), ids=SETTINGS)
def test_eprop_is_the_gradient_written_by_hand(p: ep.Parameters, way: str) -> None:
    trial, (_, ways, direct) = make_trial(p, seed=1, batch=2), by_hand(p, 1, 2)
    (partial,) = torch.autograd.grad(trial.loss, trial.run.z, retain_graph=True)
    assert error(direct, partial) < TOLERANCE
    signal = ep.true_learning_signal(trial.loss, trial.run)
    hand = ep.Gradients(torch.from_numpy(ways[way].w_in), torch.from_numpy(ways[way].w_rec))
    for method in METHODS:
        eprop = ep.eprop_gradients(p, trial.run, trial.inputs, signal, method)
        assert ep.compare(eprop, hand).max_relative_error < TOLERANCE
    if way == "bptt":
        assert error(ways[way].signal, signal) < TOLERANCE


@pytest.mark.parametrize("name", FILES)
def test_the_hand_written_ways_agree_with_the_authors_program(name: str) -> None:
    r, p = reference(name), reference_parameters(name)
    run = oracles.simulate(p, r["w_in"], r["w_rec"], r["inputs"])
    assert np.array_equal(run.z, r["spikes"])
    direct = oracles.regression_derivative(p, r["w_out"], run.z, r["y_target"])
    back = oracles.bptt(p, run, r["w_rec"], r["inputs"], direct)
    ahead = oracles.forward_mode(p, run, r["w_rec"], r["inputs"], direct)
    assert error(back.signal, r["dE_dz"]) < TOLERANCE
    for way in (back, ahead):
        assert error(way.w_in, r["g_bptt_in"]) < TOLERANCE
        assert error(way.w_rec, r["g_bptt"]) < TOLERANCE


@cache
def good_arguments() -> dict[str, Any]:
    p = small_parameters()
    _, _, direct = by_hand(p, 1, 2)
    trial = make_trial(p, seed=1, batch=2)
    w_in, w_rec, w_out, x, y = (array(each) for each in (*trial.weights, trial.inputs, trial.targets))
    run = oracles.simulate(p, w_in, w_rec, x)
    return {
        "parameters": p,
        "w_in": w_in,
        "w_rec": w_rec,
        "w_out": w_out,
        "inputs": x,
        "targets": y,
        "direct": direct,
        "trial": run,
        "z": run.z,
    }


FUNCTIONS: dict[Callable[..., object], tuple[str, ...]] = {
    oracles.simulate: ("parameters", "w_in", "w_rec", "inputs"),
    oracles.regression_derivative: ("parameters", "w_out", "z", "targets"),
    oracles.bptt: ("parameters", "trial", "w_rec", "inputs", "direct"),
    oracles.forward_mode: ("parameters", "trial", "w_rec", "inputs", "direct"),
}
BAD = {
    "nothing": None,
    "a word": "abc",
    "a ragged list": [[1.0], [1.0, 2.0]],
    "complex numbers": np.ones((2, 2), complex),
    "a tensor of the graph": torch.ones(2, 2).requires_grad_(),
    "a sparse tensor": torch.ones(2, 2).to_sparse(),
    "a tensor without numbers": torch.ones(2, 2, device="meta"),
    "a masked array": np.ma.masked_array([[1.0]], [[True]]),
    "one number": 1.0,
    "another shape": np.ones((7, 7)),
    "an empty array": np.ones((0, 0)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    ("function", "name"), [(function, name) for function, names in FUNCTIONS.items() for name in names]
)
def test_a_bad_argument_is_named(function: Callable[..., object], name: str, bad: object) -> None:
    arguments = {each: good_arguments()[each] for each in FUNCTIONS[function]}
    function(**arguments)
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must "):
        function(**arguments | {name: bad})


@pytest.mark.parametrize("entry", [np.nan, np.inf, 0.5])
def test_entries_that_are_no_numbers_or_no_spikes_are_refused(entry: float) -> None:
    arguments = good_arguments()
    for function, names in FUNCTIONS.items():
        for name in set(names) - {"parameters", "trial"}:
            if entry == 0.5 and name not in ("inputs", "z"):
                continue
            changed = np.array(arguments[name], copy=True)
            changed.flat[0] = entry
            with pytest.raises(ValueError, match=rf"^{name} must (be finite|hold spikes)"):
                function(**{each: arguments[each] for each in names} | {name: changed})


def test_whole_numbers_and_lists_will_do() -> None:
    arguments = good_arguments()
    p, w_in, w_rec, x = (arguments[name] for name in FUNCTIONS[oracles.simulate])
    wanted = oracles.simulate(p, w_in, w_rec, x)
    found = oracles.simulate(p, w_in.tolist(), w_rec, x.astype(np.uint8))
    assert wanted.z.any()
    assert np.array_equal(found.v, wanted.v)


def logistic(u: torch.Tensor, width: float) -> torch.Tensor:
    return torch.sigmoid(u / width)


def logistic_derivative(u: torch.Tensor, width: float) -> torch.Tensor:
    return logistic(u, width) * (1 - logistic(u, width)) / width


SMOOTH = ep.SpikeFunction(logistic, logistic_derivative)


def smooth_loss(
    p: ep.Parameters, w: torch.Tensor, trial: ep.Weights, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, list[ep.State]]:
    constants, state = p.constants(like=inputs), ep.initial_state(p, inputs.shape[0], like=inputs)
    w_rec, states = ep.without_self_connections(w[p.n_in :]), []
    for x in inputs.unbind(1):
        state = ep.step(p, constants, state, x @ w[: p.n_in] + state.z_sent @ w_rec, SMOOTH)
        states.append(state)
    z = torch.stack([s.z_sent for s in states], dim=1)
    return ((ep.low_pass(z, p.kappa) @ trial.w_out.detach() - targets) ** 2).mean(), states


@pytest.mark.parametrize("n_ref", [0, 1])
@pytest.mark.parametrize(("n_lif", "n_alif"), [(2, 0), (0, 2), (1, 2)])
@pytest.mark.parametrize("dt", [0.5, 2.0])
def test_with_smooth_spikes_the_rule_is_plain_calculus(n_lif: int, n_alif: int, n_ref: int, dt: float) -> None:
    p = ep.Parameters(
        n_lif=n_lif, n_alif=n_alif, n_ref=n_ref, dt=dt, duration=16 * dt, beta=0.4, tau_a=8.0, rate_in=400.0
    )
    weights, inputs = ep.random_weights(p, seed=2), ep.poisson_spikes(p, seed=2)
    targets = ep.random_targets(p, seed=2)
    w = torch.cat((weights.w_in, weights.w_rec)).detach()

    loss, states = smooth_loss(p, w.clone().requires_grad_(), weights, inputs, targets)
    signal = torch.stack(torch.autograd.grad(loss, [s.z_sent for s in states]), dim=1)
    psi = torch.stack([s.psi for s in states], dim=1)
    z = torch.stack([s.z_own for s in states], dim=1).detach()
    pre = torch.cat((inputs, ep.previous_spikes(z)), dim=2)

    def differences(h: float) -> torch.Tensor:
        found = torch.zeros_like(w)
        with torch.no_grad():
            for at in np.ndindex(*w.shape):
                up, down = w.clone(), w.clone()
                up[at] += h
                down[at] -= h
                pair = [smooth_loss(p, moved, weights, inputs, targets)[0] for moved in (up, down)]
                found[at] = (pair[0] - pair[1]) / (2 * h)
        return found

    wide, narrow = differences(1e-2), differences(1e-4)
    for evaluate in METHODS.values():
        gradient = evaluate(p.constants(like=psi), psi, signal, pre)
        gradient[p.n_in :] = ep.without_self_connections(gradient[p.n_in :])
        # a central difference is off by the order of h²: 1e-8 here, and 10⁴ times as much where h is 100 times wider
        assert error(gradient, narrow) < 1e-6
        assert error(gradient, wide) > 50 * error(gradient, narrow)
