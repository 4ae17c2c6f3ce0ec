"""A checkpoint is complete or absent, whatever happens while it is written and afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ddpo.checkpoint
from ddpo.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    write_folder,
)

STATE = {"iteration": 3, "third": 1 / 3, "text": "ein Kätzchen", "nested": {"list": [1, None, 2.5]}}


def checkpoint(number: float = 0.0) -> Checkpoint:
    tensors = {"network": {"a": torch.full((3, 4), number)}, "optimizer": {"b": torch.arange(5)}}
    return Checkpoint(tensors, {**STATE, "number": number})


def save(folder: Path, *iterations: int, keep: int = 10) -> None:
    for iteration in iterations:
        save_checkpoint(folder, iteration, checkpoint(iteration), keep=keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refuse(message: str) -> None:
    raise AssertionError(f"a whole checkpoint was skipped: {message}")


def found(folder: Path, skipped: Callable[[str], None] = refuse) -> str | None:
    path = find_checkpoint(folder, skipped)
    return path and path.name


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = {
        "network": {
            "half": torch.randn(3, 5).to(torch.bfloat16),
            "double": torch.randn(2, dtype=torch.float64),
            "transposed": torch.arange(6).reshape(2, 3).T,
            "with.dots": torch.nn.Parameter(torch.tensor([0.1, float("nan"), -torch.inf])),
            "scalar": torch.tensor(7),
            "none": torch.zeros(0, 4),
        },
        "random.0": {"state": torch.randint(0, 256, (100,), dtype=torch.uint8)},
        "empty": {},
    }
    path = save_checkpoint(tmp_path / "new", 12, Checkpoint(tensors, STATE), keep=1)
    assert path == tmp_path / "new" / "000012"
    assert find_checkpoint(tmp_path / "new", refuse) == path
    loaded = load_checkpoint(path)
    assert loaded.state == STATE
    assert loaded.tensors.keys() == tensors.keys()
    for name, group in tensors.items():
        assert loaded.tensors[name].keys() == group.keys()
        for key, tensor in group.items():
            torch.testing.assert_close(
                loaded.tensors[name][key], tensor.detach(), rtol=0, atol=0, equal_nan=True
            )


def test_a_checkpoint_is_safetensors_and_json(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert names(tmp_path / "000001") == [
        "manifest.json",
        "network.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    manifest = json.loads((tmp_path / "000001" / "manifest.json").read_text())
    assert sorted(manifest) == ["network.safetensors", "optimizer.safetensors", "state.json"]


def test_the_newest_is_found_by_number(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    assert found(tmp_path / "absent") is None
    save(tmp_path, 999_999, 1_000_000, 5)
    (tmp_path / "notes").mkdir()
    (tmp_path / "2000000").write_text("a file")
    assert found(tmp_path) == "1000000"


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    save(tmp_path, 8, 9, 10, 11, keep=keep)
    assert names(tmp_path) == [f"{number:06d}" for number in range(12 - keep, 12)]
    assert load_checkpoint(tmp_path / "000011").state["number"] == 11


def test_a_damaged_newer_one_does_not_push_out_what_was_just_written(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    (tmp_path / "000010" / "state.json").unlink()
    save(tmp_path, 7, keep=1)
    assert found(tmp_path, lambda message: None) == "000007"


def test_nothing_is_pruned_before_the_new_one_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)
    removed: list[list[str]] = []

    def remove(path: Path, **options: Any) -> None:
        removed.append(names(tmp_path))
        real(path, **options)

    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", remove)
    save(tmp_path, 2, keep=1)
    assert removed[-1] == ["000001", "000002"]
    assert names(tmp_path) == ["000002"]


@contextlib.contextmanager
def files_of_at_most(size: int):
    """No file may grow beyond this: what a full disk does, for real."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_when_the_disk_is_full_the_older_one_survives(tmp_path: Path) -> None:
    save(tmp_path, 1)
    large = Checkpoint({"network": {"a": torch.zeros(500_000)}}, {})  # 2 MB
    with files_of_at_most(1_000_000), pytest.raises(OSError, match="File too large"):
        save_checkpoint(tmp_path, 2, large, keep=1)
    assert names(tmp_path) == ["000001"]
    assert found(tmp_path) == "000001"
    save(tmp_path, 2)
    assert found(tmp_path) == "000002"


def test_when_the_state_does_not_fit_the_older_one_survives(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with files_of_at_most(1_000_000), pytest.raises(OSError, match="File too large"):
        save_checkpoint(tmp_path, 2, Checkpoint({}, {"text": "x" * 2_000_000}), keep=1)
    assert names(tmp_path) == ["000001"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), OSError(28, "full")])
def test_a_failure_while_filling_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    def fill(aside: Path) -> None:
        (aside / "half").write_text("half")
        raise error

    write_folder(tmp_path / "final", lambda aside: (aside / "whole").write_text("1"))
    for name in ("final", "other"):
        with pytest.raises(type(error)):
            write_folder(tmp_path / name, fill)
    assert names(tmp_path) == ["final"]
    assert names(tmp_path / "final") == ["whole"]


def test_a_folder_that_was_there_is_replaced(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / "in" / "final", lambda aside, name=name: (aside / name).mkdir())
    assert names(tmp_path / "in") == ["final"]
    assert names(tmp_path / "in" / "final") == ["two"]


def test_the_only_checkpoint_survives_when_it_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(path: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    save(tmp_path, 4)
    monkeypatch.setattr(Path, "rename", rename)
    with contextlib.suppress(OSError):  # it may also see that there is nothing to write
        save(tmp_path, 4)
    assert found(tmp_path) == "000004"


def test_everything_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def fsync(descriptor: int) -> None:
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def rename(path: Path, target: Path) -> Path:
        events.append("renamed")
        return real(path, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("open files cannot be named here")
    real = Path.rename
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    path = save_checkpoint(tmp_path / "all", 1, checkpoint(), keep=1)
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    assert set(names(path)) <= set(before)
    assert len(before) == len(names(path)) + 1  # and the folder itself
    assert after == ["all"]


def killed(action: Callable[[], object], owner: Any, function: str, calls: int) -> bool:
    """Whether a process that does this was killed at the next call of `function` after `calls`."""
    real, left = getattr(owner, function), iter(range(calls))

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            os._exit(9)
        return real(*arguments, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads, not of this one
        child = os.fork()
    if child == 0:
        try:
            setattr(owner, function, wrapped)
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize(
    ("owner", "function", "calls", "left"),
    [
        (ddpo.checkpoint, "save_file", 1, "000001"),
        (ddpo.checkpoint, "_sha256", 2, "000001"),
        (os, "fsync", 3, "000001"),
        (Path, "rename", 0, "000001"),
        (shutil, "rmtree", 1, "000002"),  # the first clears the way, the second prunes
    ],
)
def test_a_kill_at_any_moment_leaves_a_whole_one(
    tmp_path: Path, owner: Any, function: str, calls: int, left: str
) -> None:
    save(tmp_path, 1, keep=1)
    assert killed(lambda: save(tmp_path, 2, keep=1), owner, function, calls)
    assert found(tmp_path) == left
    save(tmp_path, 2, keep=1)  # what was left half-written is in nobody's way
    assert names(tmp_path) == ["000002"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 4
    path.write_bytes(content)


FILES = ["network.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "empty": empty,
    "missing": Path.unlink,
    "first byte": lambda path: flip(path, 0),
    "a byte": lambda path: flip(path, 20),
    "last byte": lambda path: flip(path, -1),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_skipped_by_name(
    tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    save(tmp_path, 1, 2, 3)
    damage(tmp_path / "000003" / file)
    messages: list[str] = []
    assert found(tmp_path, messages.append) == "000002"
    (message,) = messages
    assert message.startswith(f"checkpoint {tmp_path / '000003'} is damaged and was skipped: ")
    assert file in message or file == "manifest.json"
    assert "\n" not in message
    assert load_checkpoint(tmp_path / "000002").state["number"] == 2


@pytest.mark.parametrize("manifest", ["{}", "[]", "null", '"state.json"', "{", '{"a": 1}'])
def test_a_manifest_that_lists_nothing_is_damage(tmp_path: Path, manifest: str) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / "000002" / "manifest.json").write_text(manifest)
    messages: list[str] = []
    assert found(tmp_path, messages.append) == "000001"
    assert len(messages) == 1


def test_when_all_are_damaged_each_is_named_and_none_is_found(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    for name in names(tmp_path):
        truncate(tmp_path / name / "network.safetensors")
    messages: list[str] = []
    assert found(tmp_path, messages.append) is None
    assert ["000002" in messages[0], "000001" in messages[1]] == [True, True]
