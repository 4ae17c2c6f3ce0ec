"""A run that was killed goes on as if nothing had happened, to the bit."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from ddpo.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from tests.journeys.journey import Journey, differences
from tests.journeys.moments import at, forgetting, killed

Uninterrupted = Callable[[int], Journey]

LAST_CALLS = {"sampling": 6, "scoring": 6, "updating": 12, "recording": 4, "saving": 12}
"""How often a process does each at least, before the run has ended."""

NOT_NEEDED = {"state/processes", "state/scaler", "state/found_sizes"}
"""Items that a run of as many processes in full precision, with enough memory, does without."""


def moments(processes: int) -> list[tuple[str, int, int]]:
    """A moment at random in each stage: stage, call, rank."""
    draw = random.Random(f"killed {processes}")
    return [
        (
            stage,
            draw.randint(1, last),
            0 if stage in ("recording", "saving") else draw.randrange(processes),
        )
        for stage, last in LAST_CALLS.items()
    ]


@pytest.mark.parametrize(
    ("processes", "stage", "call", "rank"),
    [(processes, *moment) for processes in (1, 2) for moment in moments(processes)],
)
def test_a_killed_run_resumes_to_the_bit(
    processes: int, stage: str, call: int, rank: int, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    whole = uninterrupted(processes)
    journey = replace(whole, folder=tmp_path)
    with journey.start(hooks=[at(stage, call, killed, rank)]) as started:
        assert started.wait_for_first() == -9, started.output
    assert not (journey.run / "final").exists()
    journey.finish(resume=True)
    assert differences(journey, whole) == []


def test_two_processes_are_not_one(uninterrupted: Uninterrupted, tmp_path: Path) -> None:
    """The comparison sees a run that draws its random numbers elsewhere."""
    one = replace(uninterrupted(2), folder=tmp_path, processes=1)
    one.finish()
    assert differences(one, uninterrupted(2))


ITEMS = [
    "tensors/weights",
    "tensors/optimizer",
    "tensors/ema",
    "tensors/random_states/0.torch",
    "tensors/random_states/0.numpy",
    "state/random_states",
    "state/iteration",
    "state/samples_seen",
    "state/network_passes",
    "state/optimizer",
    "state/schedule",
    "state/ema_step",
    "state/algorithm/kl_coef",
    "state/algorithm/prompt_statistics",
]


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_of_the_state_matters(
    item: str, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    journey = uninterrupted(1).copy(tmp_path, after=2)
    journey.finish(resume=True, hooks=[forgetting(item)])
    assert differences(journey, uninterrupted(1))


def test_these_items_are_the_whole_state(uninterrupted: Uninterrupted) -> None:
    folder = uninterrupted(1).run / "checkpoints" / "000002"
    state = json.loads((folder / "state.json").read_text())
    found = {f"state/{key}" for key in state.keys() - {"algorithm"}}
    found |= {f"state/algorithm/{key}" for key in state["algorithm"]}
    found |= {f"tensors/{file.stem}" for file in folder.glob("*.safetensors")}
    with safe_open(folder / "random_states.safetensors", "pt") as file:
        found |= {f"tensors/random_states/{key}" for key in file.keys()}  # noqa: SIM118
    assert found - {"tensors/random_states"} == {*ITEMS, *NOT_NEEDED}


def cut_short(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (cut_short, "manifest.json"),
        (cut_short, "optimizer.safetensors"),
        (truncate, "weights.safetensors"),
        (flip_a_bit, "ema.safetensors"),
        (flip_a_bit, "state.json"),
    ],
)
def test_a_damaged_checkpoint_is_skipped_by_name(
    damage: Callable[[Path], None], file: str, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    journey = uninterrupted(1).copy(tmp_path, after=3)
    damage(journey.run / "checkpoints" / "000003" / file)
    output = journey.finish(resume=True)
    (line,) = [line for line in output.splitlines() if "was skipped" in line]
    assert line.startswith("checkpoint runs/run/checkpoints/000003 is damaged and was skipped: ")
    assert file in line
    assert "resumed after iteration 2 from runs/run/checkpoints/000002" in output
    assert differences(journey, uninterrupted(1)) == []


def test_a_checkpoint_that_is_saved_again_is_never_missing(
    uninterrupted: Uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped run saves what it may have saved already; a kill between two renames is no loss."""
    folder = tmp_path / "checkpoints"
    checkpoint = load_checkpoint(uninterrupted(1).run / "checkpoints" / "000002")
    save_checkpoint(folder, 2, checkpoint, keep=1)

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", kill)
    with suppress(KeyboardInterrupt):
        save_checkpoint(folder, 2, checkpoint, keep=1)
    assert find_checkpoint(folder, pytest.fail) == folder / "000002"


def test_without_a_whole_checkpoint_it_starts_again(
    uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    journey = uninterrupted(1).copy(tmp_path, after=1)
    shutil.rmtree(journey.run / "checkpoints" / "000001")
    assert "starting from the beginning" in journey.finish(resume=True)
    assert differences(journey, uninterrupted(1)) == []
