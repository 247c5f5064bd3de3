"""Say of somebody's gradient whether it is e-prop's, and if not, which mistake it is.

The mistakes are those of `eprop_nb.evidence.mistakes`: one of them, two at once, a constant factor, or none of these.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, utils

from eprop_nb import _checks
from eprop_nb.evidence import any_neuron, neurons
from eprop_nb.evidence.any_neuron import Unit
from eprop_nb.evidence.mistakes import MISTAKES, Context, Ingredients, filtered_back, gradients
from eprop_nb.gradients import VacuousComparisonError
from eprop_nb.parameters import Parameters, Weights

MATRICES = ("w_in", "w_rec", "w_out")
SIGNALS = ("true", "symmetric", "random")
_FLAT = 1e-12  # of the largest entry: mistakes that change less than this are none in this experiment


@dataclass(frozen=True)
class Verdict:
    """What somebody's gradient is, by matrix, and which known mistakes would make it."""

    relative_errors: dict[str, float]  #: against the right gradient, in units of its largest entry
    ratio: dict[str, float]  #: the constant that the right gradient has to be multiplied by to come closest
    cosine: dict[str, float]  #: of the angle between the two
    right: bool  #: whether it is the right gradient, to the tolerance
    mistakes: tuple[tuple[str, ...], ...]  #: what reproduces it to the tolerance: one or more that cannot be told apart
    factor: tuple[float, str] | None  #: a constant factor that remains, and its name if it has one
    resembles: tuple[tuple[str, float], ...]  #: known mistakes, nearest first, with the largest relative error
    tolerance: float  #: to which it was held

    def __repr__(self) -> str:
        """Return what one wants to paste into a report."""
        lines = [f"{'':6} {'relative error':>14} {'best ratio':>12} {'cosine':>10}"]
        for name, error in self.relative_errors.items():
            # what is right to the tolerance is not right by more or less: its last digits are those of a processor
            shown = f"{error:.1e}" if error >= self.tolerance else f"< {self.tolerance:.0e}"
            lines.append(f"{name:6} {shown:>14} {self.ratio[name]:12.6g} {self.cosine[name]:10.6f}")
        wrong = [name for name, error in self.relative_errors.items() if error >= self.tolerance]
        if not wrong:
            lines.append(f"It is e-prop's gradient, to {self.tolerance:.0e}.")
        elif wrong == ["w_out"]:
            lines.append(
                f"It is e-prop's gradient, to {self.tolerance:.0e}, but for w_out, which should be the exact one."
            )
        elif not self.mistakes and self.factor is None:
            lines.append(f"No known mistake reproduces it to {self.tolerance:.0e}, alone or with another one. Nearest:")
            lines += [f"  {error:.1e}  {name}" for name, error in self.resembles[:3]]
        else:
            found = [" and ".join(each) for each in self.mistakes]
            if self.factor is not None:
                value, name = self.factor
                factor = f"a constant factor of {value:.6g}" + (f", which is {name}" if name else "")
                found = [f"{each}, and {factor}" for each in found] or [factor]
            lines.append(f"Reproduced to {self.tolerance:.0e} by: {found[0]}.")
            lines += [f"In this experiment that cannot be told from: {each}." for each in found[1:]]
            named = set(itertools.chain(*self.mistakes))
            lines += [f"  {each.name}: {each.what}." for each in MISTAKES if each.name in named]
        return "\n".join(lines)


def diagnose(
    mine: object,
    parameters: Parameters | Unit,
    weights: Weights,
    inputs: Tensor,
    targets: Tensor | Callable[[Tensor], Tensor],
    signal: str | Tensor = "symmetric",
    *,
    spikes: object = None,
    layout: str = "pre_post",
    feedback: Tensor | None = None,
    kappa: float | None = None,
    gain: float | None = None,
    tolerance: float = 1e-9,
) -> Verdict:
    """Say what somebody's gradient is: e-prop's, a known mistake's, two at once, or unknown.

    Parameters
    ----------
    mine : mapping or object with fields
        Gradients by the names "w_in", "w_rec" and "w_out", or some of them: arrays of any library. What is wrong with
        the first two is looked for among known mistakes; that of the readout is exact or not.
    parameters : Parameters or Unit
        The neurons.
    weights : Weights
        The weights of the experiment.
    inputs : Tensor
        Its inputs, [batch, time, n_in].
    targets : Tensor or callable
        What the output y should be, [batch, time, n_out], for the loss ½ Σ (y − y*)²; or loss(y) for any other, as with
        a bias, in a window, or a cross-entropy in each step.
    signal : {"symmetric", "random", "true"} or Tensor
        Which learning signal the gradient was made with; for "random" `feedback` is needed. A tensor
        [batch, time, n] is the signal itself.
    spikes : array, optional
        The spikes of the other program, [batch, time, n].
    layout : {"pre_post", "post_pre"}
        How the matrices of `mine` lie.
    feedback : Tensor, optional
        B, [n, n_out].
    kappa, gain : float, optional
        The readout is a(t) = κ a(t−1) + gain · z(t), y = a W^out; those of the parameters unless given. For a readout
        without the factor 1 − κ the gain is 1. A unit has no readout of its own: κ is 0 and the gain 1 unless given.
    tolerance : float
        To which a gradient counts as reproduced, in units of its largest entry. For one that was computed in float32,
        1e-4 or so.

    Returns
    -------
    Verdict
        What it is; its `repr` says so in words.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; if a matrix has another shape, and then whether it would fit transposed;
        or if `spikes` are not those of this experiment, with the first difference.
    VacuousComparisonError
        If the right gradient is zero.

    Notes
    -----
    Bellec et al. (2020), equations (1), (4), (13) and (14).
    """
    tolerance = _checks.real("tolerance", tolerance)
    here = experiment(parameters, weights, inputs, targets, signal, feedback=feedback, kappa=kappa, gain=gain)
    _check_spikes(spikes, here.context.run)
    wanted = gradients(here.right) | {"w_out": here.w_out}
    given = _given(mine, wanted, layout)
    wanted = {name: wanted[name] for name in given}
    for name, matrix in wanted.items():
        if not bool(matrix.any()):
            raise VacuousComparisonError(
                f"the right gradient of {name} is zero in this experiment: any rule would pass"
            )
    return _judge(given, wanted, here, tolerance)


class Experiment(NamedTuple):
    """What the right gradient of an experiment is made of, and what mistakes may need."""

    right: Ingredients
    context: Context
    w_out: Tensor  #: the exact gradient of the readout's weights, [n, n_out]


def experiment(
    parameters: Parameters | Unit,
    weights: Weights,
    inputs: Tensor,
    targets: Tensor | Callable[[Tensor], Tensor],
    signal: str | Tensor = "symmetric",
    *,
    feedback: Tensor | None = None,
    kappa: float | None = None,
    gain: float | None = None,
) -> Experiment:
    """Simulate an experiment, and return the ingredients of its gradient: for mistakes to be made on purpose.

    Parameters
    ----------
    parameters, weights, inputs, targets, signal, feedback, kappa, gain
        As `diagnose` takes them.

    Returns
    -------
    Experiment
        What `eprop_nb.evidence.mistakes.gradients` makes the right gradient of.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    unit, p = (parameters, None) if isinstance(parameters, Unit) else (None, parameters)
    if unit is None:
        unit = neurons.alif(parameters)  # type: ignore[arg-type]  # it refuses what are no parameters
    kappa = _decay(kappa, p)
    gain = (1.0 if p is None else p.kappa_complement) if gain is None else _checks.real("gain", gain)
    _checks.instance("weights", weights, Weights)
    for name, weight in zip(Weights._fields, weights, strict=True):
        _checks.tensor(f"weights.{name}", weight, (None, None), "[pre, post]")
    _checks.tensor("inputs", inputs, (None, None, None), "[batch, time, n_in]")
    weights = Weights(*(weight.detach().double().requires_grad_() for weight in weights))
    inputs = inputs.double()
    run = any_neuron.simulate(unit, weights, inputs)
    told = _Readout(weights, targets, kappa, gain).says(run, inputs, signal, feedback)
    found = any_neuron.factors(unit, run)
    right = Ingredients(found, told.signal[..., None], inputs, any_neuron._before(unit, run.z.detach()))
    context = Context(p, unit, run, inputs, told.direct, kappa, told.true, told.symmetric, told.true_of)
    return Experiment(right, context, told.w_out)


# --------------------------------------------------------------------------------------------------- how it is done


def _decay(kappa: float | None, p: Parameters | None) -> float:
    if kappa is None:
        return 0.0 if p is None else p.kappa
    return _checks.real("kappa", kappa, zero_allowed=True, most=1)


class _Told(NamedTuple):
    signal: Tensor
    direct: Tensor
    symmetric: Tensor
    w_out: Tensor  # the exact gradient of the readout
    true: Callable[[], Tensor]
    true_of: Callable[[Unit], Tensor] | None


class _Readout(NamedTuple):
    """What makes a loss of spikes."""

    weights: Weights
    targets: Tensor | Callable[[Tensor], Tensor]
    kappa: float
    gain: float

    def _loss(self, run: any_neuron.Run) -> tuple[Tensor, Tensor, Tensor]:
        """Return the filtered spikes, the output, and the loss."""
        state, filtered = torch.zeros_like(run.z[:, 0]), []
        for z in run.sent:
            state = self.kappa * state + self.gain * z
            filtered.append(state)
        trace = torch.stack(filtered, 1)
        output = trace @ self.weights.w_out
        if callable(self.targets):
            return trace, output, self.targets(output)
        wanted = _checks.tensor("targets", self.targets, tuple(output.shape), "[batch, time, n_out]").double()
        return trace, output, (output - wanted).square().sum() / 2

    def _true_of(self, unit: Unit, inputs: Tensor) -> Tensor:
        run = any_neuron.simulate(unit, self.weights, inputs)
        return any_neuron.true_learning_signal(self._loss(run)[2], run)

    def says(self, run: any_neuron.Run, inputs: Tensor, signal: str | Tensor, feedback: Tensor | None) -> _Told:
        """Return what the neurons of a run are told."""
        batch, n_steps, n = run.z.shape
        trace, output, loss = self._loss(run)
        (error,) = torch.autograd.grad(loss, output, retain_graph=True)
        error, w_out = self.gain * error, torch.einsum("btj,btk->jk", trace.detach(), error)
        own = direct = error @ self.weights.w_out.detach().T

        @cache
        def true() -> Tensor:
            return any_neuron.true_learning_signal(loss, run)

        true_of = None
        if isinstance(signal, Tensor):
            said = _checks.tensor("signal", signal, (batch, n_steps, n), "[batch, time, n]").double()
        else:
            _checks.one_of("signal", signal, SIGNALS)
            if (signal == "random") != (feedback is not None):
                raise ValueError("feedback must be given with signal='random', and with no other")
            if feedback is not None:
                b = _checks.tensor("feedback", feedback, tuple(self.weights.w_out.shape), "[n, n_out]").double()
                direct = error @ b.T
            if signal == "true":
                said, true_of = true(), partial(self._true_of, inputs=inputs)
            else:
                said = filtered_back(direct, self.kappa)
        return _Told(said, direct, filtered_back(own, self.kappa), w_out, true, true_of)


def _distance(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Return the largest difference, in units of the largest entry of either of the two, over the matrices of ours."""
    worst = 0.0
    for name, matrix in ours.items():
        scale = max(float(matrix.abs().max()), float(theirs[name].abs().max()))
        worst = max(worst, float((matrix - theirs[name]).abs().max()) / scale if scale else 0.0)
    return worst


def _judge(
    given: dict[str, Tensor],
    wanted: dict[str, Tensor],
    here: Experiment,
    tolerance: float,
) -> Verdict:
    right, context, _ = here
    constants = _named_constants(context)
    errors = {name: float((given[name] - wanted[name]).abs().max() / wanted[name].abs().max()) for name in given}
    ratio = {name: _ratio({name: given[name]}, wanted) for name in given}
    cosine = {name: _cosine(given[name], wanted[name]) for name in given}
    is_right = max(errors.values()) < tolerance
    found: list[_Hypothesis] = []
    resembles: tuple[tuple[str, float], ...] = ()
    # The readout's gradient is exact whatever the rule is, and so it says nothing of a mistake in the rule.
    given = {name: matrix for name, matrix in given.items() if name != "w_out"}
    if any(errors[name] >= tolerance for name in given):
        singles = _singles(right, context)
        plain = {name: _distance(given, made) for name, made in singles.items()}
        resembles = tuple(sorted(((name, error) for (name,), error in plain.items()), key=lambda each: each[1]))
        found = _first_level(given, wanted, singles, right, context, tolerance)
    factor = None
    if found and found[0].factor is not None:
        value = found[0].factor
        close = [name for name, each in constants.items() if abs(value / each - 1) < max(tolerance, 1e-6)]
        factor = (value, close[0] if close else "")
    mistakes = tuple(each.names for each in found if each.names)
    return Verdict(errors, ratio, cosine, is_right, mistakes, factor, resembles, tolerance)


class _Hypothesis(NamedTuple):
    names: tuple[str, ...]
    factor: float | None


_Made = dict[tuple[str, ...], dict[str, Tensor]]


def _first_level(
    given: dict[str, Tensor],
    wanted: dict[str, Tensor],
    singles: _Made,
    right: Ingredients,
    context: Context,
    tolerance: float,
) -> list[_Hypothesis]:
    """Return what reproduces the gradient with as few mistakes as possible, of which a constant factor is one."""

    def fits(made: _Made, *, scaled: bool) -> list[_Hypothesis]:
        found: list[_Hypothesis] = []
        first = math.nan
        for names, gradient in made.items():
            factor = _ratio(given, gradient) if scaled else 1.0
            if not math.isfinite(factor) or factor == 0 or abs(factor / first - 1) > tolerance:
                continue
            if _distance(given, {name: factor * gradient[name] for name in given}) < tolerance:
                first = factor
                found.append(_Hypothesis(names, factor if scaled else None))
        return found

    # Of two that fit, the more special one is said: a mistake that amounts to a constant factor here goes by its name.
    at_first = fits(singles, scaled=False) or fits({(): wanted}, scaled=True) or fits(singles, scaled=True)
    if at_first:
        return at_first
    pairs = _pairs(singles, right, context)
    return fits(pairs, scaled=False) or fits(pairs, scaled=True)


def _singles(right: Ingredients, context: Context) -> _Made:
    """Return the gradients of all known mistakes that change something in this experiment."""
    plain = gradients(right)
    found: _Made = {}
    for each in MISTAKES:
        if each.anywhere or context.parameters is not None:
            made = gradients(each.change(right, context))
            if _distance(made, plain) > _FLAT:
                found[each.name,] = made
    return found


def _pairs(singles: _Made, right: Ingredients, context: Context) -> _Made:
    """Return the gradients of two mistakes at once, where that is something else than each of them."""
    known = {each.name: each for each in MISTAKES}
    found: _Made = {}
    for pair in itertools.combinations(itertools.chain(*singles), 2):
        first, second = sorted(pair, key=lambda name: known[name].rank)
        if known[first].rank == 2:  # both are ways to filter, of which there is one
            continue
        made = gradients(known[second].change(known[first].change(right, context), context))
        if min(_distance(made, singles[name,]) for name in (first, second)) > _FLAT:
            found[first, second] = made
    return found


def _ratio(given: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> float:
    """Return the constant c for which c · found is closest to what is given."""
    above = sum(float((given[name] * found[name]).sum()) for name in given)
    below = sum(float(found[name].square().sum()) for name in given)
    return above / below if below else math.nan


def _cosine(a: Tensor, b: Tensor) -> float:
    lengths = float(a.norm() * b.norm())
    return float((a * b).sum()) / lengths if lengths else math.nan


def _named_constants(context: Context) -> dict[str, float]:
    """Return constants by which a gradient is often off, by name."""
    p, kappa = context.parameters, context.kappa
    batch, n_steps, _ = context.run.z.shape
    named = {"2": 2.0, "1/2": 0.5, "−1": -1.0}
    sizes = {"the number of time steps": n_steps, "the number of trials": batch}
    sizes["the number of trials and time steps"] = batch * n_steps
    pairs: dict[str, float] = {key: float(value) for key, value in sizes.items()}
    if 0 < kappa < 1:
        pairs |= {"κ": kappa, "1 − κ": 1 - kappa}
    if p is not None:
        pairs["dt"] = p.dt
        pairs["γ"] = p.dampening
        if len(set(p.alpha)) == 1:
            pairs["1 − α"] = 1 - p.alpha[0]
        if len(set(p.threshold_per_neuron)) == 1:
            pairs["thr"] = p.threshold_per_neuron[0]
    for name, value in pairs.items():
        if value != 1:
            named[name], named[f"1/({name})" if " " in name else f"1/{name}"] = value, 1 / value
    return named


def _given(mine: object, wanted: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Return the matrices that were given, as [pre, post] in float64."""
    _checks.one_of("layout", layout, ("pre_post", "post_pre"))
    if isinstance(mine, Mapping):
        unknown = ", ".join(repr(name) for name in mine if name not in MATRICES)
        if unknown:
            raise ValueError(f"mine must have matrices by the names w_in, w_rec and w_out, got {unknown}")
    found = {}
    for name in MATRICES:
        value = mine.get(name) if isinstance(mine, Mapping) else getattr(mine, name, None)
        if value is None:
            continue
        matrix = _tensor(f"mine's {name}", value)
        if layout == "post_pre":
            matrix = matrix.T if matrix.ndim == 2 else matrix
        shape = tuple(wanted[name].shape)
        if matrix.shape != shape:
            other = "pre_post" if layout == "post_pre" else "post_pre"
            hint = f"; it would fit with layout={other!r}" if tuple(matrix.T.shape) == shape else ""
            raise ValueError(
                f"mine's {name} must have the shape {shape} = [pre, post], got {tuple(matrix.shape)}{hint}"
            )
        found[name] = matrix
    if not found:
        raise TypeError(f"mine must have a matrix by the name w_in, w_rec or w_out, got {type(mine).__name__}")
    return found


def _tensor(name: str, value: Any) -> Tensor:
    """Return an array of any library as a tensor in float64."""
    if isinstance(value, Tensor):
        matrix = value.detach().cpu()
    else:
        try:
            matrix = torch.from_numpy(np.array(value, dtype=np.float64))
        except (TypeError, ValueError, RuntimeError):
            if not hasattr(value, "__dlpack__"):
                raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from None
            matrix = utils.dlpack.from_dlpack(value).cpu()
    matrix = matrix.double()
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return matrix


def _check_spikes(spikes: object, run: any_neuron.Run) -> None:
    """Raise at the first spike, in time, that the other program has and this has not, or the other way round."""
    if spikes is None:
        return
    theirs = _tensor("spikes", spikes)
    if theirs.shape != run.z.shape:
        raise ValueError(
            f"spikes must have the shape {tuple(run.z.shape)} = [batch, time, n], got {tuple(theirs.shape)}"
        )
    differ = (theirs != run.z.detach()).nonzero()
    if not len(differ):
        return
    trial, t, neuron = differ[differ[:, 1].argmin()].tolist()
    ours, other = run.z[trial, t, neuron].item(), theirs[trial, t, neuron].item()
    state = ", ".join(f"{value:.6g}" for value in run.hidden[trial, t, neuron].tolist())
    raise ValueError(
        f"spikes must be those of this experiment, got others: first at step {t}, neuron {neuron} of trial {trial}, "
        f"where they have {other:g} and here is {ours:g}, with the hidden state ({state}); until they agree, the "
        "gradients cannot"
    )
