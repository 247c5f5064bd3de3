"""Each wrong version of the rule differs, and the right one, from the same code, does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import eprop_nb as ep
from eprop_nb.evidence import controls

HEIGHT = "spikes of height 1/δt"
WRONG = [control for control in controls.CONTROLS if control.name != HEIGHT]


@cache
def trials(count: int = 50, dt: float = 1.0, beta: float = 0.07) -> list[tuple[controls.Trial, ep.Gradients]]:
    p, seed = ep.Parameters(dt=dt, beta=beta), 0
    found: list[tuple[controls.Trial, ep.Gradients]] = []
    while len(found) < count:
        weights, inputs = ep.random_weights(p, seed=seed), ep.poisson_spikes(p, seed=seed)
        targets, run = ep.random_targets(p, seed=seed), ep.simulate(p, weights, inputs)
        seed += 1

        def loss_of(run: ep.Simulation, weights: ep.Weights = weights, y: torch.Tensor = targets) -> torch.Tensor:
            return ep.regression_loss(p, weights, run, y)

        loss = loss_of(run)
        trial = controls.Trial(p, weights, inputs, run, loss_of, ep.true_learning_signal(loss, run))
        bptt = ep.bptt_gradients(loss, weights)
        if bool(run.z.any()) and bool(bptt.w_rec.any()):  # type: ignore[union-attr]  # never None
            found.append((trial, bptt))
    return found


def errors(control: controls.Control, among: list[tuple[controls.Trial, ep.Gradients]]) -> np.ndarray:
    return np.array([ep.compare(control.gradients(trial), bptt).max_relative_error for trial, bptt in among])


def test_the_right_rule_passes_in_every_network() -> None:
    for dt in (0.5, 1.0, 2.0):
        for trial, bptt in trials(10, dt=dt):
            assert ep.compare(controls.right_rule(trial), bptt).max_relative_error < 1e-13


def test_there_is_a_control_for_each_ingredient() -> None:
    assert len({control.name for control in controls.CONTROLS}) == 11


@pytest.mark.parametrize("control", WRONG, ids=lambda control: control.name)
def test_a_wrong_rule_is_caught_in_every_network(control: controls.Control) -> None:
    found = errors(control, trials())
    assert found.min() > 1e-10  # a thousand times the criterion, so that rounding has no say
    assert np.median(found) > 5e-3


def test_a_wrong_factor_of_the_time_step_needs_another_time_step() -> None:
    (control,) = (c for c in controls.CONTROLS if c.name == HEIGHT)
    assert errors(control, trials(10)).max() < 1e-13
    assert errors(control, trials(10, dt=0.5)).min() > 0.9
    assert errors(control, trials(10, dt=2.0)).min() > 0.4


def test_a_loose_criterion_hides_the_missing_term_in_about_half_of_the_networks() -> None:
    (control,) = (c for c in controls.CONTROLS if c.name == "ε_a without −βψ")
    hidden = (errors(control, trials()) ** 2 < 1e-4).mean()
    assert 0.3 < hidden < 0.7


def test_a_missing_term_matters_more_where_adaptation_is_strong() -> None:
    (control,) = (c for c in controls.CONTROLS if c.name == "ε_a without −βψ")
    assert np.median(errors(control, trials(20, beta=0.5))) > 5 * np.median(errors(control, trials(20, beta=0.07)))


def test_rewired_as_it_should_be_the_signal_is_the_true_one() -> None:
    for trial, _ in trials(5):
        torch.testing.assert_close(controls.rewired_signal(trial), trial.signal, rtol=1e-12, atol=1e-16)
