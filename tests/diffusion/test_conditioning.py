"""Prompts are encoded once and alone, as the plain pipeline would, at the length that was asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpo.diffusion import conditioning
from ddpo.diffusion.conditioning import Conditioner
from ddpo.diffusion.loading import load_family
from ddpo.errors import UserError
from tests.support.pipelines import PIPELINES, tiny_stable_diffusion_3

Models = Callable[[str], Path]


@pytest.mark.parametrize("name", PIPELINES)
def test_each_prompt_is_encoded_once_and_alone(
    name: str, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = load_family(str(models(name)))
    asked: list[list[str]] = []
    embed = family.embed
    monkeypatch.setattr(family, "embed", lambda texts: (asked.append(list(texts)), embed(texts))[1])
    conditioner = Conditioner(family)
    rows = conditioner.of(["a cat", "a dog", "a cat"])
    assert asked == [["a cat"], ["a dog"]]
    both = conditioner.both_branches(["a dog", "a cat"], 2)
    conditioner.both_branches(["a cat"], 1)
    assert asked == [["a cat"], ["a dog"], [""]]
    assert rows.keys() == both.keys()
    for key, values in rows.items():
        assert torch.equal(values[0], values[2])
        assert not torch.equal(values[0], values[1])
        assert torch.equal(both[key][2:], values[[1, 0]])
        assert torch.equal(both[key][0], both[key][1])


def test_what_was_used_longest_ago_is_forgotten_and_encoded_alike(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditioning, "KEPT_PROMPTS", 2)
    family: Any = load_family(str(models("sd3")))
    asked: list[str] = []
    embed = family.embed
    monkeypatch.setattr(family, "embed", lambda texts: (asked.extend(texts), embed(texts))[1])
    conditioner = Conditioner(family)
    first = conditioner.of(["a", "b"])
    conditioner.of(["a"])
    conditioner.of(["c"])  # b goes
    conditioner.of(["a", "c"])
    assert asked == ["a", "b", "c"]
    again = conditioner.of(["a", "b", "c"])  # more than are kept
    assert asked == ["a", "b", "c", "b"]
    assert all(torch.equal(again[name][:2], values) for name, values in first.items())
    conditioner.of(["c", "b"])
    assert asked == ["a", "b", "c", "b"]
    conditioner.of(["a"])
    assert asked == ["a", "b", "c", "b", "a"]


@pytest.mark.parametrize("zeros", [True, False])
def test_sdxl_without_a_prompt_is_what_its_pipeline_says(zeros: bool, models: Models) -> None:
    family = load_family(str(models("sdxl")))
    family.pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
    own = family.unconditional()
    _, embeddings, _, pooled = family.pipeline.encode_prompt("a cat")
    assert torch.equal(own["embeddings"], embeddings)
    assert torch.equal(own["pooled"], pooled)
    assert all(bool(values.any()) is not zeros for values in own.values())


@pytest.mark.parametrize("name", ["sd15", "sd21", "sdxl"])
def test_a_model_without_t5_has_no_length_to_choose(name: str, models: Models) -> None:
    with pytest.raises(UserError, match=r"^policy.max_sequence_length: 8, but .* has no T5"):
        load_family(str(models(name)), 8)


@pytest.mark.parametrize(("name", "clip_tokens"), [("sd3", 16), ("flux-dev", 0)])
def test_t5_reads_as_many_tokens_as_it_is_told(name: str, clip_tokens: int, models: Models) -> None:
    family: Any = load_family(str(models(name)), 7)
    assert family.embed(["a cat"])["embeddings"].shape[1] == clip_tokens + 7


def test_sd3_without_t5_reads_zeros_in_its_place(tmp_path: Path, models: Models) -> None:
    family: Any = load_family(str(tiny_stable_diffusion_3(tmp_path / "without", t5=False)), 7)
    assert family.pipeline.text_encoder_3 is None
    without = family.embed(["a cat"])
    whole = load_family(str(models("sd3")), 7).embed(["a cat"])
    assert torch.equal(without["pooled"], whole["pooled"])
    assert torch.equal(without["embeddings"][:, :16], whole["embeddings"][:, :16])
    assert not without["embeddings"][:, 16:].any()
    assert whole["embeddings"][:, 16:].any()
