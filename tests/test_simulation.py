"""The network in time, held against steps worked out by hand and against sums written without any recursion."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import array, chain, error, make_trial, plain_simulation, says, small_parameters

import eprop_nb as ep
import eprop_nb.simulation

HALF = 1 / math.log(2)  # the time constant that halves in one step of 1 ms


def one_neuron(*, adaptive: bool = False, n_ref: int = 1, steps: int = 6, beta: float = 0.5) -> ep.Parameters:
    """Return a neuron whose voltage and adaptation halve in each step, with a threshold of 1."""
    return ep.Parameters(
        n_in=1,
        n_lif=int(not adaptive),
        n_alif=int(adaptive),
        duration=float(steps),
        tau_v=HALF,
        tau_a=HALF,
        threshold=1.0,
        beta=beta,
        n_ref=n_ref,
    )


# The spike function.


def test_a_neuron_at_its_threshold_does_not_spike() -> None:
    u = torch.tensor([-0.5, -0.0, 0.0, 1e-12, 3.0], dtype=torch.float64)
    assert ep.spike(u, 0.3).tolist() == [0, 0, 0, 1, 1]


def test_the_pseudo_derivative_is_a_triangle() -> None:
    u = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 1.5], dtype=torch.float64)
    expected = [0.0, 0.0, 0.2, 0.4, 0.3, 0.0, 0.0]
    assert ep.pseudo_derivative(u, 0.4).tolist() == pytest.approx(expected, abs=1e-15)


def test_backwards_the_spike_is_its_pseudo_derivative_times_what_comes_in() -> None:
    u = torch.tensor([-0.5, 0.0, 0.25, 1.5], dtype=torch.float64, requires_grad=True)
    incoming = torch.tensor([1.0, -2.0, 3.0, 5.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(ep.spike(u, 0.4), u, incoming)
    assert gradient.tolist() == pytest.approx([0.2, -0.8, 0.9, 0.0], abs=1e-15)


# One neuron, step by step.


def test_a_lif_neuron_followed_by_hand() -> None:
    # 0.75; 0.375 + 0.75 > 1: spike; reset by 1: 0.5625 + 0.75 − 1; half; half + 0.75; half + 0.75
    _, run = chain(one_neuron(steps=7), 0.75, 0.0, [1, 1, 1, 0, 1, 1, 0])
    v = [0.75, 1.125, 0.3125, 0.15625, 0.828125, 1.1640625, -0.41796875]
    assert run.v[0, :, 0].tolist() == pytest.approx(v, abs=1e-14)
    assert run.z[0, :, 0].tolist() == [0, 1, 0, 0, 0, 1, 0]
    assert run.v_scaled[0, :, 0].tolist() == pytest.approx([x - 1 for x in v], abs=1e-14)
    psi = [0.3 * max(0.0, 1 - abs(x - 1)) for x in v]
    assert run.psi[0, :, 0].tolist() == pytest.approx(psi, abs=1e-14)
    assert not run.b[0, 1].any()  # the spike of this step is not yet in b


def test_the_reset_is_the_threshold_and_the_pseudo_derivative_is_in_its_units() -> None:
    p = ep.Parameters(n_in=1, n_lif=1, n_alif=0, duration=2.0, tau_v=HALF, threshold=0.25, dampening=0.4)
    _, run = chain(p, 0.3, 0.0, [1, 0])
    assert run.v[0, :, 0].tolist() == pytest.approx([0.3, 0.15 - 0.25], abs=1e-15)
    assert run.v_scaled[0, :, 0].tolist() == pytest.approx([0.2, -1.4], abs=1e-14)
    assert run.psi[0, :, 0].tolist() == pytest.approx([0.4 / 0.25 * 0.8, 0.0], abs=1e-14)


def test_the_reset_leaves_the_adaptation_out() -> None:
    # At its second spike the neuron's threshold is 1.5; the reset is still 1, not 1.5.
    _, run = chain(one_neuron(adaptive=True, steps=3), 2.0, 0.0, [1, 1, 1])
    assert run.z[0, :, 0].tolist() == [1, 1, 1]
    assert run.v[0, :, 0].tolist() == pytest.approx([2.0, 2.0, 2.0], abs=1e-14)


def test_adaptation_lags_by_one_step_and_halves_in_each() -> None:
    _, run = chain(one_neuron(adaptive=True), 2.0, 0.0, [1, 0, 0, 1, 0, 0])
    assert run.z[0, :, 0].tolist() == [1, 0, 0, 1, 0, 0]
    b = [0.0, 1.0, 0.5, 0.25, 1.125, 0.5625]
    assert run.b[0, :, 0].tolist() == pytest.approx(b, abs=1e-14)
    v = [2.0, 0.0, 0.0, 2.0, 0.0, 0.0]
    assert run.v[0, :, 0].tolist() == pytest.approx(v, abs=1e-14)
    u = [x - 1 - 0.5 * y for x, y in zip(v, b, strict=True)]
    assert run.v_scaled[0, :, 0].tolist() == pytest.approx(u, abs=1e-14)


def test_adaptation_raises_the_threshold_of_alif_neurons_only() -> None:
    lif, alif = (chain(one_neuron(adaptive=adaptive, beta=2.0), 1.3, 0.0, [1] * 6)[1] for adaptive in (False, True))
    assert lif.z[0, :, 0].tolist() == [1, 0, 1, 1, 0, 1]
    assert alif.z[0, :, 0].tolist() == [1, 0, 0, 1, 0, 0]
    assert lif.b.any()  # it counts its spikes all the same; β = 0 makes nothing of it


@pytest.mark.parametrize("n_ref", [0, 1, 2, 4, 5])
def test_a_spike_is_followed_by_exactly_n_ref_minus_1_silent_steps(n_ref: int) -> None:
    _, run = chain(one_neuron(n_ref=n_ref, steps=20), 2.5, 0.0, [1.0] * 20)
    assert bool((run.v_scaled > 0).all())  # only the refractory period can silence it
    period = max(n_ref, 1)
    assert run.z[0, :, 0].tolist() == [float(t % period == 0) for t in range(20)]


@pytest.mark.parametrize("n_ref", [0, 1, 2, 4, 5])
def test_the_pseudo_derivative_is_zero_in_the_silent_steps_and_only_there(n_ref: int) -> None:
    _, run = chain(one_neuron(n_ref=n_ref, steps=30), 0.9, 0.0, [1.0] * 30)
    fired, u, psi = (x[0, :, 0].tolist() for x in (run.z, run.v_scaled, run.psi))
    assert sum(fired) >= 2
    for t in range(30):
        silent = any(fired[max(t - n_ref + 1, 0) : t])
        triangle = 0.3 * (1 - abs(u[t]))
        assert triangle > 0.01  # it would be above zero in every step
        assert psi[t] == (0 if silent else pytest.approx(triangle, abs=1e-14))


def test_a_silent_neuron_still_integrates_and_is_not_reset_again() -> None:
    _, run = chain(one_neuron(n_ref=4, steps=5), 2.0, 0.0, [1, 1, 0, 0, 0])
    assert run.v[0, :, 0].tolist() == pytest.approx([2.0, 2.0, 1.0, 0.5, 0.25], abs=1e-14)


# Networks.


def test_a_recurrent_spike_arrives_one_step_later() -> None:
    p = ep.Parameters(n_in=1, n_lif=3, n_alif=0, duration=4.0, tau_v=HALF, threshold=1.0)
    _, run = chain(p, 1.5, 1.25, [1, 0, 0, 0])
    assert run.z[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert run.v[0, 1].tolist() == pytest.approx([-0.25, 1.25, 0.0], abs=1e-14)


def test_weights_go_from_row_to_column() -> None:
    p = ep.Parameters(n_in=2, n_lif=3, n_alif=0, duration=2.0, tau_v=HALF, threshold=10.0)
    w = ep.random_weights(p, 0)
    inputs = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    assert torch.equal(ep.simulate(p, w, inputs).v[0, 0], w.w_in[1])


def test_the_diagonal_of_the_recurrent_weights_changes_nothing() -> None:
    trial = make_trial(small_parameters())
    changed = trial.weights._replace(w_rec=(trial.weights.w_rec.detach() + 3 * torch.eye(5)).requires_grad_())
    run = ep.simulate(trial.parameters, changed, trial.inputs)
    assert run.z.any()
    for before, after in zip(trial.run[:5], run[:5], strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n_ref", [0, 1, 3])
def test_the_recursion_is_the_sum_over_the_past(seed: int, n_ref: int) -> None:
    p = ep.Parameters(
        n_in=2,
        n_lif=2,
        n_alif=2,
        dt=0.5,
        duration=10.0,
        tau_v=(3.0, 4.0, 5.0, 6.0),
        tau_a=7.0,
        rate_in=800.0,
        threshold=(0.4, 0.5, 0.6, 0.7),
        beta=0.3,
        n_ref=n_ref,
    )
    trial = make_trial(p, seed=seed, batch=2)
    assert trial.run.z.sum() > 10
    for k in range(2):
        plain = plain_simulation(p, array(trial.weights.w_in), array(trial.weights.w_rec), array(trial.inputs[k]))
        assert array(trial.run.z[k]).tolist() == plain["z"].tolist()
        for name in ("v", "b", "v_scaled", "psi"):
            assert error(getattr(trial.run, name)[k], plain[name]) < 1e-13, name


def test_values_for_each_neuron_are_those_of_neurons_simulated_alone() -> None:
    taus, thresholds, betas, steps = (5.0, 20.0, 3.0), (0.3, 0.5, 0.4), (0.0, 0.2, 0.5), 40
    together = ep.Parameters(
        n_lif=1,
        n_alif=2,
        duration=float(steps),
        tau_v=taus,
        tau_a=(9.0, 30.0, 6.0),
        rate_in=400.0,
        threshold=thresholds,
        beta=betas,
    )
    w = ep.random_weights(together, 0)
    w = w._replace(w_in=w.w_in.detach().abs().requires_grad_(), w_rec=torch.zeros(3, 3, dtype=torch.float64))
    inputs = ep.poisson_spikes(together, seed=0)
    run = ep.simulate(together, w, inputs)
    for j, tau_a in enumerate((9.0, 30.0, 6.0)):
        alone = ep.Parameters(
            n_lif=0,
            n_alif=1,
            duration=float(steps),
            tau_v=taus[j],
            tau_a=tau_a,
            rate_in=400.0,
            threshold=thresholds[j],
            beta=betas[j],
        )
        own = ep.Weights(w.w_in[:, j : j + 1], torch.zeros(1, 1, dtype=torch.float64), w.w_out[j : j + 1])
        single = ep.simulate(alone, own, inputs)
        assert single.z.any()
        assert torch.equal(run.z[..., j], single.z[..., 0])
        for name in ("v", "b", "v_scaled", "psi"):
            assert error(getattr(run, name)[..., j], getattr(single, name)[..., 0]) < 1e-13, name


def test_the_trials_of_a_batch_do_not_meet() -> None:
    trial = make_trial(small_parameters(), batch=4)
    for k in range(4):
        alone = ep.simulate(trial.parameters, trial.weights, trial.inputs[k : k + 1])
        assert torch.equal(trial.run.z[k], alone.z[0])
        for name in ("v", "b", "v_scaled", "psi"):
            assert error(getattr(trial.run, name)[k], getattr(alone, name)[0]) < 1e-13, name


def test_without_input_nothing_happens() -> None:
    p = small_parameters()
    run = ep.simulate(p, ep.random_weights(p, 0), torch.zeros(1, p.n_steps, p.n_in, dtype=torch.float64))
    assert not run.z.any()
    assert not run.v.any()
    assert bool((run.v_scaled == -1).all())  # resting is one threshold below threshold


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_simulation_has_the_dtype_of_its_weights(dtype: torch.dtype) -> None:
    run = make_trial(small_parameters(), dtype=dtype).run
    assert {x.dtype for x in (*run[:5], *run.sent)} == {dtype}


def test_the_sent_spikes_are_those_of_the_run_and_in_its_graph() -> None:
    run = make_trial(small_parameters()).run
    assert torch.equal(torch.stack(run.sent, dim=1), run.z)
    gradients = torch.autograd.grad(run.z.sum(), run.sent, allow_unused=True)
    assert all(gradient is not None for gradient in gradients)
    assert not run.psi.requires_grad


def test_under_no_grad_there_is_no_graph_and_the_same_numbers() -> None:
    trial = make_trial(small_parameters())
    with torch.no_grad():
        run = ep.simulate(trial.parameters, trial.weights, trial.inputs)
    assert not any(x.requires_grad for x in (*run[:5], *run.sent))
    assert all(torch.equal(a, b) for a, b in zip(run[:5], trial.run[:5], strict=True))


def test_a_step_leaves_the_state_before_it_alone() -> None:
    p = small_parameters()
    state = ep.initial_state(p, batch=2, like=torch.zeros(1, dtype=torch.float64))
    assert all(x.shape == (2, 5) and not x.any() for x in state)
    current = torch.full((2, 5), 2.0, dtype=torch.float64)
    first = ep.step(p, p.constants(like=current), state, current)
    assert not any(x.any() for x in state)
    assert bool(first.z_sent.all())
    assert bool((first.refractory == p.n_ref - 1).all())
    kept = [x.detach().clone() for x in first]
    ep.step(p, p.constants(like=current), first, current)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_previous_spikes_are_those_of_the_step_before() -> None:
    z = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]])
    shifted = ep.previous_spikes(z)
    assert shifted.tolist() == [[[0, 0], [1, 2], [3, 4]], [[0, 0], [7, 8], [9, 10]]]


def test_self_connections_are_taken_out_of_any_stack_of_matrices() -> None:
    stack = torch.ones(2, 4, 3, 3)
    cleared = ep.without_self_connections(stack)
    assert bool((cleared == torch.tensor([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])).all())
    assert cleared.shape == stack.shape
    assert bool((stack == 1).all())


# What is refused.

GOOD = ep.Parameters(duration=5.0)


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the simulation takes a step: bad input is refused before any work."""

    def taken(*_: object) -> None:
        pytest.fail("a step was taken before the arguments were checked")

    monkeypatch.setattr(eprop_nb.simulation, "step", taken)


def with_entry(tensor: torch.Tensor, value: float) -> torch.Tensor:
    changed = tensor.detach().clone()
    changed.view(-1)[-1] = value
    return changed


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("name", ["w_in", "w_rec", "w_out"])
@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda w: w.tolist(), TypeError, "must be a torch.Tensor [n_{}], got list"),
        (lambda w: w.detach().numpy(), TypeError, "must be a torch.Tensor [n_{}], got ndarray"),
        (lambda w: w[:-1], ValueError, "must have the shape {} = [n_{}], got {}"),
        (lambda w: torch.cat((w, w), 1), ValueError, "must have the shape {} = [n_{}], got {}"),
        (lambda w: w[None], ValueError, "must have the shape {} = [n_{}], got {}"),
        (lambda w: w.long(), TypeError, "must be of dtype torch.float32 or torch.float64, got torch.int64"),
        (lambda w: w.half(), TypeError, "must be of dtype torch.float32 or torch.float64, got torch.float16"),
        (lambda w: with_entry(w, math.nan), ValueError, "must be finite, got NaN or infinite entries"),
        (lambda w: with_entry(w, -math.inf), ValueError, "must be finite, got NaN or infinite entries"),
    ],
)
def test_a_bad_weight_matrix_is_named(name: str, change: Any, kind: type[Exception], message: str) -> None:
    weights, inputs = ep.random_weights(GOOD, 0), ep.poisson_spikes(GOOD, seed=0)
    good = getattr(weights, name)
    bad = change(good)
    shapes = [tuple(good.shape), "", tuple(bad.shape)] if "shape" in message else [""]
    parts = [str(part) for pair in zip(message.split("{}"), [*shapes, ""], strict=False) for part in pair]
    with pytest.raises(kind, match=says(f"weights.{name} ", *parts)):
        ep.simulate(GOOD, weights._replace(**{name: bad}), inputs)


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("name", ["w_rec", "w_out"])
def test_weights_share_one_dtype_and_one_device(name: str) -> None:
    weights, inputs = ep.random_weights(GOOD, 0), ep.poisson_spikes(GOOD, seed=0)
    single, elsewhere = getattr(weights, name).float(), getattr(weights, name).to("meta")
    with pytest.raises(TypeError, match=says(f"weights.{name}", "torch.float64", "got torch.float32")):
        ep.simulate(GOOD, weights._replace(**{name: single}), inputs)
    with pytest.raises(ValueError, match=says(f"weights.{name}", "on the device cpu", "got meta")):
        ep.simulate(GOOD, weights._replace(**{name: elsewhere}), inputs)


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("bad", [None, "weights", [1.0]])
def test_weights_are_weights(bad: Any) -> None:
    with pytest.raises(
        TypeError, match=says("weights must be an instance of eprop_nb.Weights", f"got {type(bad).__name__}")
    ):
        ep.simulate(GOOD, bad, ep.poisson_spikes(GOOD, seed=0))


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda x: x.numpy(), TypeError, "must be a torch.Tensor [batch, time, n_in], got ndarray"),
        (lambda x: x[0], ValueError, "must have the shape (any, 5, 3) = [batch, time, n_in], got (5, 3)"),
        (lambda x: x[:, :-1], ValueError, "must have the shape (any, 5, 3) = [batch, time, n_in], got (2, 4, 3)"),
        (lambda x: x[..., :2], ValueError, "must have the shape (any, 5, 3) = [batch, time, n_in], got (2, 5, 2)"),
        (lambda x: x[:0], ValueError, "must have the shape (any, 5, 3) = [batch, time, n_in], got (0, 5, 3)"),
        (lambda x: x.float(), TypeError, "must be of dtype torch.float64, as the other tensors are, got torch.float32"),
        (lambda x: x.bool(), TypeError, "must be of dtype torch.float32 or torch.float64, got torch.bool"),
        (lambda x: x.long(), TypeError, "must be of dtype torch.float32 or torch.float64, got torch.int64"),
        (lambda x: x.to("meta"), ValueError, "must be on the device cpu, where the other tensors are, got meta"),
        (lambda x: with_entry(x, math.nan), ValueError, "must be finite, got NaN or infinite entries"),
        (lambda x: with_entry(x, 0.5), ValueError, "must hold spikes, that is 0 or 1 in each time step, got an entry"),
        (lambda x: with_entry(x, 2.0), ValueError, "0 or 1 in each time step, got an entry 2.0"),
        (lambda x: with_entry(x, -1.0), ValueError, "0 or 1 in each time step, got an entry -1.0"),
    ],
)
def test_bad_inputs_are_refused_in_clear_words(change: Any, kind: type[Exception], message: str) -> None:
    inputs = change(ep.poisson_spikes(GOOD, 2, seed=0))
    with pytest.raises(kind, match=says(f"inputs {message}" if message.startswith("must") else message)):
        ep.simulate(GOOD, ep.random_weights(GOOD, 0), inputs)


def test_only_a_square_matrix_has_self_connections() -> None:
    with pytest.raises(ValueError, match=says("matrix must have the shape [..., n_rec, n_rec]", "(1, 4)")):
        ep.without_self_connections(torch.ones(1, 4))
