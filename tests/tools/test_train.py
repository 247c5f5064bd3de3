"""The program that trains many times over: what it computes itself, and that its results are of the present code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import train
from helpers import error

import eprop_nb as ep
from eprop_nb.learning import training

DATA = Path(train.__file__).parent.parent / "eprop_nb" / "data"


def test_the_simplified_traces_are_those_of_the_paper() -> None:
    p = ep.Parameters(beta=0.5)
    weights, inputs = ep.random_weights(p, seed=288), ep.poisson_spikes(p, seed=288)
    run = ep.simulate(p, weights, inputs)
    loss = ep.regression_loss(p, weights, run, ep.random_targets(p, seed=288))
    signal = ep.true_learning_signal(loss, run)
    psi, said = run.psi.detach().numpy(), signal.numpy()
    alpha, rho, beta = (np.array(each) for each in (p.alpha, p.rho, p.beta_per_neuron))
    eps_v = eps_a = wanted = np.zeros((p.n_rec, p.n_rec))
    for t, pre in enumerate(ep.previous_spikes(run.z.detach())[0].numpy()):  # (22), (25) and (26), trace by trace
        eps_v = alpha * eps_v + pre[:, None]
        wanted = wanted + said[0, t] * psi[0, t] * (eps_v - beta * eps_a)
        eps_a = psi[0, t] * eps_v + rho * eps_a
    np.fill_diagonal(wanted, 0)
    other = torch.from_numpy(train.without_a_term(p, psi, said))
    assert error(ep.eprop_gradients(p, run, inputs, other).w_rec, wanted) < 1e-13
    assert error(ep.eprop_gradients(p, run, inputs, signal).w_rec, wanted) > 1e-3  # that term does something here


def test_what_is_stored_of_patterns_comes_out_of_the_present_code() -> None:
    stored = np.load(DATA / "pattern_training.npz")
    for method, seed in (("symmetric", 0), ("random", 3), ("bptt", 7)):
        row = training.METHODS.index(method)
        _, course = training.train_pattern(method, seed, rate=float(stored["rates_chosen"][row]), updates=30)
        np.testing.assert_allclose(course.errors, stored["errors"][row, seed, :30], rtol=1e-3)


def test_what_is_stored_of_evidence_comes_out_of_the_present_code() -> None:
    stored = np.load(DATA / "evidence_training.npz")
    for name in ("symmetric", "random, small readout"):
        method, _, scale, _ = train.EVIDENCE[name]
        _, course = training.train_evidence(method, 2, updates=3, readout_scale=scale)
        np.testing.assert_allclose(course.errors, stored[f"errors: {name}"][2, :3], atol=2 / 64)
    courses, _ = train.simplified(1, updates=2)
    np.testing.assert_allclose(courses, stored["errors: symmetric, simplified traces"][1, :2], atol=2 / 64)


def test_what_is_stored_of_reward_comes_out_of_the_present_code() -> None:
    stored = np.load(DATA / "reward_training.npz")
    for name in ("symmetric", "symmetric, rewards shuffled"):
        method, scale, _, shuffled = train.REWARD[name]
        _, course = training.train_reward(method, 2, updates=3, readout_scale=scale, shuffled=shuffled)
        # the learning rate of a shorter training falls sooner, but not before the second update
        np.testing.assert_allclose(course.errors[:2], stored[f"errors: {name}"][2, :2], atol=2 / 64)
