"""Captions of what a picture turned out to show."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from ddpo.worlds.shapes import drawn
from ddpo.worlds.shapes.drawn import corrected, draw_pool
from ddpo.worlds.shapes.scenes import parse, render, scene_for
from ddpo.worlds.shapes.verifier import read

SHOWN = "a large red cross left of a blue square on a gray background"


def picture_of(caption: str) -> np.ndarray:
    """A clean picture of a caption."""
    return render(scene_for(parse(caption), np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("asked", "caption"),
    [
        (SHOWN, SHOWN),
        ("a large red diamond left of a blue square on a gray background", SHOWN),
        ("a small red cross left of a blue star on a gray background", SHOWN),
        ("a red star left of a blue square on a gray background", SHOWN.replace("large ", "")),
        ("a large red cross above a blue square on a gray background", None),
        ("a large blue cross left of a red square on a gray background", None),
        ("a large red cross left of a blue square on a navy background", None),
        ("a large red cross on a gray background", None),
    ],
    ids=["right", "shape", "size", "no size", "relation", "colours", "background", "number"],
)
def test_a_caption_is_corrected_in_shapes_and_sizes_only(asked: str, caption: str | None):
    claim = corrected(parse(asked), read(picture_of(SHOWN)))
    assert (claim and claim.caption()) == caption


def test_the_pool_keeps_what_can_be_captioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A pipeline that draws one scene whatever it is asked for."""
    asked = [parse(SHOWN.replace("cross", shape)) for shape in ("cross", "star")]
    asked.append(parse("a red circle on a gray background"))

    def draws_the_same(_: Any, captions: list[str], **options: Any) -> np.ndarray:
        return np.stack([picture_of(SHOWN)] * len(captions))

    monkeypatch.setattr(drawn, "generate", draws_the_same)
    nobody = Mock(spec=StableDiffusionPipeline)
    pool = draw_pool(nobody, asked, tmp_path / "drawn.safetensors")
    assert pool.shown == [SHOWN] * 2
    assert pool.asked == [claim.caption() for claim in asked[:2]]
    assert pool.pictures.shape == (2, 3, 64, 64)
    assert torch.equal(
        pool.pictures[0].permute(1, 2, 0), torch.from_numpy(picture_of(SHOWN).copy())
    )
    again = draw_pool(nobody, [], tmp_path / "drawn.safetensors")
    assert (again.shown, again.asked) == (pool.shown, pool.asked)
