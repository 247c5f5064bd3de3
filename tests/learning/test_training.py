"""The loop of training: what each way changes, what is counted, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers import says

import eprop_nb as ep
from eprop_nb.learning import EpropNetwork, tasks, training

P = replace(tasks.pattern_parameters(), n_lif=20, duration=200.0)
MEMORY = replace(tasks.evidence_parameters(delay=0), n_lif=10, n_alif=10)


def state(net: EpropNetwork) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in net.state_dict().items()}


@pytest.mark.parametrize("method", training.METHODS)
def test_every_way_starts_with_the_same_weights(method: str) -> None:
    net = training.network(method, P, seed=3, readout_scale=0.1, feedback_scale=0.2)
    drawn = ep.random_weights(P, seed=3)
    assert torch.equal(net.w_in, drawn.w_in)
    assert torch.equal(net.w_rec, drawn.w_rec)
    assert torch.equal(net.w_out, 0.1 * drawn.w_out)
    if method in ("adaptive", "random", "redrawn"):
        assert net.feedback is not None
        assert torch.equal(net.feedback, 0.2 * ep.random_feedback(P, seed=3))
    else:
        assert net.feedback is None
    assert net.gradient == ("bptt" if method == "bptt" else "eprop")


CHANGES = {
    "bptt": {"w_in", "w_rec", "w_out"},
    "symmetric": {"w_in", "w_rec", "w_out"},
    "adaptive": {"w_in", "w_rec", "w_out", "feedback"},
    "random": {"w_in", "w_rec", "w_out"},
    "redrawn": {"w_in", "w_rec", "w_out", "feedback"},
    "readout": {"w_out"},
}


@pytest.mark.parametrize("method", training.METHODS)
def test_a_training_changes_what_it_should_and_nothing_else(method: str) -> None:
    before: dict[str, torch.Tensor] = {}
    seen = []

    def watch(k: int, net: EpropNetwork) -> None:
        seen.append(k)
        if k == 0:
            before.update(state(net))

    net, course = training.train_pattern(method, 1, updates=3, parameters=P, watch=watch)
    after = state(net)
    assert {name for name in after if not torch.equal(after[name], before[name])} == CHANGES[method]
    assert seen == [0, 1, 2]
    assert course.errors.shape == course.seconds.shape == (3,)
    assert (np.diff(course.seconds) >= 0).all()
    assert not after["w_rec"].diagonal().any()


def test_the_feedback_that_is_redrawn_is_another_one_each_time_and_of_the_same_size() -> None:
    seen: list[torch.Tensor] = []

    def watch(_: int, net: EpropNetwork) -> None:
        assert net.feedback is not None
        seen.append(net.feedback.clone())

    training.train_pattern("redrawn", 1, updates=4, parameters=P, watch=watch)
    for one, other in pairwise(seen):
        cosine = torch.cosine_similarity(one.flatten(), other.flatten(), 0)
        assert abs(cosine) < 0.7
        assert 0.4 < float(other.std() / one.std()) < 2.5


def test_decay_lets_adaptive_feedback_and_the_readout_become_alike() -> None:
    net = training.network("adaptive", P, seed=0)
    assert net.feedback is not None
    before = net.feedback.detach() - net.w_out.detach()
    training.train(net, 5e-3, lambda _: tasks.pattern_generation(P, 0), training.pattern_loss, 7)
    after = net.feedback.detach() - net.w_out.detach()  # the same gradient, the same Adam: only the decay differs
    torch.testing.assert_close(after, (1 - training.DECAY) ** 7 * before, rtol=1e-10, atol=0)


def test_the_loss_and_the_error_of_a_pattern() -> None:
    trial = tasks.pattern_generation(P, 0)
    output, spikes = torch.zeros_like(trial.targets), torch.zeros(1, P.n_steps, 4).double()
    spikes[:, ::50, 0] = 1  # 20 Hz
    loss, error = training.pattern_loss(output, spikes, trial)
    y = trial.targets.numpy()
    assert math.isclose(loss.item(), (y**2).sum() / 2 + 150 * (0.01**2 + 3 * 0.01**2), rel_tol=1e-12)
    assert math.isclose(error, (y**2).sum() / ((y - y.mean()) ** 2).sum(), rel_tol=1e-12)
    mean = trial.targets.mean().expand_as(trial.targets)
    assert math.isclose(training.pattern_loss(mean, spikes, trial)[1], 1, rel_tol=1e-12)
    assert training.pattern_loss(trial.targets, spikes, trial)[1] == 0


def test_the_loss_and_the_error_of_a_decision() -> None:
    trials = tasks.evidence_accumulation(MEMORY, 8, seed=0)
    output, spikes = torch.zeros(8, MEMORY.n_steps, 2), torch.zeros(8, MEMORY.n_steps, 4)
    spikes[:, ::100] = 1  # 10 Hz: nothing is added
    loss, _ = training.evidence_loss(output, spikes, trials)
    assert math.isclose(loss.item(), math.log(2), rel_tol=1e-6)
    output[range(8), :, trials.labels] = 3.0  # the right side, always
    loss, error = training.evidence_loss(output, spikes, trials)
    assert math.isclose(loss.item(), math.log1p(math.exp(-3)), rel_tol=1e-5)
    assert error == 0
    before = output.clone()
    before[:, : -tasks.DECISION] = -output[:, : -tasks.DECISION]  # what is said before the question does not count
    assert training.evidence_loss(before, spikes, trials)[1] == 0
    output[0] = -output[0]
    assert training.evidence_loss(output, spikes, trials)[1] == 1 / 8


def test_the_network_learns_and_the_controls_do_not() -> None:
    q = replace(tasks.pattern_parameters(), n_lif=50)
    end = {m: training.train_pattern(m, 0, updates=80, parameters=q)[1].errors[-5:].mean() for m in training.METHODS}
    assert max(end[m] for m in ("bptt", "symmetric")) < 0.25
    assert min(end[m] for m in ("redrawn", "readout")) > 0.25


def test_a_training_can_be_repeated_to_the_bit() -> None:
    one, other = (training.train_evidence("random", 5, updates=2, batch=4, parameters=MEMORY) for _ in range(2))
    assert np.array_equal(one[1].errors, other[1].errors)
    assert torch.equal(one[0].w_rec, other[0].w_rec)
    assert one[0].w_rec.dtype == torch.float32
    error = training.evidence_error(one[0], 0, batches=1)
    assert 0 <= error <= 1
    assert error == training.evidence_error(one[0], 0, batches=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: training.network("evolution", P, seed=0), ValueError, says("method", "evolution")),
        # refused
        (lambda: training.network("random", None, seed=0), TypeError, says("parameters")),  # type: ignore[arg-type]
        (lambda: training.network("random", P, seed=-1), ValueError, says("seed", "-1")),
        (lambda: training.train_pattern("bptt", 0, updates=0, parameters=P), ValueError, says("updates", "0")),
    ],
)
def test_bad_arguments_are_refused_by_name(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_loss_that_is_no_number_ends_the_training_with_its_reason() -> None:
    def loss(output: torch.Tensor, _: torch.Tensor, __: Any) -> tuple[torch.Tensor, float]:
        return output.sum() * math.inf, 1.0

    net = training.network("symmetric", P, seed=0)
    before = state(net)
    with pytest.raises(FloatingPointError, match=says("update 0", "learning rate 0.1")):
        training.train(net, 0.1, lambda _: tasks.pattern_generation(P, 0), loss, 5)
    assert all(torch.equal(each, before[name]) for name, each in state(net).items())


# ------------------------------------------------------------------------------------------------------------- reward


def known(number: float) -> np.random.Generator:
    """Return what draws this number alone, and shuffles by turning round."""
    drawing = SimpleNamespace(
        random=lambda size: np.full(size, number), permutation=lambda size: np.arange(size)[::-1].copy()
    )
    return cast("np.random.Generator", drawing)


@pytest.mark.parametrize("shuffled", [False, True])
def test_learning_from_reward_is_that_of_the_paper(shuffled: bool) -> None:
    draw = np.random.default_rng(0)
    output = torch.from_numpy(draw.standard_normal((3, 2250, 3))).requires_grad_()
    trials = tasks.Evidence(torch.zeros(3, 2250, 40), torch.zeros(3, 7), torch.tensor([0, 1, 1]))
    spikes = torch.zeros(3, 2250, 4, dtype=torch.float64)
    # the first acts rightly, the second and the third wrongly, whatever the policy is
    loss, error = training.reward_loss(output, spikes, trials, known(1.0), shuffled=shuffled)
    (found,) = torch.autograd.grad(loss, output)
    assert error == pytest.approx(2 / 3)

    asked = output.detach()[:, -150:].mean(1).numpy()
    logits = training.SHARPNESS * asked[:, :2]
    policy = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reward = np.array([0.0, 0.0, 1.0] if shuffled else [1.0, 0.0, 0.0])
    surprise = reward - (0.5 + asked[:, 2])  # R − V
    wanted = np.zeros((3, 3))
    wanted[:, :2] = training.SHARPNESS * surprise[:, None] * (policy - np.array([1.0, 0.0]))  # all took action 0
    wanted[:, 2] = -training.VALUE * surprise
    assert (found[:, :-150] == 0).all()
    np.testing.assert_allclose(found[:, -150:].numpy(), np.broadcast_to(wanted[:, None] / (3 * 150), (3, 150, 3)))


def test_the_labels_reach_the_network_by_the_reward_alone() -> None:
    p = replace(tasks.evidence_parameters(), n_out=3)
    net = training.network("symmetric", p, seed=0, dtype=torch.float32)
    trials = tasks.evidence_accumulation(p, 4, seed=0)
    output, spikes = net(trials.inputs.float())
    for labels, number in ((trials.labels, 1.0), (1 - trials.labels, 0.0)):
        # the other labels with the other actions make the same rewards, and the same value has to learn them
        turned = trials._replace(labels=labels)
        loss, error = training.reward_loss(output, spikes, turned, known(number))
        (value,) = torch.autograd.grad(loss, output, retain_graph=True)
        if labels is trials.labels:
            before, first = value[..., 2], error
    assert torch.equal(value[..., 2], before)
    assert error == first


def test_the_learning_rate_falls_to_zero_if_asked() -> None:
    p = replace(tasks.pattern_parameters(), duration=100.0)
    trial, moved = tasks.pattern_generation(p, 0), []

    def watch(_: int, net: EpropNetwork) -> None:
        moved.append(net.w_out.detach().clone())

    for anneal in (False, True):
        net = training.network("readout", p, seed=0)
        moved.clear()
        training.train(net, 1e-2, lambda _: trial, training.pattern_loss, 20, anneal=anneal, watch=watch)
        steps = [float((b - a).abs().max()) for a, b in pairwise([*moved, net.w_out.detach()])]
        assert (steps[-1] < 0.02 * steps[0]) == anneal


def test_a_few_updates_from_reward_can_be_repeated() -> None:
    courses = [training.train_reward("symmetric", 3, updates=3, batch=8)[1].errors for _ in range(2)]
    assert (courses[0] == courses[1]).all()
    assert not (courses[0] == training.train_reward("symmetric", 4, updates=3, batch=8)[1].errors).all()
