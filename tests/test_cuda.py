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
