"""Parts that wait on the CPU: moved when needed, back afterwards, and no number changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ddpo.diffusion import family as family_file
from ddpo.diffusion.offloading import borrowed
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.randomness import RowGenerator
from tests.support.pipelines import PIPELINES
from tests.support.policies import built

ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0), (0, 1)))
PROMPTS = ["a cat", "a dog", "a cat"]
Models = Callable[[str], Path]


def policy(models: Models, name: str, **options: Any) -> DiffusionPolicy:
    return built(models(name), guidance_scale=None, resolution=16, **options)


class Moves:
    """What was moved, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pipeline: Any):
        """Record the moves of a pipeline's parts; none of them happens."""
        self.made: list[tuple[str, str]] = []
        names = {id(part): name for name, part in pipeline.components.items()}

        def to(part: nn.Module, device: Any) -> nn.Module:
            self.made.append((names[id(part)], str(device)))
            return part

        for kind in {type(p) for p in pipeline.components.values() if isinstance(p, nn.Module)}:
            monkeypatch.setattr(kind, "to", to)


@pytest.mark.parametrize("name", PIPELINES)
def test_parts_are_borrowed_for_what_needs_them(
    name: str, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    offloaded = policy(models, name, offload=True)
    plain = policy(models, name).sample(PROMPTS, ROWS)
    pipeline = offloaded.family.pipeline
    moves = Moves(monkeypatch, pipeline)
    monkeypatch.setattr(family_file.Family, "device", torch.device("cpu"))
    first = offloaded.sample(PROMPTS, ROWS)
    encoders = [encoder for _, encoder in offloaded.family.tokenizers]
    there_and_back = [(encoder, "cpu") for encoder in encoders] * 2
    vae = [("vae", "cpu")] * 2
    guided = offloaded.family.guidance == "classifier_free"
    assert moves.made == [*there_and_back * (2 if guided else 1), *vae]
    moves.made.clear()
    second = offloaded.sample(PROMPTS, ROWS)
    offloaded.evaluate(second, torch.arange(2))
    assert moves.made == vae
    for one in (first, second):
        assert isinstance(one.outputs, Tensor)
        assert isinstance(plain.outputs, Tensor)
        assert torch.equal(one.outputs, plain.outputs)
        assert torch.equal(one.log_probs, plain.log_probs)


def test_the_network_alone_goes_to_the_device(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = policy(models, "sdxl").family
    moves = Moves(monkeypatch, family.pipeline)
    family.to("meta", offload=True)
    assert moves.made == [("unet", "meta")]


def test_they_go_back_even_after_a_failure() -> None:
    class Part(nn.Linear):
        def to(self, device: Any) -> nn.Module:  # pyright: ignore[reportIncompatibleMethodOverride]
            went.append(device.type)
            return self

    went: list[str] = []
    part = Part(1, 1)

    def fail() -> None:
        with borrowed([part], torch.device("meta")):
            raise ValueError(f"gone wrong on {went}")

    with pytest.raises(ValueError, match=r"gone wrong on .'meta'."):
        fail()
    assert went == ["meta", "cpu"]


def test_conditioning_waits_on_the_cpu_and_is_used_where_the_network_is(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    offloaded = policy(models, "sd3", offload=True)
    conditioner = offloaded._conditioner
    conditioner.of(["a cat"])
    monkeypatch.setattr(family_file.Family, "device", torch.device("meta"))
    (kept,) = conditioner._by_prompt.values()
    assert {values.device.type for values in kept.values()} == {"cpu"}
    assert {v.device.type for v in conditioner.of(["a cat"]).values()} == {"meta"}


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_decoding_in_slices_makes_the_same_images(
    name: str, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = policy(models, name).family
    latents = ROWS.normal(0, (4, 8, 8))
    together = family.decode(latents)
    decoded: list[int] = []
    decode = family.pipeline.vae.decode

    def counted(part: Tensor, **options: Any) -> Any:
        decoded.append(len(part))
        return decode(part, **options)

    monkeypatch.setattr(family.pipeline.vae, "decode", counted)
    monkeypatch.setattr(family_file, "DECODE_PIXELS", 2 * 16**2 + 1)
    torch.testing.assert_close(family.decode(latents), together, atol=1e-5, rtol=0)
    monkeypatch.setattr(family_file, "DECODE_PIXELS", 1)
    torch.testing.assert_close(family.decode(latents), together, atol=1e-5, rtol=0)
    assert decoded == [2, 1, 1, 1, 1]


def test_tiles_are_the_image_but_for_their_seams(models: Models) -> None:
    family = policy(models, "sd15", vae_tiling=True).family
    large, one_tile = (ROWS.normal(0, (4, side, side)) for side in (24, 8))
    tiled, small = family.decode(large), family.decode(one_tile)
    family.pipeline.vae.disable_tiling()
    apart = (tiled - family.decode(large)).abs()
    assert 0 < apart.mean() < 0.3 * tiled.std()  # random weights: the worst case
    assert torch.equal(small, family.decode(one_tile))
