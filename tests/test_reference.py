"""The package reproduces what the authors' own program computed (Bellec et al. 2020), number for number."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Array, array, error

import eprop_nb as ep

DATA = Path(ep.__file__).parent / "data"
FILES = ("seed_defaults", "adaptive_batch")
TOLERANCE = 1e-13  # of the largest entry of each array: float64 rounding, and no more


@cache
def reference(name: str) -> dict[str, Array]:
    with np.load(DATA / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def reference_parameters(name: str) -> ep.Parameters:
    r = reference(name)
    return ep.Parameters(
        n_in=int(r["param_n_in"]),
        n_lif=int(r["param_n_LIF"]),
        n_alif=int(r["param_n_ALIF"]),
        n_out=r["w_out"].shape[1],
        dt=float(r["param_dt"]),
        duration=float(r["param_T"]),
        tau_v=float(r["param_tau_v"]),
        tau_a=float(r["param_tau_a"]),
        tau_out=20.0,  # fixed in the authors' program
        rate_in=float(r["param_f0"]),
        threshold=float(r["param_thr"]),
        beta=float(r["param_beta0"]),
        dampening=float(r["param_damp"]),
        n_ref=int(r["param_n_ref"]),
    )


def reference_run(name: str) -> tuple[ep.Parameters, ep.Weights, torch.Tensor, ep.Simulation]:
    r, parameters = reference(name), reference_parameters(name)
    weights = ep.Weights(*(torch.from_numpy(r[key]).requires_grad_() for key in ("w_in", "w_rec", "w_out")))
    inputs = torch.from_numpy(r["inputs"])
    return parameters, weights, inputs, ep.simulate(parameters, weights, inputs)


@cache
def ours(name: str) -> dict[str, Array]:
    """Compute everything that the reference file holds, under the names that it has there."""
    parameters, weights, inputs, run = reference_run(name)
    loss = ep.regression_loss(parameters, weights, run, torch.from_numpy(reference(name)["y_target"]))
    signal = ep.true_learning_signal(loss, run)
    traces = ep.eligibility_traces(parameters, run, ep.previous_spikes(run.z))
    eprop, bptt = ep.eprop_gradients(parameters, run, inputs, signal), ep.bptt_gradients(loss, weights)
    tensors = {
        "spikes": run.z,
        "v": run.v,
        "b": run.b,
        "v_scaled": run.v_scaled,
        "psi": run.psi,
        "y": ep.readout(parameters, weights, run),
        "loss": loss,
        "dE_dz": signal,
        "eps_v": ep.without_self_connections(traces.eps_v),
        "eps_a": ep.without_self_connections(traces.eps_a),
        "e": ep.without_self_connections(traces.e),
        "g_eprop": eprop.w_rec,
        "g_bptt": bptt.w_rec,
        "g_eprop_in": eprop.w_in,
        "g_bptt_in": bptt.w_in,
    }
    return {key: array(tensor) for key, tensor in tensors.items()}


@pytest.mark.parametrize("name", FILES)
def test_spikes_equal_those_of_the_authors_program(name: str) -> None:
    spikes = reference(name)["spikes"]
    assert spikes.any()
    np.testing.assert_array_equal(ours(name)["spikes"], spikes)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "key",
    [
        *("v", "b", "v_scaled", "psi", "y", "loss", "eps_v", "eps_a", "e", "dE_dz"),
        *("g_eprop", "g_bptt", "g_eprop_in", "g_bptt_in"),
    ],
)
def test_every_quantity_is_that_of_the_authors_program(name: str, key: str) -> None:
    assert error(ours(name)[key], reference(name)[key]) < TOLERANCE


def test_the_symmetric_learning_signal_and_its_gradient_are_those_of_the_authors_program() -> None:
    r = reference("symmetric_online")
    parameters, weights, inputs, run = reference_run("symmetric_online")
    targets = torch.from_numpy(r["y_target"])
    np.testing.assert_array_equal(array(run.z), r["spikes"])
    signal = ep.broadcast_learning_signal(parameters, weights, run, targets, weights.w_out.detach())
    assert error(signal, r["learning_signal"]) < TOLERANCE

    # The readout remembers, so that e-prop with a signal of the present filters the trace as the readout does; that
    # is the same sum as an unfiltered trace with the signal filtered backwards.
    traces = ep.eligibility_traces(parameters, run, ep.previous_spikes(run.z))
    pairs = traces.e.flatten(2)
    filtered = ep.without_self_connections(ep.low_pass(pairs, parameters.kappa).reshape(traces.e.shape))
    assert error(filtered, ep.without_self_connections(torch.from_numpy(r["filtered_e"]))) < TOLERANCE
    backwards = ep.low_pass(signal.flip(1), parameters.kappa).flip(1)
    eprop = ep.eprop_gradients(parameters, run, inputs, backwards)
    for found, wanted in ((eprop.w_rec, "g_eprop"), (eprop.w_rec, "g_autodiff"), (eprop.w_in, "g_eprop_in")):
        assert error(found, r[wanted]) < TOLERANCE
