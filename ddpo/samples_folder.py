"""`samples/<iteration>/`: held-out samples, and an index of what they were made from and earned."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ddpo.outputs import Outputs
from ddpo.scores import Scores
from rewards.files import INDEX


def save_samples(
    folder: Path,
    iteration: int,
    prompts: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    outputs: Outputs,
    scores: Scores,
) -> None:
    """Write samples and what they earned; the first `len(prompts)` of the outputs count. A sample
    of which rewards told details has those as well, by reward.

    Args:
        folder: there already.
        iteration: after which they were made.
        prompts: of the samples.
        columns: of the prompts, each with a value for each of them.
        outputs: the samples.
        scores: of the samples.
    """
    entries = []
    for number, prompt in enumerate(prompts):
        kept = {name: json_value(values[number]) for name, values in columns.items()}
        told = _told(scores.details, number)
        entries.append(
            {
                **outputs.write(number, folder),
                "prompt": prompt,
                **({"columns": kept} if kept else {}),
                "rewards": {name: _number(v[number]) for name, v in scores.parts.items()},
                "total": _number(scores.rewards[number]) if scores.comparable else None,
                "watch": {name: _number(v[number]) for name, v in scores.watch.items()},
                **({"details": told} if told else {}),
            }
        )
    (folder / INDEX).write_text(json.dumps({"iteration": iteration, "samples": entries}, indent=1))


def _told(details: Mapping[str, Mapping[int, Any]], number: int) -> dict[str, Any]:
    """What rewards told of a sample; what several told alike stands once, under the first."""
    told: dict[str, Any] = {}
    for name, rows in details.items():
        if number in rows and rows[number] not in told.values():
            told[name] = rows[number]
    return told


def json_value(value: Any) -> Any:
    """A column's value as JSON can say it: what it cannot hold, such as a date or a NaN, is its
    str. Of bytes, which are whole pictures and sounds of a dataset, only their number is kept.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [json_value(item) for item in value]
        case dict():
            return {str(key): json_value(item) for key, item in value.items()}
        case bytes():
            return f"{len(value):,} bytes"
        case _:
            return str(value)


def _number(value: Tensor) -> float | None:
    return float(value) if value.isfinite() else None
