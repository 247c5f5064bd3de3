"""Every public function, with one bad argument at a time: it is refused by name, whatever it is and wherever it is."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import make_trial, says
from torch.utils._pytree import tree_leaves

import eprop_nb as ep
from eprop_nb import _checks, fast
from eprop_nb.parameters import seeded_generator

P = ep.Parameters(n_in=2, n_lif=2, n_alif=1, n_out=2, duration=12.0, tau_out=3.0, rate_in=400.0, beta=0.3, n_ref=2)
TRIAL = make_trial(P, batch=2, gain=1.0)
CONSTANTS = P.constants(like=TRIAL.inputs)
STATE = ep.State(*(x[:, 0].detach() for x in (*TRIAL.run[1:5], TRIAL.run.z, TRIAL.run.z, 0 * TRIAL.run.z)))
SIGNAL = ep.true_learning_signal(TRIAL.loss, TRIAL.run)
GRADIENTS = ep.bptt_gradients(TRIAL.loss, TRIAL.weights)
TRACES = ep.eligibility_traces(P, TRIAL.run, TRIAL.inputs)
U, B, ERROR = torch.linspace(-2, 2, 6).double()[None], ep.random_feedback(P, 0), TRIAL.targets
CURRENT, MATRIX = 0.1 * torch.ones(2, 3).double(), torch.ones(2, 3, 3).double()
WORLD = {"parameters": P, "weights": TRIAL.weights, "run": TRIAL.run}

# Every public function, with arguments that it takes.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Parameters": (ep.Parameters, {name: getattr(P, name) for name in inspect.signature(ep.Parameters).parameters}),
    "Parameters.constants": (P.constants, {"like": U}),
    "Weights.to": (lambda weights, target: weights.to(target), {"weights": TRIAL.weights, "target": "cpu"}),
    "adapt_feedback": (ep.adapt_feedback, {"weight": B, "change": B, "decay": 0.1}),
    "bptt_gradients": (ep.bptt_gradients, {"loss": TRIAL.loss, "weights": TRIAL.weights}),
    "broadcast_learning_signal": (ep.broadcast_learning_signal, {**WORLD, "targets": TRIAL.targets, "feedback": B}),
    "compare": (ep.compare, {"candidate": GRADIENTS, "reference": GRADIENTS}),
    "cross_entropy_loss": (ep.cross_entropy_loss, {**WORLD, "labels": torch.tensor([0, 1])}),
    "eligibility_traces": (ep.eligibility_traces, {"parameters": P, "run": TRIAL.run, "pre": TRIAL.inputs}),
    "eprop_gradients": (
        ep.eprop_gradients,
        {"parameters": P, "run": TRIAL.run, "inputs": TRIAL.inputs, "signal": SIGNAL, "method": "online"},
    ),
    "initial_state": (ep.initial_state, {"parameters": P, "batch": 2, "like": U}),
    "low_pass": (ep.low_pass, {"signal": TRIAL.targets, "decay": 0.9, "gain": 0.5}),
    "output_error": (ep.output_error, {**WORLD, "targets": TRIAL.targets}),
    "poisson_spikes": (ep.poisson_spikes, {"parameters": P, "batch": 2, "seed": 1}),
    "previous_spikes": (ep.previous_spikes, {"z": TRIAL.run.z.detach()}),
    "pseudo_derivative": (ep.pseudo_derivative, {"v_scaled": U, "dampening": 0.5}),
    "random_feedback": (ep.random_feedback, {"parameters": P, "seed": 1}),
    "random_targets": (ep.random_targets, {"parameters": P, "batch": 2, "seed": 1}),
    "random_weights": (ep.random_weights, {"parameters": P, "seed": 1}),
    "rate_loss": (ep.rate_loss, {"parameters": P, "run": TRIAL.run, "rate": 20.0}),
    "readout": (ep.readout, WORLD),
    "readout_gradient": (ep.readout_gradient, {"parameters": P, "run": TRIAL.run, "output_signal": ERROR}),
    "regression_loss": (ep.regression_loss, {**WORLD, "targets": TRIAL.targets}),
    "simulate": (
        ep.simulate,
        {"parameters": P, "weights": TRIAL.weights, "inputs": TRIAL.inputs, "stop_recurrent_gradient": True},
    ),
    "spike": (ep.spike, {"v_scaled": U, "dampening": 0.5}),
    "step": (
        ep.step,
        {
            "parameters": P,
            "constants": CONSTANTS,
            "state": STATE,
            "current": CURRENT,
            "spikes": ep.SpikeFunction(ep.spike, ep.pseudo_derivative),
        },
    ),
    "trace_step": (
        ep.trace_step,
        {
            "constants": CONSTANTS,
            "eps_v": TRACES.eps_v[:, 3],
            "eps_a": TRACES.eps_a[:, 3],
            "psi": TRIAL.run.psi[:, 3],
            "pre": TRIAL.inputs[:, 3],
        },
    ),
    "true_learning_signal": (ep.true_learning_signal, {"loss": TRIAL.loss, "run": TRIAL.run}),
    "without_self_connections": (ep.without_self_connections, {"matrix": MATRIX}),
}


def test_every_public_function_is_tried() -> None:
    functions = {name for name in ep.__all__ if inspect.isfunction(getattr(ep, name))}
    assert functions == {name for name in CALLS if name[0].islower()}
    for name, (function, given) in CALLS.items():
        if name != "Weights.to":
            assert set(given) == set(inspect.signature(function).parameters), name


@pytest.mark.parametrize("name", CALLS)
def test_the_good_arguments_are_good(name: str) -> None:
    function, given = CALLS[name]
    for leaf in tree_leaves(function(**given)):
        assert not isinstance(leaf, torch.Tensor) or bool(torch.isfinite(leaf).all())


def masked(x: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch says that they are a prototype
        return torch.masked.masked_tensor(x.detach(), torch.ones_like(x, dtype=torch.bool))


def nested(x: torch.Tensor, layout: torch.layout) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        return torch.nested.nested_tensor([x.detach().reshape(-1), x.new_zeros(1)], layout=layout)


def with_entry(x: torch.Tensor, value: float) -> torch.Tensor:
    changed = x.detach().clone()
    changed.view(-1)[-1] = value
    return changed


class Anything:
    """Something of which a function knows nothing."""


NO_TENSOR: dict[str, Any] = {
    "nothing": None,
    "a text": "tensor",
    "a number": 1.0,
    "a list": [[1.0]],
    "an object": Anything(),
    "a class": torch.Tensor,
}
BAD_TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "an array": lambda x: x.detach().numpy(),
    "a masked array": lambda x: np.ma.array(x.detach().numpy(), mask=True),
    "an array of objects": lambda x: x.detach().numpy().astype(object),
    "sparse": lambda x: x.detach().to_sparse(),
    "nested": lambda x: nested(x, torch.strided),
    "nested, jagged": lambda x: nested(x, torch.jagged),
    "masked": masked,
    "on the device meta": lambda x: x.detach().to("meta"),
    "bool": lambda x: x.bool(),
    "int32": lambda x: x.int(),
    "float16": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "complex128": lambda x: x.to(torch.complex128),
    "NaN": lambda x: with_entry(x, math.nan),
    "infinite": lambda x: with_entry(x, math.inf),
    "minus infinite": lambda x: with_entry(x, -math.inf),
    "one axis less": lambda x: x[0],
    "one axis more": lambda x: x[None],
    "no axes": lambda x: x.flatten()[0],
    "empty": lambda x: x[..., :0],
    "longer": lambda x: torch.cat((x, x), -1),
}
ENTRIES = ("NaN", "infinite", "minus infinite")
OF_AXES = ("one axis less", "no axes", "empty", "longer")
BAD_NUMBERS: dict[str, Any] = {
    "nothing": None,
    "a text": "1",
    "bytes": b"1",
    "True": True,
    "NumPy's True": np.True_,
    "a tensor of True": torch.tensor(True),
    "complex": 1 + 2j,
    "NumPy's complex": np.complex128(1 + 2j),
    "a complex tensor": torch.tensor(1 + 2j),
    "NaN": math.nan,
    "infinite": math.inf,
    "negative": -1,
    "too large": 10**400,
    "a longer number than Python prints": 10**5000,
    "a NaN that signals": Decimal("sNaN"),
    "a list": [1.0],
    "an array of one": np.array([1.0]),
    "a text in an array": np.array("1"),
    "a length of time": np.timedelta64(5, "ns"),
    "masked": np.ma.masked,
    "a masked array": np.ma.array(5.0, mask=True),
    "on the device meta": torch.tensor(1.0, device="meta"),
    "nested": nested(torch.ones(1), torch.strided),
    "sparse": torch.ones(1).to_sparse(),
    "an object": Anything(),
    "a class": float,
}
BAD_WORDS: dict[str, Any] = {
    "nothing": None,
    "another word": "trace",
    "a list": ["traces"],
    "an array": np.array(["traces"]),
    "a tensor": torch.ones(2),
    "a number": 1,
    "a dtype of no floats": torch.int64,
    "meta": "meta",
}
BAD_FLAGS: dict[str, Any] = {"nothing": None, "a text": "no", "a number": 1, "a tensor": torch.tensor(True)}
BAD_CONTAINERS: dict[str, Any] = {
    "nothing": None,
    "a text": "it",
    "a mapping": {},
    "a number": 1,
    "a tensor": torch.ones(2),
    "a class": ep.Parameters,
    "a plain tuple": (torch.ones(2), torch.ones(2), torch.ones(2)),
    "an object": Anything(),
}


# What is bad elsewhere and good here: function, argument, and what is the matter with it.
TAKEN = (
    # any shape will do, and only dtype and device count
    *(f"* {name} {what}" for name in ("like", "v_scaled") for what in ("one axis *", "no axes", "empty", "longer")),
    *("* like NaN", "* like *infinite"),
    # entries are not looked at in every time step
    *(f"{name} [!d]* {what}" for name in ("step", "spike", "pseudo_derivative") for what in ("NaN", "*infinite")),
    *("trace_step * NaN", "trace_step * *infinite"),
    # any length will do; where it is the length of another argument, that one is refused
    *(
        "low_pass signal longer",
        "low_pass signal one axis *",
        "previous_spikes z longer",
        "adapt_feedback weight longer",
    ),
    *(
        "eligibility_traces pre longer",
        "trace_step eps_v longer",
        "compare reference.* longer",
        "Weights.to weights.* l*",
    ),
    *("without_self_connections matrix one axis *", "bptt_gradients weights.* longer"),
    *(f"Weights.to weights {what}" for what in BAD_CONTAINERS),  # it is a method
    # what is not there is not used
    *("low_pass gain nothing", "compare candidate.* nothing", "* run.v *", "* run.b *", "* run.v_scaled *"),
    *("[!t]* run.sent *", "true_learning_signal run.z *", "true_learning_signal run.psi *"),
    "bptt_gradients loss one axis more",  # one number all the same
    "true_learning_signal loss one axis more",
)


def bad_values(good: Any) -> Iterator[tuple[str, Any]]:
    """Yield what the argument must not be, with a word for it; a field of a container has its name before a colon."""
    if isinstance(good, torch.Tensor):
        yield from NO_TENSOR.items()
        for kind, change in BAD_TENSORS.items():
            if (good.ndim or kind not in OF_AXES) and (good.is_floating_point() or kind not in ENTRIES):
                yield kind, change(good)
        return
    tables: tuple[tuple[Any, dict[str, Any]], ...] = (
        (bool, BAD_FLAGS),
        ((int, float), BAD_NUMBERS),
        (str, BAD_WORDS),
        (object, BAD_CONTAINERS),
    )
    for kinds, table in tables:
        if isinstance(good, kinds):
            yield from ((kind, value) for kind, value in table.items() if not (callable(good) and callable(value)))
            break
    for field, value in good._asdict().items() if hasattr(good, "_asdict") else ():
        if isinstance(value, tuple):
            bad_tuples = {"empty": (), "a list": list(value), "of no tensors": (1.0,) * len(value)}
            yield from ((f"{field}: {kind}", good._replace(**{field: bad})) for kind, bad in bad_tuples.items())
        else:
            yield from ((f"{field}: {kind}", good._replace(**{field: bad})) for kind, bad in bad_values(value))


class Case(NamedTuple):
    """One bad argument among good ones."""

    function: str
    argument: str
    path: str  # the argument, or the field of it that is bad
    what: str  # what is wrong with it
    value: Any
    taken: bool  # whether it is good here


def cases() -> Iterator[Case]:
    for name, (_, given) in CALLS.items():
        for argument, good in given.items():
            for kind, bad in bad_values(good):
                field, _, what = kind.rpartition(": ")
                path = f"{argument}.{field}" if field else argument
                taken = any(fnmatchcase(f"{name} {path} {what}", pattern) for pattern in TAKEN)
                yield Case(name, argument, path, what, bad, taken)


CASES = list(cases())


def test_there_are_many_cases() -> None:
    assert sum(not case.taken for case in CASES) > 1500
    assert {case.function for case in CASES if not case.taken} == set(CALLS)
    for pattern in TAKEN:
        assert any(fnmatchcase(f"{case.function} {case.path} {case.what}", pattern) for case in CASES), pattern


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_is_refused_by_name(name: str) -> None:
    function, given = CALLS[name]
    wrong = []
    for case in CASES:
        if case.function != name or (name, case.path) == ("Weights.to", "weights"):  # it is a method of good ones
            continue
        try:
            function(**given | {case.argument: case.value})
        except (TypeError, ValueError) as error:
            if case.path not in str(error) and not case.taken:
                wrong.append(f"{case.path}, {case.what}: {type(error).__name__}: {error}")
        except Exception as error:  # that it is another one is what is looked for
            wrong.append(f"{case.path}, {case.what}: {type(error).__name__}: {error}")
        else:
            if not case.taken:
                wrong.append(f"{case.path}, {case.what}: taken")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("sparse", "torch.sparse_coo"),
        ("nested", "nested"),
        ("nested, jagged", "nested"),
        ("masked", "masked"),
    ],
)
def test_it_says_what_kind_of_tensor_it_got(change: str, word: str) -> None:
    bad = BAD_TENSORS[change](TRIAL.targets)
    message = says(f"targets must be a dense torch.Tensor [batch, time, n_out], got one that is {word}")
    with pytest.raises(TypeError, match=f"^{message}$"):
        ep.regression_loss(P, TRIAL.weights, TRIAL.run, bad)


# What looks different and is the same.

SAME_TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "requires gradients": lambda x: x.detach().requires_grad_(),
    "not contiguous": lambda x: x.detach().repeat_interleave(2, dim=-1)[..., ::2],
    "a parameter": torch.nn.Parameter,
}
SAME_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "NumPy's": lambda x: np.asarray(x)[()],
    "an array": np.asarray,
    "a tensor": lambda x: torch.tensor(x, dtype=torch.float64 if isinstance(x, float) else torch.int64),
    "a tensor that requires gradients": lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True),
    "a fraction": Fraction,
    "a decimal": Decimal,
}


def leaves(result: Any) -> list[torch.Tensor]:
    return [torch.as_tensor(x).detach() for x in tree_leaves(result) if isinstance(x, (torch.Tensor, int, float))]


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("bptt_gradients", "true_learning_signal")])
def test_the_same_in_another_form_gives_the_same(name: str) -> None:
    function, given = CALLS[name]
    for argument, good in given.items():
        forms: list[Any] = []
        if isinstance(good, torch.Tensor) and good.is_floating_point():
            forms = [change(good) for change in SAME_TENSORS.values()]
        elif isinstance(good, (int, float)) and not isinstance(good, bool):
            kinds = list(SAME_NUMBERS.values())
            forms = [change(good) for change in (kinds if isinstance(good, float) else kinds[:3])]
        for form in forms:
            found, wanted = function(**given | {argument: form}), function(**given)
            assert found == wanted if name == "Parameters" else True
            for ours, theirs in zip(leaves(found), leaves(wanted), strict=True):
                assert torch.equal(ours, theirs), (argument, form)


def test_expanded_inputs_are_inputs() -> None:
    inputs = TRIAL.inputs[:1].expand(3, -1, -1)
    run = ep.simulate(P, TRIAL.weights, inputs)
    for ours, theirs in zip(run[:5], ep.simulate(P, TRIAL.weights, inputs.clone())[:5], strict=True):
        assert torch.equal(ours, theirs)
    ones = torch.ones(1, 1, 1, dtype=torch.float64).expand(3, 12, 3)
    expanded, plain = (ep.eprop_gradients(P, run, inputs, signal) for signal in (ones, ones.clone()))
    assert ep.compare(expanded, plain).max_relative_error == 0


# What no machine has room for is refused at once.


def test_a_count_that_no_index_reaches_is_refused() -> None:
    for name in ("n_in", "n_lif", "n_alif", "n_out", "n_ref"):
        for count in (2**63, 10**30, 10**5000):
            with pytest.raises(ValueError, match=says(f"{name} must be a whole number of at least", "below 2**63")):
                ep.Parameters(**{name: count})
    assert ep.Parameters(n_ref=2**63 - 1).n_ref == 2**63 - 1


HUGE: dict[str, tuple[Callable[[], object], str]] = {
    "neurons": (lambda: ep.Parameters(n_lif=10**12), "n_lif and n_alif must be such that memory holds one value"),
    "weights": (lambda: ep.random_weights(ep.Parameters(n_in=10**12), 0), "n_in, n_lif, n_alif and n_out must be"),
    "recurrent weights": (
        lambda: ep.random_weights(ep.Parameters(n_lif=10**7), 0),
        "such that memory holds the weights",
    ),
    "inputs": (
        lambda: ep.poisson_spikes(ep.Parameters(duration=1e9, dt=1e-3), seed=0),
        "batch, duration and n_in must",
    ),
    "trials": (lambda: ep.poisson_spikes(ep.Parameters(), 10**12, seed=0), "batch, duration and n_in must be such"),
    "targets": (lambda: ep.random_targets(ep.Parameters(duration=1e14), seed=0), "batch, duration and n_out must be"),
    "feedback": (lambda: ep.random_feedback(ep.Parameters(n_out=10**12), 0), "n_lif, n_alif and n_out must be such"),
    "states": (
        lambda: ep.initial_state(ep.Parameters(), 10**12, U),
        "batch, n_lif and n_alif must be such that memory holds",
    ),
}


@pytest.mark.parametrize("what", HUGE)
def test_what_has_no_room_is_refused_before_any_work(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "physical_memory", lambda: 2**36)
    call, message = HUGE[what]
    with pytest.raises(MemoryError, match=says(message, "GiB where this machine has 64 GiB")):
        call()


def test_it_says_how_much_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "physical_memory", lambda: 2**30)
    p = ep.Parameters(n_in=2, duration=1024.0)
    with pytest.raises(MemoryError, match=says("got 2 GiB where this machine has 1 GiB")):
        ep.poisson_spikes(p, 2**17, seed=0)


ROOM: dict[str, tuple[Callable[[], object], int]] = {
    "one value for each neuron": (lambda: ep.Parameters(n_lif=2, n_alif=1), 16 * 3),
    "run": (lambda: ep.simulate(P, TRIAL.weights, TRIAL.inputs), 5 * 2 * 12 * 3),
    "traces": (lambda: ep.eligibility_traces(P, TRIAL.run, TRIAL.inputs), 3 * 2 * 12 * 2 * 3),
    "traces (method='traces')": (lambda: ep.eprop_gradients(P, TRIAL.run, TRIAL.inputs, SIGNAL), 2 * 12 * 3 * 3),
    "weights": (lambda: ep.random_weights(P, 0), (2 + 3 + 2) * 3),
    "state": (lambda: ep.initial_state(P, 2, U), 7 * 2 * 3),
}


@pytest.mark.parametrize("what", ROOM)
def test_what_has_room_is_computed_and_a_byte_less_is_not_enough(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, n_numbers = ROOM[what]
    call()
    monkeypatch.setattr(_checks, "physical_memory", lambda: 8 * n_numbers)
    call()
    monkeypatch.setattr(_checks, "physical_memory", lambda: 8 * n_numbers - 1)
    with pytest.raises(MemoryError, match=says("must be such that memory holds", f"{what}, got")):
        call()


def test_numbers_of_single_precision_need_half_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, inputs = TRIAL.weights.to(torch.float32), TRIAL.inputs.float()
    monkeypatch.setattr(_checks, "physical_memory", lambda: 4 * 5 * 2 * 12 * 3)
    ep.simulate(P, weights, inputs)
    with pytest.raises(MemoryError, match=says("batch, duration, n_lif and n_alif must be such that memory holds")):
        ep.simulate(P, TRIAL.weights, TRIAL.inputs)


@pytest.mark.parametrize("method", ["online", "closed_form"])
def test_methods_without_stored_traces_need_no_room_for_them(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "physical_memory", lambda: 8)
    assert ep.eprop_gradients(P, TRIAL.run, TRIAL.inputs, SIGNAL, method).w_in is not None


def test_the_memory_of_this_machine_is_a_sensible_number() -> None:
    assert 2**30 <= _checks.physical_memory() <= 2**47


# What they return is finite.

W_IN = TRIAL.weights.w_in.detach()
HUGE_WEIGHTS = ep.Weights(*(torch.full_like(w, 1e308) for w in TRIAL.weights))
ONES = torch.ones(1, 12, 1, dtype=torch.float64)
NEAR = ep.Simulation(0 * ONES, 0 * ONES, 0 * ONES, 0 * ONES, psi=0.3 * ONES, sent=())
BUSY = TRIAL.run._replace(z=torch.ones_like(TRIAL.run.z))
FAR = torch.full_like(TRIAL.targets, 1e200)
STEEP = 1e200 * (1e200 * (TRIAL.weights.w_in - W_IN)).sum()  # 0, with a derivative of 1e400
OVERFLOW: dict[str, tuple[Callable[[], object], str]] = {
    "voltages": (lambda: ep.simulate(P, HUGE_WEIGHTS, TRIAL.inputs), "weights and parameters must be such that run.v"),
    "output": (lambda: ep.readout(P, HUGE_WEIGHTS, BUSY), "weights.w_out must be such that"),
    "loss": (lambda: ep.regression_loss(P, TRIAL.weights, TRIAL.run, FAR), "targets and weights.w_out must be such"),
    "rate loss": (lambda: ep.rate_loss(P, TRIAL.run, 1e200), "rate must be such that the loss is finite"),
    "learning signal": (
        lambda: ep.broadcast_learning_signal(P, TRIAL.weights, TRIAL.run, FAR, 1e200 * B),
        "targets, weights.w_out and feedback must be such that the learning signal is finite",
    ),
    "gradient": (lambda: ep.eprop_gradients(P, TRIAL.run, TRIAL.inputs, 1e308 * SIGNAL.sign()), "signal must be such"),
    "readout's gradient": (
        lambda: ep.readout_gradient(P, TRIAL.run, torch.full_like(FAR, 1e308)),
        "output_signal must be such that the gradient is finite",
    ),
    "traces": (
        # a neuron that stays just below its threshold: ε_a is multiplied by about −βψ in each step
        lambda: ep.eligibility_traces(ep.Parameters(n_in=1, n_lif=0, n_alif=1, duration=12.0, beta=1e300), NEAR, ONES),
        "parameters must be such that eps_a is finite",
    ),
    "update": (lambda: ep.adapt_feedback(1e308 * B.sign(), 1e308 * B.sign(), 0.0), "weight and change must be such"),
    "BPTT": (lambda: ep.bptt_gradients(STEEP, TRIAL.weights), "loss must be such that its derivative is"),
}


@pytest.mark.parametrize("what", OVERFLOW)
def test_what_overflows_is_not_returned(what: str) -> None:
    call, message = OVERFLOW[what]
    with pytest.raises(ValueError, match=says(message)):
        call()


@pytest.mark.parametrize(("field", "value"), [("threshold", 1e-50), ("threshold", 1e39), ("beta", 1e39)])
def test_a_parameter_that_float32_cannot_hold_is_refused_by_name(field: str, value: float) -> None:
    p = ep.Parameters(**{field: value})  # type: ignore[arg-type]  # the name decides the type
    weights, inputs = ep.random_weights(p, 0), ep.poisson_spikes(p, seed=0)
    ep.simulate(p, weights, inputs)
    with pytest.raises(ValueError, match=says(f"{field} must be what torch.float32 can hold, got {value}")):
        ep.simulate(p, weights.to(torch.float32), inputs.float())


def test_a_loss_whose_graph_is_gone_is_refused() -> None:
    trial = make_trial(P)
    torch.autograd.backward(trial.loss)
    for call in (
        lambda: ep.true_learning_signal(trial.loss, trial.run),
        lambda: ep.bptt_gradients(trial.loss, trial.weights),
    ):
        with pytest.raises(ValueError, match=says("loss must have a graph that can be differentiated")):
            call()


def test_a_run_of_the_compiled_path_is_told_apart() -> None:
    compiled = fast.simulate(P, TRIAL.weights, TRIAL.inputs)
    with pytest.raises(TypeError, match=says("run must be an instance of eprop_nb.Simulation, got eprop_nb.fast")):
        ep.eligibility_traces(P, compiled, TRIAL.inputs)  # type: ignore[arg-type]  # the mistake that is tested


@pytest.mark.parametrize("stream", ["input", "", None, 0])
def test_a_stream_is_one_of_those_there_are(stream: Any) -> None:
    with pytest.raises(ValueError, match=says("stream must be 'weights' or 'inputs' or", f"got {stream!r}")):
        seeded_generator(stream, 0)
