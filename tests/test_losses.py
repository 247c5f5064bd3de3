"""Losses beside the regression: their values by hand, the identity with them, and bad input."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import make_trial, says

import eprop_nb as ep
from eprop_nb.gradients import METHODS

P = ep.Parameters(n_out=3, duration=30.0, rate_in=300.0)
TRIAL = make_trial(P, seed=3, batch=4)
LABELS = torch.tensor([0, 2, 1, 1])


def test_cross_entropy_by_hand() -> None:
    y = ep.readout(P, TRIAL.weights, TRIAL.run)[:, -1].tolist()
    right = [row[k] - math.log(sum(math.exp(v) for v in row)) for row, k in zip(y, LABELS.tolist(), strict=True)]
    assert ep.cross_entropy_loss(P, TRIAL.weights, TRIAL.run, LABELS).item() == pytest.approx(-sum(right) / 4)


def test_rate_loss_by_hand() -> None:
    spikes = TRIAL.run.z.sum((0, 1)).tolist()
    rates = [n / (4 * 30.0) for n in spikes]  # per ms
    assert ep.rate_loss(P, TRIAL.run, rate=20.0).item() == pytest.approx(0.5 * sum((f - 0.02) ** 2 for f in rates))


def test_rate_loss_counts_time_and_not_steps() -> None:
    fine = ep.Parameters(n_lif=1, n_alif=0, n_in=1, dt=0.5, duration=10.0)
    weights = ep.Weights(*(torch.tensor([[w]], dtype=torch.float64) for w in (1.0, 0.0, 1.0)))
    x = torch.zeros(1, 20, 1, dtype=torch.float64)
    x[0, ::10] = 1
    run = ep.simulate(fine, weights, x)
    assert run.z.sum() == 2
    assert ep.rate_loss(fine, run, rate=0.0).item() == pytest.approx(0.5 * 0.2**2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["cross-entropy", "rate", "both"])
def test_the_identity_holds_with_any_loss_of_the_spikes(kind: str, method: str) -> None:
    terms = {
        "cross-entropy": ep.cross_entropy_loss(P, TRIAL.weights, TRIAL.run, LABELS),
        "rate": ep.rate_loss(P, TRIAL.run, rate=20.0),
    }
    loss = sum(terms.values()) if kind == "both" else terms[kind]
    assert isinstance(loss, torch.Tensor)
    signal = ep.true_learning_signal(loss, TRIAL.run)
    eprop = ep.eprop_gradients(P, TRIAL.run, TRIAL.inputs, signal, method)
    assert ep.compare(eprop, ep.bptt_gradients(loss, TRIAL.weights)).max_relative_error < 1e-13


@pytest.mark.parametrize(
    ("labels", "kind", "parts"),
    [
        ([0, 1, 2, 0], TypeError, ("labels must be a tensor [batch] of dtype torch.int64", "got list")),
        (LABELS.double(), TypeError, ("labels must be", "got torch.float64")),
        (LABELS[:2], ValueError, ("labels must have the shape (4,) = [batch]", "got (2,)")),
        (LABELS + 1, ValueError, ("labels must be from 0 to n_out - 1 = 2", "got [1, 3, 2, 2]")),
        (LABELS - 1, ValueError, ("labels must be from 0 to n_out - 1 = 2", "got [-1, 1, 0, 0]")),
    ],
)
def test_bad_labels(labels: Any, kind: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(kind, match=says(*parts)):
        ep.cross_entropy_loss(P, TRIAL.weights, TRIAL.run, labels)


@pytest.mark.parametrize(("rate", "kind"), [(-1.0, ValueError), (math.nan, ValueError), ("20", TypeError)])
def test_bad_rates(rate: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=says("rate must be a finite number of at least 0", "got")):
        ep.rate_loss(P, TRIAL.run, rate)


def test_the_readout_s_own_gradient() -> None:
    loss = ep.regression_loss(P, TRIAL.weights, TRIAL.run, TRIAL.targets)
    y = ep.readout(P, TRIAL.weights, TRIAL.run)
    found = ep.readout_gradient(P, TRIAL.run, (2 * (y - TRIAL.targets) / y.numel()).detach())
    report = ep.compare(ep.Gradients(w_out=found), ep.bptt_gradients(loss, TRIAL.weights))
    assert report.max_relative_error < 1e-13
    with pytest.raises(ValueError, match=says("output_signal must have the shape (4, 30, 3)", "got (4, 30, 1)")):
        ep.readout_gradient(P, TRIAL.run, torch.zeros(4, 30, 1, dtype=torch.float64))
