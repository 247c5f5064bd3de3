"""Programs that compute e-prop's gradients: ours, compiled and not, and others that do the same.

A program takes a `Problem` and returns a function without arguments, which runs the network and returns the gradients
of the three matrices. What can be done once for many updates (putting data in place, compiling) is done before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import eprop_nb as ep
from eprop_nb import fast

Gradients = tuple[Any, Any, Any]  # w_in, w_rec, w_out
Call = Callable[[], Gradients]


class Problem(NamedTuple):
    """A network, drawn as in the seed experiment, half of it ALIF neurons, and trials for it."""

    n_rec: int
    n_steps: int
    batch: int
    n_in: int = 20
    rate_in: float = 50.0  # Hz

    @property
    def parameters(self) -> ep.Parameters:
        """The parameters of the network."""
        n_lif = self.n_rec // 2
        return ep.Parameters(
            n_in=self.n_in,
            n_lif=n_lif,
            n_alif=self.n_rec - n_lif,
            duration=float(self.n_steps),
            rate_in=self.rate_in,
        )

    def draw(self) -> tuple[ep.Parameters, ep.Weights, torch.Tensor, torch.Tensor]:
        """Return parameters, weights, inputs and targets."""
        p = self.parameters
        return (
            p,
            ep.random_weights(p, 0),
            ep.poisson_spikes(p, self.batch, seed=0),
            ep.random_targets(p, self.batch, seed=0),
        )


def compiled(problem: Problem, method: str) -> Call:
    """`eprop_nb.fast`, symmetric e-prop."""
    p, weights, inputs, targets = problem.draw()
    arrays: list[Any] = [w.detach().numpy() for w in weights]
    x, y = inputs.numpy(), targets.numpy()
    held = ep.Weights(*arrays)

    def call() -> Gradients:
        w_in, w_rec, w_out = fast.broadcast_gradients(p, held, x, y, method=method).gradients
        return w_in, w_rec, w_out

    return call


def reference(problem: Problem, method: str) -> Call:
    """`eprop_nb`, symmetric e-prop: PyTorch, without autograd."""
    p, weights, inputs, targets = problem.draw()

    @torch.no_grad()
    def call() -> Gradients:
        run = ep.simulate(p, weights, inputs)
        error = ep.output_error(p, weights, run, targets)
        signal = ep.low_pass(error.flip(1), p.kappa).flip(1) @ weights.w_out.T
        w_in, w_rec, _ = ep.eprop_gradients(p, run, inputs, signal, method)
        return w_in, w_rec, ep.readout_gradient(p, run, error)

    return call


def autograd(problem: Problem, *, stop_recurrent_gradient: bool) -> Call:
    """`eprop_nb`, by PyTorch's autograd: symmetric e-prop if the recurrent gradient is stopped, and else BPTT."""
    p, weights, inputs, targets = problem.draw()

    def call() -> Gradients:
        run = ep.simulate(p, weights, inputs, stop_recurrent_gradient=stop_recurrent_gradient)
        loss = 0.5 * ep.output_error(p, weights, run, targets).square().sum()
        return torch.autograd.grad(loss, tuple(weights))  # type: ignore[return-value]  # as many as there are weights

    return call


def jax_cell(p: ep.Parameters, *, bptt: bool) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return a function of weights, constants and inputs that gives the output and the firing rates, for JAX.

    A scan over time. Without BPTT, what a neuron sends to others and to its own reset has no gradient. The constants,
    `jax_constants`, are arguments. As arrays that the function closes over, they make XLA's code four times slower.
    """
    import jax  # noqa: PLC0415  # a peer, which may not be installed
    import jax.numpy as jnp  # noqa: PLC0415  # likewise

    jax.config.update("jax_enable_x64", True)
    silent = float(max(p.n_ref - 1, 0))

    def step_function(u: Any) -> Any:
        return (u > 0).astype(u.dtype)

    spike = jax.custom_vjp(step_function)

    def forwards(u: Any) -> tuple[Any, Any]:
        return step_function(u), u

    def backwards(u: Any, g: Any) -> tuple[Any]:
        return (g * p.dampening * jnp.maximum(0, 1 - jnp.abs(u)),)

    spike.defvjp(forwards, backwards)

    def run(weights: Any, constants: Any, x: Any) -> tuple[Any, Any]:
        w_in, w_rec, w_out = weights
        alpha, rho, thr, beta, kappa = constants
        w_rec = w_rec * (1 - jnp.eye(p.n_rec, dtype=w_rec.dtype))
        zero = jnp.zeros((x.shape[0], p.n_rec), w_rec.dtype)

        def step(state: Any, current: Any) -> tuple[Any, Any]:
            v, b, z, refractory, a, count = state
            sent = z if bptt else jax.lax.stop_gradient(z)
            b = rho * b + z
            v = alpha * v + current + sent @ w_rec - thr * sent
            z = jnp.where(refractory > 0, 0.0, spike((v - thr - beta * b) / thr))
            refractory = jnp.where(z > 0, silent, jnp.maximum(refractory - 1, 0))
            a = kappa * a + (1 - kappa) * z
            return (v, b, z, refractory, a, count + z), a

        state, a = jax.lax.scan(step, (zero,) * 6, jnp.swapaxes(x @ w_in, 0, 1), unroll=UNROLL)
        return jnp.swapaxes(a, 0, 1) @ w_out, state[-1].mean(0) / x.shape[1]

    return run


def jax_constants(p: ep.Parameters, dtype: Any = np.float64) -> tuple[NDArray[Any], ...]:
    """Return the constants of `jax_cell`."""
    return tuple(np.array(c, dtype) for c in (p.alpha, p.rho, p.threshold_per_neuron, p.beta_per_neuron, p.kappa))


def jax_autodiff(problem: Problem) -> Call:
    """Differentiate the same cell by JAX: compiled by XLA, a scan over time, float64, data on the device."""
    import jax  # noqa: PLC0415  # a peer, which may not be installed
    import jax.numpy as jnp  # noqa: PLC0415  # likewise

    p, drawn, inputs, targets = problem.draw()
    run = jax_cell(p, bptt=False)

    def loss(weights: Any, constants: Any, x: Any, y: Any) -> Any:
        return 0.5 * jnp.sum((run(weights, constants, x)[0] - y) ** 2)

    weights = tuple(w.detach().numpy() for w in drawn)
    arguments = jax.device_put((weights, jax_constants(p), inputs.numpy(), targets.numpy()))
    gradient = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()

    def call() -> Gradients:
        w_in, w_rec, w_out = jax.block_until_ready(gradient(*arguments))[1]
        return w_in, w_rec, w_out

    return call


UNROLL = 4  # steps of the scan in one turn of XLA's loop; of 1, 4 and 16, this is the quickest for batches of one

PROGRAMS: dict[str, Callable[[Problem], Call]] = {
    "compiled, closed form": lambda problem: compiled(problem, "closed_form"),
    "compiled, online": lambda problem: compiled(problem, "online"),
    "JAX jit, autodiff e-prop": jax_autodiff,
    "PyTorch, closed form": lambda problem: reference(problem, "closed_form"),
    "PyTorch, online": lambda problem: reference(problem, "online"),
    "PyTorch, traces": lambda problem: reference(problem, "traces"),
    "PyTorch autograd, e-prop": lambda problem: autograd(problem, stop_recurrent_gradient=True),
    "PyTorch autograd, BPTT": lambda problem: autograd(problem, stop_recurrent_gradient=False),
}


def right_answer(problem: Problem, *, bptt: bool) -> list[NDArray[np.float64]]:
    """Return the gradients that a program must find, by another way than its own.

    For BPTT that is the sum of true learning signal × eligibility trace, by compiled code; else PyTorch's closed form.
    """
    if not bptt:
        return [np.asarray(each) for each in reference(problem, "closed_form")()]
    p, weights, inputs, targets = problem.draw()
    run = ep.simulate(p, weights, inputs)
    error = ep.output_error(p, weights, run, targets)
    signal = ep.true_learning_signal(0.5 * error.square().sum(), run)
    w_in, w_rec, _ = fast.eprop_gradients(p, run, inputs, signal)
    return [w_in, w_rec, fast.readout_gradient(p, run, error)]
