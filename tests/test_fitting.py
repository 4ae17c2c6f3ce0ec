"""Passes that fit: who notices that memory ran out, and where a record waits."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from ddpo.batching import BatchPlan, plan_batches
from ddpo.config.reading import decode_config
from ddpo.fitting import attempted, fit_sampling
from ddpo.run import Run
from ddpo.trajectory import Trajectory
from ddpo.update import network_passes


def no_memory() -> str:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def on(kind: DistributedType) -> Accelerator:
    accelerator = MagicMock(spec=Accelerator)
    accelerator.distributed_type = kind
    accelerator.device = torch.device("cpu")
    accelerator.gather.side_effect = lambda values: values
    return accelerator


def test_other_errors_are_not_out_of_memory() -> None:
    def broken() -> str:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    accelerator = on(DistributedType.NO)
    assert attempted(accelerator, no_memory) is None
    assert attempted(accelerator, lambda: "done") == "done"
    with pytest.raises(RuntimeError, match="mat1"):
        attempted(accelerator, broken)


def test_nothing_is_caught_where_a_pass_cannot_be_left_alone() -> None:
    accelerator = on(DistributedType.FSDP)
    with pytest.raises(torch.OutOfMemoryError):
        attempted(accelerator, no_memory)
    assert attempted(accelerator, lambda: "done") == "done"
    assert not accelerator.gather.called  # pyright: ignore[reportAttributeAccessIssue]


def test_a_process_that_succeeded_gives_way_to_one_that_did_not() -> None:
    accelerator = on(DistributedType.MULTI_GPU)
    accelerator.gather.side_effect = lambda values: torch.cat([values, torch.ones(1)])  # pyright: ignore
    assert attempted(accelerator, lambda: "done") is None


def test_held_out_samples_with_guidance_make_as_many_rows() -> None:
    tree: dict[str, Any] = {
        "name": "run",
        "policy": {"kind": "diffusion", "model": "shapes", "guidance_scale": 1.0},
        "prompts": {"set": "shapes"},
        "rewards": {"jpeg_compressibility": 1},
        "algorithm": {"kind": "ddpo"},
        "train": {"iterations": 1, "samples_per_iteration": 256},
        "evaluation": {"guidance_scale": 3.0},
    }
    run = MagicMock(spec=Run)
    run.config = decode_config(tree)
    run.plan, run.accelerator = plan_batches(run.config, 1), on(DistributedType.NO)

    def drawn(batch: int) -> Trajectory:
        ones = torch.ones(batch, 1)
        return Trajectory(["a"] * batch, ones, ones, {}, None)

    assert [len(fit_sampling(run, drawn, heldout=heldout)) for heldout in (False, True)] == [64, 32]


def test_a_record_comes_back_once_for_each_micro_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[int, str]] = []
    move = Trajectory.with_record_on

    def recorded(self: Trajectory, device: torch.device) -> Trajectory:
        moved.append((len(self), str(device)))
        return move(self, device)

    monkeypatch.setattr(Trajectory, "with_record_on", recorded)
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0]).repeat(5, 1)
    trajectory = Trajectory(["a"] * 5, mask, mask, {"latents": torch.arange(5.0)}, None)
    plan = BatchPlan(5, 1, 1, 1, 5, micro_batch=2, actions_per_pass=2)
    passes = list(network_passes(plan, trajectory))
    assert moved == [(2, "cpu"), (2, "cpu"), (1, "cpu")]
    assert [columns.tolist() for _, _, columns, _ in passes] == [[0, 1], [3]] * 3
    assert [last for *_, last in passes] == [False] * 5 + [True]
    assert [part.record["latents"].tolist() for part, *_ in passes[::2]] == [[0, 1], [2, 3], [4]]
