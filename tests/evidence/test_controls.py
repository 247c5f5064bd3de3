"""Each wrong version of the rule differs, and the right one, from the same code, does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from helpers import error

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


def gradients_with_tall_spikes(
    trial: controls.Trial, targets: torch.Tensor, psi_factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Simulate with spikes of height 1/δt; return BPTT's gradient, and Σ L e with ψ times `psi_factor` in the traces.

    The same network in these units: w_rec and β times δt, the reset thr · δt. Both gradients are [n_in + n_rec, n_rec].
    """
    p, inputs = trial.parameters, trial.inputs
    alpha, rho, thr, beta = p.constants(like=inputs)
    beta = beta * p.dt
    w_in = trial.weights.w_in.detach().clone().requires_grad_()
    w_rec = (trial.weights.w_rec.detach() * p.dt).requires_grad_()
    v = b = z_sent = z_own = inputs.new_zeros(1, p.n_rec)
    sent, psis = [], []
    for x in inputs.unbind(1):
        b = rho * b + z_own
        v = alpha * v + x @ w_in + z_sent @ ep.without_self_connections(w_rec) - thr * p.dt * z_sent
        u = (v - thr - beta * b) / thr
        z_own = ep.spike(u, p.dampening) / p.dt
        z_sent = z_own.clone()
        sent.append(z_sent)
        psis.append(ep.pseudo_derivative(u.detach(), p.dampening) / thr)
    z = torch.stack(sent, dim=1)
    assert torch.equal(z.detach() * p.dt, trial.run.z.detach())
    loss = ((ep.low_pass(z * p.dt, p.kappa) @ trial.weights.w_out.detach() - targets) ** 2).mean()
    bptt = torch.cat(torch.autograd.grad(loss, (w_in, w_rec), retain_graph=True))
    pre = torch.cat((inputs, torch.cat((torch.zeros_like(z[:, :1]), z[:, :-1]), dim=1).detach()), dim=2)
    eps_v = eps_a = inputs.new_zeros(pre.shape[2], p.n_rec)
    rule = torch.zeros_like(eps_v)
    for t, signal in enumerate(torch.autograd.grad(loss, sent)):
        psi = psis[t][0] * psi_factor
        eps_v = alpha * eps_v + pre[0, t, :, None]
        rule = rule + signal[0] * psi * (eps_v - beta * eps_a)
        eps_a = psi * eps_v + (rho - beta * psi) * eps_a
    rule[p.n_in :] = ep.without_self_connections(rule[p.n_in :])
    return bptt, rule


@pytest.mark.parametrize("dt", [0.5, 2.0])
def test_at_other_time_steps_the_traces_of_the_authors_program_lack_a_factor_in_psi(dt: float) -> None:
    p = ep.Parameters(dt=dt, n_ref=1, beta=0.5)  # no refractory steps, which their program counts in two ways
    for seed in range(5):
        weights, inputs = ep.random_weights(p, seed=seed), ep.poisson_spikes(p, seed=seed)
        targets, run = ep.random_targets(p, seed=seed), ep.simulate(p, weights, inputs)
        loss = ep.regression_loss(p, weights, run, targets)
        trial = controls.Trial(p, weights, inputs, run, lambda run: run.z.sum(), ep.true_learning_signal(loss, run))
        bptt = ep.bptt_gradients(loss, weights)
        ours = torch.cat((bptt.w_in, bptt.w_rec / dt))  # type: ignore[arg-type, operator]  # never None
        control = controls.AUTHORS_TIME_STEP.gradients(trial)
        wrong = torch.cat((control.w_in, control.w_rec / dt))  # type: ignore[arg-type, operator]  # never None
        theirs, right_traces = gradients_with_tall_spikes(trial, targets, psi_factor=1 / dt)
        _, their_traces = gradients_with_tall_spikes(trial, targets, psi_factor=1.0)
        assert run.z.any()
        assert error(theirs, ours) < 1e-13  # the same network, in other units
        assert error(right_traces, theirs) < 1e-13
        assert error(their_traces, wrong) < 1e-13
        assert error(their_traces, theirs) > 0.3


def test_the_factor_in_psi_needs_another_time_step_too() -> None:
    assert errors(controls.AUTHORS_TIME_STEP, trials(10)).max() < 1e-13
    assert errors(controls.AUTHORS_TIME_STEP, trials(10, dt=0.5)).min() > 0.4
    assert errors(controls.AUTHORS_TIME_STEP, trials(10, dt=2.0)).min() > 0.8


def test_a_trial_that_does_not_hold_together_is_refused() -> None:
    trial, _ = trials()[0]
    bad = {
        "trial": None,
        "trial.parameters": trial._replace(parameters=None),  # type: ignore[arg-type]  # that is what is refused
        "trial.run": trial._replace(run=trial.run.z),  # type: ignore[arg-type]  # likewise
        "trial.run.z": trial._replace(parameters=ep.Parameters(duration=20.0)),
        "trial.inputs": trial._replace(inputs=trial.inputs / 2),
        "trial.signal": trial._replace(signal=trial.signal[:, :, :-1]),
    }
    calls: list[Callable[..., object]] = [controls.right_rule, controls.rewired_signal]
    calls += [control.gradients for control in controls.CONTROLS]
    for name, each in bad.items():
        for call in calls:
            with pytest.raises((TypeError, ValueError), match=rf"^{name} must "):
                call(each)
    with pytest.raises(TypeError, match=r"^reset_counts must be True or False"):
        controls.rewired_signal(trial, reset_counts=1)  # type: ignore[arg-type]  # likewise
