"""Samples in files, to be scored: pictures, a folder of a run's samples, lines of text."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.definition import Definition
from rewards.errors import RewardError
from rewards.json_lines import parse_json, parse_lines
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

    @property
    def modality(self) -> str:
        """Which kind it is: "text" or "image"."""
        return "text" if isinstance(self.content, str) else "image"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of one JSON object a line, each with a `prompt` and the same keys.

    Raises:
        RewardError: the file cannot be read, or a line is something else.
    """
    rows = parse_lines(_text(path), str(path), EXAMPLE)
    if not rows:
        raise RewardError(f"{path} is empty: write a JSON object a line, such as {EXAMPLE}")
    for number, row in rows.items():
        _refuse_unlike(row, ("prompt",), f"{path}: line {number}")
    return list(rows.values())


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The samples that a run saved in `samples/<iteration>/`: each with a `prompt`, the `file` of
    its picture or its `text`, and, where its prompt has columns, `columns`.

    Raises:
        RewardError: the folder has no such index.
    """
    path = folder / INDEX
    if not path.is_file():
        raise RewardError(
            f"{folder} has no {INDEX}, as a run's samples/<iteration>/ has: name such a folder, or "
            f"the pictures themselves, such as {folder}/*.png"
        )
    index = parse_json(_text(path), str(path))
    samples = index.get("samples") if isinstance(index, dict) else None
    if not isinstance(samples, list):
        raise RewardError(f'{path} has no list of "samples": name a folder that a run has saved')
    for number, sample in enumerate(samples, 1):
        where = f"{path}: sample {number}"
        _refuse_unlike(sample, ("prompt",), where)
        _refuse_unlike(sample, (_content_key(sample, where),), where)
        if not isinstance(columns := sample.get("columns", {}), dict):
            shown = json.dumps(columns)
            raise RewardError(f'{where}: "columns" is {shown}, which is not an object in braces')
    return samples


def entry_name(entry: Mapping[str, Any], number: int) -> str:
    """What a sample of an index is called: by its file, a text by its number, from 1."""
    return entry.get("file", f"#{number}")


def find(paths: Sequence[Path], prompt: str) -> list[Found]:
    """All samples in some files and folders.

    A folder is a run's `samples/<iteration>/`, whose index holds prompts and columns; `.jsonl` has
    a `prompt` and a `text` in each line, and columns beside them; `.txt` has a text in each line;
    any other file is a picture. `prompt` is that of samples which come without one.

    Raises:
        RewardError: a file cannot be read, or is not of its kind.
    """
    found = [sample for path in paths for sample in _find(path, prompt)]
    if not found:
        where = ", ".join(map(str, paths))
        raise RewardError(
            f"no samples in {where}" if where else "no samples: name pictures, a folder, or texts"
        )
    return found


def score(reward: Reward, found: Sequence[Found]) -> Iterator[tuple[Found, float, str]]:
    """The number of each sample, and the reason where it is NaN, in their order.

    Pictures next to each other that are of one size are scored together. What can be refused
    without scoring is refused before the first number.

    Raises:
        RewardError: a picture cannot be read, or the reward cannot score such samples.
    """
    for one in found:
        _refuse_unfit(one, reward.definition)
    kinds = [_kind(one) for one in found]
    for _, alike in itertools.groupby(zip(kinds, found, strict=True), key=lambda pair: pair[0]):
        group = [one for _, one in alike]
        columns = {name: [one.columns[name] for one in group] for name in reward.definition.columns}
        scored = reward.score(_batch(group), [one.prompt for one in group], columns)
        reasons = {failure.row: failure.reason for failure in scored.failures}
        for row, (one, value) in enumerate(zip(group, scored.values.tolist(), strict=True)):
            yield one, value, reasons.get(row, "")


def _find(path: Path, prompt: str) -> Iterator[Found]:
    if path.is_dir():
        for number, entry in enumerate(read_index(path), 1):
            name = str(path / entry_name(entry, number))
            content = entry["text"] if "text" in entry else path / entry["file"]
            yield Found(name, content, entry["prompt"], entry.get("columns", {}))
    elif path.suffix == ".jsonl":
        for number, row in enumerate(read_lines(path), 1):
            _refuse_unlike(row, ("text",), f"{path}: line {number}")
            yield Found(f"{path}:{number}", row.pop("text"), row.pop("prompt"), row)
    elif path.suffix == ".txt":
        for number, text in enumerate(_text(path).removesuffix("\n").split("\n"), 1):
            yield Found(f"{path}:{number}", text, prompt, {})
    else:
        yield Found(str(path), path, prompt, {})


def _content_key(sample: Mapping[str, Any], where: str) -> str:
    """The key under which an index has the sample itself; exactly one of two."""
    keys = [key for key in ("file", "text") if key in sample]
    if len(keys) != 1:
        which = "both" if keys else "neither"
        raise RewardError(f'{where} has {which} of "file", for a picture, and "text", for a text')
    return keys[0]


def _refuse_unlike(row: Any, keys: Sequence[str], where: str) -> None:
    """Refuse what is not an object with a text under each of the keys."""
    if not isinstance(row, dict):
        raise RewardError(f"{where} is not an object in braces, such as {EXAMPLE}")
    for key in keys:
        if key not in row:
            raise RewardError(f'{where} has no "{key}"')
        if not isinstance(row[key], str):
            shown = json.dumps(row[key])
            raise RewardError(f'{where}: "{key}" is {shown}, which is not a text in quotes')


def _refuse_unfit(one: Found, needed: Definition) -> None:
    """Refuse a sample that the reward cannot score."""
    where = f"reward '{needed.name}'"
    if needed.modality not in ("any", one.modality):
        raise RewardError(
            f"{where} scores {needed.modality}s, and {one.name} is {_ARTICLE[one.modality]}"
        )
    for column in needed.columns:
        if column not in one.columns:
            raise RewardError(
                f"{where} needs the column '{column}', which {one.name} lacks: score the lines of "
                f"a .jsonl file, such as {EXAMPLE}"
            )
    if needed.needs_prompt and not one.prompt:
        raise RewardError(
            f"{where} compares a sample with its prompt, and {one.name} has none: give it with "
            "--prompt"
        )


_ARTICLE = {"text": "a text", "image": "a picture"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
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

    pictures = np.stack([_pixels(one.content) for one in group])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def _pixels(path: Path | str) -> Any:
    """A picture as `[H, W, 3]`, uint8."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    # Of a damaged file the decoders of Pillow raise either; its SyntaxError is of broken PNG files.
    except (OSError, SyntaxError, ValueError) as error:
        raise RewardError(f"{path} is damaged, or cut off: make or copy it again") from error
