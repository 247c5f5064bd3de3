"""The same on a CUDA device, within the same bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import eprop_nb as ep
from eprop_nb.evidence.random_networks import BOUND, build, measure, random_case

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device on this machine")


def test_the_identity_holds_on_a_cuda_device() -> None:
    generator, compared = np.random.default_rng(11), 0
    for _ in range(60):
        case = random_case(generator)
        try:
            found = measure(case, device="cuda")
        except ep.VacuousComparisonError:
            continue
        compared += 1
        assert max(found.errors.values()) < BOUND
    assert compared > 40


def test_the_spikes_are_those_of_the_cpu() -> None:
    generator = np.random.default_rng(12)
    for _ in range(20):
        case = random_case(generator)
        assert torch.equal(build(case, "cuda").run.z.cpu(), build(case).run.z)


def test_what_the_device_has_no_room_for_is_refused() -> None:
    like = torch.zeros(1, device="cuda")
    assert ep.initial_state(ep.Parameters(), 2, like).v.device == like.device
    with pytest.raises(MemoryError, match=r"^batch, n_lif and n_alif must be .* GiB where the device cuda"):
        ep.initial_state(ep.Parameters(), 10**10, like)


def test_a_tensor_on_another_device_is_refused_by_name() -> None:
    p = ep.Parameters()
    weights, inputs = ep.random_weights(p, seed=0), ep.poisson_spikes(p, seed=0)
    with pytest.raises(ValueError, match=r"^inputs must be on the device cuda.*, got cpu"):
        ep.simulate(p, weights.to("cuda"), inputs)
    run = ep.simulate(p, weights.to("cuda"), inputs.to("cuda"))
    with pytest.raises(ValueError, match=r"^labels must be on the device cuda.*, got cpu"):
        ep.cross_entropy_loss(p, weights.to("cuda"), run, torch.zeros(1, dtype=torch.int64))
