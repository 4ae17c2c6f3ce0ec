"""Finished chains can be indexed, joined and moved, and are refused where they are wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from ddpo.trajectory import Trajectory


def trajectory(rows: int = 4, *, texts: bool = False) -> Trajectory:
    numbers = torch.arange(rows, dtype=torch.float32)
    return Trajectory(
        prompts=[f"prompt {row}" for row in range(rows)],
        log_probs=numbers[:, None] + torch.tensor([0.0, 0.25, 0.5]),
        mask=torch.tensor([1.0, 1.0, 0.0]).repeat(rows, 1),
        record={
            "latents": numbers[:, None, None] * torch.ones(4, 2),
            "tokens": numbers[:, None].long() * 10,
        },
        outputs=[f"text {row}" for row in range(rows)]
        if texts
        else numbers[:, None, None, None] * torch.ones(3, 2, 2),
        columns={"size": list(range(rows)), "tests": [[str(row)] for row in range(rows)]},
    )


def parts_of(chains: Trajectory) -> dict[str, Any]:
    """Everything in it, as plain lists."""
    outputs = (
        chains.outputs.tolist() if isinstance(chains.outputs, torch.Tensor) else chains.outputs
    )
    return {
        "prompts": chains.prompts,
        "log_probs": chains.log_probs.tolist(),
        "mask": chains.mask.tolist(),
        "record": {name: tensor.tolist() for name, tensor in chains.record.items()},
        "outputs": outputs,
        "columns": chains.columns,
    }


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(2, None), [2, 3]),
        (slice(0, 4, 3), [0, 3]),
        (slice(2, 2), []),
        (torch.tensor([3, 0, 3]), [3, 0, 3]),
    ],
)
def test_indexing_takes_the_rows_of_every_part(rows: Any, expected: list[int], texts: bool) -> None:
    chains = trajectory(texts=texts)[rows]
    assert len(chains) == len(expected)
    assert chains.prompts == [f"prompt {row}" for row in expected]
    assert chains.log_probs[:, 1].tolist() == [row + 0.25 for row in expected]
    assert chains.mask.shape == (len(expected), 3)
    assert chains.record["latents"][:, 3, 1].tolist() == expected
    assert chains.record["tokens"].flatten().tolist() == [10 * row for row in expected]
    assert chains.columns == {"size": expected, "tests": [[str(row)] for row in expected]}
    if isinstance(chains.outputs, list):
        assert chains.outputs == [f"text {row}" for row in expected]
    else:
        assert chains.outputs is not None
        assert chains.outputs[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("cuts", [[0, 4], [0, 1, 4], [0, 2, 2, 3, 4]])
def test_what_was_cut_concatenates_to_the_whole(cuts: list[int], texts: bool) -> None:
    whole = trajectory(texts=texts)
    parts = [whole[start:stop] for start, stop in pairwise(cuts)]
    assert parts_of(Trajectory.concatenate(parts)) == parts_of(whole)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("cuts", [[0, 4], [0, 1, 4], [0, 2, 2, 3, 4]])
def test_what_was_cut_can_be_put_back(cuts: list[int], texts: bool) -> None:
    whole = trajectory(texts=texts)
    room = whole[:1].room_for(4)
    places = [tensor.data_ptr() for tensor in room.record.values()]
    for start, stop in pairwise(cuts):
        room.put(start, whole[start:stop])
    assert parts_of(room) == parts_of(whole)
    assert [tensor.data_ptr() for tensor in room.record.values()] == places


def test_room_for_chains_without_outputs() -> None:
    whole = trajectory().without_outputs()
    room = whole[2:].room_for(4)
    room.put(0, whole)
    assert parts_of(room) == parts_of(whole)


def test_outputs_can_be_let_go() -> None:
    chains = trajectory().without_outputs()
    assert chains.outputs is None
    assert chains[1:3].outputs is None
    assert Trajectory.concatenate([chains[:1], chains[1:]]).outputs is None
    assert parts_of(chains) == {**parts_of(trajectory()), "outputs": None}


def test_every_tensor_moves_to_a_device() -> None:
    moved = trajectory().to("meta")
    assert isinstance(moved.outputs, torch.Tensor)
    tensors = [moved.log_probs, moved.mask, moved.outputs, *moved.record.values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.prompts == trajectory().prompts
    assert trajectory(texts=True).to("meta").outputs == ["text 0", "text 1", "text 2", "text 3"]
    assert trajectory().without_outputs().to("meta").outputs is None


@pytest.mark.parametrize("name", ["log_probs", "mask", "record", "outputs"])
def test_a_graph_is_refused(name: str) -> None:
    whole = trajectory()
    graph = {
        "log_probs": whole.log_probs.clone().requires_grad_(),
        "mask": whole.mask.clone().requires_grad_(),
        "record": {**whole.record, "latents": whole.record["latents"].clone().requires_grad_()},
        "outputs": torch.ones(4, 3, 2, 2, requires_grad=True),
    }
    with pytest.raises(ValueError, match="never holds a graph: detach"):
        replace(whole, **{name: graph[name]})


@pytest.mark.parametrize(
    "changed",
    [
        {"prompts": ["a"]},
        {"log_probs": torch.zeros(3, 3), "mask": torch.zeros(3, 3)},
        {"record": {"latents": torch.zeros(5, 2)}},
        {"outputs": torch.zeros(3, 3, 2, 2)},
        {"outputs": ["a"]},
        {"columns": {"size": [1, 2, 3]}},
    ],
    ids=["prompts", "log_probs", "record", "outputs", "texts", "columns"],
)
def test_parts_of_unequal_length_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="parts differ in length"):
        replace(trajectory(), **changed)


def test_the_record_alone_is_moved() -> None:
    chains = trajectory().with_record_on("meta")
    assert {tensor.device.type for tensor in chains.record.values()} == {"meta"}
    assert {chains.log_probs.device.type, chains.mask.device.type} == {"cpu"}
