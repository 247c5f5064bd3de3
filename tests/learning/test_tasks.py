"""The tasks: what is drawn is what the paper says, and whole trainings of NEST come out of it to the last digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import losses_of_nests_pattern, says, single
from numpy.typing import NDArray

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.learning import tasks

Array = NDArray[np.float64]

# -------------------------------------------------------------------------------------------------- whole trainings
#
# The losses of the first updates that NEST's own tests hold its e-prop against (testsuite/pytests/
# test_eprop_bsshslm_2020_plasticity.py, in the version of NEST 3.10): of NEST, and of the authors' program in a fork.


def test_the_first_losses_of_pattern_generation_are_those_of_nest_and_of_the_authors() -> None:
    nest = [101.964356999041, 103.466731126205, 103.340607074771, 103.680244037686, 104.412775748752]
    authors = [101.964363098144, 103.466735839843, 103.340606689453, 103.680244445800, 104.412780761718]
    losses = losses_of_nests_pattern(len(nest))
    np.testing.assert_allclose(losses, nest, rtol=1e-12)
    np.testing.assert_allclose(losses, authors, rtol=1e-7)  # theirs in single precision; what NEST allows, too


def evidence_of_nest(draw: np.random.RandomState, batch: int) -> tuple[Array, NDArray[np.int64]]:
    """Draw a batch in the order in which NEST's test does."""
    choices = np.array([0.3, 0.7], np.float32)
    side = draw.choice([0, 1], batch)
    of_sides = np.stack((choices[side], choices[1 - side]), 1)
    cues = np.array([draw.choice([0, 1], 7, p=each) for each in of_sides])
    probabilities = tasks.cue_probabilities(2250, torch.from_numpy(cues)).numpy()
    spikes = probabilities > draw.rand(*probabilities.shape)
    spikes[:, 0] = False
    return spikes.astype(float), (cues.sum(1) > 3).astype(np.int64)


@pytest.mark.parametrize(
    ("batch", "nest", "authors"),
    [
        (
            1,
            [0.741152550006, 0.740388187700, 0.665785233177, 0.663644193322, 0.729428962844],
            [0.741152524948, 0.740388214588, 0.665785133838, 0.663644134998, 0.729429066181],
        ),
        (2, [0.702163370672, 0.735555303152, 0.740354864111, 0.683882815282, 0.707841122268], None),
    ],
)
def test_the_first_losses_of_evidence_accumulation_are_those_of_nest_and_of_the_authors(
    batch: int, nest: list[float], authors: list[float] | None
) -> None:
    p, draw = tasks.evidence_parameters(), np.random.RandomState(1)  # as NEST's test draws
    w_in, w_rec = single(draw.randn(40, 100) / math.sqrt(40)), single(draw.randn(100, 100) / 10)
    np.fill_diagonal(w_rec, 0)
    limit = math.sqrt(3 / 51)
    w_out, feedback = single(draw.uniform(-limit, limit, (100, 2))), single(draw.randn(100, 2))
    weights: list[Array] = [w_in, w_rec, w_out]
    mean, square = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    losses = []
    for update, (inputs, labels) in enumerate([evidence_of_nest(draw, batch) for _ in nest], start=1):
        run = fast.forward(p, ep.Weights(*weights), inputs)  # type: ignore[arg-type]  # arrays are fine
        said = torch.from_numpy(run.output[:, -tasks.DECISION :]).softmax(-1).numpy()
        losses.append(-np.log(said[np.arange(batch), :, labels]).mean())
        error = np.zeros_like(run.output)
        error[:, -tasks.DECISION :] = (said - np.eye(2)[labels][:, None]) / (tasks.DECISION * batch)
        too_often = 2 * (run.spike_counts / 2250 - 0.01) / (2250 * batch)
        signal = np.repeat(too_often[:, None], 2250, axis=1)
        found = [each for each in fast.backward(p, run, inputs, error, feedback, signal) if each is not None]
        rate = 5e-3 * math.sqrt(1 - 0.999**update) / (1 - 0.9**update)  # Adam, in the form that TensorFlow 1 has
        mean = [m + 0.1 * (gradient - m) for m, gradient in zip(mean, found, strict=True)]
        square = [v + 0.001 * (gradient**2 - v) for v, gradient in zip(square, found, strict=True)]
        weights = [w - rate * m / (np.sqrt(v) + 1e-8) for w, m, v in zip(weights, mean, square, strict=True)]
    np.testing.assert_allclose(losses, nest, rtol=1e-10)
    if authors is not None:
        np.testing.assert_allclose(losses, authors, rtol=1e-6)  # theirs in single precision; what NEST allows, too


# -------------------------------------------------------------------------------------------------------- what is drawn


def test_a_pattern_begins_at_zero_and_is_one_where_it_is_farthest() -> None:
    for seed in range(20):
        inputs, targets = tasks.pattern_generation(tasks.pattern_parameters(), seed)
        assert targets.shape == (1, 1000, 1)
        assert targets[0, 0, 0] == 0
        assert targets.abs().max() == 1
        assert inputs.shape == (1, 1000, 100)
        assert not inputs[:, 0].any()
        assert 0.045 < inputs.mean() < 0.055


def test_a_pattern_has_cycles_of_1_2_3_and_5() -> None:
    line = tasks.sum_of_sines(1000, [1, 1, 1, 1], [0, 0, 0, 0]).numpy()[:-1]  # the last step is the first again
    strength = np.abs(np.fft.rfft(line))
    assert set(np.argsort(strength)[-4:]) == set(tasks.CYCLES)
    assert np.sort(strength)[-5] < 0.02 * strength.max()


def test_each_output_has_a_pattern_of_its_own() -> None:
    p = ep.Parameters(n_in=3, n_out=3, duration=100.0)
    targets = tasks.pattern_generation(p, 0).targets
    assert targets.shape == (1, 100, 3)
    assert len({tuple(each) for each in targets[0].T.tolist()}) == 3


def test_the_network_of_the_paper_is_that_of_the_tutorials() -> None:
    p = tasks.evidence_parameters()
    assert (p.n_steps, p.n_in, p.n_lif, p.n_alif, p.n_out) == (2250, 40, 50, 50, 2)
    assert p.beta_per_neuron[-1] == pytest.approx(0.0174242, abs=1e-7)
    assert tasks.pattern_parameters().threshold == pytest.approx(0.9151, abs=1e-4)
    assert tasks.evidence_parameters(0).n_steps == 1200


def test_trials_of_evidence_accumulation_have_the_statistics_of_the_paper() -> None:
    p, n = tasks.evidence_parameters(), 400
    inputs, cues, labels = tasks.evidence_accumulation(p, n, seed=3)
    assert inputs.shape == (n, 2250, 40)
    assert torch.equal(labels, (cues.sum(1) > 3).long())
    assert abs(labels.double().mean() - 0.5) < 0.08
    on_the_side = torch.where(labels == 1, cues.sum(1), 7 - cues.sum(1))
    assert abs(on_the_side.double().mean() / 7 - 0.7) < 0.05  # a few trials have their majority on the other side
    rates = inputs.mean((0, 1)) * 1000
    noise, asks = rates[30:], rates[20:30]
    assert ((noise - 10).abs() < 1).all()
    assert ((asks - 40 * 150 / 2250).abs() < 0.5).all()
    assert not inputs[:, :-150, 20:30].any()
    assert not inputs[:, 1050:-150, :20].any()  # nothing is said during the delay
    for trial in range(5):
        for k in range(7):
            start = k * 150 + 50
            said = inputs[trial, start : start + 100, :20].sum(0)
            side = int(cues[trial, k])
            assert said[side * 10 : side * 10 + 10].sum() > 10
            assert not said[(1 - side) * 10 : (1 - side) * 10 + 10].any()
            assert not inputs[trial, k * 150 : start, :20].any()


def test_the_seed_alone_decides() -> None:
    p = tasks.evidence_parameters(100)
    one, same, other = (tasks.evidence_accumulation(p, 3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


def test_what_is_wrong_is_named() -> None:
    p = tasks.evidence_parameters()
    with pytest.raises(ValueError, match=says("batch must be")):
        tasks.evidence_accumulation(p, 0, seed=0)
    with pytest.raises(ValueError, match=says("parameters must have n_in = 40, got 3")):
        tasks.evidence_accumulation(ep.Parameters(), 1, seed=0)
    with pytest.raises(ValueError, match=says("n_steps must be a whole number of at least 1200, got 1199")):
        tasks.cue_probabilities(1199, torch.zeros(1, 7))
    with pytest.raises(ValueError, match=says("cues must be a torch.Tensor [batch, n_cues] of 0 and 1")):
        tasks.cue_probabilities(2250, torch.full((1, 7), 2))
    with pytest.raises(ValueError, match=says("delay must be")):
        tasks.evidence_parameters(-1)
    with pytest.raises(ValueError, match=says("amplitudes must be 4 finite numbers")):
        tasks.sum_of_sines(100, [1, 2], [0, 0, 0, 0])
    with pytest.raises(TypeError, match=says("parameters must be an instance")):
        tasks.pattern_generation(None, 0)  # type: ignore[arg-type]  # the mistake that is tested
