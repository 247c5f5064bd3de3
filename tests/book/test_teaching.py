"""The self-checks of the chapters, and the page for teachers.

Each question of a self-check has one right answer. What it rests on is computed here: for each answer a function says
whether what it claims is so, and that must be so of the one that the page calls right, and of no other.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from browser import PATIENCE
from browsing import HTML, labels, opened
from playwright.sync_api import Browser
from torch import Tensor

import eprop_nb as ep
from eprop_nb import evidence, fast
from eprop_nb.evidence import controls, oracles
from eprop_nb.learning import EpropNetwork, tasks, training

ROOT = Path(__file__).parent.parent.parent
BOOK = ROOT / "book"
CHAPTERS = (
    "parameters",
    "simulation",
    "learning_signals",
    "eligibility",
    "gradients",
    "oracles",
    "controls",
    "any_neuron",
    "four_ways",
    "learning",
    "remembering",
    "own_work",
)
RIGHT, WRONG = "**Right.** ", "**Not so.** "
ANSWER = re.compile(r'<details class="ep-answer">\n<summary>([A-D])\. (.+)</summary>\n\n(\*\*.+)\n\n</details>')


class Question(NamedTuple):
    """A question of a self-check."""

    text: str
    options: dict[str, str]  # by letter
    answers: dict[str, str]

    @property
    def right(self) -> set[str]:
        """Return the letters of the answers that the page calls right."""
        return {letter for letter, answer in self.answers.items() if answer.startswith(RIGHT)}


def markdown(chapter: str) -> list[str]:
    cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def self_check(chapter: str) -> str:
    (cell,) = [source for source in markdown(chapter) if source.startswith("## Self-check\n")]
    return cell


def questions(chapter: str) -> list[Question]:
    _, *parts = re.split(r"^\*\*Question \d\.\*\* ", self_check(chapter), flags=re.MULTILINE)
    found = []
    for part in parts:
        options = ANSWER.findall(part)
        rest = ANSWER.sub("", part)
        assert "<details" not in rest  # each is of the form that was looked for
        found.append(
            Question(rest.strip(), {key: text for key, text, _ in options}, {key: text for key, _, text in options})
        )
    return found


# --- the pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_a_self_check_with_one_right_answer_to_each_question(chapter: str) -> None:
    numbers = re.findall(r"^\*\*Question (\d)\.\*\*", self_check(chapter), flags=re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))
    assert 3 <= len(numbers) <= 4
    for question in questions(chapter):
        assert question.text.endswith(("?", "."))
        assert list(question.options) == list("ABCD")[: len(question.options)]
        assert len(question.options) >= 3
        assert len(question.right) == 1
        for answer in question.answers.values():
            assert answer.startswith((RIGHT, WRONG))
            assert len(answer.split()) >= 12  # a reason, and not only a verdict
            assert re.search(r"See \[([^]]+)\]\(#([^)]+)\)\.$", answer)  # and a place in the chapter


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_self_check_stands_after_the_summary_and_reads_well_as_plain_markdown(chapter: str) -> None:
    text = "\n\n".join(markdown(chapter))
    places = [text.index(part) for part in ("What to take away", "## Self-check", "## Exercises")]
    assert places == sorted(places)
    check = self_check(chapter)
    assert not re.search(r"\$|\{\w+\}`|:::", check)  # raw HTML keeps TeX and roles as they are
    # JupyterLab's MyST takes what stands between blank lines as one piece of HTML, and each must be whole
    assert check.count("\n\n</details>\n\n") + check.endswith("\n\n</details>") == check.count("<details")


def test_the_right_answers_are_not_all_under_one_letter() -> None:
    right = [letter for chapter in CHAPTERS for question in questions(chapter) for letter in question.right]
    assert max(right.count(letter) for letter in "ABCD") < 0.6 * len(right)
    longest = [
        max(question.options, key=lambda letter: len(question.options[letter])) in question.right
        for chapter in CHAPTERS
        for question in questions(chapter)
    ]
    assert sum(longest) < len(longest) / 2  # nor are they found by their length


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_answers_open_by_touch_and_by_keyboard_without_javascript(browser: Browser, site: str, chapter: str) -> None:
    context = browser.new_context(java_script_enabled=False, has_touch=True, viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{site}book/{chapter}.html")
    answers = page.locator("section#self-check details.ep-answer")
    assert answers.count() == sum(len(question.options) for question in questions(chapter))
    for number in range(answers.count()):
        answer = answers.nth(number)
        assert not answer.locator("p").is_visible()
        summary = answer.locator("summary")
        box = summary.bounding_box()
        assert box
        assert box["height"] >= 44
        if number % 2:
            summary.tap()
        else:
            summary.press("Enter")
        answer.locator("p").wait_for()
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_axe_finds_nothing_in_a_self_check_that_is_open(
    browser: Browser, site: str, chapter: str, scheme: str, width: int
) -> None:
    with opened(browser, site, chapter, scheme, width) as (page, _):
        page.evaluate("document.querySelectorAll('details.ep-answer').forEach((each) => { each.open = true; })")
        found = Axe().run(page, context={"include": [["#self-check"]]}).response
        assert found["passes"]
        assert [(each["id"], each["help"]) for each in found["violations"]] == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_places_that_answers_point_to_are_in_the_page(site: str, chapter: str) -> None:
    assert site
    html = (HTML / "book" / f"{chapter}.html").read_text(encoding="utf-8")
    section = html[html.index('id="self-check"') : html.index('id="exercises"')]
    targets = re.findall(r'<details class="ep-answer">.*?href="#([^"]+)"', section, flags=re.DOTALL)
    assert len(targets) == sum(len(question.options) for question in questions(chapter))
    for target in targets:
        assert f'id="{target}"' in html


# --- what the right answers rest on -----------------------------------------------------------------------------------

P = ep.Parameters()
OTHERS = range(20, 60)  # the seeds of the 40 other networks of learning_signals
Fact = Callable[[], dict[str, bool]]
FACTS: dict[tuple[str, int], Fact] = {}


def fact(chapter: str, number: int) -> Callable[[Fact], Fact]:
    """Register a function that says of each answer to a question whether it is so."""

    def register(function: Fact) -> Fact:
        assert (chapter, number) not in FACTS
        FACTS[chapter, number] = function
        return function

    return register


def test_every_question_has_its_facts() -> None:
    asked = {(chapter, number) for chapter in CHAPTERS for number in range(1, len(questions(chapter)) + 1)}
    assert set(FACTS) == asked


@pytest.mark.parametrize(("chapter", "number"), FACTS, ids=str)
def test_the_answer_that_is_called_right_is_the_one_that_is(chapter: str, number: int) -> None:
    question = questions(chapter)[number - 1]
    so = FACTS[chapter, number]()
    assert list(so) == list(question.options)
    assert {letter for letter, true in so.items() if true} == question.right


SAID = {  # numbers that the facts compute, in the answers that say them
    ("parameters", 1): ("0.41", "0.81"),
    ("simulation", 2): ("0.81", "0.77", "0.84"),
    ("simulation", 3): ("1.10", "−0.60", "−1.08"),
    ("learning_signals", 4): ("0.2 to 0.9",),
    ("eligibility", 4): (
        "a weight of 1.4 in place of 0.7 makes two",
        "one of 0.1 makes five",
        "with 0.7 there are four",
    ),
    ("gradients", 2): ("between 10⁻⁹ and 10⁻⁷", "below 10⁻²⁶"),
    ("gradients", 3): ("nine spikes", "−17"),
    ("gradients", 4): ("0.423",),
    ("oracles", 2): ("up to 0.7", "1.9"),
    ("oracles", 3): ("more than half",),
    ("controls", 1): ("44 of the 50", "in all 50"),
    ("learning", 1): ("every one of the twenty seeds",),
    ("learning", 3): ("ten of ten",),
    ("four_ways", 3): ("some 6 %", "120 of 2120", "240 of 2240"),
}


def test_the_numbers_that_were_computed_are_those_that_are_said() -> None:
    for (chapter, number), said in SAID.items():
        question = questions(chapter)[number - 1]
        text = " ".join((*question.options.values(), *question.answers.values()))
        assert [each for each in said if each not in text] == []


class Trial(NamedTuple):
    """A trial of the seed experiment, with all that the rules take."""

    p: ep.Parameters
    weights: ep.Weights
    inputs: Tensor
    targets: Tensor
    run: ep.Simulation
    loss: Tensor


def trial(seed: int, p: ep.Parameters = P, weights: ep.Weights | None = None) -> Trial:
    weights = weights or ep.random_weights(p, seed=seed)
    inputs, targets = ep.poisson_spikes(p, seed=seed), ep.random_targets(p, seed=seed)
    run = ep.simulate(p, weights, inputs)
    return Trial(p, weights, inputs, targets, run, ep.regression_loss(p, weights, run, targets))


def ideal(of: Trial) -> Tensor:
    return ep.true_learning_signal(of.loss, of.run)


def error(found: ep.Gradients, reference: ep.Gradients) -> float:
    return ep.compare(found, reference).max_relative_error


def matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def driven(weight: float, *, alif: bool = False, steps_on: int | None = None, dt: float = 1.0) -> ep.Simulation:
    """Run one neuron whose input fires in the first steps, or in all."""
    p = ep.Parameters(n_in=1, n_lif=int(not alif), n_alif=int(alif), duration=200.0, dt=dt, rate_in=100.0)
    x = torch.zeros(1, p.n_steps, 1, dtype=torch.float64)
    x[:, :steps_on] = 1
    with torch.no_grad():
        return ep.simulate(p, ep.Weights(matrix([weight]), matrix([0.0]), matrix([0.0])), x)


@fact("parameters", 1)
def half_the_time_step() -> dict[str, bool]:
    assert not driven(0.02).z.any()
    settles = {dt: 0.02 / (1 - ep.Parameters(dt=dt).alpha[0]) for dt in (1.0, 0.5)}
    spikes = bool(driven(0.02, dt=0.5).z.any())
    ratio = settles[0.5] / settles[1.0]
    assert [f"{value:.2f}" for value in settles.values()] == ["0.41", "0.81"]
    return {"A": not spikes and ratio == 1, "B": spikes and 1.9 < ratio < 2, "C": not spikes and ratio < 1}


@fact("parameters", 2)
def four_times_the_voltage() -> dict[str, bool]:
    differences, counts = [], []
    for seed in range(30):
        one, w = trial(seed), ep.random_weights(P, seed=seed)
        large = ep.Parameters(threshold=4 * 0.62, beta=4 * 0.07)
        four = trial(seed, large, w._replace(w_in=4 * w.w_in.detach(), w_rec=4 * w.w_rec.detach()))
        other = trial(seed, ep.Parameters(dampening=0.6))
        assert torch.equal(other.run.z, one.run.z)
        differences.append(int((four.run.z != one.run.z).sum()))
        counts.append((four.run.z.sum() - one.run.z.sum()).item())
    return {"A": min(counts) > 0, "B": max(counts) < 0, "C": max(differences) == 0, "D": False}


@fact("parameters", 3)
def when_adaptation_begins() -> dict[str, bool]:
    found = []
    for current in (0.06, 0.1, 0.25):
        lif, alif = driven(current), driven(current, alif=True)
        first = [int(run.z[0, :, 0].argmax()) for run in (lif, alif)]
        v_differs = (lif.v != alif.v)[0, :, 0].nonzero()[0].item()
        z_differs = (lif.z != alif.z).any().item()
        found.append((first[0] == first[1], z_differs and v_differs > first[0] > 0, alif.b[0, 0, 0] == 0))
    same_first, later, from_zero = (all(each) for each in zip(*found, strict=True))
    assert from_zero
    return {"A": not from_zero, "B": not same_first, "C": same_first and later, "D": not later}


@fact("parameters", 4)
def which_index_sends() -> dict[str, bool]:
    first = set()
    for seed in range(10):
        before = trial(seed)
        if before.run.z[0, :, 2].any():
            w_rec = before.weights.w_rec.detach().clone()
            w_rec[2, 5] += 0.3
            after = trial(seed, weights=before.weights._replace(w_rec=w_rec))
            changed = (before.run.v != after.run.v)[0]
            first.add(tuple(changed[changed.any(1)][0].nonzero().flatten().tolist()))
    return {"A": first == {(2,)}, "B": first == {(5,)}, "C": first == {(2, 5)}}


@fact("simulation", 1)
def how_long_a_synapse_takes() -> dict[str, bool]:
    p = ep.Parameters(n_in=1, n_lif=2, n_alif=0)
    x = torch.zeros(1, p.n_steps, 1, dtype=torch.float64)
    x[0, 10] = 1
    weights = ep.Weights(matrix([1.0, 0.0]), matrix([0.0, 1.0], [0.0, 0.0]), matrix([0.0], [0.0]))
    z = ep.simulate(p, weights, x).z[0]
    assert z[10, 0] == 1
    spiked = int(z[:, 1].argmax())
    return {"A": spiked == 10, "B": spiked == 11, "C": spiked == 12}


@fact("simulation", 2)
def after_a_spike() -> dict[str, bool]:
    run = driven(1.5, steps_on=1)
    v, z = run.v[0, :3, 0].tolist(), run.z[0, :3, 0].tolist()
    assert (v[0], z[0]) == (1.5, 1)
    assert f"{v[2]:.2f}" == "0.77"
    assert z[2] == 1
    seen = (f"{v[1]:.2f}", z[1])
    assert f"{0.951 * (1.5 - 0.62):.2f}" == "0.84"
    return {"A": v[1] == 0, "B": seen == ("0.88", 1), "C": seen == ("0.81", 0), "D": seen == ("0.84", 0)}


@fact("simulation", 3)
def where_psi_is() -> dict[str, bool]:
    u = (torch.tensor([1.30, 0.25, -0.05], dtype=torch.float64) - 0.62) / 0.62
    assert [f"{value:.2f}" for value in u.tolist()] == ["1.10", "-0.60", "-1.08"]
    strong, near, below = (ep.pseudo_derivative(u, 0.3) > 0).tolist()
    runs = [trial(seed).run for seed in range(10)]
    refractory = any(bool(run.psi[ep.previous_spikes(run.z) > 0].any()) for run in runs)
    return {"A": strong, "B": refractory, "C": near, "D": below}


@fact("learning_signals", 1)
def a_signal_without_psi() -> dict[str, bool]:
    nonzero, product = [], []
    for seed in (288, *OTHERS):
        of = trial(seed)
        quiet = (of.run.psi == 0) & (of.run.z == 0)
        nonzero.append((ideal(of)[quiet] != 0).double().mean().item())
        e = ep.eligibility_traces(of.p, of.run, of.inputs).e
        product.append(e.transpose(2, 3)[quiet].abs().max().item())
    zero = max(nonzero) == 0
    return {"A": zero, "B": zero, "C": min(nonzero) > 0.5 and max(product) == 0}


@fact("learning_signals", 2)
def no_synapse_onto_the_readout() -> dict[str, bool]:
    zero = []
    for seed in (288, 20, 21, 22):
        drawn = ep.random_weights(P, seed=seed)
        j = int(trial(seed).run.z[0].sum(0).argmax())
        w_out = drawn.w_out.detach().clone()
        w_out[j] = 0
        of = trial(seed, weights=drawn._replace(w_out=w_out))
        signals = [ideal(of)] + [
            ep.broadcast_learning_signal(P, of.weights, of.run, of.targets, feedback)
            for feedback in (w_out, ep.random_feedback(P, seed=seed))
        ]
        zero.append([not signal[0, :, j].any() for signal in signals])
    assert all(each == zero[0] for each in zero)
    return {
        "A": zero[0] == [True, True, False],
        "B": zero[0] == [False, True, False],
        "C": zero[0] == [True, True, True],
        "D": zero[0] == [False, False, False],
    }


def step_function(u: Tensor, _: float) -> Tensor:
    """Return a spike whose derivative is zero everywhere."""
    return (u > 0).to(u) + 0 * u


NO_PSI = ep.SpikeFunction(step_function, lambda u, _: torch.zeros_like(u))


@fact("learning_signals", 3)
def without_psi() -> dict[str, bool]:
    of = trial(288)
    state, sent = ep.initial_state(P, 1, like=of.inputs), []
    w_rec = ep.without_self_connections(of.weights.w_rec)
    for x_t in of.inputs.unbind(1):
        current = x_t @ of.weights.w_in + state.z_sent @ w_rec
        state = ep.step(P, P.constants(like=x_t), state, current, NO_PSI)
        sent.append(state.z_sent)
    run = of.run._replace(z=torch.stack(sent, dim=1), sent=tuple(sent))
    assert torch.equal(run.z, of.run.z)
    loss = ep.regression_loss(P, of.weights, run, of.targets)
    signal = ep.true_learning_signal(loss, run)
    g_rec, g_out = torch.autograd.grad(loss, [of.weights.w_rec, of.weights.w_out], retain_graph=True)
    assert g_out.any()
    (direct,) = torch.autograd.grad(of.loss, of.run.z, retain_graph=True)
    is_direct, is_ideal = torch.allclose(signal, direct, atol=1e-16), torch.allclose(signal, ideal(of), atol=1e-6)
    none = not g_rec.any()
    return {
        "A": not signal.any() and none,
        "B": is_ideal and none,
        "C": is_direct and none,
        "D": is_direct and not none,
    }


def reset_in_the_trace(of: Trial, pre: Tensor) -> Tensor:
    """Return the sum of the ideal signal times the trace of (S1), which counts the reset as well."""
    alpha, rho, thr, beta = of.p.constants(like=pre)
    eps_v = eps_a = e = torch.zeros(1, pre.shape[2], of.p.n_rec, dtype=torch.float64)
    signal, total = ideal(of), torch.zeros_like(e[0])
    for now in range(of.p.n_steps):
        psi = of.run.psi[:, now, None, :]
        eps_v = alpha * eps_v + pre[:, now, :, None] - thr * e
        e = psi * (eps_v - beta * eps_a)
        eps_a = rho * eps_a + e
        total = total + (signal[:, now, None, :] * e)[0]
    return total


@fact("learning_signals", 4)
def reset_in_both() -> dict[str, bool]:
    errors = []
    for seed in OTHERS:
        of = trial(seed)
        w_rec = reset_in_the_trace(of, ep.previous_spikes(of.run.z).detach())
        both = ep.Gradients(reset_in_the_trace(of, of.inputs), ep.without_self_connections(w_rec))
        errors.append(error(both, ep.bptt_gradients(of.loss, of.weights)))
    assert [f"{value:.1g}" for value in (min(errors), max(errors))] == ["0.2", "0.9"]
    return {"A": max(errors) < 1e-13, "B": min(errors) > 0.1, "C": max(errors) < 1e-13}


@fact("eligibility", 1)
def a_trace_is_no_stdp() -> dict[str, bool]:
    runs = [trial(seed) for seed in range(20)]
    traces = [ep.eligibility_traces(P, of.run, of.inputs).e[0, :, :, :4].detach() for of in runs]
    negative = min(e.min().item() for e in traces) < 0
    # synapses at which the first spike comes within some steps after a spike of the neuron
    late = []
    for of, e in zip(runs, traces, strict=True):
        for i in range(P.n_in):
            arrived = of.inputs[0, :, i].nonzero().flatten().tolist()[:1]
            for first in arrived:
                fired = of.run.z[0, max(first - 5, 0) : first, :4].any(0)
                late += [e[first:, i, j].max().item() for j in range(4) if fired[j]]
    assert len(late) > 5
    return {"A": negative, "B": max(late) == 0, "C": not negative and max(late) > 0}


@fact("eligibility", 2)
def what_changes_a_trace() -> dict[str, bool]:
    i, j = 0, 1  # from input 1 to LIF 2

    def trace(weights: ep.Weights) -> Tensor:
        return ep.eligibility_traces(P, trial(288, weights=weights).run, trial(288).inputs).e[0, :, i, j]

    weights = ep.random_weights(P, seed=288)
    other_w_in = weights.w_in.detach().clone()
    other_w_in[2, j] += 0.2
    # a trace is computed before there is a target; nothing that it takes holds one
    readout = not torch.equal(trace(weights), trace(weights._replace(w_out=-weights.w_out.detach())))
    synapse = not torch.equal(trace(weights), trace(weights._replace(w_in=other_w_in)))
    return {"A": False, "B": readout, "C": synapse, "D": not synapse}


@fact("eligibility", 3)
def the_weight_is_not_in_eps_v() -> dict[str, bool]:
    weights = ep.random_weights(P, seed=288)
    w_in = weights.w_in.detach().clone()
    w_in[0, 0], w_in[0, 1] = 0.8, -0.4
    of = trial(288, weights=weights._replace(w_in=w_in))
    eps_v = ep.eligibility_traces(P, of.run, of.inputs).eps_v[0, :, 0]
    assert eps_v.any()
    same = torch.equal(eps_v[:, 0], eps_v[:, 1])
    assert not torch.equal(of.run.z[0, :, 0], of.run.z[0, :, 1])
    return {"A": torch.allclose(eps_v[:, 0], -2 * eps_v[:, 1]), "B": same, "C": not same}


@fact("eligibility", 4)
def which_way_the_weight_goes() -> dict[str, bool]:
    p = ep.Parameters(duration=320.0, beta=0.3)
    x = torch.zeros(1, p.n_steps, 3, dtype=torch.float64)
    x[:, 5:31:5, 0] = 1
    x[:, 280::3, 1:] = 1

    def with_weight(weight: float) -> tuple[ep.Simulation, int]:
        w_in = matrix([weight], [0.25], [0.2]).expand(3, 8).contiguous()
        zero = torch.zeros(8, 8, dtype=torch.float64)
        run = ep.simulate(p, ep.Weights(w_in, zero, zero[:, :1]), x)
        return run, int(run.z[0, 280:, 4].sum())

    late = {weight: with_weight(weight)[1] for weight in (0.1, 0.7, 1.4)}
    assert late == {0.1: 5, 0.7: 4, 1.4: 2}
    e = ep.eligibility_traces(p, with_weight(0.7)[0], x).e[0, 280:, 0, 4]
    assert e.min() < -0.5  # such a trace does occur
    gradient = -1.0 * e.min().item()  # a negative signal
    return {"A": gradient < 0, "B": gradient > 0, "C": gradient == 0}


def through_early_spikes(of: Trial, end: int) -> Tensor:
    """Return, by autograd alone, what the input weights do to the loss by ways that leave a neuron before `end`.

    One simulation has the weights in its graph, and no way out of a neuron. Another one has no weights in its graph;
    to each spike that it sends before `end` the derivative of the first one's spike is added.
    """
    constants, w_in = P.constants(like=of.inputs), of.weights.w_in
    w_rec = ep.without_self_connections(of.weights.w_rec).detach()
    inside = outside = ep.initial_state(P, 1, like=of.inputs)
    sent = []
    for now, x_t in enumerate(of.inputs.unbind(1)):
        heard = outside.z_sent @ w_rec
        inside = inside._replace(z_sent=inside.z_sent.detach())
        inside = ep.step(P, constants, inside, x_t @ w_in + heard.detach())
        outside = ep.step(P, constants, outside, x_t @ w_in.detach() + heard)
        if now < end:
            outside = outside._replace(z_sent=outside.z_sent + inside.z_own - inside.z_own.detach())
        sent.append(outside.z_sent)
    run = of.run._replace(z=torch.stack(sent, dim=1), sent=tuple(sent))
    assert torch.equal(run.z, of.run.z)
    loss = ep.regression_loss(P, of.weights, run, of.targets)
    (found,) = torch.autograd.grad(loss, w_in)
    return found


@fact("gradients", 1)
def half_a_sum() -> dict[str, bool]:
    half = P.n_steps // 2
    short = ep.Parameters(duration=25.0)
    whole_loss, ends_early, half_gradient = [], [], []
    for seed in (288, *range(20, 30)):
        of = trial(seed)
        signal = ideal(of)
        e = ep.eligibility_traces(P, of.run, of.inputs).e
        partial = torch.einsum("btj,btij->ij", signal[:, :half], e[:, :half])
        by_autograd = through_early_spikes(of, half)
        whole_loss.append(((partial - by_autograd).abs().max() / partial.abs().max()).item())
        full = ep.bptt_gradients(of.loss, of.weights).w_in
        assert full is not None
        run = ep.simulate(short, of.weights, of.inputs[:, :half])
        loss = ep.regression_loss(short, of.weights, run, of.targets[:, :half]) * half / P.n_steps
        early = ep.bptt_gradients(loss, of.weights).w_in
        assert early is not None
        ends_early.append(((partial - early).abs().max() / early.abs().max()).item())
        half_gradient.append(((partial - full / 2).abs().max() / full.abs().max()).item())
    return {"A": max(whole_loss) < 1e-13, "B": min(ends_early) < 0.01, "C": min(half_gradient) < 0.01}


@fact("gradients", 2)
def not_as_exact_as_float64() -> dict[str, bool]:
    plain, rounded = [], []
    for seed in range(25):
        of = trial(seed)
        bptt, signal = ep.bptt_gradients(of.loss, of.weights), ideal(of)
        try:
            plain.append(ep.compare(ep.eprop_gradients(P, of.run, of.inputs, signal), bptt))
            lost = signal.to(torch.float32).to(torch.float64)
            rounded.append(error(ep.eprop_gradients(P, of.run, of.inputs, lost), bptt))
        except ep.VacuousComparisonError:
            continue
    assert len(rounded) == 24
    assert 1e-9 < min(rounded) < 3e-8 < max(rounded) < 1e-7
    by_rounding = max(report.max_relative_error for report in plain) >= 3e-8
    squares = max(report.max_squared_error for report in plain)
    assert squares < 1e-26
    return {"A": by_rounding, "B": squares >= (3e-8) ** 2, "C": not by_rounding}


@fact("gradients", 3)
def nine_spikes_and_nothing() -> dict[str, bool]:
    of = trial(7)
    assert of.run.z.sum() == 9
    bptt = ep.bptt_gradients(of.loss, of.weights)
    wrong = ep.eprop_gradients(P, of.run, of.inputs, -17 * ideal(of))
    assert bptt.w_rec is not None
    assert wrong.w_rec is not None
    zero_difference = torch.equal(wrong.w_rec, bptt.w_rec)
    empty = not bptt.w_rec.any()
    with pytest.raises(ep.VacuousComparisonError):
        ep.compare(ep.Gradients(w_rec=wrong.w_rec), ep.Gradients(w_rec=bptt.w_rec))
    return {"A": not zero_difference, "B": zero_difference and empty, "C": not empty}


@fact("gradients", 4)
def nothing_to_mend() -> dict[str, bool]:
    half = 1 / math.log(2)
    p = ep.Parameters(
        n_in=1,
        n_lif=0,
        n_alif=2,
        duration=5.0,
        tau_v=half,
        tau_a=half,
        threshold=1.0,
        beta=[0.4, 0.0],
        dampening=0.5,
    )
    weights = ep.Weights(matrix([0.8, 0.0]), matrix([0.0, 0.8], [0.0, 0.0]), matrix([0.0], [0.0]))
    for each in weights:
        each.requires_grad_()
    run = ep.simulate(p, weights, matrix([1.0], [1.0], [0.0], [1.0], [0.0])[None])
    count = run.z[0, :, 1].sum()

    def gradient(wanted: float) -> float:
        (found,) = torch.autograd.grad(0.5 * (count - wanted) ** 2, weights.w_rec, retain_graph=True)
        return float(found[0, 1])

    assert f"{gradient(1):.3f}" == "-0.423"
    now = round(gradient(0), 3)
    return {"A": now == 0.423, "B": now == -0.423, "C": now == 0}


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


@fact("oracles", 1)
def half_a_triangle() -> dict[str, bool]:
    own, by_hand = [], []
    for seed in (288, 20, 21):
        of = trial(seed, ep.Parameters(dampening=0.15))  # the mistake
        found = ep.eprop_gradients(of.p, of.run, of.inputs, ideal(of))
        own.append(error(found, ep.bptt_gradients(of.loss, of.weights)))
        w_in, w_rec, w_out, x, y = map(array, (*of.weights, of.inputs, of.targets))
        w_rec = np.where(np.eye(len(w_rec), dtype=bool), 0, w_rec)
        witness = oracles.simulate(P, w_in, w_rec, x)
        direct = oracles.regression_derivative(P, w_out, witness.z, y)
        hand = oracles.bptt(P, witness, w_rec, x, direct)
        by_hand.append(error(found, ep.Gradients(torch.from_numpy(hand.w_in), torch.from_numpy(hand.w_rec))))
    noticed = max(own) > 1e-13
    assert all(0.3 < each < 0.7 for each in by_hand)
    # finite differences take the spike and the ψ that they are given, and no dampening factor of the package's triangle
    return {"A": noticed, "B": noticed, "C": min(by_hand) > 0.1, "D": False}


@fact("oracles", 2)
def what_the_trace_leaves_out() -> dict[str, bool]:
    of = trial(288)
    own = error(
        ep.eprop_gradients(P, of.run, of.inputs, ideal(of)), ep.bptt_gradients(of.loss, of.weights)
    )  # an approximation would show
    largest = 0.0
    for now in range(P.n_steps):
        for k in range(P.n_rec):
            (by_weight,) = torch.autograd.grad(of.run.sent[now][0, k], of.weights.w_in, retain_graph=True)
            others = by_weight[:, torch.arange(P.n_rec) != k]
            largest = max(largest, others.abs().max().item())
    assert f"{largest:.1f}" == "0.7"
    traces = [ep.eligibility_traces(P, of.run, each).e for each in (of.inputs, ep.previous_spikes(of.run.z))]
    assert f"{max(e.max().item() for e in traces):.1f}" == "1.9"
    exact = own < 1e-13
    return {"A": exact and largest > 0, "B": not exact, "C": largest == 0}


@fact("oracles", 3)
def what_nest_witnesses() -> dict[str, bool]:
    data = np.load(Path(str(files(ep))) / "data" / "nest_regression.npz")
    names = [field for field in ep.Parameters.__dataclass_fields__ if f"param_{field}" in data]
    p = ep.Parameters(**{name: data[f"param_{name}"].item() for name in names})
    weights = ep.Weights(*(torch.tensor(data[key], requires_grad=True) for key in ("w_in", "w_rec", "w_out")))
    x, wanted = torch.from_numpy(data["inputs"]), torch.from_numpy(data["targets"])
    run = ep.simulate(p, weights, x)
    assert int(data["window"]) == p.n_steps  # the loss looks at all of the trial
    loss = 0.5 * ep.output_error(p, weights, run, wanted).square().sum()
    found = ep.Gradients(torch.from_numpy(data["g_in"]), torch.from_numpy(data["g_rec"]))
    off = ep.compare(found, ep.bptt_gradients(loss, weights)).relative_errors["w_rec"]
    assert off > 0.5
    return {"A": off < 1e-13, "B": off < 0.1, "C": np.array_equal(array(run.z), data["spikes"])}


def fifty() -> list[tuple[controls.Trial, ep.Gradients]]:
    """Return the 50 networks of the chapter on controls, with their gradients by BPTT."""
    found: list[tuple[controls.Trial, ep.Gradients]] = []
    seed = 0
    while len(found) < 50:
        of = trial(seed)
        bptt = ep.bptt_gradients(of.loss, of.weights)
        seed += 1

        def loss_of(run: ep.Simulation, of: Trial = of) -> Tensor:
            return ep.regression_loss(P, of.weights, run, of.targets)

        try:
            ep.compare(bptt, bptt)
        except ep.VacuousComparisonError:
            continue
        found.append((controls.Trial(P, of.weights, of.inputs, of.run, loss_of, ideal(of)), bptt))
    return found


def cosine(a: ep.Gradients, b: ep.Gradients) -> float:
    one, other = (torch.cat([part.flatten() for part in g[:2] if part is not None]) for g in (a, b))
    return torch.cosine_similarity(one, other, dim=0).item()


@fact("controls", 1)
def what_a_cosine_sees() -> dict[str, bool]:
    networks = fifty()
    rules = {each.name: each.gradients for each in controls.CONTROLS}
    reset_out = [rules["reset out of the signal"](of) for of, _ in networks]
    errors = [error(found, bptt) for found, (_, bptt) in zip(reset_out, networks, strict=True)]
    passes = sum(cosine(found, bptt) > 0.95 for found, (_, bptt) in zip(reset_out, networks, strict=True))
    assert np.median(errors) > 1
    assert passes == 44
    for name, rule in rules.items():
        if name.startswith("ε_a"):
            assert all(cosine(rule(of), bptt) > 0.95 for of, bptt in networks)
    return {"A": passes == 0, "B": passes > 40, "C": 20 < passes < 30}


@fact("controls", 2)
def ten_networks() -> dict[str, bool]:
    networks = fifty()
    rule = {each.name: each.gradients for each in controls.CONTROLS}["ε_a without −βψ"]
    share = np.mean([error(rule(of), bptt) ** 2 < 1e-4 for of, bptt in networks])
    through = float(share**10)
    assert min(error(rule(of), bptt) for of, bptt in networks) > 1e-13  # one network is enough for a sharp criterion
    return {
        "A": through > 0.3,
        "B": 0.03 < through < 0.07,
        "C": 0.0003 < through < 0.003,
        "D": through == 0,
    }


@fact("controls", 3)
def what_a_constant_depends_on() -> dict[str, bool]:
    constant = 1 - P.kappa

    def shows(p: ep.Parameters, seed: int = 288) -> bool:
        of = trial(seed, p)
        right = ep.eprop_gradients(p, of.run, of.inputs, ideal(of))
        assert right.w_in is not None
        assert right.w_rec is not None
        factor = constant / (1 - p.kappa)
        wrong = ep.Gradients(factor * right.w_in, factor * right.w_rec)
        return error(wrong, ep.bptt_gradients(of.loss, of.weights)) > 1e-13

    assert shows(ep.Parameters(dt=0.5))
    return {
        "A": any(shows(P, seed) for seed in (20, 21, 22)),
        "B": shows(ep.Parameters(beta=0.5)),
        "C": shows(ep.Parameters(n_lif=40, n_alif=40)),
        "D": shows(ep.Parameters(tau_out=10.0)),
    }


def all_ways(of: Trial, signal: Tensor) -> list[ep.Gradients]:
    """Return a sum of signal times trace by each of the ways of chapter 9."""
    found = [ep.eprop_gradients(P, of.run, of.inputs, signal, method) for method in ("traces", "online", "closed_form")]
    compiled = fast.simulate(P, of.weights, of.inputs)
    return [*found, fast.eprop_gradients(P, compiled, of.inputs, signal, "closed_form").tensors()]


# of chapter 8: networks of units with the reset either way


def sums_and_gradients(seed: int) -> dict[tuple[str, str], float]:
    """Return the error of signal × trace, by where the signal and where the trace has the reset."""
    p = ep.Parameters(n_in=5, n_lif=0, n_alif=8, threshold=0.6, beta=0.2, tau_a=100.0, n_ref=1, rate_in=160.0)
    drawn = ep.random_weights(p, seed)
    weights = ep.Weights(3 * drawn.w_in.detach(), drawn.w_rec.detach(), drawn.w_out.detach())
    weights = ep.Weights(*(each.requires_grad_() for each in weights))
    inputs, targets = ep.poisson_spikes(p, 2, seed=seed), ep.random_targets(p, 2, seed=seed)
    units = {where: evidence.alif(p, where) for where in ("signal", "trace")}
    runs = {where: evidence.simulate(unit, weights, inputs) for where, unit in units.items()}
    found = {}
    for told, run in runs.items():
        loss = (ep.low_pass(run.z, p.kappa) @ weights.w_out - targets).square().sum()
        signal, exact = evidence.true_learning_signal(loss, run), ep.bptt_gradients(loss, weights)
        for kept, unit in units.items():
            found[told, kept] = error(evidence.eprop_gradients(unit, runs[kept], inputs, signal), exact)
    return found


@fact("any_neuron", 1)
def what_a_reset_counted_twice_gives() -> dict[str, bool]:
    found = [sums_and_gradients(seed) for seed in range(20)]
    twice = [each["signal", "trace"] for each in found]
    once = max(max(each["signal", "signal"], each["trace", "trace"]) for each in found)
    off = min(twice) > 1e-3 and np.median(twice) > 1 / 3
    return {"A": max(twice) < 1e-12, "B": bool(off), "C": bool(off) and once > 1e-12}


@fact("any_neuron", 2)
def what_the_closed_form_carries() -> dict[str, bool]:
    n, n_pre, d = 100, 120, 5
    unit = evidence.neurons.delayed_synapses(n, delay=d - 1)
    weights = ep.Weights(*(torch.zeros(size, dtype=torch.float64) for size in ((n_pre - n, n), (n, n), (n, 1))))
    run = evidence.simulate(unit, weights, torch.ones(1, 2, n_pre - n, dtype=torch.float64))
    factors = evidence.any_neuron.factors(unit, run)
    adjoint = factors.psi[0, 0].numel()  # of its shape
    assert (n_pre * n * d, factors.transition[0, 0].numel()) == (60_000, 2_500)
    return {"A": adjoint == 60_000, "B": adjoint == 2_500, "C": adjoint == 500}


@fact("any_neuron", 3)
def what_a_step_that_is_not_local_breaks() -> dict[str, bool]:
    def step(hidden: Tensor, current: Tensor, sent: Tensor) -> Tensor:
        return 0.9 * hidden + 0.1 * hidden.mean(-2, keepdim=True) + current - 0.6 * sent[..., None]

    def fires(hidden: Tensor) -> Tensor:
        return ep.spike((hidden[..., 0] - 0.6) / 0.6, 0.3)

    unit = evidence.Unit(step, fires, torch.zeros(8, 1, dtype=torch.float64))
    of = trial(288)
    weights = ep.Weights(*(each.detach().clone().requires_grad_() for each in of.weights))
    run = evidence.simulate(unit, weights, of.inputs)
    loss = (ep.low_pass(run.z, 0.9) @ weights.w_out - of.targets).square().sum()
    signal, exact = evidence.true_learning_signal(loss, run), ep.bptt_gradients(loss, weights)
    with pytest.raises(ValueError, match="must be local"):
        evidence.eprop_gradients(unit, run, of.inputs, signal)
    # what the derivatives inside each neuron sum to: 0.9 and an eighth of the tenth
    psi = ep.pseudo_derivative((run.hidden[..., 0] - 0.6).detach() / 0.6, 0.3) / 0.6
    trace = ep.low_pass(of.inputs, 0.9 + 0.1 / 8, gain=1.0)
    summed = torch.einsum("bti,btj->ij", trace, psi * signal)
    off = float((summed - exact.w_in).abs().max() / exact.w_in.abs().max())  # type: ignore[operator,union-attr]  # it is there
    return {"A": off > 1e-3, "B": off < 1e-12, "C": off < 1e-12}


@fact("four_ways", 1)
def none_is_approximate() -> dict[str, bool]:
    of = trial(288)
    bptt = ep.bptt_gradients(of.loss, of.weights)
    _, online, closed, compiled = (error(found, bptt) > 1e-13 for found in all_ways(of, ideal(of)))
    return {"A": online, "B": closed, "C": compiled, "D": not (online or closed or compiled)}


@fact("four_ways", 2)
def any_signal_will_do() -> dict[str, bool]:
    of = trial(288)
    feedback = ep.random_feedback(P, seed=288)
    signal = ep.broadcast_learning_signal(P, of.weights, of.run, of.targets, feedback)
    traces, *others = all_ways(of, signal)
    equal = [error(found, traces) < 1e-13 for found in others]
    return {"A": equal == [True, False, False], "B": all(equal), "C": not any(equal)}


@fact("four_ways", 3)
def twice_the_rate() -> dict[str, bool]:
    (cell,) = [
        cell.source
        for cell in nbformat.read(BOOK / "four_ways.ipynb", as_version=4).cells
        if cell.cell_type == "code" and "def cost(" in cell.source
    ]
    names: dict[str, Callable[[int, float], dict[str, tuple[float, float]]]] = {}
    exec(cell.split("def draw_cost")[0], names)  # noqa: S102  # the chapter's own count
    before, after = (names["cost"](100, rate) for rate in (5, 10))
    growth = {way: after[way][0] / before[way][0] for way in before}
    events = growth.pop("with events")
    assert before["with events"][0] == pytest.approx(2120)
    assert after["with events"][0] == pytest.approx(2240)
    assert set(growth.values()) == {1}
    return {"A": min(events, *growth.values()) == 2, "B": events == 2, "C": f"{events - 1:.0%}" == "6%"}


@fact("four_ways", 4)
def what_dispatch_costs() -> dict[str, bool]:
    benchmark = json.loads((files(ep) / "data" / "benchmark.json").read_text(encoding="utf-8"))
    rows = [r for r in benchmark["measurements"] if r["program"] == "PyTorch, closed form" and "median_s" in r]

    def per_trial(group: str, **values: float) -> float:
        (row,) = [r for r in rows if r["group"] == group and all(r[key] == value for key, value in values.items())]
        return float(row["median_s"]) / float(row["batch"])

    one = per_trial("sizes", n_rec=100, n_steps=1000, batch=1, threads=1)
    shares = {
        "A": per_trial("rate_in", rate_in=5) / per_trial("n_rec", n_rec=100),
        "B": per_trial("n_rec", n_rec=10) / per_trial("n_rec", n_rec=100),
        "C": per_trial("sizes", n_rec=100, n_steps=1000, batch=32, threads=1) / one,
    }
    assert shares["C"] < 1 / 3
    assert min(shares["A"], shares["B"]) > 1 / 2
    return {letter: share == min(shares.values()) for letter, share in shares.items()}


def names_of(chapter: str, *functions: str) -> dict[str, Any]:
    """Run the cells of a chapter that define these functions, and return what they define."""
    names: dict[str, Any] = {"np": np, "torch": torch, "ep": ep, "fast": fast, "tasks": tasks, "training": training}
    names["p"] = tasks.pattern_parameters()
    for cell in nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells:
        if cell.cell_type == "code" and any(f"def {function}(" in cell.source for function in functions):
            definitions: list[ast.stmt] = [
                node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)
            ]
            exec(compile(ast.Module(definitions, []), chapter, "exec"), names)  # noqa: S102  # the chapter's own code
    return names


@fact("learning", 1)
def what_a_falling_error_shows() -> dict[str, bool]:
    best_readout = names_of("learning", "best_readout")["best_readout"]
    readout_suffices = all(best_readout(seed) < 0.1 for seed in range(20))
    stored = np.load(str(files(ep) / "data" / "pattern_training.npz"))
    falls = stored["errors"][training.METHODS.index("random"), :, -20:].mean() < 0.1
    along = bool(np.median(stored["cosines"][2, :, :, 1]) > 0.99)  # random feedback, recurrent weights
    return {"A": not readout_suffices, "B": readout_suffices, "C": bool(falls and along)}


@fact("learning", 2)
def what_turns_in_feedback_alignment() -> dict[str, bool]:
    before: dict[str, Tensor] = {}

    def watch(k: int, net: EpropNetwork) -> None:
        if k == 0:
            before.update({name: each.clone() for name, each in net.state_dict().items()})

    net, _ = training.train_pattern("random", 0, updates=200, watch=watch)
    after = net.state_dict()

    def cosine(state: dict[str, Tensor]) -> float:
        return float(torch.cosine_similarity(state["w_out"].flatten(), state["feedback"].flatten(), 0))

    fixed, turned = torch.equal(before["feedback"], after["feedback"]), cosine(after) - cosine(before) > 0.2
    ends = np.load(str(files(ep) / "data" / "pattern_training.npz"))["cosines"][2, :, -1, :2]
    return {"A": fixed and turned, "B": not fixed, "C": bool(np.median(ends) > 0.9)}


@fact("learning", 3)
def one_of_the_missing_parts() -> dict[str, bool]:
    names = names_of("learning", "added_back", "full", "cosine")
    found = []
    for seed in range(10):
        pattern = tasks.pattern_generation(names["p"], seed)
        net = training.network("symmetric", tasks.pattern_parameters(), seed=seed, readout_scale=0.1)
        bptt = names["full"](net, pattern)
        found.append([names["cosine"](names["added_back"](net, pattern, *w), bptt) for w in ((0, 0), (1, 0), (0, 1))])
    nothing, synapses, reset = np.array(found).T
    return {
        "A": bool((synapses > nothing).any()),
        "B": bool((np.minimum(synapses, reset) > (1 + nothing) / 2).any()),
        "C": bool((synapses < nothing).all() and np.abs(reset - nothing).max() < 0.1),
    }


@fact("remembering", 1)
def where_the_memory_is() -> dict[str, bool]:
    names = names_of("remembering", "simulated", "seen", "decoded")
    p = names["p"] = tasks.evidence_parameters()
    names["asked"] = p.n_steps - tasks.DECISION
    net = training.network("symmetric", p, seed=4, dtype=torch.float32)
    (b, _, labels), (new_b, _, new_labels) = (names["seen"](net, seed, 4) for seed in (10**7, 2 * 10**7))
    found = names["decoded"](b, labels, new_b, new_labels)
    return {"A": found < 0.6, "B": found > 0.8, "C": float(p.alpha[0]) ** 1050 > 1e-20}


@fact("remembering", 2)
def what_a_lif_synapse_learns_of_the_cues() -> dict[str, bool]:
    names = names_of("remembering", "trace")
    p = names["p"] = tasks.evidence_parameters()
    pre = np.zeros(p.n_steps)
    pre[:1050:20] = 1  # as far as the cues go
    left = []
    for neuron in (0, p.n_rec - 1):
        e, _ = names["trace"](np.full(p.n_steps, 0.1), pre, neuron)
        left.append(np.abs(e[-tasks.DECISION :]).max() / np.abs(e).max())
    lif, alif = left
    assert alif > 1e-3
    return {"A": lif < 1e-9, "B": lif > alif / 100, "C": lif > 1e-3}


@fact("remembering", 3)
def what_stopping_early_does() -> dict[str, bool]:
    stored = np.load(str(files(ep) / "data" / "evidence_training.npz"))
    courses = stored["errors: symmetric"][:, -50:]
    lucky, fresh = courses.min(1).mean(), stored["error: symmetric"].mean()
    trained_on = courses.mean() < fresh / 2  # a batch would look much better if it had been trained on
    return {"A": bool(lucky >= fresh), "B": bool(trained_on), "C": bool(lucky < fresh)}


SMALL = ep.Parameters(n_in=8, n_lif=6, n_alif=6, n_out=2, duration=60.0, rate_in=150.0, tau_a=60.0, beta=0.3)


@fact("own_work", 1)
def what_the_readout_gets() -> dict[str, bool]:
    inputs, targets = ep.poisson_spikes(SMALL, 4, seed=1), ep.random_targets(SMALL, 4, seed=1)
    nets = EpropNetwork(SMALL, "random"), EpropNetwork(SMALL, gradient="bptt")
    for net in nets:
        torch.autograd.backward((net(inputs)[0] - targets).square().sum())
    found, exact = (net.w_out.grad for net in nets)
    assert found is not None
    assert exact is not None
    same = bool((found - exact).abs().max() < 1e-13 * exact.abs().max())
    return {"A": not same, "B": not found.any(), "C": same}


@fact("own_work", 2)
def what_two_processes_average() -> dict[str, bool]:
    inputs, targets = ep.poisson_spikes(SMALL, 8, seed=1), ep.random_targets(SMALL, 8, seed=1)

    def gradient(part: slice) -> Tensor:
        net = EpropNetwork(SMALL)
        torch.autograd.backward((net(inputs[part])[0] - targets[part]).square().sum())
        assert net.w_rec.grad is not None
        return net.w_rec.grad

    whole, halves = gradient(slice(8)), [gradient(slice(4)), gradient(slice(4, 8))]
    averaged = (halves[0] + halves[1]) / 2  # what DistributedDataParallel does: tests/learning/test_distributed.py
    return {
        "A": torch.allclose(averaged, whole / 2, rtol=1e-12, atol=1e-14),
        "B": torch.allclose(averaged, whole),
        "C": torch.allclose(averaged, halves[0]),
    }


@fact("own_work", 3)
def what_lif_neurons_cannot_show() -> dict[str, bool]:
    somebody = names_of("own_work", "somebody")["somebody"]
    seen = []
    for alif in (0, 6):
        p = ep.Parameters(n_in=8, n_lif=12 - alif, n_alif=alif, n_out=2, duration=60.0, rate_in=150.0, beta=0.3)
        of = trial(1, p)
        exact = ep.bptt_gradients(of.loss, of.weights)
        mine = ep.Gradients(exact.w_in, somebody(p, of.run, ideal(of)))
        seen.append(error(mine, exact) < 1e-13)
    # that it may be right as well is so for the package's own rule
    of = trial(1, SMALL)
    ours = error(ep.eprop_gradients(SMALL, of.run, of.inputs, ideal(of)), ep.bptt_gradients(of.loss, of.weights))
    with_lif, with_alif = seen
    return {"A": with_lif and with_alif, "B": with_lif and not with_alif and ours < 1e-13, "C": ours > 1e-13}


# --- the page for teachers --------------------------------------------------------------------------------------------

PAGE = (BOOK / "teaching.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| \{ref\}`(\w+)-exercise-(\d)`( ✎)?<br><small>(\d+) min · [^|<]+</small> \| [^|]+ \| [^|]+ \|$", re.M
)


def test_the_page_for_teachers_has_a_row_for_each_exercise_in_the_order_of_the_book() -> None:
    listed = [(chapter, int(number)) for chapter, number, _, _ in ROW.findall(PAGE)]
    there = [
        (chapter, int(number))
        for chapter in CHAPTERS
        for number in re.findall(r"^\*\*(\d)\. ", "\n".join(markdown(chapter)), flags=re.MULTILINE)
    ]
    assert listed == there
    assert len(there) > 25


def test_every_exercise_that_is_linked_is_a_place_in_its_page(site: str) -> None:
    assert site
    html = (HTML / "book" / "teaching.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(\w+)\.html#(exercise-\d)"><span class="std std-ref">([^<]+)</span>', html)
    assert {(chapter, place) for chapter, place, _ in links} >= {
        (chapter, f"exercise-{number}") for chapter, number, _, _ in ROW.findall(PAGE)
    }
    for chapter, place, title in links:
        text = (HTML / "book" / f"{chapter}.html").read_text(encoding="utf-8")
        assert f'<p id="{place}"><strong>{title}' in text


def test_the_sections_that_the_page_links_to_are_in_their_pages(site: str) -> None:
    assert site
    html = (HTML / "book" / "teaching.html").read_text(encoding="utf-8")
    article = html[html.index("<article") : html.index("</article>")]
    links = re.findall(r'href="(\w+)\.html#([^"]+)"', article)
    assert len(links) > 50
    for chapter, place in links:
        assert f'id="{place}"' in (HTML / "book" / f"{chapter}.html").read_text(encoding="utf-8"), (chapter, place)
    assert len(re.findall(r"\]\(\w+\.ipynb#", PAGE)) == len([1 for _, place in links if "exercise-" not in place])


def test_the_sliders_that_the_page_names_are_in_the_chapters_at_these_values() -> None:
    frames = "\n".join(frame for chapter in CHAPTERS for view in labels(chapter) for frame in view)
    named = re.findall(r"\*\*([a-z][^*]*)\*\*(?: (?:to|at) ([\w.]+))?", PAGE)
    assert len(named) > 8
    for name, value in named:
        assert re.search(rf"(^|, ){re.escape(name)}:? {re.escape(value)}", frames, flags=re.MULTILINE), (name, value)
    for chapter, name in (("simulation", "input rate"), ("eligibility", "neuron"), ("controls", "rule")):
        assert any(name in frame for view in labels(chapter) for frame in view)


def test_the_minutes_of_each_session_add_up() -> None:
    sessions: list[list[tuple[int, int]]] = []
    for begin, end in re.findall(r"^\| (\d+)–(\d+) \|", PAGE, flags=re.MULTILINE):
        if begin == "0":
            sessions.append([])
        sessions[-1].append((int(begin), int(end)))
    assert len(sessions) == 3
    for session in sessions:
        assert session[-1][1] == 90
        assert all(before[1] == after[0] for before, after in pairwise(session))
        assert all(begin < end for begin, end in session)


def test_the_numbers_that_the_page_for_teachers_tells_are_those_of_the_chapters() -> None:
    run = trial(288).run
    near = run.psi > 0
    assert f"{int((near & (run.z > 0)).sum())} of {int(near.sum())}" == "23 of 126"
    assert "23 of 126" in PAGE
    assert f"{math.exp(-0.5):.0%}" == "61%"
    assert "61 %" in PAGE
