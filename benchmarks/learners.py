"""Programs that learn the paper's two tasks: ours, PyTorch, JAX and NEST, from the same weights on the same trials.

All but NEST hand their gradients to the same optimizer. JAX and NEST need not be installed; `make bench` installs them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eprop_nb import Parameters
from eprop_nb.learning import EpropNetwork, tasks, training

RATE = 5e-3  # the learning rate of Adam, for all

Gradients = list[NDArray[Any]]  # w_in, w_rec, w_out


class Job(NamedTuple):
    """What is learned, from which start, and for how long."""

    task: str  # "pattern" or "evidence"
    seed: int
    updates: int
    batch: int = 64  # trials of an update of evidence accumulation; a pattern is always one
    dtype: str = "float64"

    @property
    def parameters(self) -> Parameters:
        """The network of the task."""
        return tasks.pattern_parameters() if self.task == "pattern" else tasks.evidence_parameters()

    def network(self, method: str) -> EpropNetwork:
        """Return the network at the start, with weights and feedback as the book's chapters draw them."""
        scale = self.parameters.n_rec**-0.5 if self.task == "pattern" else 1.0
        dtype: torch.dtype = getattr(torch, self.dtype)
        return training.network(
            method, self.parameters, seed=self.seed, readout_scale=scale, feedback_scale=scale, dtype=dtype
        )

    def draw(self, update: int) -> Any:
        """Return the trials of an update."""
        if self.task == "pattern":
            return tasks.pattern_generation(self.parameters, self.seed)
        seed = 100_000 * (self.seed + 1) + update
        drawn = tasks.evidence_accumulation(self.parameters, self.batch, seed=seed)
        return drawn._replace(inputs=drawn.inputs.to(getattr(torch, self.dtype)))

    @property
    def loss(self) -> Callable[..., tuple[torch.Tensor, float]]:
        """The loss, and the error that is kept."""
        return training.pattern_loss if self.task == "pattern" else training.evidence_loss


class Learner(NamedTuple):
    """A program: how it learns, and its gradients at the start, to be held against those of another."""

    method: str  # as `training.network` takes it
    learn: Callable[[Job], training.Course]
    gradients: Callable[[Job], Gradients]


# ---------------------------------------------------------------------------------------------------- ours, and PyTorch


def module(method: str, *, compiled: bool) -> Learner:
    """Return `EpropNetwork` in the loop of the book's chapters, compiled or by PyTorch's autograd."""

    def start(job: Job) -> EpropNetwork:
        net = job.network(method)
        net.compiled = compiled
        return net

    def learn(job: Job) -> training.Course:
        pattern = job.draw(0) if job.task == "pattern" else None
        return training.train(start(job), RATE, lambda k: pattern or job.draw(k), job.loss, job.updates)

    def gradients(job: Job) -> Gradients:
        net, trials = start(job), job.draw(0)
        value, _ = job.loss(*net(trials.inputs), trials)
        return [each.numpy() for each in torch.autograd.grad(value, (net.w_in, net.w_rec, net.w_out))]

    return Learner(method, learn, gradients)


# ------------------------------------------------------------------------------------------------------------------ JAX


@cache
def jax_gradient(task: str, dtype: str, *, bptt: bool) -> Callable[[EpropNetwork, Any], tuple[float, Gradients]]:
    """Return what finds the error and the gradients of some trials: JAX, compiled by XLA."""
    import jax  # noqa: PLC0415  # a peer, which may not be installed
    import jax.numpy as jnp  # noqa: PLC0415  # likewise
    from programs import jax_cell, jax_constants  # noqa: PLC0415  # likewise

    p = Job(task, 0, 1).parameters
    run = jax_cell(p, bptt=bptt)

    def loss(weights: Any, constants: Any, x: Any, target: Any) -> Any:
        output, rates = run(weights, constants, x)
        too_often = jnp.sum((rates - training.RATE) ** 2)
        if task == "pattern":
            squared = jnp.sum((output - target) ** 2)
            spread = jnp.sum((target - target.mean(1, keepdims=True)) ** 2)
            return squared / 2 + 150 * too_often, squared / spread
        logits = output[:, -tasks.DECISION :]
        right = jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None, None], -1)
        return too_often - right.mean(), (logits.mean(1).argmax(-1) != target).mean()

    gradient, constants = jax.jit(jax.value_and_grad(loss, has_aux=True)), jax_constants(p, dtype)

    def find(net: EpropNetwork, trials: Any) -> tuple[float, Gradients]:
        weights = tuple(each.detach().numpy() for each in (net.w_in, net.w_rec, net.w_out))
        target = trials.targets if task == "pattern" else trials.labels
        (_, error), found = gradient(weights, constants, trials.inputs.numpy(), target.numpy())
        return float(error), [np.array(each) for each in found]

    return find


def by_jax(*, bptt: bool) -> Learner:
    """Return the network of `programs.jax_cell`, differentiated by JAX, with the losses and optimizer of the others."""
    method = "bptt" if bptt else "symmetric"

    def learn(job: Job) -> training.Course:
        net, find = job.network(method), jax_gradient(job.task, job.dtype, bptt=bptt)
        steps, trials = training.optimizer(net, RATE), job.draw(0)
        errors, seconds, spent = np.empty(job.updates), np.empty(job.updates), 0.0
        for k in range(job.updates):
            if job.task == "evidence":
                trials = job.draw(k)
            began = time.process_time()
            errors[k], found = find(net, trials)
            for each, gradient in zip((net.w_in, net.w_rec, net.w_out), found, strict=True):
                each.grad = torch.from_numpy(gradient)
            steps.step()
            spent += time.process_time() - began
            seconds[k] = spent
        return training.Course(errors, seconds)

    return Learner(
        method, learn, lambda job: jax_gradient(job.task, job.dtype, bptt=bptt)(job.network(method), job.draw(0))[1]
    )


# ----------------------------------------------------------------------------------------------------------------- NEST

OFFSET = 4  # steps until NEST's readout has heard of an input: generator, two synapses, and the sum of the softmax


def in_nest(simulator: Any, job: Job, optimizer: dict[str, Any]) -> tuple[EpropNetwork, NDArray[Any], dict[str, Any]]:
    """Build the network in NEST with the trials of all updates; return its start, the targets, and NEST's nodes."""
    p, net, regression = job.parameters, job.network("random"), job.task == "pattern"
    drawn = [job.draw(k) for k in range(1 if regression else job.updates)]
    inputs = np.concatenate([trials.inputs.numpy() for trials in drawn])
    if regression:
        inputs, targets = (np.repeat(each, job.updates, 0) for each in (inputs, drawn[0].targets.numpy()))
    else:
        targets = np.zeros((len(inputs), p.n_steps, p.n_out))
        targets[:, -tasks.DECISION :] = np.eye(2)[np.concatenate([trials.labels for trials in drawn])][:, None]

    simulator.ResetKernel()
    simulator.set(
        resolution=p.dt,
        total_num_virtual_procs=1,
        eprop_update_interval=float(p.n_steps),
        eprop_learning_window=float(p.n_steps if regression else tasks.DECISION),
        eprop_reset_neurons_on_update=True,
    )
    rest = {"C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "I_e": 0.0}
    lif = rest | {
        "tau_m": p.tau_v,
        "V_th": p.threshold,
        "t_ref": float(p.n_ref if p.n_ref > 1 else 0),
        "c_reg": 300.0,  # that of both tasks, as NEST counts it
        "f_target": 1000 * training.RATE,
        "regular_spike_arrival": True,
        "surrogate_gradient_function": "piecewise_linear",
        "surrogate_gradient_height": p.dampening / float(p.threshold_per_neuron[0]),
        "surrogate_gradient_width": p.threshold,
    }
    neurons = simulator.Create("eprop_iaf_bsshslm_2020", p.n_lif, lif)
    if p.n_alif:
        alif = lif | {"adapt_tau": p.tau_a, "adapt_beta": p.beta, "adaptation": 0.0}
        neurons = neurons + simulator.Create("eprop_iaf_adapt_bsshslm_2020", p.n_alif, alif)
    out = simulator.Create(
        "eprop_readout_bsshslm_2020",
        p.n_out,
        rest
        | {
            "tau_m": p.tau_out,
            "loss": "mean_squared_error" if regression else "cross_entropy",
            "regular_spike_arrival": False,  # which is NEST's name for the factor 1 − κ
        },
    )
    # Created before the readout, the generator of the targets would be heard one step early.
    said = simulator.Create("step_rate_generator", p.n_out)
    times = np.arange(len(inputs) * p.n_steps, dtype=float)
    said.set([{"amplitude_times": times + OFFSET, "amplitude_values": each} for each in targets.reshape(-1, p.n_out).T])
    generators, sources = simulator.Create("spike_generator", p.n_in), simulator.Create("parrot_neuron", p.n_in)
    generators.set([{"spike_times": times[each > 0] + 1} for each in inputs.reshape(-1, p.n_in).T])
    record = simulator.Create(
        "multimeter", {"record_from": ["readout_signal"], "start": float(OFFSET), "stop": OFFSET + len(times) * p.dt}
    )

    batch = 1 if regression else job.batch
    common = {"optimizer": optimizer | {"batch_size": batch}, "average_gradient": not regression}
    simulator.SetDefaults("eprop_synapse_bsshslm_2020", common)
    learned = {"synapse_model": "eprop_synapse_bsshslm_2020", "delay": 1.0, "tau_m_readout": p.tau_out}
    back = {"synapse_model": "eprop_learning_signal_connection_bsshslm_2020", "delay": 1.0}
    rates = {"synapse_model": "rate_connection_delayed", "delay": 1.0}
    everyone = {"rule": "all_to_all", "allow_autapses": False}
    b = net.feedback if net.feedback is not None else net.w_out
    weights = [each.detach().double().numpy() for each in (net.w_in.T, net.w_rec.T, net.w_out.T, b)]
    simulator.Connect(generators, sources, "one_to_one", {"delay": 1.0})
    for pre, post, weight in zip((sources, neurons, neurons), (neurons, neurons, out), weights[:3], strict=True):
        simulator.Connect(pre, post, everyone, learned | {"weight": weight})
    simulator.Connect(out, neurons, everyone, back | {"weight": weights[3]})
    simulator.Connect(said, out, "one_to_one", rates | {"receptor_type": 2})
    if not regression:
        simulator.Connect(out, out, everyone, rates | {"receptor_type": 1, "weight": 1.0})
    simulator.Connect(record, out, "all_to_all")
    return net, targets, {"sources": sources, "neurons": neurons, "out": out, "record": record}


def nest_learns(job: Job) -> training.Course:
    """Train with NEST's own neurons, synapses and Adam, with random feedback; a trial is an interval of its simulation.

    It simulates one trial after the other. All updates are one call of NEST, and each is said to take its share.
    Firing rates are regularized trial by trial, where the others take those of the whole batch, and its Adam adds ε
    elsewhere.
    """
    import nest as simulator  # noqa: PLC0415  # a peer, which may not be installed

    _, targets, nodes = in_nest(simulator, job, {"type": "adam", "eta": RATE})
    began = time.process_time()
    simulator.Simulate(float(targets.shape[0] * targets.shape[1] + OFFSET + 1))
    share = (time.process_time() - began) / job.updates
    events = nodes["record"].get("events")
    order = np.lexsort((events["senders"], events["times"]))
    output = events["readout_signal"][order].reshape(targets.shape)
    if job.task == "pattern":
        spread = ((targets - targets.mean(1, keepdims=True)) ** 2).sum((1, 2))
        errors = ((output - targets) ** 2).sum((1, 2)) / spread
    else:  # the mean logits are the mean logarithms of the softmax, but for a number that all classes share
        decision = np.log(output[:, -tasks.DECISION :]).mean(1).argmax(-1)
        errors = (decision != targets[:, -1].argmax(-1)).reshape(job.updates, job.batch).mean(1)
    return training.Course(errors.astype(np.float64), share * np.arange(1.0, job.updates + 1))


def nest_gradients(job: Job) -> Gradients:
    """Return NEST's gradients of the first trials: what an update by gradient descent changes, by the learning rate."""
    import nest as simulator  # noqa: PLC0415  # a peer, which may not be installed

    rate = 0.1
    net, targets, nodes = in_nest(simulator, job._replace(updates=1), {"type": "gradient_descent", "eta": rate})
    steps = float(targets.shape[0] * targets.shape[1])
    # A synapse is updated when a spike passes it, and so one passes all of them when the trials are over.
    last = simulator.Create("spike_generator", 1, {"spike_times": [steps + OFFSET - 1]})
    simulator.Connect(last, nodes["sources"] + nodes["neurons"], "all_to_all", {"weight": 1000.0})
    simulator.Simulate(steps + OFFSET + 2)
    found = []
    pairs = (("sources", "neurons"), ("neurons", "neurons"), ("neurons", "out"))
    for (pre, post), weight in zip(pairs, (net.w_in, net.w_rec, net.w_out), strict=True):
        now = simulator.GetConnections(nodes[pre], nodes[post]).get(["source", "target", "weight"])
        rows, columns = (
            np.array(now[end]) - nodes[name].tolist()[0] for end, name in (("source", pre), ("target", post))
        )
        changed = weight.detach().numpy().copy()
        changed[rows, columns] = now["weight"]
        found.append((weight.detach().numpy() - changed) / rate)
    return found


LEARNERS: dict[str, Learner] = {
    "compiled, e-prop": module("symmetric", compiled=True),
    "compiled, BPTT": module("bptt", compiled=True),
    "compiled, random e-prop": module("random", compiled=True),
    "JAX, e-prop": by_jax(bptt=False),
    "JAX, BPTT": by_jax(bptt=True),
    "PyTorch autograd, e-prop": module("symmetric", compiled=False),
    "PyTorch autograd, BPTT": module("bptt", compiled=False),
    "NEST, random e-prop": Learner("random", nest_learns, nest_gradients),
}
