"""The dtype of each part of a pipeline: what is loaded how, and what would not train or decode."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ddpo.config.diffusion_policy import PrecisionConfig
from ddpo.diffusion.family import Family
from ddpo.dtypes import DTYPES
from ddpo.errors import UserError


def part_dtypes(precision: PrecisionConfig) -> Mapping[str, torch.dtype]:
    """The dtype of each of a pipeline's parts by its name, as diffusers' `from_pretrained` takes
    it; `default` stands for the text encoders.
    """
    network = DTYPES[precision.network]
    return {
        "unet": network,
        "transformer": network,
        "vae": DTYPES[precision.vae],
        "default": DTYPES[precision.text_encoder],
    }


def uniform_precision(precision: PrecisionConfig) -> PrecisionConfig:
    """All parts in the dtype of the network: plain pipelines hand tensors on as they are."""
    dtype = precision.network
    return PrecisionConfig(network=dtype, text_encoder=dtype, vae=dtype)


def check_precision(
    precision: PrecisionConfig, family: Family, autocast: torch.dtype | None
) -> None:
    """Refuse fp16 where its range is too small.

    Args:
        precision: of the weights.
        family: the loaded model.
        autocast: dtype that network passes are autocast to.

    Raises:
        UserError: an autoencoder that overflows, or a network whose gradients underflow because
            nothing scales the loss.
    """
    if precision.vae == "fp16" and family.upcasts_autoencoder:
        raise UserError(
            "policy.precision.vae: fp16 overflows in this model's autoencoder, which says "
            "force_upcast; use bf16 or fp32, or a model with an autoencoder made for fp16"
        )
    if precision.network == "fp16" and autocast is not torch.float16:
        raise UserError(
            "policy.precision.network: fp16 needs its loss scaled, or gradients become 0; set "
            "train.mixed_precision: fp16, or use bf16"
        )
