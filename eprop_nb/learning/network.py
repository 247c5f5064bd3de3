"""A network as a module of PyTorch, whose `backward` computes e-prop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eprop_nb import _checks, fast
from eprop_nb.learning_signals import low_pass, random_feedback
from eprop_nb.parameters import Parameters, Weights, random_weights
from eprop_nb.simulation import simulate

FEEDBACK = ("symmetric", "random", "adaptive")
GRADIENTS = ("eprop", "bptt")


class EpropNetwork(nn.Module):
    """A recurrent network of LIF and ALIF neurons with a leaky readout, for any training loop of PyTorch.

    Forwards it gives the output and the spikes; any loss of both can be made of them. ``loss.backward()`` adds to
    `.grad` of `w_in` and `w_rec` the gradient of e-prop, that of `eprop_nb.eprop_gradients` for the learning signal
    that this loss and this feedback make, and to `.grad` of `w_out` the exact one.

    Parameters
    ----------
    parameters : Parameters
        The network.
    feedback : {"symmetric", "random", "adaptive"} or Tensor
        B, by which the error of the output reaches the neurons: the readout weights; fixed weights drawn at random;
        weights drawn at random that change as the readout weights do (they are a parameter, `feedback`, and get the
        gradient of `w_out`; an optimizer that lets both decay aligns them); or a tensor [n_rec, n_out].
    gradient : {"eprop", "bptt"}
        What `backward` computes; with "bptt" the full gradient, for comparison, and `feedback` must be "symmetric".
    weights : Weights, optional
        What to begin with; it is copied. Drawn by `eprop_nb.random_weights` if not given.
    seed : int
        Of what is drawn: weights and feedback.
    compiled : bool
        Whether the machine code of `eprop_nb.fast` does the work where it can: on the CPU, if no gradient is wanted
        with respect to the inputs. All else is done by plain PyTorch, to the same numbers.

    Attributes
    ----------
    w_in, w_rec, w_out : nn.Parameter
        The weights, [n_in, n_rec], [n_rec, n_rec] and [n_rec, n_out].
    feedback : Tensor or nn.Parameter or None
        B, [n_rec, n_out]; None if it is `w_out`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.

    Notes
    -----
    Bellec et al. (2020), equations (4) and (28) and supplement, Note 2; for "bptt", equation (1).

    Networks can be stacked: the spikes of one are the inputs of the next. With "bptt" all gradients are exact then as
    well. With "eprop" each network leaves out what leads from neuron to neuron within it. What a lower network is sent
    back passes the neurons above along their own states, which takes the future: it is no longer an online rule.
    """

    w_in: nn.Parameter
    w_rec: nn.Parameter
    w_out: nn.Parameter
    feedback: Tensor | None

    def __init__(
        self,
        parameters: Parameters,
        feedback: str | Tensor = "symmetric",
        gradient: str = "eprop",
        *,
        weights: Weights | None = None,
        seed: int = 0,
        compiled: bool = True,
    ) -> None:
        super().__init__()
        _checks.instance("parameters", parameters, Parameters)
        self.neurons = parameters
        self.gradient = _checks.one_of("gradient", gradient, GRADIENTS)
        self.compiled = _checks.flag("compiled", compiled)
        drawn = random_weights(parameters, seed) if weights is None else weights
        _checks.instance("weights", drawn, Weights)
        p = parameters
        shapes = ((p.n_in, p.n_rec), (p.n_rec, p.n_rec), (p.n_rec, p.n_out))
        for name, weight, shape in zip(Weights._fields, drawn, shapes, strict=True):
            checked = _checks.tensor(f"weights.{name}", weight, shape, "[pre, post]", drawn.w_in)
            self.register_parameter(name, nn.Parameter(checked.detach().clone()))
        with torch.no_grad():
            self.w_rec.fill_diagonal_(0)

        if isinstance(feedback, Tensor):
            b = _checks.tensor("feedback", feedback, shapes[2], "[n_rec, n_out]", self.w_out).detach().clone()
        elif _checks.one_of("feedback", feedback, FEEDBACK) == "symmetric":
            b = None
        else:
            b = random_feedback(parameters, seed).to(self.w_out)
        if b is not None and gradient == "bptt":
            raise ValueError("feedback must be 'symmetric' with gradient='bptt', which sends errors back by w_out")
        if isinstance(feedback, str) and feedback == "adaptive" and b is not None:
            self.register_parameter("feedback", nn.Parameter(b))
        else:
            self.register_buffer("feedback", b)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Run trials from zero states.

        Parameters
        ----------
        inputs : Tensor
            Input spikes, 0 or 1, [batch, time, n_in].

        Returns
        -------
        output : Tensor
            y, [batch, time, n_out].
        spikes : Tensor
            z, 0 or 1, [batch, time, n_rec].
        """
        p, weights = self.neurons, Weights(self.w_in, self.w_rec, self.w_out)
        if self.compiled and self.w_in.device.type == "cpu" and not getattr(inputs, "requires_grad", False):
            b = weights.w_out.detach() if self.feedback is None else self.feedback
            apply: Callable[..., tuple[Tensor, Tensor]] = _Compiled.apply
            return apply(p, self.gradient, inputs, *weights, b)
        run = simulate(p, weights, inputs, stop_recurrent_gradient=self.gradient == "eprop")
        filtered = low_pass(run.z, p.kappa, p.kappa_complement)
        if self.feedback is None:
            return filtered @ weights.w_out, run.z
        # The values come from the readout weights, and so does their gradient; to the neurons it goes by B.
        way_back = filtered @ self.feedback.detach()
        output = filtered.detach() @ weights.w_out + (way_back - way_back.detach())
        if self.feedback.requires_grad:
            as_the_readout = filtered.detach() @ self.feedback
            output = output + (as_the_readout - as_the_readout.detach())
        return output, run.z

    def extra_repr(self) -> str:
        """Say what the network is, in the way of PyTorch's modules."""
        p = self.neurons
        b = "symmetric" if self.feedback is None else "adaptive" if self.feedback.requires_grad else "fixed"
        sizes = f"n_in={p.n_in}, n_lif={p.n_lif}, n_alif={p.n_alif}, n_out={p.n_out}"
        return f"{sizes}, gradient={self.gradient!r}, feedback={b}"


class _Compiled(torch.autograd.Function):
    """Both phases of `eprop_nb.fast` as one node of a graph."""

    @staticmethod
    def forward(
        ctx: Any,
        parameters: Parameters,
        gradient: str,
        inputs: Tensor,
        w_in: Tensor,
        w_rec: Tensor,
        w_out: Tensor,
        feedback: Tensor,
    ) -> tuple[Tensor, Tensor]:
        weights = Weights(w_in, w_rec, w_out)
        run = fast.forward(parameters, weights, inputs)
        ctx.save_for_backward(inputs, w_in, w_rec, w_out, feedback)
        ctx.parameters, ctx.gradient, ctx.run = parameters, gradient, run
        ctx.set_materialize_grads(False)
        return torch.from_numpy(run.output), torch.from_numpy(run.z).to(w_in.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_signal: Tensor | None, spike_signal: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs, w_in, w_rec, w_out, feedback = ctx.saved_tensors
        if output_signal is None:
            output_signal = torch.zeros(ctx.run.output.shape, dtype=w_in.dtype)
        p, run, signals = ctx.parameters, ctx.run, (output_signal, spike_signal)
        if ctx.gradient == "bptt":
            found = fast.bptt_gradients(p, Weights(w_in, w_rec, w_out), run, inputs, *signals)
        else:
            found = fast.backward(p, run, inputs, output_signal, feedback, spike_signal)
        g_in, g_rec, g_out = (None if each is None else torch.from_numpy(each) for each in found)
        return None, None, None, g_in, g_rec, g_out, g_out if ctx.needs_input_grad[6] else None
