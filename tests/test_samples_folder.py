"""Held-out samples in a folder: what is written of pictures, of texts, and of their prompts."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpo.outputs import Outputs, outputs_of
from ddpo.samples_folder import json_value, save_samples
from ddpo.scores import Scores
from rewards.files import read_index

PROMPTS = ["a cat", "a dog"]


def written(folder: Path, outputs: Outputs, columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The index of two samples; a third evens out the shares of processes."""
    numbers = torch.tensor([1.5, math.nan, 7.0])
    scores = Scores(numbers, {"r": numbers}, {"w": -numbers}, ["no reason"])
    save_samples(folder, 10, PROMPTS, columns, outputs, scores)
    assert json.loads((folder / "index.json").read_text())["iteration"] == 10
    return read_index(folder)


def test_texts_stand_in_the_index(tmp_path: Path) -> None:
    texts = outputs_of(["a cat sat\n", 'é "\ud800', "evens out"])
    index = written(tmp_path, texts, {"reference": ["the cat", None], "tests": [["assert"], []]})
    assert index == [
        {
            "text": "a cat sat\n",
            "prompt": "a cat",
            "columns": {"reference": "the cat", "tests": ["assert"]},
            "rewards": {"r": 1.5},
            "total": 1.5,
            "watch": {"w": -1.5},
        },
        {
            "text": 'é "\ud800',
            "prompt": "a dog",
            "columns": {"reference": None, "tests": []},
            "rewards": {"r": None},
            "total": None,
            "watch": {"w": None},
        },
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


def test_images_are_files_and_have_columns_where_their_prompts_do(tmp_path: Path) -> None:
    images = torch.stack([torch.full((3, 4, 4), value) for value in (0.0, 1.0, 0.5)])
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    index = written(tmp_path / "with", outputs_of(images), {"label": [3, 4]})
    assert [(entry["file"], entry["columns"]) for entry in index] == [
        ("0000.png", {"label": 3}),
        ("0001.png", {"label": 4}),
    ]
    names = sorted(path.name for path in (tmp_path / "with").iterdir())
    assert names == ["0000.png", "0001.png", "index.json"]
    assert np.asarray(Image.open(tmp_path / "with" / "0001.png")).min() == 255
    for entry in written(tmp_path / "without", outputs_of(images), {}):
        assert entry.keys() == {"file", "prompt", "rewards", "total", "watch"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a": [1, 2.5, None, True]}, {"a": [1, 2.5, None, True]}),
        ((1, "b"), [1, "b"]),
        (math.nan, "nan"),
        ([-math.inf], ["-inf"]),
        ({1: datetime.date(2024, 2, 29)}, {"1": "2024-02-29"}),
        (np.int64(3), "3"),
        (b"PNG" * 1000, "3,000 bytes"),
    ],
)
def test_what_json_cannot_hold_is_written_as_its_str(value: Any, kept: Any) -> None:
    assert json_value(value) == kept
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


def test_rows_of_both_kinds() -> None:
    assert outputs_of(["a", "b", "c"]).rows([2, 0]).seen == ["c", "a"]
    images = torch.rand(3, 3, 2, 2)
    assert torch.equal(torch.as_tensor(outputs_of(images).rows([2, 0]).seen), images[[2, 0]])
