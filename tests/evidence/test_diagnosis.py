"""The diagnosis names what is wrong, calls right what is right, and does not force a name on what it does not know."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import error, says
from torch import Tensor

import eprop_nb as ep
from eprop_nb.evidence import any_neuron, controls, diagnosis, mistakes, neurons
from eprop_nb.evidence.any_neuron import Unit
from eprop_nb.evidence.diagnosis import Verdict, diagnose
from eprop_nb.evidence.mistakes import MISTAKES, Context, Ingredients
from eprop_nb.evidence.random_networks import random_case
from eprop_nb.gradients import VacuousComparisonError

NAMES = [each.name for each in MISTAKES]


class Setting(NamedTuple):
    """An experiment, with what the right gradient is made of."""

    parameters: ep.Parameters
    weights: ep.Weights
    inputs: Tensor
    targets: Tensor
    signal: str
    right: Ingredients
    context: Context

    def diagnosed(self, mine: object, **options: Any) -> Verdict:
        """Return what a gradient of this experiment is."""
        return diagnose(mine, self.parameters, self.weights, self.inputs, self.targets, self.signal, **options)

    def made_by(self, *names: str) -> dict[str, Tensor]:
        """Return the gradients that some mistakes make, one after the other."""
        known, it = {each.name: each for each in MISTAKES}, self.right
        for name in sorted(names, key=lambda each: known[each].rank):
            it = known[name].change(it, self.context)
        return mistakes.gradients(it)


def setting(parameters: ep.Parameters, batch: int, seed: int, gain: float, signal: str) -> Setting:
    """Build it by the functions of the ground floor, so that the right gradient comes from elsewhere."""
    p, drawn = parameters, ep.random_weights(parameters, seed)
    weights = ep.Weights(gain * drawn.w_in, gain * drawn.w_rec, drawn.w_out)
    inputs, targets = ep.poisson_spikes(p, batch, seed=seed), ep.random_targets(p, batch, seed=seed)
    unit = neurons.alif(p)
    run = any_neuron.simulate(unit, weights, inputs)
    ground = ep.simulate(p, weights, inputs)
    output_error = ep.output_error(p, weights, ground, targets)
    direct = (p.kappa_complement * output_error @ weights.w_out.T).detach()
    symmetric = (ep.low_pass(output_error.flip(1), p.kappa).flip(1) @ weights.w_out.T).detach()
    true = ep.true_learning_signal(output_error.square().sum() / 2, ground)

    def true_of(unit: Unit) -> Tensor:
        run = any_neuron.simulate(unit, weights, inputs)
        output = ep.low_pass(run.z, p.kappa) @ weights.w_out
        return any_neuron.true_learning_signal((output - targets).square().sum() / 2, run)

    said = {"symmetric": symmetric, "true": true}[signal]
    right = Ingredients(any_neuron.factors(unit, run), said[..., None], inputs, ep.previous_spikes(ground.z.detach()))
    others = (lambda: true, symmetric, true_of if signal == "true" else None)
    context = Context(p, unit, run, inputs, direct, p.kappa, *others)
    return Setting(p, weights, inputs, targets, signal, right, context)


def settings_with_something_to_compare(count: int, seed: int) -> list[Setting]:
    draw = np.random.default_rng(seed)
    found: list[Setting] = []
    while len(found) < count:
        case = random_case(draw)
        here = setting(case.parameters, case.batch, case.seed, case.gain, ("symmetric", "true")[len(found) % 2])
        if all(bool(each.any()) for each in here.made_by().values()):
            found.append(here)
    return found


LIVELY = ep.Parameters(n_out=3, duration=30.0, rate_in=300.0, beta=0.4, tau_a=30.0, tau_out=9.0, n_ref=3, dt=0.5)
HERE = setting(LIVELY, 3, 1, 1.5, "symmetric")


# -------------------------------------------------------------------------------------------------- what it recognises


def test_every_mistake_is_recognised_among_all_others_on_random_networks() -> None:
    seen: dict[str, int] = dict.fromkeys(NAMES, 0)
    for here in settings_with_something_to_compare(6, seed=20):
        plain = here.made_by()
        for name in NAMES:
            made = here.made_by(name)
            if max(error(made[each], plain[each]) for each in plain) < 1e-7:
                continue  # it changes nothing in this network
            verdict = here.diagnosed(made)
            assert (name,) in verdict.mistakes, (name, verdict)
            assert len(verdict.mistakes) == 1, verdict
            assert verdict.factor is None
            assert verdict.resembles[0][0] == name
            seen[name] += 1
    never = {name for name, count in seen.items() if not count}
    # the reset is subtracted, and so it does not touch the trace
    assert never == {"trace blind to the reset"}


def test_the_right_gradient_of_the_ground_floor_is_called_right() -> None:
    for here in settings_with_something_to_compare(12, seed=21):
        p, run = here.parameters, ep.simulate(here.parameters, here.weights, here.inputs)
        mine = ep.eprop_gradients(p, run, here.inputs, here.right.signal[..., 0], "traces")
        verdict = here.diagnosed(mine)
        assert verdict.right
        assert verdict.mistakes == ()
        assert verdict.factor is None
        assert max(verdict.relative_errors.values()) < 1e-11
        assert all(abs(each - 1) < 1e-9 for each in (*verdict.ratio.values(), *verdict.cosine.values()))
        assert "It is e-prop's gradient" in repr(verdict)


# Chapter 7's controls are written out in another way, trace by trace: by which name do we know each?
SAME_AS = {
    "ε_a dropped": "ε_a dropped",
    "ε_a without −βψ": "ε_a without −βψ",
    "ε_a one step late": "ε_a one step late",
    "no refractory mask": "no refractory mask",
    "refractory period off by one": "refractory period off by one",
    "recurrent spike not shifted": "recurrent spike not shifted",
    "input spike shifted": "input one step late",
    "self-connections kept": "self-connections kept",
    "adaptation in the signal": "adaptation in the signal",
    "reset out of the signal": "reset out of the signal",
    "ψ of the traces without 1/δt": "ψ without 1/δt",
}


@pytest.mark.parametrize("control", [*controls.CONTROLS, controls.AUTHORS_TIME_STEP], ids=lambda c: c.name)
def test_the_controls_of_chapter_7_are_recognised(control: controls.Control) -> None:
    here = setting(LIVELY, 3, 1, 1.5, "true")
    run = ep.simulate(here.parameters, here.weights, here.inputs)

    def loss(run: ep.Simulation) -> Tensor:
        return ep.output_error(here.parameters, here.weights, run, here.targets).square().sum() / 2

    trial = controls.Trial(
        here.parameters, here.weights, here.inputs, run, loss, ep.true_learning_signal(loss(run), run)
    )
    verdict = here.diagnosed(control.gradients(trial))
    if control.name in SAME_AS:
        assert verdict.mistakes == ((SAME_AS[control.name],),)
    else:  # a spike of the height 1/dt
        assert verdict.factor is not None
        assert verdict.factor[0] == pytest.approx(1 / LIVELY.dt)


def test_a_signal_counted_twice_is_what_a_spike_as_a_state_of_its_own_gives() -> None:
    # from peers.md's equations: the sum of the right gradient, and of the filter around ε with ψ outside
    right, outside, twice = (
        HERE.made_by(*names) for names in ((), ("ψ outside the filter",), ("signal counted twice",))
    )
    for name in right:
        assert error(twice[name], right[name] + outside[name]) < 1e-13
    p, psi = HERE.parameters, HERE.right.factors.psi[..., 0].numpy()
    alpha, rho, beta = (np.array(each) for each in (p.alpha, p.rho, p.beta_per_neuron))
    direct, pre = HERE.context.direct.numpy(), HERE.inputs.numpy()
    eps_v = eps_a = held = wanted = np.zeros((3, p.n_in, p.n_rec))
    for t in range(p.n_steps):
        eps_v = alpha * eps_v + pre[:, t, :, None]
        held = p.kappa * held + eps_v - beta * eps_a
        wanted = wanted + (direct[:, t] * psi[:, t])[:, None] * held
        eps_a = psi[:, t, None] * eps_v + (rho - beta * psi[:, t, None]) * eps_a
    assert error(outside["w_in"], wanted.sum(0)) < 1e-13


def test_two_mistakes_at_once_are_found() -> None:
    for pair in (
        ("input one step early", "self-connections kept"),
        ("ε_a without −βψ", "recurrent spike not shifted"),
        ("no refractory mask", "w_rec transposed"),
        ("ε_a one step late", "ψ outside the filter"),
        ("α in the place of κ", "mean of the signals times traces"),
    ):
        verdict = HERE.diagnosed(HERE.made_by(*pair))
        assert {frozenset(each) for each in verdict.mistakes} == {frozenset(pair)}, verdict
        assert all(name in repr(verdict) for name in pair)


@pytest.mark.parametrize(
    ("factor", "name"),
    [
        (2.0, "2"),
        (-1.0, "−1"),
        (0.5, "1/2"),
        (LIVELY.threshold_per_neuron[0], "thr"),
        (1 / LIVELY.threshold_per_neuron[0], "1/thr"),
        (LIVELY.dt, "1/2"),
        (1 / 3, "1/(the number of trials)"),
        (1 - LIVELY.kappa, "1 − κ"),
        (1.2345, ""),
    ],
)
def test_a_constant_factor_is_named_alone_and_beside_a_mistake(factor: float, name: str) -> None:
    for mistake in ((), ("input one step early",)):
        mine = {key: factor * each for key, each in HERE.made_by(*mistake).items()}
        verdict = HERE.diagnosed(mine)
        assert not verdict.right
        assert verdict.factor is not None
        assert verdict.factor[0] == pytest.approx(factor, rel=1e-9)
        assert verdict.factor[1] == name
        assert verdict.mistakes == ((mistake,) if mistake else ())
        assert "constant factor" in repr(verdict)


def test_what_is_unknown_is_called_unknown() -> None:
    noise = torch.Generator().manual_seed(0)
    right = HERE.made_by()
    for mine in (
        {key: each + 1e-3 * torch.randn(each.shape, generator=noise, dtype=each.dtype) for key, each in right.items()},
        {key: each.sign() for key, each in right.items()},
        {"w_in": right["w_in"], "w_rec": 0.5 * right["w_rec"]},
    ):
        verdict = HERE.diagnosed(mine)
        assert not verdict.right
        assert verdict.mistakes == ()
        assert verdict.factor is None
        assert len(verdict.resembles) > 10
        assert "No known mistake" in repr(verdict)
    assert verdict.ratio["w_rec"] == pytest.approx(0.5)  # of one matrix: the table says it


def test_single_precision_is_recognised_with_a_wider_tolerance() -> None:
    for names in ((), ("input one step early",)):
        mine = {key: each.float() for key, each in HERE.made_by(*names).items()}
        verdict = HERE.diagnosed(mine, tolerance=1e-5)
        assert verdict.right == (not names)
        assert verdict.mistakes == ((names,) if names else ())


# ---------------------------------------------------------------------------------------------- how things may be given


def test_arrays_of_any_library_and_any_object_with_fields_are_taken() -> None:
    right = HERE.made_by()

    class Foreign:
        def __init__(self, values: Tensor) -> None:
            self.values = values

        def __dlpack__(self, **options: Any) -> Any:
            return self.values.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.values.__dlpack_device__()

    numpy = {key: each.numpy() for key, each in right.items()}
    for mine in (
        right,
        numpy,
        SimpleNamespace(**numpy),
        ep.Gradients(**right),
        {"w_rec": right["w_rec"]},
        {key: each.tolist() for key, each in right.items()},
        {key: Foreign(each) for key, each in right.items()},
    ):
        assert HERE.diagnosed(mine).right


def test_a_matrix_that_would_fit_transposed_is_said_so() -> None:
    right = HERE.made_by()
    turned = {key: each.T for key, each in right.items()}
    with pytest.raises(ValueError, match=says("w_in", "(3, 8)", "got (8, 3)", "layout='post_pre'")):
        HERE.diagnosed(turned)
    assert HERE.diagnosed(turned, layout="post_pre").right
    with pytest.raises(ValueError, match=says("layout='pre_post'")):
        HERE.diagnosed(right, layout="post_pre")
    assert HERE.diagnosed({"w_rec": turned["w_rec"]}).mistakes == (("w_rec transposed",),)


def test_spikes_of_another_network_are_refused_at_the_first_difference() -> None:
    z = HERE.context.run.z.detach().clone()
    assert HERE.diagnosed(HERE.made_by(), spikes=z.numpy()).right
    z[1, 20, 2] = 1 - z[1, 20, 2]
    z[0, 40, 0] = 1 - z[0, 40, 0]
    with pytest.raises(ValueError, match=says("first at step 20", "neuron 2 of trial 1", "hidden state")):
        HERE.diagnosed(HERE.made_by(), spikes=z)
    with pytest.raises(ValueError, match=says("spikes", "[batch, time, n]")):
        HERE.diagnosed(HERE.made_by(), spikes=z[0])


def test_other_losses_readouts_and_feedback_are_options_of_the_experiment() -> None:
    p, weights, inputs = HERE.parameters, HERE.weights, HERE.inputs
    run = ep.simulate(p, weights, inputs)
    labels, bias = torch.tensor([0, 2, 1]), torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)

    def loss(y: Tensor) -> Tensor:  # a bias, a window, cross-entropy in each step
        logits = y[:, -20:] + bias
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(20), reduction="sum")

    for gain, feedback in itertools.product((1.0, None), (None, torch.randn(p.n_rec, 3).double())):
        filtered = ep.low_pass(run.z.detach(), p.kappa, gain or p.kappa_complement)
        output = (filtered @ weights.w_out.detach()).requires_grad_()
        (said,) = torch.autograd.grad(loss(output), output)
        back = ep.low_pass(said.flip(1), p.kappa, gain or p.kappa_complement).flip(1)
        b = weights.w_out.detach() if feedback is None else feedback
        mine = ep.eprop_gradients(p, run, inputs, back @ b.T)
        kind = "symmetric" if feedback is None else "random"
        verdict = diagnose(mine, p, weights, inputs, loss, kind, gain=gain, feedback=feedback)
        assert verdict.right, (gain, kind, verdict)


def test_a_signal_may_be_given_as_it_is() -> None:
    p = HERE.parameters
    signal = torch.randn(HERE.context.run.z.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    run = ep.simulate(p, HERE.weights, HERE.inputs)
    mine = ep.eprop_gradients(p, run, HERE.inputs, signal)
    assert diagnose(mine, p, HERE.weights, HERE.inputs, HERE.targets, signal).right
    late = torch.cat((torch.zeros_like(signal[:, :1]), signal[:, :-1]), 1)
    mine = ep.eprop_gradients(p, run, HERE.inputs, late)
    assert diagnose(mine, p, HERE.weights, HERE.inputs, HERE.targets, signal).mistakes == (("signal one step late",),)


def test_a_neuron_of_the_users_own_with_a_hard_reset() -> None:
    unit = Unit(
        lambda h, i, s: 0.9 * h * (1 - s[..., None]) + i,
        lambda h: ep.spike(h[..., 0] - 1, 0.5),
        torch.zeros(5, 1, dtype=torch.float64),
    )
    draw = torch.Generator().manual_seed(0)
    w_in, w_rec, w_out = (torch.randn(size, generator=draw, dtype=torch.float64) for size in ((4, 5), (5, 5), (5, 2)))
    weights = ep.Weights(w_in, 0.5 * w_rec, w_out)
    inputs = (torch.rand(2, 40, 4, generator=draw) < 0.3).double()
    targets = torch.randn(2, 40, 2, generator=draw, dtype=torch.float64)
    run = any_neuron.simulate(unit, weights, inputs)
    assert run.z.sum() > 20
    output = ep.low_pass(run.z.detach(), 0.8, 0.2) @ w_out
    signal = ep.low_pass((output - targets).flip(1), 0.8, 0.2).flip(1) @ w_out.T
    psi = any_neuron.factors(unit, run).psi[..., 0]
    pre, z = inputs, run.z.detach()
    for blind in (False, True):
        eps = gradient = torch.zeros(2, 4, 5, dtype=torch.float64)
        for t in range(40):
            keeps = torch.ones(2, 5).double() if blind or not t else 1 - z[:, t - 1]
            eps = 0.9 * keeps[:, None] * eps + pre[:, t, :, None]
            gradient = gradient + (signal[:, t] * psi[:, t])[:, None] * eps
        verdict = diagnose({"w_in": gradient.sum(0)}, unit, weights, inputs, targets, kappa=0.8, gain=0.2)
        assert verdict.right == (not blind)
        assert verdict.mistakes == ((("trace blind to the reset",),) if blind else ())


# --------------------------------------------------------------------------------------------------- what it refuses


def test_the_readouts_gradient_is_exact_or_not() -> None:
    p, run = HERE.parameters, ep.simulate(HERE.parameters, HERE.weights, HERE.inputs)
    exact = ep.readout_gradient(p, run, ep.output_error(p, HERE.weights, run, HERE.targets).detach())
    right = HERE.made_by()
    assert HERE.diagnosed(right | {"w_out": exact}).right
    verdict = HERE.diagnosed(right | {"w_out": 2 * exact})
    assert not verdict.right
    assert (verdict.mistakes, verdict.factor) == ((), None)
    assert verdict.ratio["w_out"] == pytest.approx(2)
    assert "but for w_out" in repr(verdict)
    verdict = HERE.diagnosed(HERE.made_by("ε_a dropped") | {"w_out": 2 * exact})
    assert verdict.mistakes == (("ε_a dropped",),)


def test_bad_arguments_are_refused_by_name() -> None:
    right = HERE.made_by()
    with pytest.raises(TypeError, match=says("weights", "Weights", "tuple")):
        diagnose(right, LIVELY, tuple(HERE.weights), HERE.inputs, HERE.targets)  # type: ignore[arg-type]  # refused
    with pytest.raises(TypeError, match=says("inputs", "torch.Tensor", "list")):
        diagnose(right, LIVELY, HERE.weights, [[[0.0]]], HERE.targets)  # type: ignore[arg-type]  # refused
    with pytest.raises(TypeError, match=says("mine", "w_in, w_rec or w_out", "int")):
        HERE.diagnosed(3)
    with pytest.raises(ValueError, match=says("mine", "w_in, w_rec and w_out", "'w_inn'")):
        HERE.diagnosed({"w_inn": right["w_in"]})
    with pytest.raises(ValueError, match=says("w_in", "finite")):
        HERE.diagnosed({"w_in": right["w_in"] * torch.nan})
    with pytest.raises(TypeError, match=says("w_in", "array of numbers", "str")):
        HERE.diagnosed({"w_in": "zero"})
    with pytest.raises(ValueError, match=says("layout", "pre_post")):
        HERE.diagnosed(right, layout="rows")
    with pytest.raises(ValueError, match=says("signal must be", "'symmetric'")):
        diagnose(right, LIVELY, HERE.weights, HERE.inputs, HERE.targets, "ideal")
    with pytest.raises(ValueError, match=says("feedback", "'random'")):
        diagnose(right, LIVELY, HERE.weights, HERE.inputs, HERE.targets, "random")
    with pytest.raises(ValueError, match=says("targets", "[batch, time, n_out]")):
        diagnose(right, LIVELY, HERE.weights, HERE.inputs, HERE.targets[:, 1:])
    silent = dataclasses.replace(LIVELY, threshold=1e6)
    with pytest.raises(VacuousComparisonError, match=says("right gradient", "is zero")):
        diagnose(right, silent, HERE.weights, HERE.inputs, HERE.targets)


def test_every_mistake_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(each.what for each in MISTAKES)
    assert ep.Weights._fields == diagnosis.MATRICES
