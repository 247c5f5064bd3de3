"""The claims of the book, one test each. `tools/ledger.py` makes the page of the ledger from those that pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import pytest
import test_nest
import torch
from helpers import array, error, losses_of_nests_pattern
from test_reference import FILES, ours, reference

import eprop_nb as ep
from eprop_nb import evidence, fast
from eprop_nb.evidence import controls, mistakes, neurons, oracles, random_networks
from eprop_nb.gradients import METHODS

Measured = Callable[[float], None]
SEED = 288
OTHERS = range(20, 60)  # other networks of the seed experiment, in chapter 3


@cache
def seed_trial(seed: int = SEED, dtype: torch.dtype = torch.float64, **changes: float) -> controls.Trial:
    p = ep.Parameters(**changes)  # type: ignore[arg-type]  # the fields of float type only
    weights = ep.random_weights(p, seed=seed).to(dtype)
    inputs = ep.poisson_spikes(p, seed=seed).to(dtype)
    targets = ep.random_targets(p, seed=seed).to(dtype)
    run = ep.simulate(p, weights, inputs)

    def loss_of(simulation: ep.Simulation) -> torch.Tensor:
        return ep.regression_loss(p, weights, simulation, targets)

    return controls.Trial(p, weights, inputs, run, loss_of, ep.true_learning_signal(loss_of(run), run))


def bptt(trial: controls.Trial) -> ep.Gradients:
    return ep.bptt_gradients(trial.loss(trial.run), trial.weights)


def signal_error(trial: controls.Trial, signal: torch.Tensor, method: str = "traces") -> float:
    gradients = ep.eprop_gradients(trial.parameters, trial.run, trial.inputs, signal, method)
    return ep.compare(gradients, bptt(trial)).max_relative_error


def eprop_error(trial: controls.Trial, method: str = "traces") -> float:
    return signal_error(trial, trial.signal, method)


def several(seeds: Iterable[int], **changes: float) -> list[controls.Trial]:
    trials = [seed_trial(seed, **changes) for seed in seeds]
    return [trial for trial in trials if bool(bptt(trial).w_rec.any())]  # type: ignore[union-attr]  # never None


@pytest.mark.claim(
    "identity",
    statement="The gradient of the loss is the sum over time of learning signal × eligibility trace",
    equation="(P1), (P3)",
    chapter="gradients",
    at_most=1e-13,
)
def test_the_factorization_is_the_gradient(measured: Measured) -> None:
    trials = several(range(24))
    assert len(trials) >= 20
    measured(max(eprop_error(trial) for trial in trials))


@pytest.mark.claim(
    "float32",
    statement="In float32 the same two gradients agree to about 10⁻⁷, which squared is the published 10⁻¹⁴",
    equation="(P3)",
    chapter="gradients",
    at_most=1e-5,
)
def test_in_single_precision_the_agreement_is_coarser(measured: Measured) -> None:
    error = eprop_error(seed_trial(dtype=torch.float32))
    assert error > 1e-9
    measured(error)


@pytest.mark.claim(
    "time-step",
    statement="The identity holds for any time step",
    equation="(P3)",
    chapter="gradients",
    at_most=1e-13,
)
def test_the_identity_holds_for_any_time_step(measured: Measured) -> None:
    measured(max(eprop_error(seed_trial(dt=dt, duration=48.0)) for dt in (0.25, 0.5, 1.0, 2.0, 4.0)))


@pytest.mark.claim(
    "near-misses",
    statement="Most steps at which ψ is above zero have no spike: their share, in the median of 100 networks",
    equation="Methods",
    chapter="simulation",
    at_least=0.7,
)
def test_near_misses_outnumber_spikes_where_psi_is_above_zero(measured: Measured) -> None:
    p, shares = ep.Parameters(), []
    for seed in range(100):
        with torch.no_grad():
            run = ep.simulate(p, ep.random_weights(p, seed=seed), ep.poisson_spikes(p, seed=seed))
        can_learn = run.psi > 0
        assert int(can_learn.sum()) >= 10  # a share of nothing would say nothing
        shares.append(float((can_learn & (run.z == 0)).sum() / can_learn.sum()))
    assert sum(share > 0.5 for share in shares) >= 90  # not in every network
    measured(float(np.median(shares)))


@pytest.mark.claim(
    "near-misses-count",
    statement="A third or more of Σ |L e| of w_rec comes from steps without a spike, in every network drawn",
    equation="(P3)",
    chapter="gradients",
    at_least=0.33,
)
def test_a_large_part_of_the_gradient_comes_from_near_misses(measured: Measured) -> None:
    shares = []
    for trial in several(range(24)):
        pre = ep.previous_spikes(trial.run.z).detach()
        traces = ep.without_self_connections(ep.eligibility_traces(trial.parameters, trial.run, pre).e)
        terms = (trial.signal[:, :, None, :] * traces).abs()
        missed = terms * (1 - trial.run.z.detach()[:, :, None, :])
        assert 0 < missed.sum() < terms.sum()
        shares.append((missed.sum() / terms.sum()).item())
    assert len(shares) >= 20
    measured(min(shares))


@pytest.mark.claim(
    "split",
    statement="With the reset in the trace and out of the learning signal the product is the gradient as well",
    equation="(S1), (P3)",
    chapter="gradients",
    at_most=1e-13,
)
def test_the_reset_may_stand_in_the_trace_instead(measured: Measured) -> None:
    errors = []
    for trial in several(range(12), beta=0.5):
        p, run = trial.parameters, trial.run
        alpha, rho, thr, beta = p.constants(like=run.psi)
        signal = controls.rewired_signal(trial, reset_counts=False)
        found = []
        for pre in (trial.inputs, ep.previous_spikes(run.z).detach()):
            eps_v = eps_a = e = pre.new_zeros(pre.shape[0], pre.shape[2], p.n_rec)
            gradient = eps_v.new_zeros(eps_v.shape[1:])
            for t, psi in enumerate(run.psi.unbind(1)):
                eps_v = alpha * eps_v - thr * e + pre[:, t, :, None]  # (S1): the reset takes v_th times e
                e = psi[:, None, :] * (eps_v - beta * eps_a)
                eps_a = rho * eps_a + e
                gradient += torch.einsum("bj,bij->ij", signal[:, t], e)
            found.append(gradient)
        rule = ep.Gradients(found[0], ep.without_self_connections(found[1]))
        errors.append(ep.compare(rule, bptt(trial)).max_relative_error)
        assert signal_error(trial, signal) > 1e-3  # counted by neither
    measured(max(errors))


@pytest.mark.claim(
    "future",
    statement="A learning signal does not depend on what the network should have done before",
    equation="(P1)",
    chapter="learning_signals",
    at_most=0.0,
)
def test_a_learning_signal_knows_only_the_future(measured: Measured) -> None:
    worst = 0.0
    for seed in (SEED, *OTHERS):
        trial = seed_trial(seed)
        p, weights, run = trial.parameters, trial.weights, trial.run
        targets = ep.random_targets(p, seed=seed)
        targets[:, :25] *= -1
        other = ep.true_learning_signal(ep.regression_loss(p, weights, run, targets), run)
        assert bool((other[:, :25] != trial.signal[:, :25]).any())
        worst = max(worst, (other[:, 25:] - trial.signal[:, 25:]).abs().max().item())
    measured(worst)


@pytest.mark.claim(
    "unfired",
    statement="A learning signal looks through near-misses into the future: without them it is another signal",
    equation="(P1)",
    chapter="learning_signals",
    at_least=0.05,
)
def test_a_learning_signal_looks_through_near_misses(measured: Measured) -> None:
    def only_spikes(u: torch.Tensor, dampening: float) -> torch.Tensor:
        z = ep.spike(u, dampening)
        return torch.where(u > 0, z, torch.zeros_like(z))

    smallest = np.inf
    for seed in (SEED, *OTHERS):
        trial = seed_trial(seed)
        p, weights, x = trial.parameters, trial.weights, trial.inputs
        state, w_rec, sent = ep.initial_state(p, 1, like=x), ep.without_self_connections(weights.w_rec), []
        for current in (x @ weights.w_in).unbind(1):
            total = current + state.z_sent @ w_rec
            spikes = ep.SpikeFunction(only_spikes, ep.pseudo_derivative)
            state = ep.step(p, p.constants(like=x), state, total, spikes)
            sent.append(state.z_sent)
        loss = trial.loss(trial.run._replace(z=torch.stack(sent, dim=1), sent=tuple(sent)))
        signal = torch.stack(torch.autograd.grad(loss, sent), dim=1)
        smallest = min(smallest, ((signal - trial.signal).norm() / trial.signal.norm()).item())
    measured(smallest)


@pytest.mark.claim(
    "direct",
    statement="The symmetric learning signal, low-passed, is the direct part of the true one",
    equation="(P4), (S14)",
    chapter="learning_signals",
    at_most=1e-13,
)
def test_the_symmetric_signal_is_the_direct_derivative(measured: Measured) -> None:
    worst = 0.0
    for seed in (SEED, *OTHERS):
        trial = seed_trial(seed)
        p, weights, run = trial.parameters, trial.weights, trial.run
        targets = ep.random_targets(p, seed=seed)
        (direct,) = torch.autograd.grad(trial.loss(run), run.z, retain_graph=True)
        now = ep.broadcast_learning_signal(p, weights, run, targets, weights.w_out.detach())
        seen = ep.low_pass(now.flip(1), p.kappa).flip(1) * 2 / targets.numel()
        worst = max(worst, ((seen - direct).abs().max() / direct.abs().max()).item())
    measured(worst)


@pytest.mark.claim(
    "reset",
    statement="Without the reset in the learning signal the gradient is wrong",
    equation="(P1)",
    chapter="learning_signals",
    at_least=1e-2,
)
def test_the_reset_belongs_to_the_signal(measured: Measured) -> None:
    trials = several((SEED, *OTHERS))
    measured(min(signal_error(trial, controls.rewired_signal(trial, reset_counts=False)) for trial in trials))


@pytest.mark.claim(
    "adaptation",
    statement="With the neuron's own adaptation in the learning signal the gradient is wrong",
    equation="(P1)",
    chapter="learning_signals",
    at_least=1e-3,
)
def test_the_adaptation_belongs_to_the_trace(measured: Measured) -> None:
    trials = several((SEED, *OTHERS))
    measured(min(signal_error(trial, controls.rewired_signal(trial, adaptation_counts=True)) for trial in trials))


@pytest.mark.claim(
    "adaptive",
    statement="An update multiplies what adaptive feedback and the readout differ in by 1 − c_decay, whatever it is",
    equation="S Note 2",
    chapter="learning_signals",
    at_most=1e-12,
)
def test_adaptive_feedback_forgets_what_it_differs_in(measured: Measured) -> None:
    p, decay, generator = ep.Parameters(), 0.01, np.random.default_rng(0)
    weight, feedback = ep.random_weights(p, seed=SEED).w_out.detach(), ep.random_feedback(p, seed=SEED)
    first = feedback - weight
    for _ in range(300):
        change = torch.from_numpy(generator.standard_normal(tuple(weight.shape)))
        weight, feedback = (ep.adapt_feedback(each, change, decay) for each in (weight, feedback))
    left = (1 - decay) ** 300 * first
    measured(((feedback - weight - left).abs().max() / left.abs().max()).item())


@pytest.mark.claim(
    "trace",
    statement="The eligibility trace is the derivative of the spike by the weight along the ways inside the neuron",
    equation="(P13), (P14), (P22) to (P25)",
    chapter="eligibility",
    at_most=1e-13,
)
def test_the_trace_is_a_local_derivative(measured: Measured) -> None:
    trial = seed_trial(beta=0.3)
    p, run = trial.parameters, trial.run
    arriving = torch.cat((trial.inputs, ep.previous_spikes(run.z)), dim=2).detach()
    w = torch.cat((trial.weights.w_in, ep.without_self_connections(trial.weights.w_rec))).detach().requires_grad_()
    traces = ep.eligibility_traces(p, run, arriving).e[0]
    constants, state = p.constants(like=arriving), ep.initial_state(p, 1, like=arriving)
    worst = 0.0
    for t, pre in enumerate(arriving.unbind(1)):
        state = ep.step(p, constants, state._replace(z_sent=state.z_sent.detach()), pre @ w)
        for j in range(p.n_rec):
            (derivative,) = torch.autograd.grad(state.z_own[0, j], w, retain_graph=True)
            worst = max(worst, (derivative[:, j] - traces[t, :, j]).abs().max().item())
    measured(worst / traces.abs().max().item())


@pytest.mark.claim(
    "memory",
    statement="A trace decays with τ_a where the neuron is far from its threshold",
    equation="(P24)",
    chapter="eligibility",
    at_most=1e-9,
)
def test_eps_a_decays_with_the_time_constant_of_the_adaptation(measured: Measured) -> None:
    p = ep.Parameters(n_in=1, n_lif=0, n_alif=1, duration=200.0, beta=0.3)
    inputs = torch.zeros(1, p.n_steps, 1, dtype=torch.float64)
    inputs[:, :20] = 1
    weights = ep.Weights(*(torch.tensor([[w]], dtype=torch.float64) for w in (0.3, 0.0, 1.0)))
    run = ep.simulate(p, weights, inputs)
    curve = array(ep.eligibility_traces(p, run, inputs).eps_a)[0, 120:, 0, 0]
    assert run.z.any()
    assert not run.psi[0, 120:].any()
    slope = np.polyfit(np.arange(len(curve)) * p.dt, np.log(curve), 1)[0]
    measured(abs(-1 / slope / 500.0 - 1))


@pytest.mark.claim(
    "evaluators",
    statement="From traces, online and in closed form: three ways to one sum",
    equation="(P3)",
    chapter="four_ways",
    at_most=1e-13,
)
def test_three_ways_to_sum_agree(measured: Measured) -> None:
    measured(max(eprop_error(seed_trial(beta=0.5), method) for method in METHODS))


@pytest.mark.claim(
    "by-hand",
    statement="BPTT written by hand and forward differentiation give the same gradient, without autograd",
    equation="(P3)",
    chapter="oracles",
    at_most=1e-13,
)
def test_witnesses_without_a_graph_agree(measured: Measured) -> None:
    trial = seed_trial()
    p, (w_in, w_rec, w_out), x = trial.parameters, map(array, trial.weights), array(trial.inputs)
    run = oracles.simulate(p, w_in, w_rec, x)
    direct = oracles.regression_derivative(p, w_out, run.z, array(ep.random_targets(p, seed=SEED)))
    eprop = ep.eprop_gradients(p, trial.run, trial.inputs, trial.signal)
    errors = []
    for witness in (oracles.bptt, oracles.forward_mode):
        found = witness(p, run, w_rec, x, direct)
        reference = ep.Gradients(torch.from_numpy(found.w_in), torch.from_numpy(found.w_rec))
        errors.append(ep.compare(eprop, reference).max_relative_error)
    measured(max(errors))


@pytest.mark.claim(
    "authors",
    statement="The outputs of the authors' program are reproduced",
    equation="(P3), (P6) to (P10), (P22) to (P25)",
    chapter="oracles",
    at_most=1e-13,
)
def test_the_authors_program_agrees(measured: Measured) -> None:
    errors = []
    for name in FILES:
        assert np.array_equal(ours(name)["spikes"], reference(name)["spikes"])
        errors += [error(found, reference(name)[key]) for key, found in ours(name).items()]
    measured(max(errors))


@pytest.mark.claim(
    "nest",
    statement="It agrees with NEST, a program by others: the same spikes, the same e-prop gradients of all matrices",
    equation="(P28), (P29)",
    chapter="oracles",
    at_most=1e-13,
)
def test_nest_agrees(measured: Measured) -> None:
    errors = []
    for trial in map(test_nest.nest, test_nest.FILES):
        assert torch.equal(ep.simulate(*trial[:3]).z, trial.spikes)
        for evaluator in test_nest.EVALUATORS:
            found = test_nest.gradients(trial, evaluator)
            errors.append(ep.compare(found, trial.gradients).max_relative_error)
    measured(max(errors))


@pytest.mark.claim(
    "settings",
    statement="Every weight, every setting: random networks of all kinds, with four losses",
    equation="(P3)",
    chapter="oracles",
    at_most=1e-13,
)
def test_every_setting(measured: Measured) -> None:
    generator, worst, compared = np.random.default_rng(0), 0.0, 0
    for _ in range(60):
        try:
            result = random_networks.measure(random_networks.random_case(generator))
        except ep.VacuousComparisonError:
            continue
        compared += 1
        assert result.errors[random_networks.BY_HAND] < 1e-13
        worst = max(worst, *(result.errors[method] for method in METHODS))
    assert compared > 40
    measured(worst)


@pytest.mark.claim(
    "symmetric",
    statement="Symmetric e-prop is the exact gradient when spikes do not come back, for all three weight matrices",
    equation="(P28), (S17)",
    chapter="oracles",
    at_most=1e-13,
)
def test_symmetric_eprop_is_the_gradient_of_a_cut_graph(measured: Measured) -> None:
    trial = seed_trial()
    p, weights, x = trial.parameters, trial.weights, trial.inputs
    targets = ep.random_targets(p, seed=SEED)
    run = ep.simulate(p, weights, x, stop_recurrent_gradient=True)
    error = ep.output_error(p, weights, run, targets)
    autograd = ep.bptt_gradients(0.5 * error.square().sum(), weights)
    now = ep.broadcast_learning_signal(p, weights, run, targets, weights.w_out.detach())
    w_in, w_rec = (
        torch.einsum("btj,btij->ij", now, ep.low_pass(ep.eligibility_traces(p, run, pre).e, p.kappa))
        for pre in (x, ep.previous_spikes(run.z.detach()))
    )
    w_out = ep.readout_gradient(p, run, error.detach())
    rule = ep.Gradients(w_in, ep.without_self_connections(w_rec), w_out)
    measured(ep.compare(rule, autograd).max_relative_error)


@pytest.mark.claim(
    "teeth",
    statement="Each of ten wrong rules is caught in every one of 49 networks of the seed experiment",
    equation="(P1), (P3), (P22) to (P25)",
    chapter="controls",
    at_least=1e-6,
)
def test_wrong_rules_are_caught(measured: Measured) -> None:
    trials = several(range(50))
    assert len(trials) == 49  # in seed 7 there is nothing to compare
    assert max(ep.compare(controls.right_rule(t), bptt(t)).max_relative_error for t in trials) < 1e-13
    wrong = [control for control in controls.CONTROLS if control.name != "spikes of height 1/δt"]
    assert len(wrong) == 10
    measured(min(ep.compare(c.gradients(t), bptt(t)).max_relative_error for c in wrong for t in trials))


@pytest.mark.claim(
    "height",
    statement="A wrong factor of the time step passes at 1 ms, and is caught at 0.5 ms",
    equation="(P22)",
    chapter="controls",
    at_least=1e-3,
)
def test_a_wrong_factor_of_the_time_step_needs_another_time_step(measured: Measured) -> None:
    control = controls.CONTROLS[-1]
    here, there = seed_trial(), seed_trial(dt=0.5)
    assert ep.compare(control.gradients(here), bptt(here)).max_relative_error < 1e-13
    measured(ep.compare(control.gradients(there), bptt(there)).max_relative_error)


@pytest.mark.claim(
    "any-neuron",
    statement="E-prop is the gradient for nine kinds of neurons, spiking or not, in three orders of the sum",
    equation="(P13), (P14)",
    chapter="any_neuron",
    at_most=1e-12,
)
def test_any_neuron(measured: Measured) -> None:
    p, n, worst = ep.Parameters(beta=0.3), 8, 0.0
    units = {
        evidence.lif(ep.Parameters(n_lif=n, n_alif=0)): (1, 3.0),
        evidence.alif(p): (1, 3.0),
        neurons.second_order_synapse(n): (1, 6.0),
        neurons.two_compartments(n): (2, 3.0),
        neurons.delayed_synapses(n): (1, 3.0),
        neurons.resonate_and_fire(n): (1, 4.0),
        neurons.izhikevich(n): (1, 6.0),
        neurons.adaptive_exponential(n): (1, 6.0),
        neurons.lstm(n): (4, 1.0),
    }
    for unit, (currents, gain) in units.items():
        for seed in range(100, 103):
            draw = np.random.default_rng(seed)
            sizes = ((5, n * currents), (n, n * currents), (n, 2))
            w_in, w_rec, w_out = (torch.from_numpy(draw.standard_normal(size) / size[0] ** 0.5) for size in sizes)
            inputs = torch.from_numpy((draw.random((2, 50, 5)) < 0.2).astype(float))
            targets = torch.from_numpy(draw.standard_normal((2, 50, 2)))

            def loss(z: torch.Tensor, w_out: torch.Tensor = w_out, targets: torch.Tensor = targets) -> torch.Tensor:
                return (ep.low_pass(z, 0.9) @ w_out - targets).square().sum()

            found = evidence.verify(unit, ep.Weights(gain * w_in, w_rec, w_out), inputs, loss)
            worst = max(worst, *(each.max_relative_error for each in found.values()))
    measured(worst)


@pytest.mark.claim(
    "names",
    statement="Of the known mistakes each goes by its own name, and by no other: so many were missed",
    equation="(P1), (P13), (P14)",
    chapter="controls",
    at_most=0,
)
def test_every_known_mistake_goes_by_its_own_name(measured: Measured) -> None:
    p = ep.Parameters(n_out=2, beta=0.3, n_ref=3, tau_out=10, dt=0.5, duration=30, rate_in=200)
    made, missed = 0, 0
    for seed, signal in ((100, "symmetric"), (101, "true")):
        weights, inputs = ep.random_weights(p, seed=seed), ep.poisson_spikes(p, 3, seed=seed)
        setting = (p, weights, inputs, ep.random_targets(p, 3, seed=seed), signal)
        here = evidence.experiment(*setting)
        right = mistakes.gradients(here.right)
        for each in mistakes.MISTAKES:
            gradient = mistakes.gradients(each.change(here.right, here.context))
            if max(error(gradient[name], right[name]) for name in right) > 1e-7:
                made += 1
                missed += evidence.diagnose(gradient, *setting).mistakes != ((each.name,),)
    assert made > 60
    measured(missed)


@pytest.mark.claim(
    "splits",
    statement="A reset counted both in signal and trace, or in neither, is not the gradient; in one of them it is",
    equation="(P14), (S1)",
    chapter="any_neuron",
    at_least=1e-3,
)
def test_a_consistent_split_is_exact(measured: Measured) -> None:
    off = []
    for seed in range(20):
        p = ep.Parameters(n_lif=0, n_alif=8, beta=0.2, n_ref=1, rate_in=200.0)
        weights = ep.random_weights(p, seed=seed)
        inputs, targets = ep.poisson_spikes(p, seed=seed), ep.random_targets(p, seed=seed)
        units = [evidence.alif(p, reset) for reset in ("signal", "trace")]
        runs = [evidence.simulate(unit, weights, inputs) for unit in units]
        losses = [(ep.low_pass(run.z, p.kappa) @ weights.w_out - targets).square().sum() for run in runs]
        exact = ep.bptt_gradients(losses[0], weights)
        if any(not each.any() for each in exact[:2] if each is not None):
            continue  # nothing to compare
        for told, loss in enumerate(losses):
            signal = evidence.true_learning_signal(loss, runs[told])
            for kept, unit in enumerate(units):
                found = evidence.eprop_gradients(unit, runs[kept], inputs, signal)
                error = ep.compare(found, exact).max_relative_error
                assert told != kept or error < 1e-13
                off += [error] if told != kept else []
    assert len(off) >= 2 * 15
    measured(min(off))


@pytest.mark.claim(
    "compiled",
    statement="The compiled path finds the same spikes and the same gradient, backwards and in blocks",
    equation="(P3)",
    chapter="four_ways",
    at_most=1e-13,
)
def test_the_compiled_path_is_the_reference_path(measured: Measured) -> None:
    worst = 0.0
    for trial in (seed_trial(), seed_trial(duration=300.0), seed_trial(dt=0.5)):
        p, x = trial.parameters, trial.inputs
        run = fast.simulate(p, trial.weights, x)
        assert np.array_equal(run.z, array(trial.run.z))
        for method in fast.METHODS:
            found = fast.eprop_gradients(p, run, x, trial.signal, method).tensors()
            wanted = ep.eprop_gradients(p, trial.run, x, trial.signal)
            worst = max(worst, ep.compare(found, wanted).max_relative_error)
    measured(worst)


@pytest.mark.claim(
    "threads",
    statement="The compiled path gives the same bits with any number of threads",
    equation="—",
    chapter="four_ways",
    at_most=0,
)
def test_the_compiled_path_does_not_depend_on_the_number_of_threads(measured: Measured) -> None:
    p = ep.Parameters(n_in=20, n_lif=50, n_alif=50, duration=200.0, rate_in=50.0)
    weights, x, y = ep.random_weights(p, seed=0), ep.poisson_spikes(p, 8, seed=0), ep.random_targets(p, 8, seed=0)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            found.append(fast.broadcast_gradients(p, weights, x, y).gradients.tensors())
    finally:
        torch.set_num_threads(before)
    measured(max(ep.compare(each, found[0]).max_relative_error for each in found[1:]))


@pytest.mark.claim(
    "nest-losses",
    statement="The first five losses of pattern generation that NEST's tests pin",
    equation="(P4), (P28)",
    chapter="learning",
    at_most=1e-12,
)
def test_training_gives_the_losses_of_nest(measured: Measured) -> None:
    nest = [101.964356999041, 103.466731126205, 103.340607074771, 103.680244037686, 104.412775748752]
    measured(float(np.abs(np.array(losses_of_nests_pattern(len(nest))) / nest - 1).max()))
