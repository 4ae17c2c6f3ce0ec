"""Latents as the autoencoder and FLUX's transformer want them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline

from ddpo.diffusion.family import unscaled
from ddpo.diffusion.flux import packed, positions, unpacked
from ddpo.diffusion.loading import load_family

LATENTS = torch.tensor([[[[1.0]], [[-2.0]]]])
"""One sample of two channels and one pixel."""


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"scaling_factor": 0.5}, [2.0, -4.0]),
        ({"scaling_factor": 0.5, "shift_factor": None}, [2.0, -4.0]),
        ({"scaling_factor": 0.5, "shift_factor": 0.25}, [2.25, -3.75]),
        (
            {"scaling_factor": 0.5, "latents_mean": [10.0, 20.0], "latents_std": [3.0, 5.0]},
            [16.0, 0.0],
        ),
        ({"scaling_factor": 0.5, "latents_mean": None, "latents_std": None}, [2.0, -4.0]),
    ],
)
def test_the_autoencoder_s_own_latents_by_hand(
    config: dict[str, Any], expected: list[float]
) -> None:
    class Config(dict):
        scaling_factor = config["scaling_factor"]

    own = unscaled(LATENTS, Config(config))
    assert own.flatten().tolist() == expected


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 12)])
def test_tokens_and_positions_are_the_pipeline_s(height: int, width: int) -> None:
    latents = torch.randn(3, 5, height, width, generator=torch.Generator().manual_seed(0))
    tokens = packed(latents)
    assert torch.equal(tokens, FluxPipeline._pack_latents(latents, 3, 5, height, width))
    assert torch.equal(unpacked(tokens, latents.shape), latents)
    # eight pixels to a latent, as the pipeline's own arithmetic has them
    theirs: Any = FluxPipeline._unpack_latents(tokens, 8 * height, 8 * width, 8)
    assert torch.equal(unpacked(tokens, latents.shape), theirs)
    ids: Any = FluxPipeline._prepare_latent_image_ids
    expected = ids(3, height // 2, width // 2, torch.device("cpu"), torch.float32)
    assert torch.equal(positions(latents), expected)


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux-dev"])
def test_the_size_that_nobody_gave_is_the_pipeline_s(
    name: str, models: Callable[[str], Path]
) -> None:
    family = load_family(str(models(name)))
    side = family.pipeline.default_sample_size
    assert family.latent_shape(None)[1:] == (side, side)
