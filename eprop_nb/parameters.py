"""Chapter 1: what defines an experiment — parameters, weights, input spikes and targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from eprop_nb import _checks

PerNeuron = float | Sequence[float]


class NeuronConstants(NamedTuple):
    """The constants of the neuron's equations, each [n_rec], with the symbol that the book gives them."""

    alpha: Tensor  #: α, decay of the membrane voltage in one time step
    rho: Tensor  #: ρ, decay of the threshold adaptation in one time step
    threshold: Tensor  #: thr, the firing threshold at rest
    beta: Tensor  #: β, how much one unit of adaptation raises the threshold; 0 for LIF neurons


@dataclass(frozen=True)
class Parameters:
    """The parameters of a recurrent network of LIF and ALIF neurons; the defaults are the seed experiment.

    The LIF neurons come first, the ALIF neurons after them. `tau_v`, `tau_a`, `threshold` and `beta` take one
    number, or one for each recurrent neuron; one number for `beta` applies to the ALIF neurons, and the LIF
    neurons have 0.

    Parameters
    ----------
    n_in, n_lif, n_alif, n_out : int
        Numbers of input, LIF, ALIF and output neurons: at least one input, one output and one recurrent neuron.
    dt : float
        Length of a time step, in ms.
    duration : float
        Length of a trial, in ms; a multiple of `dt`.
    tau_v, tau_a, tau_out : float
        Time constants of the membrane voltage, the threshold adaptation and the readout, in ms.
    rate_in : float
        Firing rate of each input neuron, in Hz; at most one spike in a time step.
    threshold : float
        Firing threshold at rest, in the unit of the voltage (dimensionless).
    beta : float
        Adaptation strength: how much one unit of adaptation raises the threshold (dimensionless).
    dampening : float
        Dampening factor γ of the pseudo-derivative (dimensionless).
    n_ref : int
        Refractory period in time steps: after a spike the neuron is silent for the ``n_ref - 1`` next steps.

    Raises
    ------
    TypeError
        If a count or `n_ref` is not a whole number, or another field is not a number.
    ValueError
        If a field is out of its range; the message names the field, what it got and what is allowed.
    MemoryError
        If there are more neurons than the machine can hold numbers.

    Notes
    -----
    The parameters of the models in Bellec et al. (2020), Methods, "LIF neurons" and "LSNNs"; γ is the paper's γ_pd.

    Examples
    --------
    >>> import eprop_nb as ep
    >>> ep.Parameters(n_lif=2, n_alif=1, beta=0.5).beta_per_neuron
    (0.0, 0.0, 0.5)
    """

    n_in: int = 3
    n_lif: int = 4
    n_alif: int = 4
    n_out: int = 1
    dt: float = 1.0
    duration: float = 50.0
    tau_v: PerNeuron = 20.0
    tau_a: PerNeuron = 500.0
    tau_out: float = 20.0
    rate_in: float = 100.0
    threshold: PerNeuron = 0.62
    beta: PerNeuron = 0.07
    dampening: float = 0.3
    n_ref: int = 2

    def __post_init__(self) -> None:
        for name in ("n_in", "n_out"):
            self._set(name, _checks.whole(name, getattr(self, name), least=1))
        for name in ("n_lif", "n_alif", "n_ref"):
            self._set(name, _checks.whole(name, getattr(self, name), least=0))
        if self.n_rec == 0:
            raise ValueError("n_lif + n_alif must be at least 1, got no recurrent neurons at all")
        # a tuple of Python's floats takes as much as four numbers an entry, and there are four such tuples
        _checks.memory("n_lif and n_alif", "one value for each neuron", 16 * self.n_rec)
        for name in ("dt", "duration", "tau_out", "rate_in", "dampening"):
            self._set(name, _checks.real(name, getattr(self, name)))
        for name in ("tau_v", "tau_a", "threshold"):
            self._set(name, _checks.per_neuron(name, getattr(self, name), self.n_rec))
        self._set("beta", _checks.per_neuron("beta", self.beta, self.n_rec, zero_allowed=True))
        steps = self.duration / self.dt
        if steps >= 1e15 or not math.isclose(round(steps) * self.dt, self.duration, rel_tol=1e-9):
            raise ValueError(f"duration must be a multiple of dt = {self.dt} ms, got {self.duration} ms")
        if self.rate_in * self.dt > 1000.0 * (1 + 1e-9):  # 1000/dt Hz must pass whatever its rounding
            raise ValueError(
                f"rate_in must be at most one spike in a time step, {1000.0 / self.dt} Hz at dt = {self.dt} ms, "
                f"got {self.rate_in} Hz"
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the way to normalise a field of a frozen dataclass

    @property
    def n_rec(self) -> int:
        """Number of recurrent neurons, LIF and ALIF."""
        return self.n_lif + self.n_alif

    @property
    def n_steps(self) -> int:
        """Number of time steps in a trial."""
        return round(self.duration / self.dt)

    @property
    def alpha(self) -> tuple[float, ...]:
        """Decay factor of each neuron's voltage in one time step, α = exp(−dt/τ_v)."""
        return tuple(math.exp(-self.dt / tau) for tau in self._spread(self.tau_v))

    @property
    def rho(self) -> tuple[float, ...]:
        """Decay factor of each neuron's adaptation in one time step, ρ = exp(−dt/τ_a)."""
        return tuple(math.exp(-self.dt / tau) for tau in self._spread(self.tau_a))

    @property
    def kappa(self) -> float:
        """Decay factor of the readout in one time step, κ = exp(−dt/τ_out)."""
        return math.exp(-self.dt / self.tau_out)

    @property
    def kappa_complement(self) -> float:
        """1 − κ = −expm1(−dt/τ_out): exact for long τ_out too, where subtracting κ from 1 would lose digits."""
        return -math.expm1(-self.dt / self.tau_out)

    @property
    def threshold_per_neuron(self) -> tuple[float, ...]:
        """Firing threshold at rest of each recurrent neuron, thr."""
        return self._spread(self.threshold)

    @property
    def beta_per_neuron(self) -> tuple[float, ...]:
        """Adaptation strength of each recurrent neuron, β; one number given for all stands for the ALIF neurons."""
        if isinstance(self.beta, Sequence):
            return tuple(self.beta)
        return (0.0,) * self.n_lif + (self.beta,) * self.n_alif

    def _spread(self, value: PerNeuron) -> tuple[float, ...]:
        return tuple(value) if isinstance(value, Sequence) else (value,) * self.n_rec

    def constants(self, like: Tensor) -> NeuronConstants:
        """Return α, ρ, thr and β as tensors [n_rec] with the dtype and on the device of `like`.

        Raises
        ------
        TypeError, ValueError
            If `like` is no dense floating-point tensor, or its dtype cannot hold a threshold or a β.
        """
        like = _checks.form("like", like, None, "of any shape")
        values = (self.alpha, self.rho, self.threshold_per_neuron, self.beta_per_neuron)
        constants = NeuronConstants(*(torch.tensor(value, dtype=like.dtype, device=like.device) for value in values))
        for name, held in (("threshold", constants.threshold), ("beta", constants.beta)):
            if not bool(torch.isfinite(held).all()) or (name == "threshold" and not bool(held.all())):
                raise ValueError(f"{name} must be what {like.dtype} can hold, got {getattr(self, name)}")
        return constants


class Weights(NamedTuple):
    """The weights of a network: tensors [pre, post].

    The diagonal of `w_rec` is never used: a neuron has no synapse onto itself.
    """

    w_in: Tensor  #: [n_in, n_rec]
    w_rec: Tensor  #: [n_rec, n_rec]
    w_out: Tensor  #: [n_rec, n_out]

    def to(self, target: torch.dtype | torch.device | str) -> Self:
        """Return copies of another dtype or on another device: new leaves of the graph that require gradients.

        Raises
        ------
        TypeError, ValueError
            If `target` is neither torch.float32 nor torch.float64 nor a device that can be used and holds numbers, or
            a matrix is no dense, finite floating-point tensor.
        """
        target = _checks.dtype_or_device("target", target)
        for name, weight in zip(self._fields, self, strict=True):
            _checks.tensor(f"weights.{name}", weight, (None, None), "[pre, post]")
        return type(self)(*(weight.detach().to(target, copy=True).requires_grad_() for weight in self))


def _check_weights(parameters: Parameters, weights: Weights) -> Weights:
    """Return `weights` if their shapes are those of `parameters` and they share dtype and device; raise otherwise."""
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("weights", weights, Weights)
    p = parameters
    like = _checks.tensor("weights.w_in", weights.w_in, (p.n_in, p.n_rec), "[n_in, n_rec]")
    _checks.tensor("weights.w_rec", weights.w_rec, (p.n_rec, p.n_rec), "[n_rec, n_rec]", like)
    _checks.tensor("weights.w_out", weights.w_out, (p.n_rec, p.n_out), "[n_rec, n_out]", like)
    return weights


def random_weights(parameters: Parameters, seed: int) -> Weights:
    """Draw the weights as the seed experiment does: normal, scaled by one over the root of the fan-in.

    Parameters
    ----------
    parameters : Parameters
        The network.
    seed : int
        Seed of the NumPy generator; the same seed gives the same weights everywhere.

    Returns
    -------
    Weights
        float64 tensors that require gradients. `w_in` has standard deviation 1/√n_in, `w_rec` 1/√n_rec with a
        diagonal of zeros, `w_out` 1.

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, or `seed` is no whole number from 0 to 2³² − 1.
    MemoryError
        If the weights are more than the machine can hold.

    Examples
    --------
    >>> import eprop_nb as ep
    >>> weights = ep.random_weights(ep.Parameters(n_in=3, n_lif=2, n_alif=2, n_out=1), seed=0)
    >>> [tuple(weight.shape) for weight in weights]
    [(3, 4), (4, 4), (4, 1)]
    >>> weights.w_rec.diagonal().any().item()
    False
    """
    _checks.instance("parameters", parameters, Parameters)
    p, generator = parameters, seeded_generator("weights", seed)
    _checks.memory("n_in, n_lif, n_alif and n_out", "the weights", (p.n_in + p.n_rec + p.n_out) * p.n_rec)
    w_in = generator.standard_normal((p.n_in, p.n_rec)) / math.sqrt(p.n_in)
    w_rec = generator.standard_normal((p.n_rec, p.n_rec)) / math.sqrt(p.n_rec)
    np.fill_diagonal(w_rec, 0.0)
    w_out = generator.standard_normal((p.n_rec, p.n_out))
    return Weights(*(torch.from_numpy(w).requires_grad_() for w in (w_in, w_rec, w_out)))


def poisson_spikes(parameters: Parameters, batch: int = 1, *, seed: int) -> Tensor:
    """Draw input spikes: in each time step each input neuron fires with probability rate_in · dt.

    Parameters
    ----------
    parameters : Parameters
        Uses `n_in`, `n_steps`, `rate_in` (Hz) and `dt` (ms).
    batch : int
        Number of trials.
    seed : int
        Seed of the NumPy generator.

    Returns
    -------
    Tensor
        Zeros and ones, float64, [batch, time, n_in].

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, `batch` is no whole number of at least 1, or `seed` none from 0 to 2³² − 1.
    MemoryError
        If the spikes are more than the machine can hold.

    Examples
    --------
    >>> import eprop_nb as ep
    >>> inputs = ep.poisson_spikes(ep.Parameters(n_in=3, duration=50.0), batch=2, seed=0)
    >>> tuple(inputs.shape), inputs.unique().tolist()
    ((2, 50, 3), [0.0, 1.0])
    """
    shape = _shape_of_trials(parameters, batch, "n_in")
    probability = parameters.rate_in * parameters.dt / 1000.0  # Hz · ms
    fired = seeded_generator("inputs", seed).random(shape) < probability
    return torch.from_numpy(fired.astype(np.float64))


def random_targets(parameters: Parameters, batch: int = 1, *, seed: int) -> Tensor:
    """Draw the target of the seed experiment, white noise: standard normal, float64, [batch, time, n_out].

    Raises
    ------
    TypeError, ValueError
        If `parameters` are none, `batch` is no whole number of at least 1, or `seed` none from 0 to 2³² − 1.
    MemoryError
        If the targets are more than the machine can hold.
    """
    shape = _shape_of_trials(parameters, batch, "n_out")
    return torch.from_numpy(seeded_generator("targets", seed).standard_normal(shape))


def _shape_of_trials(parameters: Parameters, batch: int, count: str) -> tuple[int, int, int]:
    """Return (batch, n_steps, n) for so many neurons as the field `count` says, if so much can be drawn."""
    _checks.instance("parameters", parameters, Parameters)
    shape = (_checks.whole("batch", batch, least=1), parameters.n_steps, int(getattr(parameters, count)))
    _checks.memory(f"batch, duration and {count}", "what is drawn", math.prod(shape))
    return shape


_STREAMS = ("weights", "inputs", "targets", "feedback", "labels", "pattern", "evidence", "actions")


def seeded_generator(stream: str, seed: int) -> np.random.Generator:
    """Return the NumPy generator of one of the things drawn, which has a stream of random bits of its own.

    With one stream for all, the inputs of seed 0 would be made of the same bits as its weights.
    """
    number = _STREAMS.index(_checks.one_of("stream", stream, _STREAMS))
    seed = _checks.whole("seed", seed, least=0)
    if seed >= 2**32:  # a longer seed would run into the number of the stream
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed}")
    return np.random.default_rng((seed, number))
