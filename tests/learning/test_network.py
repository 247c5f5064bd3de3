"""`EpropNetwork`: its gradients are those of the package, whoever computes them; and it is a module like any other."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import says
from torch import Tensor, nn

import eprop_nb as ep
from eprop_nb import learning

P = ep.Parameters(n_in=8, n_lif=6, n_alif=6, n_out=2, duration=60.0, rate_in=150.0, tau_a=60.0, beta=0.3, n_ref=3)
INPUTS = ep.poisson_spikes(P, batch=4, seed=1)
TARGETS = ep.random_targets(P, batch=4, seed=1)
ways = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "PyTorch"])


def loss_of(output: Tensor, spikes: Tensor, targets: Tensor = TARGETS) -> Tensor:
    """Return a loss of both: the error of the output, and of the rates."""
    rates = spikes.mean(1)
    return 0.5 * (output - targets.to(output)).square().sum() + 3 * (rates - 0.1).square().sum()


def learn(net: nn.Module, trials: slice = slice(None)) -> Tensor:
    """Add the gradients of some trials; return their loss."""
    output, spikes = net(INPUTS[trials].to(next(net.parameters())))
    loss = loss_of(output, spikes, TARGETS[trials])
    torch.autograd.backward(loss)
    return loss.detach()


def gradients(net: nn.Module) -> dict[str, Tensor]:
    net.zero_grad()
    learn(net)
    return {name: each.grad.clone() for name, each in net.named_parameters() if each.grad is not None}


def far(found: Tensor, wanted: Tensor) -> float:
    assert wanted.any()
    return float((found - wanted).abs().max() / wanted.abs().max())


def by_hand(feedback: Tensor | None) -> ep.Gradients:
    """Compute e-prop's gradients by the functions of the ground floor, for the loss above."""
    weights = ep.random_weights(P, 0)
    run = ep.simulate(P, weights, INPUTS)
    output = ep.readout(P, weights, run)
    error = (output - TARGETS).detach()
    b = weights.w_out if feedback is None else feedback
    with torch.no_grad():
        back = ep.low_pass(error.flip(1), P.kappa, P.kappa_complement).flip(1) @ b.T
        rate_signal = 6 * (run.z.mean(1, keepdim=True) - 0.1) / P.n_steps
        signal = back + rate_signal
    found = ep.eprop_gradients(P, run, INPUTS, signal)
    return found._replace(w_out=ep.readout_gradient(P, run, error))


@ways
@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive", "a tensor"])
def test_backward_gives_the_numbers_of_eprop_gradients(feedback: str, *, compiled: bool) -> None:
    drawn = torch.from_numpy(np.random.default_rng(9).normal(size=(P.n_rec, P.n_out)))
    net = learning.EpropNetwork(P, drawn if feedback == "a tensor" else feedback, compiled=compiled)
    b = {"symmetric": None, "a tensor": drawn}.get(feedback, ep.random_feedback(P, 0))
    wanted, found = by_hand(b), gradients(net)
    for name in ("w_in", "w_rec", "w_out"):
        reference = getattr(wanted, name)
        assert far(found[name], reference) < 1e-13
    if feedback == "adaptive":
        assert far(found["feedback"], found["w_out"]) < 1e-13
    else:
        assert "feedback" not in found


@ways
def test_bptt_is_that_of_autograd_through_the_simulation(*, compiled: bool) -> None:
    weights = ep.random_weights(P, 0)
    run = ep.simulate(P, weights, INPUTS)
    wanted = ep.bptt_gradients(loss_of(ep.readout(P, weights, run), run.z), weights)
    found = gradients(learning.EpropNetwork(P, gradient="bptt", compiled=compiled))
    for name, reference in zip(ep.Weights._fields, wanted, strict=True):
        assert reference is not None
        assert far(found[name], reference) < 1e-13
    e_prop = gradients(learning.EpropNetwork(P, compiled=compiled))
    assert far(found["w_rec"], e_prop["w_rec"]) > 1e-3  # and it is something else


def test_compiled_or_not_the_values_are_the_same() -> None:
    for feedback in ("symmetric", "random"):
        one, other = (learning.EpropNetwork(P, feedback, compiled=compiled) for compiled in (True, False))
        (output, spikes), (wanted, as_sent) = ([x.detach() for x in net(INPUTS)] for net in (one, other))
        assert spikes.any()
        assert torch.equal(spikes, as_sent)
        assert far(output, wanted) < 1e-13


@ways
def test_a_loss_of_one_of_the_two_is_enough(*, compiled: bool) -> None:
    net = learning.EpropNetwork(P, compiled=compiled)
    output, _ = net(INPUTS)
    torch.autograd.backward(output.square().sum())
    assert net.w_out.grad is not None
    assert net.w_rec.grad is not None
    assert net.w_rec.grad.any()
    net.zero_grad()
    _, spikes = net(INPUTS)
    torch.autograd.backward(spikes.sum())
    assert net.w_out.grad is None or not net.w_out.grad.any()
    assert net.w_rec.grad is not None
    assert net.w_rec.grad.any()


# ------------------------------------------------------------------------------------ a module like any other


def trained(net: learning.EpropNetwork, optimizer: torch.optim.Optimizer, updates: int = 3) -> list[float]:
    losses = []
    for _ in range(updates):
        optimizer.zero_grad()
        losses.append(learn(net).item())
        optimizer.step()
    return losses


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=1e-3),
        lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_optimizers_change_all_weights_and_no_neuron_gets_a_synapse_onto_itself(
    make: Callable[..., torch.optim.Optimizer], dtype: torch.dtype
) -> None:
    net = learning.EpropNetwork(P).to(dtype)
    before = [each.detach().clone() for each in net.parameters()]
    trained(net, make(net.parameters()))
    for old, new in zip(before, net.parameters(), strict=True):
        assert new.dtype == dtype
        assert not torch.equal(old, new)
    assert not net.w_rec.diagonal().any()


def test_a_schedule_and_clipping_work() -> None:
    net = learning.EpropNetwork(P)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    learn(net)
    norm = nn.utils.clip_grad_norm_(net.parameters(), 1e-3)
    assert norm > 1e-3
    before = net.w_in.detach().clone()
    optimizer.step()
    schedule.step()
    assert 0 < (net.w_in - before).norm() < 1e-3
    assert schedule.get_last_lr() == [0.5]


def test_gradients_accumulate() -> None:
    net = learning.EpropNetwork(P)
    whole = gradients(net)
    net.zero_grad()
    for trial in range(len(INPUTS)):
        learn(net, slice(trial, trial + 1))
    for name, each in net.named_parameters():
        assert each.grad is not None
        assert far(each.grad, whole[name]) < 1e-13


@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("way", ["state_dict", "torch.save", "pickle", "deepcopy"])
def test_a_network_that_is_stored_goes_on_as_it_would(way: str, feedback: str, tmp_path: Path) -> None:
    net = learning.EpropNetwork(P, feedback)
    trained(net, torch.optim.SGD(net.parameters(), lr=1e-3))
    if way == "state_dict":
        torch.save(net.state_dict(), tmp_path / "weights")
        other = learning.EpropNetwork(P, feedback, seed=5)
        other.load_state_dict(torch.load(tmp_path / "weights"))
    elif way == "torch.save":
        torch.save(net, tmp_path / "net")
        other = torch.load(tmp_path / "net", weights_only=False)
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(net))  # noqa: S301  # it is our own
    else:
        other = copy.deepcopy(net)
    names = ["w_in", "w_rec", "w_out"] + ["feedback"] * (feedback != "symmetric")
    assert sorted(other.state_dict()) == sorted(names)
    wanted = trained(net, torch.optim.SGD(net.parameters(), lr=1e-3))
    assert trained(other, torch.optim.SGD(other.parameters(), lr=1e-3)) == wanted


@ways
def test_where_nothing_is_learned_there_is_no_graph(*, compiled: bool) -> None:
    net = learning.EpropNetwork(P, compiled=compiled).eval()
    wanted, _ = net(INPUTS)
    with torch.no_grad():
        output, spikes = net(INPUTS)
    assert torch.equal(output, wanted)
    assert not output.requires_grad
    assert not spikes.requires_grad
    with torch.inference_mode():
        assert torch.equal(net(INPUTS)[0], wanted)


def test_a_part_can_be_frozen() -> None:
    net = learning.EpropNetwork(P)
    wanted = gradients(net)
    net.w_rec.requires_grad_(False)
    found = gradients(net)
    assert set(found) == {"w_in", "w_out"}
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_a_second_derivative_is_refused() -> None:
    net = learning.EpropNetwork(P)
    (first,) = torch.autograd.grad(loss_of(*net(INPUTS)), net.w_in, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(first.sum())


def test_it_fits_into_a_larger_network_and_a_second_one_onto_it() -> None:
    q = ep.Parameters(n_in=P.n_rec, n_lif=3, n_alif=3, n_out=2, duration=60.0, threshold=0.3, tau_a=60.0, beta=0.2)

    class Stack(nn.Module):
        def __init__(self, gradient: str, *, compiled: bool) -> None:
            super().__init__()
            self.lower = learning.EpropNetwork(P, gradient=gradient, compiled=compiled)
            self.upper = learning.EpropNetwork(q, gradient=gradient, compiled=compiled, seed=3)

        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            return self.upper(self.lower(inputs)[1])  # type: ignore[no-any-return]  # Module

    weights, above = ep.random_weights(P, 0), ep.random_weights(q, 3)
    run = ep.simulate(P, weights, INPUTS)
    over = ep.simulate(q, above, run.z)
    assert over.z.any()
    loss = loss_of(ep.readout(q, above, over), over.z)
    wanted = torch.autograd.grad(loss, [*weights[:2], *above])
    for compiled in (True, False):
        net = Stack("bptt", compiled=compiled)
        learn(net)
        found = [net.lower.w_in.grad, net.lower.w_rec.grad, *(each.grad for each in net.upper.parameters())]
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours is not None
            assert far(ours, theirs) < 1e-13
    net = Stack("eprop", compiled=True)
    learn(net)
    assert net.lower.w_in.grad is not None
    assert far(net.lower.w_in.grad, wanted[0]) > 1e-3  # not exact, and not said to be


def test_its_repr_says_what_it_is() -> None:
    text = repr(learning.EpropNetwork(P, "random"))
    assert text == "EpropNetwork(n_in=8, n_lif=6, n_alif=6, n_out=2, gradient='eprop', feedback=fixed)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"parameters": None}, ("parameters must be an instance of eprop_nb.Parameters",)),
        ({"feedback": "direct"}, ("feedback must be 'symmetric' or 'random' or 'adaptive'", "'direct'")),
        ({"feedback": torch.zeros(3, 2)}, ("feedback must have the shape", "(3, 2)")),
        ({"gradient": "rtrl"}, ("gradient must be 'eprop' or 'bptt'",)),
        ({"gradient": "bptt", "feedback": "random"}, ("feedback must be 'symmetric' with gradient='bptt'",)),
        ({"weights": (1, 2, 3)}, ("weights must be an instance of eprop_nb.Weights",)),
        ({"seed": -1}, ("seed must be",)),
        ({"compiled": "yes"}, ("compiled must be",)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_is_named(given: dict[str, object], words: tuple[str, ...]) -> None:
    arguments: dict[str, object] = {"parameters": P} | given
    with pytest.raises((TypeError, ValueError), match=says(*words)):
        learning.EpropNetwork(**arguments)  # type: ignore[arg-type]  # the mistake that is tested


def test_inputs_of_another_dtype_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=says("inputs must be of dtype torch.float64")):
        learning.EpropNetwork(P)(INPUTS.float())
    with pytest.raises(ValueError, match=says("inputs must have the shape")):
        learning.EpropNetwork(P)(INPUTS[..., 1:])
    with pytest.raises(ValueError, match=says("inputs must hold spikes")):
        learning.EpropNetwork(P)(INPUTS * 2)


def test_what_is_given_is_copied() -> None:
    weights = ep.random_weights(P, 2)
    net = learning.EpropNetwork(P, weights=weights)
    with torch.no_grad():
        net.w_in.add_(1)
    assert torch.equal(weights.w_in, ep.random_weights(P, 2).w_in)
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    assert buffer.tell() > 0
