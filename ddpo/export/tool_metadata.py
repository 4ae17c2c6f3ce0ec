"""What other tools show of a LoRA file: the `modelspec.…` keys of Stability AI's model metadata
standard, and the `ss_…` keys of kohya-ss's scripts. A key whose value is not known is left out.
"""

from __future__ import annotations

from ddpo.config.diffusion_policy import denoising
from ddpo.config.schema import Config
from ddpo.export.base_model import BaseModel
from ddpo.export.lora_file import Lora

STANDARD = "1.0.0"
SD_GENERATIONS = {768: 1, 1024: 2}
"""Width of the text embeddings → generation of Stable Diffusion."""
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v"}


FIRST_RELEASES = {
    "StableDiffusionXLPipeline": "https://github.com/Stability-AI/generative-models",
    "FluxPipeline": "https://github.com/black-forest-labs/flux",
}
"""Whose names of layers the Kohya layout has, where they are not diffusers'."""


def tool_metadata(
    config: Config, base: BaseModel, lora: Lora, *, kohya: bool = False
) -> dict[str, str]:
    """Title, architecture, prediction type, rank and alpha, as strings.

    Args:
        config: of the run.
        base: its base model.
        lora: what was trained.
        kohya: whether the file has the Kohya layout.
    """
    names_of = FIRST_RELEASES.get(base.pipeline, "diffusers") if kohya else "diffusers"
    side = denoising(config).resolution or base.resolution
    rewards = ", ".join(config.rewards)
    known: dict[str, str | None] = {
        "modelspec.sai_model_spec": STANDARD,
        "modelspec.title": config.name,
        "modelspec.architecture": architecture(base),
        "modelspec.implementation": names_of,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.description": f"{config.algorithm.kind} towards {rewards}",
        "modelspec.prediction_type": PREDICTIONS.get(base.scheduler.get("prediction_type", "")),
        "ss_base_model_version": base_model_version(base),
        "ss_sd_model_name": base.model,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(lora.rank),
        "ss_network_alpha": f"{lora.alpha:g}",
        "ss_seed": str(config.seed),
    }
    return {key: value for key, value in known.items() if value is not None}


def architecture(base: BaseModel) -> str | None:
    """The standard's name of the base, with `/lora`; None where the files do not tell."""
    name = {
        "StableDiffusionPipeline": _stable_diffusion(base),
        "StableDiffusionXLPipeline": "stable-diffusion-xl-v1-base",
        "StableDiffusion3Pipeline": "stable-diffusion-3",
        "FluxPipeline": "flux-1-dev" if base.network.get("guidance_embeds") else "flux-1-schnell",
    }[base.pipeline]
    return f"{name}/lora" if name else None


def base_model_version(base: BaseModel) -> str | None:
    """The name of the base in kohya-ss's scripts; None where it is not known."""
    if base.pipeline == "StableDiffusionPipeline":
        generation = SD_GENERATIONS.get(base.network["cross_attention_dim"])
        return f"sd_v{generation}{'_v' if _predicts_v(base) else ''}" if generation else None
    names = {"StableDiffusionXLPipeline": "sdxl_base_v1-0", "FluxPipeline": "flux1"}
    return names.get(base.pipeline)


def _stable_diffusion(base: BaseModel) -> str | None:
    generation = SD_GENERATIONS.get(base.network.get("cross_attention_dim", 0))
    if generation == 2:
        return f"stable-diffusion-v2-{'768-v' if _predicts_v(base) else '512'}"
    return "stable-diffusion-v1" if generation else None


def _predicts_v(base: BaseModel) -> bool:
    return base.scheduler.get("prediction_type") == "v_prediction"
