"""The second verification of the authors: symmetric e-prop is the exact gradient of a graph that is cut."""

from __future__ import annotations

import torch
from helpers import array, error, filtered_rule
from test_reference import reference, reference_parameters

import eprop_nb as ep

NAME = "symmetric_online"


def setting() -> tuple[ep.Parameters, ep.Weights, torch.Tensor, torch.Tensor]:
    r = reference(NAME)
    weights = ep.Weights(*(torch.from_numpy(r[key]).requires_grad_() for key in ("w_in", "w_rec", "w_out")))
    return reference_parameters(NAME), weights, torch.from_numpy(r["inputs"]), torch.from_numpy(r["y_target"])


def half_sum(p: ep.Parameters, weights: ep.Weights, run: ep.Simulation, y: torch.Tensor) -> torch.Tensor:
    return 0.5 * ep.output_error(p, weights, run, y).square().sum()


def test_it_is_autograd_s_gradient_of_the_cut_graph_for_all_weights() -> None:
    p, weights, x, y = setting()
    run = ep.simulate(p, weights, x, stop_recurrent_gradient=True)
    report = ep.compare(filtered_rule(p, weights, x, y, run), ep.bptt_gradients(half_sum(p, weights, run, y), weights))
    assert set(report.relative_errors) == {"w_in", "w_rec", "w_out"}
    assert report.max_relative_error < 1e-13


def test_it_is_what_the_authors_program_computed() -> None:
    p, weights, x, y = setting()
    run = ep.simulate(p, weights, x, stop_recurrent_gradient=True)
    loss = half_sum(p, weights, run, y)
    found, autograd = filtered_rule(p, weights, x, y, run), ep.bptt_gradients(loss, weights)
    r = reference(NAME)
    assert error(loss[None].detach(), r["loss"][None]) < 1e-13
    for key, ours in (
        ("g_eprop", found.w_rec),
        ("g_eprop_in", found.w_in),
        ("g_autodiff", autograd.w_rec),
        ("g_autodiff_in", autograd.w_in),
    ):
        assert error(ours, r[key]) < 1e-13


def test_the_cut_changes_no_number_of_the_simulation() -> None:
    p, weights, x, _ = setting()
    cut, whole = ep.simulate(p, weights, x, stop_recurrent_gradient=True), ep.simulate(p, weights, x)
    for ours, theirs in zip(cut[:5], whole[:5], strict=True):
        assert torch.equal(ours, theirs)


def test_without_the_cut_it_is_an_approximation_only() -> None:
    p, weights, x, y = setting()
    run = ep.simulate(p, weights, x)
    report = ep.compare(filtered_rule(p, weights, x, y, run), ep.bptt_gradients(half_sum(p, weights, run, y), weights))
    assert report.relative_errors["w_rec"] > 0.01
    assert report.relative_errors["w_out"] < 1e-13  # the readout's own gradient is exact in any case
    assert array(run.z).any()
