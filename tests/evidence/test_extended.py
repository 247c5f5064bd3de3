"""The gradients with many digits: they are those of the oracles, they agree to the last digits, and mistakes do not."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from helpers import Array, array, make_trial
from test_oracles import SETTINGS

import eprop_nb as ep
from eprop_nb.evidence import extended, oracles


def problem_of(p: ep.Parameters, seed: int = 1, batch: int = 2) -> tuple[extended.Problem, tuple[Array, ...]]:
    trial = make_trial(p, seed=seed, batch=batch)
    w_in, w_rec, w_out, x, y = (array(each) for each in (*trial.weights, trial.inputs, trial.targets))
    return extended.Problem(p, w_in, w_rec, w_out, x, y, None, None), (w_in, w_rec, w_out, x, y)


@pytest.mark.parametrize("p", SETTINGS.values(), ids=SETTINGS)
def test_with_many_digits_it_is_the_gradient_written_by_hand(p: ep.Parameters) -> None:
    problem, (w_in, w_rec, w_out, x, y) = problem_of(p)
    run = oracles.simulate(p, w_in, w_rec, x)
    direct = oracles.regression_derivative(p, w_out, run.z, y)
    found = extended.solve(problem, 40)
    assert run.z.any()
    assert np.array_equal(found.z, run.z)
    for way in (oracles.bptt, oracles.forward_mode):
        hand = way(p, run, w_rec, x, direct)
        for gradient in (found.bptt, found.eprop):
            assert 0 < extended.largest_error((hand.w_in, hand.w_rec, None), gradient) < 1e-13


@pytest.mark.parametrize("p", SETTINGS.values(), ids=SETTINGS)
def test_the_two_gradients_agree_to_as_many_digits_as_there_are(p: ep.Parameters) -> None:
    problem, _ = problem_of(p)
    for digits in (16, 25, 50, 100):
        found = extended.solve(problem, digits)
        assert 0 < extended.largest_error(found.eprop, found.bptt) < 10.0 ** (4 - digits)


def test_a_mistake_does_not_fall_with_the_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, _ = problem_of(SETTINGS["everything at once"])
    right = extended.solve(problem, 50).bptt
    rule = extended._eprop  # right up to here, and with a millionth too much β from here on
    monkeypatch.setattr(extended, "_eprop", lambda c, psi, *rest: rule(c._replace(beta=1.000001 * c.beta), psi, *rest))
    errors = [extended.largest_error(extended.solve(problem, digits).eprop, right) for digits in (16, 30, 50)]
    assert errors[0] > 1e-9
    assert errors == pytest.approx([errors[0]] * 3, rel=1e-6)


@pytest.mark.parametrize("loss", ["regression", "cross-entropy", "rate", "sum"])
def test_the_losses_are_those_of_the_package(loss: str) -> None:
    trial, labels = make_trial(SETTINGS["everything at once"], seed=1, batch=2), torch.tensor([1, 0])
    p, weights, x, y, run, total = trial
    if loss != "regression":
        total = total if loss == "sum" else torch.zeros_like(total)
        if loss != "rate":
            total = total + ep.cross_entropy_loss(p, weights, run, labels)
        if loss != "cross-entropy":
            total = total + ep.rate_loss(p, run, 20.0)
    problem = extended.Problem(
        p,
        array(weights.w_in),
        array(weights.w_rec),
        array(weights.w_out),
        array(x),
        array(y) if loss in ("regression", "sum") else None,
        labels.numpy() if loss in ("cross-entropy", "sum") else None,
        20.0 if loss in ("rate", "sum") else None,
    )
    bptt = tuple(array(g) for g in ep.bptt_gradients(total, weights))
    assert 0 < extended.largest_error(bptt, extended.solve(problem, 40).bptt) < 1e-13


def test_a_spike_that_hangs_on_the_last_digit_is_one_with_more() -> None:
    # 1 + 1e-17 is 1 with 16 digits, and with float64's 53 bits: no spike
    p = ep.Parameters(n_in=2, n_lif=1, n_alif=0, duration=1.0, threshold=1.0, rate_in=1000.0)
    problem = extended.Problem(p, [[1.0], [1e-17]], [[0.0]], [[1.0]], [[[1, 1]]], None, None, 20.0)
    assert not oracles.simulate(p, [[1.0], [1e-17]], [[0.0]], [[[1, 1]]]).z.any()
    assert not extended.solve(problem, 16).z.any()
    assert extended.solve(problem, 50).z.all()


def test_the_error_is_that_of_the_worst_matrix() -> None:
    exact = extended.MatrixGradients(*(np.array([[mpmath.mpf(n), mpmath.mpf(0)]]) for n in (1, 2, 0)))
    assert extended.largest_error(exact, exact) == 0
    assert extended.largest_error(([[1.5, 0]], [[2, 0.5]], None), exact) == 0.5
    assert extended.largest_error((None, [[2, 0.5]], [[0, 0]]), exact) == 0.25
    assert extended.largest_error((None, None, [[0, 1e-300]]), exact) == np.inf


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("problem", None),
        ("problem.parameters", {"parameters": 1}),
        ("w_in", {"w_in": [[1.0]]}),
        ("w_rec", {"w_rec": None}),
        ("w_out", {"w_out": "abc"}),
        ("inputs", {"inputs": 0.5}),
        ("targets", {"targets": [np.nan]}),
        ("labels", {"labels": [0, 2]}),
        ("labels", {"labels": [0]}),
        ("rate", {"rate": -1.0}),
    ],
)
def test_a_bad_problem_is_named(name: str, change: dict[str, Any] | None) -> None:
    problem, _ = problem_of(SETTINGS["everything at once"])
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must "):
        extended.solve(None if change is None else problem._replace(**change), 20)  # type: ignore[arg-type]  # refused
    with pytest.raises((TypeError, ValueError), match=r"^digits must "):
        extended.solve(problem, 0)
