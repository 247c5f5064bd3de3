"""Two processes that share out the trials get the gradient of one."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import eprop_nb as ep
from eprop_nb import learning

P = ep.Parameters(n_in=8, n_lif=6, n_alif=6, n_out=2, duration=60.0, rate_in=150.0, tau_a=60.0, beta=0.3, n_ref=3)
TRIALS, WORLD = 6, 2


def gradients(net: torch.nn.Module, share: slice) -> list[torch.Tensor]:
    inputs, targets = ep.poisson_spikes(P, TRIALS, seed=1), ep.random_targets(P, TRIALS, seed=1)
    output, spikes = net(inputs[share])
    loss = (output - targets[share]).square().mean() + spikes.mean()
    torch.autograd.backward(loss)
    return [each.grad.clone() for each in net.parameters() if each.grad is not None]


def work(rank: int, folder: str, feedback: str, results: Any) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    # the seeds differ: what the first process has is sent to the others
    net = DistributedDataParallel(learning.EpropNetwork(P, feedback, seed=rank))
    share = TRIALS // WORLD
    found = gradients(net, slice(rank * share, (rank + 1) * share))
    results.put((rank, [each.numpy() for each in found]))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
def test_two_processes_get_the_gradient_of_one(feedback: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(k, str(tmp_path), feedback, results)) for k in range(WORLD)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=600) for _ in processes)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    wanted = gradients(learning.EpropNetwork(P, feedback, seed=0), slice(None))
    for ours, others, whole in zip(found[0], found[1], wanted, strict=True):
        assert (ours == others).all()
        assert whole.any()
        assert abs(ours - whole.numpy()).max() < 1e-13 * float(whole.abs().max())
