"""Parameters, weights and draws: what is accepted, what is refused and in which words, and what a seed stands for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers import says

import eprop_nb as ep

NAN, INFINITY = math.nan, math.inf


def test_the_defaults_are_the_seed_experiment() -> None:
    p = ep.Parameters()
    assert (p.n_in, p.n_lif, p.n_alif, p.n_out, p.n_ref) == (3, 4, 4, 1, 2)
    assert (p.dt, p.duration, p.tau_v, p.tau_a, p.tau_out) == (1.0, 50.0, 20.0, 500.0, 20.0)
    assert (p.rate_in, p.threshold, p.beta, p.dampening) == (100.0, 0.62, 0.07, 0.3)
    assert (p.n_rec, p.n_steps) == (8, 50)


def test_decays_are_exponentials_of_the_time_step() -> None:
    p = ep.Parameters(n_lif=1, n_alif=1, dt=0.5, tau_v=(4.0, 8.0), tau_a=250.0, tau_out=10.0)
    assert p.alpha == pytest.approx((math.exp(-0.125), math.exp(-0.0625)), rel=1e-15)
    assert p.rho == pytest.approx((math.exp(-0.002), math.exp(-0.002)), rel=1e-15)
    assert p.kappa == pytest.approx(math.exp(-0.05), rel=1e-15)
    assert p.n_steps == 100


@pytest.mark.parametrize("tau_out", [0.1, 20.0, 1e8, 1e17, 1e300])
def test_the_complement_of_kappa_has_all_its_digits(tau_out: float) -> None:
    p = ep.Parameters(tau_out=tau_out)
    if tau_out < 1e3:
        assert p.kappa_complement == pytest.approx(1 - p.kappa, rel=1e-14)
    else:
        assert p.kappa_complement == pytest.approx(1 / tau_out - 0.5 / tau_out / tau_out, rel=4e-16)
    assert 0 < p.kappa_complement < 1


def test_one_beta_stands_for_the_alif_neurons_and_a_list_for_all() -> None:
    assert ep.Parameters(n_lif=2, n_alif=1, beta=0.5).beta_per_neuron == (0.0, 0.0, 0.5)
    assert ep.Parameters(n_lif=2, n_alif=1, beta=(0.1, 0.0, 0.3)).beta_per_neuron == (0.1, 0.0, 0.3)


def test_one_threshold_stands_for_all_neurons() -> None:
    assert ep.Parameters(n_lif=2, n_alif=1, threshold=0.5).threshold_per_neuron == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], (1, 2, 3), np.array([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 3.0])]
)
def test_per_neuron_values_of_any_kind_become_a_tuple(values: Any) -> None:
    p = ep.Parameters(n_lif=2, n_alif=1, tau_v=values)
    assert p.tau_v == (1.0, 2.0, 3.0)
    assert isinstance(hash(p), int)  # frozen throughout, so that it can key a cache


def test_constants_come_in_the_order_and_dtype_asked_for() -> None:
    p = ep.Parameters(n_lif=1, n_alif=1, tau_v=10.0, tau_a=20.0, threshold=0.5, beta=0.25)
    constants = p.constants(like=torch.zeros(1, dtype=torch.float32))
    assert all(c.dtype == torch.float32 and c.shape == (2,) for c in constants)
    assert constants.alpha[0].item() == pytest.approx(math.exp(-0.1))
    assert constants.rho[0].item() == pytest.approx(math.exp(-0.05))
    assert constants.threshold.tolist() == [0.5, 0.5]
    assert constants.beta.tolist() == [0.0, 0.25]


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ep.Parameters().dt = 2.0  # type: ignore[misc]  # the mistake that is tested


@pytest.mark.parametrize(
    "allowed",
    [
        {"n_lif": 0},
        {"n_alif": 0},
        {"n_ref": 0},
        {"beta": 0.0},
        {"rate_in": 1000.0},
        {"dt": 0.1, "duration": 0.3},  # 0.3 / 0.1 is not 3 in floating point
        {"dt": 50.0, "rate_in": 20.0},
        {"n_in": np.int64(2), "dt": np.float64(0.5)},
        {"duration": 50},
    ],
)
def test_the_edge_of_what_is_allowed_is_allowed(allowed: dict[str, Any]) -> None:
    assert ep.Parameters(**allowed).n_steps >= 1


POSITIVE = ("dt", "duration", "tau_out", "rate_in", "dampening", "tau_v", "tau_a", "threshold")
ABOVE_0 = "must be a finite number greater than 0, got"
FROM_0 = "must be a finite number of at least 0, got"


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1.5, NAN, INFINITY, -INFINITY])
def test_what_must_be_positive_and_finite_is(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{says(f'{name} {ABOVE_0} {float(value)}')}$"):
        ep.Parameters(**{name: value})  # type: ignore[arg-type]  # the name decides the type


@pytest.mark.parametrize("value", [-0.1, NAN, INFINITY])
def test_beta_is_at_least_zero_and_finite(value: float) -> None:
    with pytest.raises(ValueError, match=f"^{says(f'beta {FROM_0} {value}')}$"):
        ep.Parameters(beta=value)


@pytest.mark.parametrize("name", [*POSITIVE, "beta"])
@pytest.mark.parametrize("value", [True, False, "20", None, 1j])
def test_numbers_are_not_booleans_strings_or_nothing(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=says(f"{name} must be a finite number", f"got {value!r}")):
        ep.Parameters(**{name: value})


@pytest.mark.parametrize(("name", "least"), [("n_in", 1), ("n_out", 1), ("n_lif", 0), ("n_alif", 0), ("n_ref", 0)])
def test_counts_are_not_below_their_least(name: str, least: int) -> None:
    message = f"^{says(f'{name} must be a whole number of at least {least}, got {least - 1}')}$"
    with pytest.raises(ValueError, match=message):
        ep.Parameters(**{name: least - 1})


@pytest.mark.parametrize(("name", "least"), [("n_in", 1), ("n_out", 1), ("n_lif", 0), ("n_alif", 0), ("n_ref", 0)])
@pytest.mark.parametrize("value", [2.5, 2.0, True, "2", None, NAN])
def test_counts_are_whole_numbers(name: str, least: int, value: Any) -> None:
    with pytest.raises(TypeError, match=says(f"{name} must be a whole number of at least {least}, got {value!r}")):
        ep.Parameters(**{name: value})


def test_there_is_at_least_one_recurrent_neuron() -> None:
    with pytest.raises(ValueError, match=says("n_lif + n_alif must be at least 1, got no recurrent neurons")):
        ep.Parameters(n_lif=0, n_alif=0)


@pytest.mark.parametrize("times", [(1.0, 50.5), (1.0, 0.4), (3.0, 50.0), (0.1, 0.25)])
def test_duration_is_a_multiple_of_dt(times: tuple[float, float]) -> None:
    dt, duration = times
    with pytest.raises(ValueError, match=says(f"duration must be a multiple of dt = {dt} ms, got {duration} ms")):
        ep.Parameters(dt=dt, duration=duration, rate_in=1.0)


def test_an_input_fires_at_most_once_in_a_time_step() -> None:
    with pytest.raises(ValueError, match=says("rate_in must be at most", "500.0 Hz at dt = 2.0 ms, got 501.0 Hz")):
        ep.Parameters(dt=2.0, rate_in=501.0)
    with pytest.raises(ValueError, match=says("rate_in must be at most", "1000.0 Hz at dt = 1.0 ms, got 1000.01 Hz")):
        ep.Parameters(rate_in=1000.01)


@pytest.mark.parametrize("name", ["tau_v", "tau_a", "threshold", "beta"])
@pytest.mark.parametrize("count", [0, 1, 7, 9])
def test_there_is_one_value_for_each_neuron(name: str, count: int) -> None:
    message = says(f"{name} must be one number or one for each of the 8 recurrent neurons, got {count} numbers")
    with pytest.raises(ValueError, match=message):
        ep.Parameters(**{name: (0.5,) * count})  # type: ignore[arg-type]  # the name decides the type


@pytest.mark.parametrize("name", ["tau_v", "tau_a", "threshold", "beta"])
@pytest.mark.parametrize("bad", [-1.0, NAN, INFINITY])
def test_one_bad_value_among_good_ones_is_named(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=says(f"{name}[5] must be a finite number", f"got {bad}")):
        ep.Parameters(**{name: (0.5,) * 5 + (bad,) + (0.5,) * 2})  # type: ignore[arg-type]  # the name decides the type


@pytest.mark.parametrize("bad", [True, "1", None, [1.0]])
def test_one_value_of_another_type_among_good_ones_is_named(bad: Any) -> None:
    with pytest.raises(TypeError, match=says("threshold[2] must be a finite number", f"got {bad!r}")):
        ep.Parameters(threshold=(0.5, 0.5, bad, 0.5, 0.5, 0.5, 0.5, 0.5))


def test_zero_is_a_beta_but_no_time_constant() -> None:
    assert ep.Parameters(beta=(0.0,) * 8).beta == (0.0,) * 8
    with pytest.raises(ValueError, match=says(f"tau_a[0] {ABOVE_0} 0.0")):
        ep.Parameters(tau_a=(0.0,) * 8)


# Draws.

# The first numbers of seed 0. A reader who runs the book elsewhere must see the same networks.
PINNED = {
    "w_in": [0.07259037699354179, -0.07627077838249186, 0.36974818962856254],
    "w_rec": [0.033238366630821636, -0.2628666805125928, -0.32587913197202517],
    "w_out": [-0.7546057912599311, 1.689107452443673, -0.2873877078086663],
    "targets": [-0.5998504999444954, -0.3505175280910633, -1.0038958719978983],
    "feedback": [-0.2802535553958334, 0.51640104767057, 0.6173147913528491],
}
FIRED = [[0, 1, 1], [0, 2, 1], [0, 3, 1], [0, 6, 0], [0, 11, 2], [0, 12, 2], [0, 13, 2], [0, 20, 0]]

DRAWS: dict[str, Callable[[int], tuple[torch.Tensor, ...]]] = {
    "weights": lambda seed: tuple(ep.random_weights(ep.Parameters(), seed)),
    "inputs": lambda seed: (ep.poisson_spikes(ep.Parameters(), 2, seed=seed),),
    "targets": lambda seed: (ep.random_targets(ep.Parameters(), 2, seed=seed),),
    "feedback": lambda seed: (ep.random_feedback(ep.Parameters(), seed),),
}


@pytest.mark.parametrize("what", DRAWS)
def test_the_same_seed_draws_the_same_and_another_seed_draws_another(what: str) -> None:
    first, again, other = DRAWS[what](3), DRAWS[what](3), DRAWS[what](4)
    for a, b, c in zip(first, again, other, strict=True):
        assert a.dtype == torch.float64
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_what_is_drawn_with_one_seed_is_not_made_of_the_same_bits() -> None:
    # Were it so, the targets and the random feedback would know the weights.
    p = ep.Parameters(n_in=8, duration=64.0)
    normals = {
        "weights": ep.random_weights(p, 0).w_in.detach().flatten() * math.sqrt(8),
        "targets": ep.random_targets(p, seed=0).flatten(),
        "feedback": ep.random_feedback(ep.Parameters(n_out=8), 0).flatten(),
    }
    for i, a in enumerate(normals):
        for b in list(normals)[i + 1 :]:
            correlation = torch.corrcoef(torch.stack((normals[a], normals[b])))[0, 1].item()
            assert abs(correlation) < 0.5, (a, b)  # 4 σ for 64 independent pairs; 1 for the same bits


def test_inputs_are_not_drawn_from_the_bits_of_the_weights() -> None:
    p = ep.Parameters(rate_in=500.0)
    uniform = np.random.default_rng((0, 0)).random((1, p.n_steps, p.n_in))  # the stream of the weights of seed 0
    drawn = ep.poisson_spikes(p, seed=0).numpy()
    assert not np.array_equal(drawn, uniform < 0.5)


def test_seed_0_draws_these_numbers_on_every_machine() -> None:
    w = ep.random_weights(ep.Parameters(), 0)
    assert w.w_in[0, :3].tolist() == PINNED["w_in"]
    assert w.w_rec[0, 1:4].tolist() == PINNED["w_rec"]
    assert w.w_out[:3, 0].tolist() == PINNED["w_out"]
    assert ep.random_targets(ep.Parameters(), seed=0)[0, :3, 0].tolist() == PINNED["targets"]
    assert ep.random_feedback(ep.Parameters(), 0)[:3, 0].tolist() == PINNED["feedback"]
    fired = ep.poisson_spikes(ep.Parameters(), 2, seed=0).nonzero()
    assert fired[:8].tolist() == FIRED


def test_weights_are_scaled_by_their_fan_in_and_have_no_self_connections() -> None:
    p = ep.Parameters(n_in=400, n_lif=150, n_alif=150, n_out=100)
    w = ep.random_weights(p, 1)
    assert (w.w_in.shape, w.w_rec.shape, w.w_out.shape) == ((400, 300), (300, 300), (300, 100))
    assert all(each.requires_grad and each.is_leaf for each in w)
    assert not w.w_rec.diagonal().any()
    for each, deviation in zip(w, (1 / math.sqrt(400), 1 / math.sqrt(300), 1.0), strict=True):
        n = each.numel()
        assert each.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * n) + 1 / 300)  # the diagonal is 0
        assert abs(each.mean().item()) < 4 * deviation / math.sqrt(n)


@pytest.mark.parametrize(("rate", "dt"), [(100.0, 1.0), (40.0, 0.5), (400.0, 2.0)])
def test_inputs_fire_at_their_rate(rate: float, dt: float) -> None:
    p = ep.Parameters(n_in=20, dt=dt, duration=1000.0, rate_in=rate)
    spikes = ep.poisson_spikes(p, batch=5, seed=2)
    assert spikes.shape == (5, p.n_steps, 20)
    assert set(spikes.flatten().tolist()) == {0.0, 1.0}
    probability, n = rate * dt / 1000, spikes.numel()
    assert abs(spikes.mean().item() - probability) < 4 * math.sqrt(probability * (1 - probability) / n)


def test_inputs_at_the_highest_rate_fire_in_every_step() -> None:
    assert bool(ep.poisson_spikes(ep.Parameters(rate_in=1000.0, duration=20_000.0), seed=0).all())


def test_targets_are_standard_normal() -> None:
    targets = ep.random_targets(ep.Parameters(n_out=4, duration=1000.0), batch=10, seed=0)
    assert targets.shape == (10, 1000, 4)
    assert abs(targets.mean().item()) < 4 / math.sqrt(targets.numel())
    assert targets.std().item() == pytest.approx(1.0, rel=4 / math.sqrt(2 * targets.numel()))


WITH_SEED: dict[str, Callable[[Any], object]] = {
    "random_weights": partial(ep.random_weights, ep.Parameters()),
    "random_feedback": partial(ep.random_feedback, ep.Parameters()),
    "poisson_spikes": lambda seed: ep.poisson_spikes(ep.Parameters(), seed=seed),
    "random_targets": lambda seed: ep.random_targets(ep.Parameters(), seed=seed),
}


@pytest.mark.parametrize("draw", WITH_SEED)
@pytest.mark.parametrize(
    ("seed", "kind"), [(-1, ValueError), (0.5, TypeError), (True, TypeError), ("0", TypeError), (None, TypeError)]
)
def test_a_seed_is_a_whole_number(draw: str, seed: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=says(f"seed must be a whole number of at least 0, got {seed!r}")):
        WITH_SEED[draw](seed)


@pytest.mark.parametrize("draw", [ep.poisson_spikes, ep.random_targets])
@pytest.mark.parametrize(("batch", "kind"), [(0, ValueError), (-2, ValueError), (1.0, TypeError), (True, TypeError)])
def test_a_batch_is_a_whole_number_of_trials(draw: Any, batch: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=says(f"batch must be a whole number of at least 1, got {batch!r}")):
        draw(ep.Parameters(), batch, seed=0)


def test_weights_of_another_dtype_are_new_leaves() -> None:
    w = ep.random_weights(ep.Parameters(), 0)
    single, same = w.to(torch.float32), w.to(torch.float64)
    for old, new, copy in zip(w, single, same, strict=True):
        assert new.dtype == torch.float32
        assert new.is_leaf
        assert new.requires_grad
        assert torch.equal(new, old.float())
        assert copy.data_ptr() != old.data_ptr()  # not the same tensor even where nothing changes
    assert isinstance(single, ep.Weights)


@pytest.mark.parametrize("value", [np.True_, torch.tensor(True), b"1", "1"])
def test_what_python_would_take_for_a_number_is_refused(value: Any) -> None:
    for name in ("dt", "n_ref"):
        with pytest.raises(TypeError, match=says(f"{name} must be", "got", value)):
            ep.Parameters(**{name: value})


@pytest.mark.parametrize("fields", [{"dt": 1e-320}, {"dt": 1e-9, "duration": 1e300}, {"dt": 10**400}])
def test_numbers_out_of_all_proportion_are_refused_by_name(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"^(dt|duration) must be"):
        ep.Parameters(**fields)  # type: ignore[arg-type]  # the fields of float type only


def test_one_spike_in_each_step_is_a_rate_that_passes_at_any_time_step() -> None:
    for k in range(1, 500):
        dt = 0.01 * k
        assert ep.Parameters(dt=dt, duration=10 * dt, rate_in=1000 / dt).rate_in == 1000 / dt


def test_a_seed_does_not_run_into_the_stream() -> None:
    ep.random_weights(ep.Parameters(), seed=2**32 - 1)
    with pytest.raises(ValueError, match=says("seed must be a whole number from 0 to 2**32 - 1", 2**32)):
        ep.random_weights(ep.Parameters(), seed=2**32)
