"""docs/prompts.md works as it is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
import yaml

import rewards
from ddpo.config.reading import decode_config, parse_config
from ddpo.prompts import load_prompts
from rewards import registry
from tests.support.configurations import tree

DOCUMENT = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_every_form_is_a_configuration() -> None:
    lines = blocks("yaml")[0].splitlines()
    for line in lines:
        decode_config(tree() | yaml.safe_load(line))
    assert len(lines) == 6


def test_the_example_reads_its_captions_and_scores_by_their_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_decorated", {})
    monkeypatch.setitem(sys.modules, "channel", None)  # so that it is forgotten afterwards
    del sys.modules["channel"]
    (captions,) = blocks("json")
    (code,) = blocks("python")
    Path("captions.jsonl").write_text(captions)
    Path("channel.py").write_text(code)
    prompts = load_prompts(parse_config(blocks("yaml")[1], "the example").prompts)
    assert prompts.texts == [
        "a red circle on a gray background",
        "a blue square on a gray background",
    ]
    images = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])[..., None, None].expand(2, 3, 4, 4)
    reward = rewards.make("channel:channel")
    needed = {"reference": prompts.columns["reference"]}
    assert reward(images, prompts.texts, **needed).tolist() == pytest.approx([0.1, 0.6])
