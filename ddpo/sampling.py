"""Pictures from a trained run or any model, through diffusers' own pipeline: anyone can reproduce
them without ddpo.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from PIL import Image

from ddpo.config.reading import load_config
from ddpo.config.schema import Config
from ddpo.diffusion.loading import load_pipeline
from ddpo.errors import UserError
from ddpo.run_folder import RunFolder


def sample(
    run_or_model: Path | str,
    prompts: Sequence[str],
    *,
    seed: int = 0,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    eta: float | None = None,
) -> list[Image.Image]:
    """One picture per prompt; the i-th is drawn from `torch.Generator().manual_seed(seed + i)` on
    the CPU.

    Args:
        run_or_model: a run folder (its final model, with its chain's settings), or what
            `policy.model` accepts.
        prompts: at least one.
        seed: of the first picture.
        num_steps: denoising steps; the run's, or 50.
        guidance_scale: classifier-free guidance; the run's, or 5.
        eta: weight of DDIM's noise; the run's, or 1.

    Raises:
        UserError: no model can be loaded, or the run has not finished.
    """
    path = Path(run_or_model)
    config = load_config(path / "config.yaml") if (path / "config.yaml").exists() else None
    pipeline = _trained_pipeline(config, path) if config else load_pipeline(str(run_or_model))
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    pipeline.set_progress_bar_config(disable=True)
    chain = config.policy if config else None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {
        "num_inference_steps": num_steps or (chain.num_steps if chain else 50),
        "guidance_scale": _first(guidance_scale, chain and chain.guidance_scale, 5.0),
        "eta": _first(eta, chain and chain.eta, 1.0),
        "height": chain and chain.resolution,
        "width": chain and chain.resolution,
    }
    pipeline.to(device)
    return [
        pipeline(prompt, generator=torch.Generator().manual_seed(seed + i), **options).images[0]
        for i, prompt in enumerate(prompts)
    ]


def _trained_pipeline(config: Config, path: Path) -> Any:
    """The pipeline in a run's `final/`, or its base with the LoRA that lies there."""
    final = RunFolder(path).final
    if not final.is_dir():
        raise UserError(
            f"{path} has no {final.name}/ yet; finish it with `ddpo train {path}/config.yaml "
            f"--resume`"
        )
    if config.lora is None:
        return load_pipeline(str(final))
    pipeline = load_pipeline(config.policy.model)
    pipeline.load_lora_weights(final)
    return pipeline


def _first(*values: Any) -> Any:
    """The first value that is given."""
    return next(value for value in values if value is not None)
