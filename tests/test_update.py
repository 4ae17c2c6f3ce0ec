"""What of an update is passed through the network, and what is exchanged."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from ddpo import parallelism
from ddpo.credit import Credit
from ddpo.parallelism import TorchParallelism
from ddpo.trajectory import Trajectory
from ddpo.update import Share


def share(counted: list[list[float]]) -> Share:
    rows = len(counted)
    ones = torch.ones(rows, len(counted[0]))
    chains = Trajectory(
        [str(row) for row in range(rows)], ones, ones, {"row": torch.arange(rows)}, None
    )
    credit = Credit(torch.arange(float(rows))[:, None])
    return Share(chains, credit, torch.tensor(counted), torch.tensor(3.0))


def test_samples_that_do_not_count_cost_no_pass() -> None:
    busy = share([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]).without_idle_samples()
    assert busy.trajectory.prompts == ["1", "3"]
    assert busy.trajectory.record["row"].tolist() == [1, 3]
    assert busy.credit.advantages.tolist() == [[1.0], [3.0]]
    assert busy.counted.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert busy.actions == 3  # over all processes


def test_where_all_count_nothing_is_copied() -> None:
    whole = share([[1.0, 0.0], [0.0, 1.0]])
    assert whole.without_idle_samples() is whole


def test_a_process_without_busy_samples_keeps_one() -> None:
    """So that it has the same gradients and figures to exchange as the others."""
    idle = share([[0.0], [0.0]]).without_idle_samples()
    assert idle.trajectory.prompts == ["0"]
    assert idle.counted.tolist() == [[0.0]]


def test_gradients_are_exchanged_in_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    exchanged: list[list[float]] = []

    def double(flat: torch.Tensor) -> None:  # two processes with the same gradients
        exchanged.append(flat.tolist())
        flat *= 2

    monkeypatch.setattr(torch.distributed, "all_reduce", double)
    monkeypatch.setattr(parallelism, "BUCKET", 4)
    sizes = {1: torch.float32, 3: torch.float32, 2: torch.float16, 9: torch.float32}
    parameters = [torch.nn.Parameter(torch.zeros(n, dtype=kind)) for n, kind in sizes.items()]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number + 1)
    frozen = torch.nn.Parameter(torch.zeros(5))
    two = create_autospec(Accelerator, instance=True)
    two.num_processes, two.distributed_type = 2, DistributedType.MULTI_CPU
    TorchParallelism(two, 1.0).average_gradients([*parameters, frozen])
    assert exchanged == [[1, 2, 2, 2], [4] * 9, [3, 3]]
    for number, parameter in enumerate(parameters):
        assert parameter.grad is not None
        assert parameter.grad.tolist() == [number + 1] * len(parameter)
    assert frozen.grad is None
