"""The draws of `make verify`: they cover every setting, they can be repeated, and their derivatives are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import array, error

import eprop_nb as ep
from eprop_nb.evidence import random_networks
from eprop_nb.evidence.random_networks import (
    BOUND,
    LOSSES,
    Case,
    Loss,
    Recomputation,
    build,
    measure,
    output_derivative,
    random_case,
    recompute,
)

# a network that spikes often, so that every loss has something to say
LIVELY = ep.Parameters(n_out=3, duration=30.0, rate_in=400.0, beta=0.4, tau_a=30.0)


def draw(count: int, seed: int) -> list[Case]:
    generator = np.random.default_rng(seed)
    return [random_case(generator) for _ in range(count)]


DRAWN = draw(500, seed=0)
SETTINGS: dict[str, Callable[[ep.Parameters], bool]] = {
    "time step below 1 ms": lambda p: p.dt < 1,
    "time step above 1 ms": lambda p: p.dt > 1,
    "LIF only": lambda p: p.n_alif == 0,
    "ALIF only": lambda p: p.n_lif == 0,
    "LIF and ALIF": lambda p: p.n_lif > 0 and p.n_alif > 0,
    "one neuron": lambda p: p.n_rec == 1,
    "one input": lambda p: p.n_in == 1,
    "one output": lambda p: p.n_out == 1,
    "several outputs": lambda p: p.n_out > 1,
    "τ_v for each neuron": lambda p: isinstance(p.tau_v, tuple),
    "τ_a for each neuron": lambda p: isinstance(p.tau_a, tuple),
    "threshold for each neuron": lambda p: isinstance(p.threshold, tuple),
    "β for each neuron": lambda p: isinstance(p.beta, tuple),
    "β for all": lambda p: isinstance(p.beta, float) and p.beta > 0,
    "β of 0": lambda p: p.beta == 0,
    "β above 1": lambda p: max(p.beta_per_neuron) > 1,
    "no refractory period": lambda p: p.n_ref == 0,
    "refractory period of 6 steps": lambda p: p.n_ref == 6,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_drawn(setting: str) -> None:
    assert sum(SETTINGS[setting](case.parameters) for case in DRAWN) >= 5


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_every_batch_is_drawn(loss: Loss) -> None:
    assert {case.batch for case in DRAWN if case.loss == loss} == {1, 2, 3}


def test_the_settings_stay_within_what_is_said_of_them() -> None:
    for case in DRAWN:
        p = case.parameters
        assert 0.25 <= p.dt <= 4
        assert 5 <= p.n_steps <= 60
        assert max(p.n_lif, p.n_alif) <= 5
        # softmax over one class is 1 whatever the spikes are: its loss would have no gradient
        assert p.n_out > 1 or case.loss in ("regression", "rate")


def test_the_same_seed_gives_the_same_cases_and_another_seed_others() -> None:
    assert draw(20, seed=7) == draw(20, seed=7)
    assert all(one != other for one, other in zip(draw(20, seed=7), draw(20, seed=8), strict=True))


def test_a_case_measured_twice_gives_the_same_numbers() -> None:
    case = Case(LIVELY, 2, "sum", 1.5, 3)
    assert measure(case) == measure(case)
    one, two = build(case), build(case)
    for name in ("inputs", "targets", "labels", "loss"):
        assert torch.equal(getattr(one, name), getattr(two, name))


def test_the_gain_multiplies_the_input_and_recurrent_weights_alone() -> None:
    once, twice = (build(Case(LIVELY, 1, "rate", gain, 5)).weights for gain in (1.0, 2.0))
    assert torch.equal(twice.w_in, 2 * once.w_in)
    assert torch.equal(twice.w_rec, 2 * once.w_rec)
    assert torch.equal(twice.w_out, once.w_out)


def test_the_loss_called_sum_is_the_sum_of_the_others() -> None:
    losses = {loss: build(Case(LIVELY, 2, loss, 1.5, 4)).loss.item() for loss in LOSSES}
    assert losses["sum"] == pytest.approx(sum(value for loss, value in losses.items() if loss != "sum"), rel=1e-14)
    assert len(set(losses.values())) == 4


@pytest.mark.parametrize("loss", ["regression", "cross-entropy", "sum"])
def test_the_derivative_by_the_output_is_autograd_s(loss: Loss) -> None:
    case = Case(LIVELY, 3, loss, 1.5, 6)
    experiment = build(case)
    p, run = case.parameters, experiment.run
    y = ep.readout(p, experiment.weights, run).detach().requires_grad_()
    total = y.new_zeros(())
    if loss != "cross-entropy":
        total = total + (y - experiment.targets).square().mean()
    if loss != "regression":
        total = total + torch.nn.functional.cross_entropy(y[:, -1], experiment.labels)
    (wanted,) = torch.autograd.grad(total, y)
    assert error(output_derivative(case, experiment), wanted) < 1e-13


def test_the_rate_loss_does_not_look_at_the_output() -> None:
    case = Case(LIVELY, 2, "rate", 1.5, 6)
    assert not array(output_derivative(case, build(case))).any()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_way_is_measured(loss: Loss) -> None:
    found = measure(Case(LIVELY, 2, loss, 1.5, 1))
    assert set(found.errors) == {"traces", "online", "closed_form", "hand-written BPTT"}
    assert found.spikes == build(Case(LIVELY, 2, loss, 1.5, 1)).run.z.sum().item() > 0
    assert max(found.errors.values()) <= 1e-13


@pytest.mark.parametrize("loss", LOSSES)
def test_a_silent_network_is_not_measured(loss: Loss) -> None:
    # so far below its threshold that ψ is 0 too
    silent = Case(ep.Parameters(n_out=2, duration=10.0, threshold=1e6), 1, loss, 1e-6, 0)
    assert not build(silent).run.z.any()
    with pytest.raises(ep.VacuousComparisonError, match="nothing can be compared"):
        measure(silent)


def test_the_one_network_in_sixteen_thousand_above_the_bound_is_above_it_by_rounding() -> None:
    # e-prop by its traces is 1.1e-13 from BPTT by autograd there
    case = draw(8749, seed=987654321)[8748]
    assert max(measure(case).errors.values()) < 1e-12
    found = recompute(case)
    assert all(found.same_spikes.values())
    assert found.disagreement[16] > 1e-15
    for digits in (20, 30, 50):  # its gradient costs three digits and not four
        assert 10.0 ** -(digits + 1) < found.disagreement[digits] < 10.0 ** (4 - digits)
    assert found.is_rounding
    # all ways are off by about 1e-12, BPTT by autograd among them: it is no better a reference than the others
    assert all(error < 1e-11 for error in found.errors.values())
    assert set(found.errors) == {"traces", "online", "closed_form", "BPTT by autograd", "hand-written BPTT"}


@pytest.mark.parametrize("loss", LOSSES)
def test_with_more_digits_the_two_gradients_come_closer(loss: Loss) -> None:
    found = recompute(Case(LIVELY, 2, loss, 1.5, 1), digits=(16, 30, 50))
    assert found.is_rounding
    assert 0 < found.disagreement[50] < 1e-45 < found.disagreement[30] < 1e-25 < found.disagreement[16] < 1e-12
    assert all(0 < error < 1e-13 for error in found.errors.values())


def test_only_an_error_that_falls_with_the_digits_is_rounding() -> None:
    same, fallen, rounding, errors = {16: True, 50: True}, {16: 1e-13, 50: 1e-47}, {16: 1e-12}, {"traces": 1e-11}
    good = Recomputation(same, fallen, rounding, errors)
    assert good.amplification == pytest.approx(1e4)
    assert good.is_rounding
    assert good._replace(same_spikes={16: False, 50: True}).is_rounding
    assert not good._replace(same_spikes={16: True, 50: False}).is_rounding  # another spike is another gradient
    assert not good._replace(disagreement={16: 1e-13, 50: 1.01e-40}).is_rounding  # the identity does not hold
    assert not good._replace(disagreement={16: 1e-47, 50: 1e-13}).is_rounding
    assert not good._replace(errors={"traces": 0.0, "online": 1e-9}).is_rounding  # float64 is further off than that
    assert good._replace(errors={"traces": 0.99e-13}, rounding={}).is_rounding
    assert not good._replace(errors={"traces": 1.01e-13}, rounding={}).is_rounding


def test_a_wrong_rule_in_float64_is_no_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(LIVELY, 2, "regression", 1.5, 1)
    assert recompute(case).is_rounding

    def slightly_wrong(
        p: ep.Parameters, run: ep.Simulation, x: torch.Tensor, signal: torch.Tensor, method: str
    ) -> ep.Gradients:
        return ep.eprop_gradients(p, run, x, signal * (1 + 1e-11), method)

    monkeypatch.setattr(random_networks, "eprop_gradients", slightly_wrong)
    assert not recompute(case).is_rounding


def test_the_stored_errors_are_those_of_the_networks() -> None:
    # of the 34 networks above the bound two are recomputed; with more digits than float64's every machine agrees
    stored = np.load(Path(__file__).parents[2] / "eprop_nb" / "data" / "random_networks.npz")
    seed = json.loads(str(stored["conditions"]))["seed"]
    assert len(stored["errors"]) == len(stored["own_errors"]) == len(stored["disagreement"]) > 8000
    assert stored["disagreement"].max() < 1e-40
    assert stored["digits"].tolist() == [16, 20, 30, 50]
    above = np.maximum(stored["errors"].max(axis=1), stored["own_errors"].max(axis=1)) > BOUND
    assert stored["above_row"].tolist() == np.flatnonzero(above).tolist()
    for at in (0, -1):
        found = recompute(random_case(np.random.default_rng((seed, int(stored["above_index"][at])))))
        assert found.is_rounding
        for digits, column in ((20, 1), (30, 2), (50, 3)):
            assert found.disagreement[digits] == pytest.approx(stored["above_disagreement"][at, column], rel=1e-6)
            assert found.same_spikes[digits] == stored["above_same_spikes"][at, column]


def test_a_bad_case_is_named() -> None:
    case = Case(LIVELY, 2, "regression", 1.5, 1)
    for name, change in {
        "case.loss": {"loss": "other"},
        "case.gain": {"gain": 0.0},
        "batch": {"batch": 0},
        "seed": {"seed": -1},
        "parameters": {"parameters": None},
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"^{name} must "):
            measure(case._replace(**change))  # type: ignore[arg-type]  # that is what is refused
    with pytest.raises(TypeError, match=r"^case must "):
        recompute(None)  # type: ignore[arg-type]  # likewise
    with pytest.raises(ValueError, match=r"^digits must "):
        recompute(case, digits=[])
    with pytest.raises(TypeError, match=r"^generator must "):
        random_case(np.random)  # type: ignore[arg-type]  # likewise
