"""The identity over all settings, drawn by hypothesis; and properties that need no oracle."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import eprop_nb as ep
from eprop_nb.evidence.random_networks import BOUND, LOSSES, Case, build, measure, recompute
from eprop_nb.gradients import METHODS

PLAIN = settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n_lif, n_alif = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any))

    def value(low: float, high: float) -> st.SearchStrategy[float | list[float]]:
        one = st.floats(low, high)
        return st.one_of(one, st.lists(one, min_size=n_lif + n_alif, max_size=n_lif + n_alif))

    dt, loss = draw(st.floats(0.25, 4.0)), draw(st.sampled_from(LOSSES))
    parameters = ep.Parameters(
        n_in=draw(st.integers(1, 5)),
        n_lif=n_lif,
        n_alif=n_alif,
        n_out=draw(st.integers(1 if loss in ("regression", "rate") else 2, 3)),
        dt=dt,
        duration=dt * draw(st.integers(8, 60)),
        tau_v=draw(value(2.0, 60.0)),
        tau_a=draw(value(10.0, 1000.0)),
        tau_out=draw(st.floats(2.0, 60.0)),
        rate_in=draw(st.floats(0.2, 0.7)) * 1000 / dt,
        threshold=draw(value(0.2, 1.0)),
        beta=draw(st.one_of(st.just(0.0), value(0.0, 1.5))),
        dampening=draw(st.floats(0.1, 1.0)),
        n_ref=draw(st.integers(0, 6)),
    )
    # a large gain makes networks fire, so that few draws have nothing to compare
    return Case(parameters, draw(st.integers(1, 3)), loss, draw(st.floats(1.0, 2.5)), draw(st.integers(0, 2**32 - 1)))


def test_the_identity_holds_for_every_weight_and_every_setting() -> None:
    compared, vacuous = [], []

    @settings(PLAIN, max_examples=300)
    @given(cases())
    def check(case: Case) -> None:
        try:
            found = measure(case)
        except ep.VacuousComparisonError:
            event("nothing to compare")
            vacuous.append(case)
            return
        compared.append(case)
        assert found.spikes > 0 or case.parameters.n_rec == 1  # ψ without a spike: w_in alone has a gradient
        # where many numbers are drawn, one loses three digits now and then: to rounding, and to nothing else
        assert max(found.errors.values()) < BOUND or recompute(case).is_rounding

    check()
    print(f"{len(compared)} networks compared, {len(vacuous)} with nothing to compare")
    assert len(compared) > 150
    assert {case.loss for case in compared} == set(LOSSES)


@settings(PLAIN, max_examples=40)
@given(cases(), st.floats(-3, 3))
def test_the_gradient_is_linear_in_the_signal(case: Case, factor: float) -> None:
    experiment = build(case)
    p, run, x = case.parameters, experiment.run, experiment.inputs
    generator = torch.Generator().manual_seed(case.seed)
    one, two = (torch.randn(run.z.shape, generator=generator, dtype=torch.float64) for _ in range(2))
    for method in METHODS:
        first, second, both = (
            ep.eprop_gradients(p, run, x, signal, method) for signal in (one, two, one + factor * two)
        )
        for name in ("w_in", "w_rec"):
            sum_of = getattr(first, name) + factor * getattr(second, name)
            torch.testing.assert_close(getattr(both, name), sum_of, rtol=1e-9, atol=1e-9)


@settings(PLAIN, max_examples=40)
@given(cases())
def test_trials_do_not_see_each_other(case: Case) -> None:
    experiment = build(case._replace(batch=2))
    p = case.parameters
    swapped = ep.simulate(p, experiment.weights, experiment.inputs.flip(0))
    torch.testing.assert_close(swapped.z, experiment.run.z.flip(0), rtol=0, atol=0)
    alone = ep.simulate(p, experiment.weights, experiment.inputs[:1])
    torch.testing.assert_close(alone.z, experiment.run.z[:1], rtol=0, atol=0)


@settings(PLAIN, max_examples=40)
@given(cases())
def test_the_learning_signal_of_a_sum_is_the_sum_of_the_signals(case: Case) -> None:
    experiment = build(case)
    p, run = case.parameters, experiment.run
    other = ep.rate_loss(p, run, rate=5.0)
    parts = ep.true_learning_signal(experiment.loss, run) + ep.true_learning_signal(other, run)
    whole = ep.true_learning_signal(experiment.loss + other, run)
    scale = max(whole.abs().max().item(), 1e-300)
    assert (whole - parts).abs().max().item() / scale < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_a_signal_of_zero_has_no_gradient(method: str) -> None:
    p = ep.Parameters()
    weights, x = ep.random_weights(p, seed=0), ep.poisson_spikes(p, seed=0)
    run = ep.simulate(p, weights, x)
    found = ep.eprop_gradients(p, run, x, torch.zeros_like(run.psi), method)
    assert not found.w_in.any()  # type: ignore[union-attr]  # never None
    assert not found.w_rec.any()  # type: ignore[union-attr]  # never None
