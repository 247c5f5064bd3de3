"""What the compiled path takes, and what it refuses before it starts: every array of every public function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import says

import eprop_nb as ep
from eprop_nb import fast
from eprop_nb.fast import kernels

Array = np.ndarray[Any, np.dtype[Any]]
P = ep.Parameters(n_in=2, n_lif=2, n_alif=3, n_out=3, duration=6.0, rate_in=400.0)


def good_calls() -> dict[str, dict[str, Any]]:
    """Return arguments of each public function, as arrays."""
    w_in, w_rec, w_out = (w.detach().numpy() for w in ep.random_weights(P, 0))
    weights: Any = ep.Weights(np.abs(w_in), w_rec, w_out)  # type: ignore[arg-type]  # arrays are fine
    inputs, targets = ep.poisson_spikes(P, 4, seed=0).numpy(), ep.random_targets(P, 4, seed=0).numpy()
    feedback = ep.random_feedback(P, 0).numpy()
    run = fast.simulate(P, weights, inputs)
    of = {"parameters": P}
    return {
        "broadcast_gradients": of | {"weights": weights, "inputs": inputs, "targets": targets, "feedback": feedback},
        "forward": of | {"weights": weights, "inputs": inputs},
        "backward": of
        | {"run": run, "inputs": inputs, "output_signal": targets, "feedback": feedback, "spike_signal": run.v},
        "bptt_gradients": of
        | {"weights": weights, "run": run, "inputs": inputs, "output_signal": targets, "spike_signal": run.v},
        "simulate": of | {"weights": weights, "inputs": inputs},
        "readout": of | {"weights": weights, "run": run},
        "eprop_gradients": of | {"run": run, "inputs": inputs, "signal": run.v},
        "readout_gradient": of | {"run": run, "output_signal": targets},
    }


GOOD = good_calls()
ARRAYS = [
    (function, path)
    for function, arguments in GOOD.items()
    for name in arguments
    for path in {
        "parameters": [],
        "weights": ["weights.w_in", "weights.w_rec", "weights.w_out"],
        "run": ["run.z", "run.psi"],
    }.get(name, [name])
]
every_array = pytest.mark.parametrize(("function", "path"), ARRAYS)


def value_at(arguments: dict[str, Any], path: str) -> Array:
    name, _, field = path.partition(".")
    value: Array = getattr(arguments[name], field) if field else arguments[name]
    return value


def changed(arguments: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    name, _, field = path.partition(".")
    return arguments | {name: arguments[name]._replace(**{field: value}) if field else value}


class Metres(np.ndarray[Any, np.dtype[Any]]):
    """An array whose numbers mean something more."""


class Tracked(torch.Tensor):
    """The same as a tensor."""


def quietly(make: Callable[[], torch.Tensor]) -> torch.Tensor:
    with warnings.catch_warnings():  # some kinds of tensors tell that they are new
        warnings.simplefilter("ignore")
        return make()


BAD: dict[str, tuple[Callable[[Array], object], type[Exception], tuple[object, ...]]] = {
    "list": (lambda a: a.tolist(), TypeError, ("NumPy array or a torch.Tensor", "got list")),
    "number": (lambda _: 1.0, TypeError, ("NumPy array or a torch.Tensor", "got float")),
    "NumPy's number": (lambda _: np.float64(1), TypeError, ("NumPy array or a torch.Tensor", "got float64")),
    "text": (lambda _: "spikes", TypeError, ("NumPy array or a torch.Tensor", "got str")),
    "masked": (
        lambda a: np.ma.masked_array(a, mask=a > 0),
        TypeError,
        ("no subclass", "MaskedArray"),
    ),
    "subclass": (lambda a: a.view(Metres), TypeError, ("no subclass", "Metres")),
    "bool": (lambda a: a.astype(bool), TypeError, ("float32 or float64", "got bool")),
    "whole numbers": (lambda a: a.astype(int), TypeError, ("float32 or float64", "got int64")),
    "complex": (lambda a: a.astype(complex), TypeError, ("float32 or float64", "got complex128")),
    "half": (lambda a: a.astype(np.float16), TypeError, ("float32 or float64", "got float16")),
    "long": (lambda a: a.astype(np.longdouble), TypeError, ("float32 or float64", "got")),
    "objects": (lambda a: a.astype(object), TypeError, ("float32 or float64", "got object")),
    "texts": (lambda a: a.astype(str), TypeError, ("float32 or float64", "got <U32")),
    "structured": (lambda a: np.zeros(a.shape, [("x", float)]), TypeError, ("float32 or float64", "'x'")),
    "other byte order": (lambda a: a.astype(a.dtype.newbyteorder()), TypeError, ("float32 or float64", "f8")),
    "no axis": (lambda _: np.array(1.0), ValueError, ("must have the shape", "got ()")),
    "nothing": (lambda a: a[:0], ValueError, ("must have the shape", "got (0, ")),
    "an axis too few": (lambda a: a[0], ValueError, ("must have the shape", "got (")),
    "an axis too many": (lambda a: a[None], ValueError, ("must have the shape", "got (1, ")),
    "too long": (lambda a: np.concatenate((a, a), -1), ValueError, ("must have the shape", "got (")),
    "turned": (lambda a: a[:-1].swapaxes(-1, -2), ValueError, ("must have the shape", "got (")),
    "too large to exist": (lambda _: np.broadcast_to(0.0, (10**6, 10**5, 10**5)), ValueError, ("must have the shape",)),
    "sparse": (lambda a: torch.from_numpy(a).to_sparse(), TypeError, ("dense", "sparse_coo")),
    "compressed": (lambda a: quietly(torch.ones(a.shape).double().to_sparse_csr), TypeError, ("dense", "sparse_csr")),
    "nested": (
        lambda a: quietly(lambda: torch.nested.nested_tensor(list(torch.from_numpy(a)))),
        TypeError,
        ("dense", "nested"),
    ),
    "jagged": (
        lambda a: quietly(lambda: torch.nested.nested_tensor(list(torch.from_numpy(a)), layout=torch.jagged)),
        TypeError,
        ("no subclass", "NestedTensor"),
    ),
    "meta": (lambda a: torch.from_numpy(a).to("meta"), ValueError, ("device cpu", "got meta")),
    "tensor's subclass": (lambda a: torch.from_numpy(a).as_subclass(Tracked), TypeError, ("no subclass", "Tracked")),
    "complex tensor": (
        lambda a: torch.from_numpy(a).to(torch.complex64),
        TypeError,
        ("float32 or torch.float64", "complex64"),
    ),
    "bool tensor": (lambda a: torch.from_numpy(a).bool(), TypeError, ("float32 or torch.float64", "torch.bool")),
    "brain float": (lambda a: torch.from_numpy(a).bfloat16(), TypeError, ("float32 or torch.float64", "bfloat16")),
    "quantized": (
        lambda a: quietly(lambda: torch.quantize_per_tensor(torch.from_numpy(a).float(), 0.1, 0, torch.quint8)),
        TypeError,
        ("float32 or torch.float64", "quint8"),
    ),
    "tensor without an axis": (lambda _: torch.tensor(1.0).double(), ValueError, ("must have the shape", "got ()")),
}
METHODS: dict[str, tuple[object, type[Exception]]] = {
    "unknown": ("traces", ValueError),
    "nothing": (None, TypeError),
    "a list": (["online"], TypeError),
    "an array": (np.array(["online", "online"]), TypeError),
    "bytes": (b"online", TypeError),
}


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a kernel is called."""

    def called(*_: object) -> bool:
        raise AssertionError("the arguments must be looked at before any work is done")

    for name in ("learn_closed_form", "learn_online", "run_forward", "run_backward", "sum_online"):
        monkeypatch.setattr(kernels, name, called)
    for name in ("run_trials", "read_trials", "sum_readout", "all_finite"):
        monkeypatch.setattr(kernels, name, called)


@every_array
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.usefixtures("no_kernel")
def test_a_bad_array_is_refused_by_name(function: str, path: str, kind: str) -> None:
    make, error, words = BAD[kind]
    bad = changed(GOOD[function], path, make(value_at(GOOD[function], path)))
    with pytest.raises(error, match="^" + says(path, *words)):
        getattr(fast, function)(**bad)


@pytest.mark.parametrize(
    ("function", "name", "kind", "words"),
    [
        (function, name, kind, words)
        for function, arguments in GOOD.items()
        for name, kind, words in (
            ("parameters", None, "instance of eprop_nb.Parameters, got NoneType"),
            ("parameters", GOOD["simulate"]["inputs"], "instance of eprop_nb.Parameters, got ndarray"),
            ("weights", None, "instance of eprop_nb.Weights, got NoneType"),
            ("weights", (1, 2, 3), "instance of eprop_nb.Weights, got tuple"),
            ("run", None, "instance of eprop_nb.Simulation, got NoneType"),
            ("run", GOOD["simulate"]["inputs"], "instance of eprop_nb.Simulation, got ndarray"),
        )
        if name in arguments
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.usefixtures("no_kernel")
def test_what_is_no_instance_is_refused_by_name(function: str, name: str, kind: object, words: str) -> None:
    with pytest.raises(TypeError, match="^" + says(name, words)):
        getattr(fast, function)(**GOOD[function] | {name: kind})


@pytest.mark.parametrize("function", ["broadcast_gradients", "eprop_gradients"])
@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.usefixtures("no_kernel")
def test_a_method_that_is_none_is_refused(function: str, kind: str) -> None:
    method, error = METHODS[kind]
    with pytest.raises(error, match="^" + says("method must be 'closed_form' or 'online', got")):
        getattr(fast, function)(**GOOD[function], method=method)


@every_array
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_by_name(function: str, path: str, value: float) -> None:
    array = value_at(GOOD[function], path).copy()
    array.flat[-1] = value
    with pytest.raises(ValueError, match="^" + says(path, "finite")):
        getattr(fast, function)(**changed(GOOD[function], path, array))


@pytest.mark.parametrize(
    ("function", "path"),
    [pair for pair in ARRAYS if pair[1] in ("inputs", "run.z")],
)
@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, 5e-324])
def test_what_is_no_spike_is_refused_by_name(function: str, path: str, value: float) -> None:
    array = value_at(GOOD[function], path).copy()
    array.flat[-1] = value
    with pytest.raises(ValueError, match="^" + says(path, "0 or 1", value)):
        getattr(fast, function)(**changed(GOOD[function], path, array))


@pytest.mark.usefixtures("no_kernel")
def test_inside_a_transformation_of_torch_a_tensor_holds_no_numbers() -> None:
    arguments = GOOD["broadcast_gradients"]

    def loss(w_in: torch.Tensor) -> torch.Tensor:
        fast.broadcast_gradients(**changed(arguments, "weights.w_in", w_in))
        return w_in.sum()

    with pytest.raises(TypeError, match=says("weights.w_in", "holds numbers")):
        torch.func.grad(loss)(torch.from_numpy(value_at(arguments, "weights.w_in")))


def filled(array: Array, into: Array) -> Array:
    into[...] = array
    return into


def on_disk(array: Array, folder: Path) -> Array:
    kept = np.memmap(folder / "array", array.dtype, "w+", shape=array.shape)
    return filled(array, kept)


def frozen(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def unaligned(array: Array) -> Array:
    return filled(array, np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape))


FINE: dict[str, Callable[[Array, Path], object]] = {
    "tensor": lambda a, _: torch.from_numpy(a.copy()),
    "parameter": lambda a, _: torch.nn.Parameter(torch.from_numpy(a.copy())),
    "tensor of a graph": lambda a, _: torch.from_numpy(a.copy()).requires_grad_() * 1,
    "conjugate's imaginary part": lambda a, _: (
        torch.complex(torch.zeros(a.shape).double(), -torch.from_numpy(a)).conj().imag
    ),
    "turned tensor": lambda a, _: torch.from_numpy(np.ascontiguousarray(a.T)).permute(*range(a.ndim)[::-1]),
    "read-only": lambda a, _: frozen(a),
    "columns first": lambda a, _: np.asfortranarray(a),
    "every second": lambda a, _: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a, _: np.ascontiguousarray(a[::-1])[::-1],
    "not aligned": lambda a, _: unaligned(a),
    "on disk": on_disk,
}


@every_array
@pytest.mark.parametrize("kind", FINE)
def test_an_odd_array_that_holds_the_same_numbers_gives_the_same(
    function: str, path: str, kind: str, tmp_path: Path
) -> None:
    wanted, call = getattr(fast, function)(**GOOD[function]), getattr(fast, function)
    found = call(**changed(GOOD[function], path, FINE[kind](value_at(GOOD[function], path), tmp_path)))

    def numbers(result: Any) -> list[Any]:
        return [n for each in result for n in numbers(each)] if isinstance(result, tuple) else [result]

    assert any(np.any(each) for each in numbers(wanted))
    for one, other in zip(numbers(found), numbers(wanted), strict=True):
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)


def test_rows_that_share_their_memory_are_read_as_rows() -> None:
    arguments = GOOD["broadcast_gradients"]
    inputs = np.broadcast_to(arguments["inputs"][:1], arguments["inputs"].shape)
    assert inputs.strides[0] == 0
    found, wanted = (fast.simulate(P, arguments["weights"], x) for x in (inputs, inputs.copy()))
    np.testing.assert_array_equal(found.z, wanted.z)
