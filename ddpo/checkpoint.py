"""Exact state on disk: complete or absent.

A checkpoint is a folder of safetensors and JSON. It is written aside, its manifest (the sha256 of
every other file) last, flushed to the disk, and renamed into place; only then are older ones
pruned. One that does not match its manifest is skipped, by name, for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

MANIFEST = "manifest.json"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What is saved: tensors by file and name, and plain JSON.

    Attributes:
        tensors: file name without suffix → tensor name → tensor.
        state: everything else.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, iteration: int, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write `<folder>/<iteration>` unless it is there and whole; keep the newest `keep`.

    Raises:
        OSError: it could not be written; nothing that was there has changed.
    """

    def fill(aside: Path) -> None:
        for name, tensors in checkpoint.tensors.items():
            contiguous = {
                key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()
            }
            save_file(contiguous, aside / f"{name}.safetensors")
        (aside / STATE).write_text(json.dumps(checkpoint.state))
        digests = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
        (aside / MANIFEST).write_text(json.dumps(digests, indent=1))

    path = folder / f"{iteration:06d}"
    if _damage(path) is not None:
        write_folder(path, fill)
    older = [other for other in _numbered(folder) if int(other.name) < iteration]
    for old in older[keep - 1 :]:  # a newer one was damaged, and counts for nothing
        shutil.rmtree(old)
    return path


def write_folder(path: Path, fill: Callable[[Path], None]) -> Path:
    """Make a folder that is complete or absent: filled aside, flushed, renamed; one that was there
    is replaced.

    Raises:
        OSError: it could not be written; what was there has not changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        fill(aside)
        for file in aside.rglob("*"):
            _flush(file)
        _flush(aside)
    except SafetensorError as error:  # how that library reports a full disk
        shutil.rmtree(aside, ignore_errors=True)
        raise OSError(str(error)) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    aside.rename(path)
    _flush(path.parent)
    return path


def find_checkpoint(folder: Path, skipped: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that is whole; `skipped` is told, in one line each, of newer ones that
    are not.
    """
    for path in _numbered(folder):
        if (problem := _damage(path)) is None:
            return path
        skipped(f"checkpoint {path} is damaged and was skipped: {problem}")
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that `find_checkpoint` gave, onto the CPU."""
    tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(tensors, json.loads((path / STATE).read_text()))


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        digests = json.loads((path / MANIFEST).read_text())
        for name, digest in digests.items():
            if _sha256(path / name) != digest:
                return f"{name} does not match its checksum"
    except (OSError, ValueError, AttributeError) as error:
        return f"{getattr(error, 'filename', None) or MANIFEST} cannot be read"
    return None if STATE in digests else f"{MANIFEST} lists no {STATE}"


def _numbered(folder: Path) -> list[Path]:
    """Checkpoint folders, the newest first; those still being written are not numbers."""
    found = [path for path in folder.glob("*") if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Have the disk itself hold a file's or folder's contents."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
