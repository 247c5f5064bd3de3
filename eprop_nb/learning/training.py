"""Training on the paper's tasks: one loop for every kind of gradient, beside the controls that should not learn.

The book's chapters on learning and `tools/train.py`, which makes their stored results, use what is here. It is plain
PyTorch around `EpropNetwork`, and a page of code to copy from.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eprop_nb import _checks
from eprop_nb.learning import tasks
from eprop_nb.learning.network import EpropNetwork
from eprop_nb.learning_signals import random_feedback
from eprop_nb.parameters import Parameters, Weights, random_weights, seeded_generator

Array = NDArray[np.float64]
METHODS = ("bptt", "symmetric", "adaptive", "random", "redrawn", "readout")
RATE = 0.01  # spikes in a step: 10 Hz, to which the firing rates are drawn
DECAY = 1e-3  # of the readout and of adaptive feedback, in each update
SHARPNESS, VALUE = 5.0, 0.5  # of reward-based learning: a factor on the logits, and c_V on the loss of the value
GUESSING = 0.5  # the reward of one who guesses: what is expected, if the third output has nothing to say


class Course(NamedTuple):
    """How a training went."""

    errors: Array  # of each update, before it, [updates]
    seconds: Array  # of the processor, from the start to the end of each update, [updates]


def network(
    method: str,
    parameters: Parameters,
    *,
    seed: int,
    readout_scale: float = 1.0,
    feedback_scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> EpropNetwork:
    """Return a network that a method trains; from one seed all methods start with the same weights.

    Parameters
    ----------
    method : {"bptt", "symmetric", "adaptive", "random", "redrawn", "readout"}
        The full gradient; e-prop with each kind of feedback; and two controls: random feedback that is drawn anew
        before each update, so that no neuron is told the same thing twice, and a readout that learns alone.
    parameters : Parameters
        The neurons.
    seed : int
        Of the weights and of the feedback.
    readout_scale, feedback_scale : float
        The standard deviations of `w_out` and of random feedback.
    dtype : torch.dtype
        torch.float64 or torch.float32.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    _checks.one_of("method", method, METHODS)
    drawn = random_weights(parameters, seed)
    scaled = Weights(*(each.detach().to(dtype) for each in (*drawn[:2], drawn.w_out * readout_scale)))
    feedback: str | Tensor = "symmetric"
    if method in ("adaptive", "random", "redrawn"):
        feedback = random_feedback(parameters, seed).to(dtype) * feedback_scale
    net = EpropNetwork(parameters, feedback, "bptt" if method == "bptt" else "eprop", weights=scaled, seed=seed)
    if method == "adaptive":
        adaptive = EpropNetwork(parameters, "adaptive", weights=scaled, seed=seed)
        adaptive.load_state_dict(net.state_dict())
        return adaptive
    if method == "readout":
        net.w_in.requires_grad_(False)
        net.w_rec.requires_grad_(False)
    return net


def optimizer(net: EpropNetwork, rate: float) -> torch.optim.Optimizer:
    """Return Adam; with adaptive feedback this and the readout decay by the same part in each update.

    So what they begin with is forgotten, and since both get the same gradient they become alike (supplement, Note 2).
    """
    adaptive = isinstance(net.feedback, torch.nn.Parameter)
    decaying = [net.w_out, net.feedback] if adaptive else []
    rest = [each for each in net.parameters() if each.requires_grad and not any(each is other for other in decaying)]
    groups: list[dict[str, Any]] = [{"params": rest, "weight_decay": 0.0}]
    if adaptive:
        groups.append({"params": decaying, "weight_decay": DECAY / rate})  # AdamW multiplies it by the learning rate
    return torch.optim.AdamW(groups, lr=rate)


def pattern_loss(output: Tensor, spikes: Tensor, trial: tasks.Pattern) -> tuple[Tensor, float]:
    """Return the loss of the authors' script, and the error as a part of the pattern's own variance (nmse)."""
    squared = (output - trial.targets).square().sum()
    spread = (trial.targets - trial.targets.mean(1, keepdim=True)).square().sum()
    rates = spikes.mean((0, 1))
    return squared / 2 + 150 * (rates - RATE).square().sum(), float(squared.detach() / spread)


def evidence_loss(output: Tensor, spikes: Tensor, trials: tasks.Evidence) -> tuple[Tensor, float]:
    """Return the loss of the authors' script, and the part of the trials in which the decision was wrong."""
    logits = output[:, -tasks.DECISION :]
    asked = trials.labels[:, None].expand(-1, tasks.DECISION)
    entropy = functional.cross_entropy(logits.transpose(1, 2), asked)
    rates = spikes.mean((0, 1))
    wrong = logits.detach().mean(1).argmax(-1) != trials.labels
    return entropy + (rates - RATE).square().sum(), float(wrong.double().mean())


def reward_loss(
    output: Tensor, spikes: Tensor, trials: tasks.Evidence, draw: np.random.Generator, *, shuffled: bool = False
) -> tuple[Tensor, float]:
    """Return a loss of which e-prop makes reward-based learning, and the part of the trials without a reward.

    At the end of each trial one action is drawn from the policy, the softmax of the first two outputs, and the reward
    is 1 if it is right and 0 if not. The value V, what the network expects, is one half and the third output. The
    labels are used for the reward and for nothing else.

    Parameters
    ----------
    output : Tensor
        y, [batch, time, 3].
    spikes : Tensor
        z, [batch, time, n_rec].
    trials : Evidence
        The trials.
    draw : numpy.random.Generator
        What draws the actions.
    shuffled : bool
        A control: each trial gets the reward of another.

    Notes
    -----
    Bellec et al. (2020), supplement, equation (31), for one action at the end: −(R − V) log π(action) has the
    derivative (R − V)(π_k − 1_{a=k}) by the logit of action k, and ½ c_V (R − V)² has −c_V (R − V) by the value. Policy
    and value are those of the mean output while the network is asked, and the policy's softmax is sharpened. The half
    is what a guess earns; a value does not change the gradient on average, but how noisy it is.
    """
    asked = output[:, -tasks.DECISION :].mean(1)
    logits, value = SHARPNESS * asked[:, :2], GUESSING + asked[:, 2]
    right = logits.detach().softmax(-1)[:, 1].double().numpy()
    actions = torch.from_numpy((draw.random(len(right)) < right).astype(np.int64))
    reward = (actions == trials.labels).to(output.dtype)
    told = reward[torch.from_numpy(draw.permutation(len(reward)))] if shuffled else reward
    surprise = told - value
    chosen = logits.log_softmax(-1).gather(1, actions[:, None])[:, 0]
    actor, critic = -(surprise.detach() * chosen).mean(), VALUE * surprise.square().mean() / 2
    rates = spikes.mean((0, 1))
    return actor + critic + 0.1 * (rates - RATE).square().sum(), 1 - float(reward.mean())


def train(
    net: EpropNetwork,
    rate: float,
    draw: Callable[[int], Any],
    loss: Callable[[Tensor, Tensor, Any], tuple[Tensor, float]],
    updates: int,
    *,
    anneal: bool = False,
    redraw: int | None = None,
    watch: Callable[[int, EpropNetwork], None] | None = None,
) -> Course:
    """Train a network; it is changed in place.

    Parameters
    ----------
    net : EpropNetwork
        The network.
    rate : float
        The learning rate of Adam.
    draw : callable
        draw(k) returns the trials of update k, with their `inputs`.
    loss : callable
        loss(output, spikes, trials) returns what is made smaller, and an error to keep.
    updates : int
        How many.
    anneal : bool
        Let the learning rate fall to zero, along half a cosine.
    redraw : int, optional
        If it is given, random feedback is drawn anew before each update; the seed to begin with.
    watch : callable, optional
        watch(k, net) is called before update k; its time is not counted.

    Returns
    -------
    Course
        The errors before each update, and what it has taken until its end.

    Raises
    ------
    FloatingPointError
        If the loss becomes infinite or no number.
    """
    updates = _checks.whole("updates", updates, least=1)
    steps, errors, seconds, spent = optimizer(net, rate), np.empty(updates), np.empty(updates), 0.0
    scale = 1.0 if redraw is None or net.feedback is None else float(net.feedback.std())
    for k in range(updates):
        trials = draw(k)
        if watch is not None:
            watch(k, net)
        began = time.process_time()
        if redraw is not None and net.feedback is not None:
            net.feedback.copy_(scale * random_feedback(net.neurons, redraw + k))
        steps.zero_grad()
        output, spikes = net(trials.inputs)
        value, errors[k] = loss(output, spikes, trials)
        if not math.isfinite(value.item()):
            raise FloatingPointError(f"the loss is {value.item()} in update {k}; the learning rate {rate} is too large")
        value.backward()  # type: ignore[no-untyped-call]  # PyTorch gives it no types
        if anneal:
            for group in steps.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * k / updates)) / 2
        steps.step()
        spent += time.process_time() - began
        seconds[k] = spent
    return Course(errors, seconds)


def train_pattern(
    method: str,
    seed: int,
    *,
    rate: float = 5e-3,
    updates: int = 600,
    parameters: Parameters | None = None,
    watch: Callable[[int, EpropNetwork], None] | None = None,
) -> tuple[EpropNetwork, Course]:
    """Train a network to generate a pattern; weights, feedback, inputs and pattern are those of the seed.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    p = tasks.pattern_parameters() if parameters is None else parameters
    scale = 1 / math.sqrt(p.n_rec)
    net = network(method, p, seed=seed, readout_scale=scale, feedback_scale=scale)
    trial = tasks.pattern_generation(p, seed)
    redraw = 1_000_000 + seed * updates if method == "redrawn" else None
    return net, train(net, rate, lambda _: trial, pattern_loss, updates, redraw=redraw, watch=watch)


def train_evidence(
    method: str,
    seed: int,
    *,
    rate: float = 5e-3,
    updates: int = 150,
    batch: int = 64,
    readout_scale: float = 1.0,
    parameters: Parameters | None = None,
    watch: Callable[[int, EpropNetwork], None] | None = None,
) -> tuple[EpropNetwork, Course]:
    """Train a network to accumulate evidence, in float32, on trials that are drawn for each update.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    p = tasks.evidence_parameters() if parameters is None else parameters
    net = network(method, p, seed=seed, readout_scale=readout_scale, dtype=torch.float32)

    def draw(k: int) -> tasks.Evidence:
        inputs, cues, labels = tasks.evidence_accumulation(p, batch, seed=100_000 * (seed + 1) + k)
        return tasks.Evidence(inputs.float(), cues, labels)

    redraw = 1_000_000 + seed * updates if method == "redrawn" else None
    return net, train(net, rate, draw, evidence_loss, updates, redraw=redraw, watch=watch)


def train_reward(
    method: str,
    seed: int,
    *,
    rate: float = 5e-3,
    updates: int = 600,
    batch: int = 64,
    readout_scale: float = 0.3,
    shuffled: bool = False,
    parameters: Parameters | None = None,
    watch: Callable[[int, EpropNetwork], None] | None = None,
) -> tuple[EpropNetwork, Course]:
    """Train a network on the evidence task by reward alone, in float32; its errors are the parts without a reward.

    With the readout of `train_evidence`, some networks would be sure of one side before they have learned anything, and
    so never try the other. With a smaller one the first actions are nearly those of a coin.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    p = replace(tasks.evidence_parameters() if parameters is None else parameters, n_out=3)
    net = network(method, p, seed=seed, readout_scale=readout_scale, dtype=torch.float32)
    actions = seeded_generator("actions", seed)

    def loss(output: Tensor, spikes: Tensor, trials: tasks.Evidence) -> tuple[Tensor, float]:
        return reward_loss(output, spikes, trials, actions, shuffled=shuffled)

    def draw(k: int) -> tasks.Evidence:
        inputs, cues, labels = tasks.evidence_accumulation(p, batch, seed=100_000 * (seed + 1) + k)
        return tasks.Evidence(inputs.float(), cues, labels)

    redraw = 1_000_000 + seed * updates if method == "redrawn" else None
    return net, train(net, rate, draw, loss, updates, anneal=True, redraw=redraw, watch=watch)


def evidence_error(net: EpropNetwork, seed: int, batches: int = 8) -> float:
    """Return in what part of so many times 64 trials, which no training has seen, the decision is wrong."""
    wrong = []
    with torch.no_grad():
        for k in range(batches):
            inputs, cues, labels = tasks.evidence_accumulation(net.neurons, 64, seed=3_000_000_000 + 100 * seed + k)
            trials = tasks.Evidence(inputs.to(net.w_in.dtype), cues, labels)
            output, spikes = net(trials.inputs)
            wrong.append(evidence_loss(output[..., :2], spikes, trials)[1])  # a third output is a value
    return float(np.mean(wrong))
