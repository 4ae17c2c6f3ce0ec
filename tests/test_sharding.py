"""Tensors in pieces on two processes, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh

from ddpo.sharding import whole
from tests.support.processes import fork

SHAPES = [(4, 3), (5, 2), (1, 2, 2), (3,), (2, 0)]
"""Rows for both alike, one more for the first, none for the second; nothing at all."""


def put_together() -> int:
    """Divide tensors in some ways; 0 where `whole` is what was divided."""
    accelerator = Accelerator(cpu=True)
    together = DTensor.full_tensor

    def other_than_rows(self: DTensor) -> Any:
        assert self.placements != (Shard(0),), "gathered in the way that crashes"
        return together(self)

    DTensor.full_tensor = other_than_rows  # pyright: ignore[reportAttributeAccessIssue]
    mesh = init_device_mesh("cpu", (2,))
    same = []
    for shape in SHAPES:
        for dtype in (torch.float64, torch.bfloat16):
            numbers = torch.arange(torch.Size(shape).numel(), dtype=dtype).reshape(shape)
            for placement in (Shard(0), Replicate(), *[Shard(1)] * (len(shape) > 1)):
                divided = distribute_tensor(numbers, mesh, [placement], src_data_rank=None)
                found = whole(divided)
                same.append(found.dtype == dtype and torch.equal(found, numbers))
    accelerator.end_training()
    return 0 if all(same) and len(same) == 28 else 1


def test_pieces_make_the_tensor_that_was_divided(tmp_path: Path) -> None:
    with fork(put_together, cwd=tmp_path, count=2) as processes:
        assert processes.wait() == [0, 0], processes.output
    plain = torch.ones(2)
    assert whole(plain) is plain
