"""Samples from a trained run or any model. Pictures come through diffusers' own pipeline: anyone
can reproduce them without ddpo.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ddpo.config.diffusion_policy import denoising
from ddpo.config.reading import load_config
from ddpo.config.schema import Config
from ddpo.diffusion.chain import DEFAULT_ETA
from ddpo.diffusion.family import Family
from ddpo.diffusion.loading import load_family
from ddpo.diffusion.precision import uniform_precision
from ddpo.errors import UserError
from ddpo.run_folder import RunFolder

DEFAULT_STEPS = 50


def sample(
    run_or_model: Path | str,
    prompts: Sequence[str],
    *,
    seed: int = 0,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    eta: float | None = None,
    greedy: bool = False,
) -> list[Image.Image] | list[str]:
    """One picture per prompt, the i-th drawn from `torch.Generator().manual_seed(seed + i)` on the
    CPU; or one completion, of a run over the token chain.

    Args:
        run_or_model: a run folder (its final model, sampled as its held-out prompts are, all of it
            in the dtype of `policy.precision.network`), or what `policy.model` accepts, in fp32.
        prompts: at least one.
        seed: of the first picture.
        num_steps: denoising steps; the run's, or 50.
        guidance_scale: as in diffusers; the run's, or the family's.
        eta: weight of DDIM's noise; the run's, or 1. A flow-matching model's plain solver has none.
        greedy: the likeliest token at each place of a completion.

    Raises:
        UserError: no model can be loaded, the run has not finished, or `eta` is given for a model
            whose plain solver has no noise, or an option is for samples of another kind.
    """
    path = Path(run_or_model)
    config = load_config(path / "config.yaml") if (path / "config.yaml").exists() else None
    if config and config.policy.kind == "text":
        return _completions(config, path, prompts, seed, greedy, (num_steps, guidance_scale, eta))
    if greedy:
        raise UserError("greedy is for completions, and this is a model of pictures")
    family = _trained_family(config, path) if config else load_family(str(run_or_model))
    heldout, chain = (config.evaluation, denoising(config)) if config else (None, None)
    options: dict[str, Any] = {
        "num_inference_steps": _first(
            num_steps, heldout and heldout.num_steps, chain and chain.num_steps, DEFAULT_STEPS
        ),
        "guidance_scale": _first(
            guidance_scale,
            heldout and heldout.guidance_scale,
            chain and chain.guidance_scale,
            family.guidance_scale,
        ),
        "height": chain and chain.resolution,
        "width": chain and chain.resolution,
        **family.encoding,
    }
    if "ddim" in family.samplers:
        options["eta"] = _first(
            eta, heldout and heldout.eta, chain and chain.eta, DEFAULT_ETA["ddim"]
        )
    elif eta:
        raise UserError(f"eta: {eta:g}, but plain diffusers has no noise for {run_or_model}")
    family.to("cuda" if torch.cuda.is_available() else "cpu")
    make = family.pipeline
    return [
        make(prompt, generator=torch.Generator().manual_seed(seed + i), **options).images[0]
        for i, prompt in enumerate(prompts)
    ]


def _completions(
    config: Config,
    path: Path,
    prompts: Sequence[str],
    seed: int,
    greedy: bool,
    of_pictures: Sequence[float | None],
) -> list[str]:
    """What a run over the token chain writes."""
    from ddpo.text.sampling import completions

    if any(value is not None for value in of_pictures):
        raise UserError(
            f"num_steps, guidance_scale and eta are for pictures, and {path} is a run of texts"
        )
    return completions(config, _final(path), prompts, seed=seed, greedy=greedy)


def _final(path: Path) -> Path:
    """Where a finished run's model is."""
    final = RunFolder(path).final
    if not final.is_dir():
        raise UserError(
            f"{path} has no {final.name}/ yet; finish it with `ddpo train {path}/config.yaml "
            f"--resume`"
        )
    return final


def _trained_family(config: Config, path: Path) -> Family:
    """The model in a run's `final/`, or its base with the LoRA that lies there."""
    final = _final(path)
    asked = denoising(config)
    length, precision = asked.max_sequence_length, uniform_precision(asked.precision)
    if config.lora is None:
        return load_family(str(final), length, precision)
    family = load_family(config.policy.model, length, precision)
    family.pipeline.load_lora_weights(final)
    return family


def _first(*values: Any) -> Any:
    """The first value that is given."""
    return next(value for value in values if value is not None)
