"""Samples in files, to be scored: pictures, a folder of a run's pictures, lines of text."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.errors import RewardError
from rewards.scoring import Reward

INDEX = "index.json"
EXAMPLE = '{"prompt": "a cat", "text": "the cat", "reference": "a cat"}'


@dataclass(frozen=True)
class Found:
    """One sample: its name for people, where its picture is or its text, its prompt and columns."""

    name: str
    content: Path | str
    prompt: str
    columns: Mapping[str, Any]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of one JSON object a line, each with a `prompt` and the same keys.

    Raises:
        RewardError: the file cannot be read, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        rows = [_row(json.loads(line)) for line in lines if line.strip()]
    except (OSError, TypeError, ValueError) as error:
        problem = f"{path} is not a file of lines such as {EXAMPLE}: {error}"
        raise RewardError(problem) from error
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        raise RewardError(f"{path}: its lines, at least one, must all have the same keys")
    return rows


def find(paths: Sequence[Path], prompt: str) -> list[Found]:
    """All samples in some files and folders.

    A folder is a run's `samples/<iteration>/`, whose index holds the prompts; `.jsonl` has a
    `prompt` and a `text` in each line, and columns beside them; `.txt` has a text in each line;
    any other file is a picture. `prompt` is that of samples which come without one.

    Raises:
        RewardError: a file cannot be read, or is not of its kind.
    """
    found = [sample for path in paths for sample in _find(path, prompt)]
    if not found:
        raise RewardError(f"no samples in {', '.join(map(str, paths)) or 'nothing'}")
    return found


def score(reward: Reward, found: Sequence[Found]) -> Iterator[tuple[Found, float, str]]:
    """The number of each sample, and the reason where it is NaN, in their order.

    Pictures next to each other that are of one size are scored together.

    Raises:
        RewardError: a picture cannot be read, or the reward cannot score this kind of sample.
    """
    for _, alike in itertools.groupby(found, key=_kind):
        group = list(alike)
        names = reward.definition.columns
        columns = {
            name: [one.columns[name] for one in group]
            for name in names
            if all(name in one.columns for one in group)
        }
        samples = _batch(group)
        scored = reward.score(samples, [one.prompt for one in group], columns)
        reasons = {failure.row: failure.reason for failure in scored.failures}
        for row, (one, value) in enumerate(zip(group, scored.values.tolist(), strict=True)):
            yield one, value, reasons.get(row, "")


def _row(line: Any) -> dict[str, Any]:
    if not isinstance(line, dict) or not isinstance(line.get("prompt"), str):
        raise TypeError(f'{line!r} is not an object with a "prompt"')
    return line


def _find(path: Path, prompt: str) -> Iterator[Found]:
    if path.is_dir():
        yield from _indexed(path)
    elif path.suffix == ".jsonl":
        for number, row in enumerate(read_lines(path), 1):
            if not isinstance(row.get("text"), str):
                raise RewardError(f'{path}: line {number} has no "text" to score')
            yield Found(f"{path}:{number}", row.pop("text"), row.pop("prompt"), row)
    elif path.suffix == ".txt":
        for number, text in enumerate(_text(path).removesuffix("\n").split("\n"), 1):
            yield Found(f"{path}:{number}", text, prompt, {})
    else:
        yield Found(str(path), path, prompt, {})


def _indexed(folder: Path) -> Iterator[Found]:
    for entry in read_index(folder):
        yield Found(str(folder / entry["file"]), folder / entry["file"], entry["prompt"], {})


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The samples that a run saved in `samples/<iteration>/`: file, prompt, rewards, total.

    Raises:
        RewardError: the folder has no such index.
    """
    try:
        samples = json.loads(_text(folder / INDEX))["samples"]
        return [{"file": str(one["file"]), "prompt": str(one["prompt"]), **one} for one in samples]
    except (KeyError, TypeError, ValueError) as error:
        raise RewardError(f"{folder / INDEX} is not an index of samples: {error!r}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RewardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RewardError(f"{path} is not UTF-8 text") from error


def _kind(one: Found) -> Any:
    """What samples of a batch have in common: being texts, or the size of the picture."""
    if isinstance(one.content, str):
        return "text"
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(one.content) as picture:
            return picture.size
    except UnidentifiedImageError as error:
        raise RewardError(f"{one.content} is not a picture that can be read") from error
    except OSError as error:
        raise RewardError(f"{one.content} cannot be read: {error.strerror or error}") from error


def _batch(group: Sequence[Found]) -> Any:
    if isinstance(group[0].content, str):
        return [one.content for one in group]
    import numpy as np
    import torch
    from PIL import Image

    pictures = []
    for one in group:
        with Image.open(one.content) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
