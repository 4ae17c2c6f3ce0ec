"""The part of a model card that is run: plain diffusers, from loading to a picture."""

from __future__ import annotations

from ddpo.config.diffusion_policy import denoising
from ddpo.config.schema import Config
from ddpo.diffusion.chain import DEFAULT_ETA
from ddpo.dtypes import DTYPES
from ddpo.export.base_model import EMBEDDED, BaseModel

HERE = 'model = "."  # this folder, or the name of its repository on the hub'


def usage(config: Config, base: BaseModel, prompt: str, *, adapter: bool) -> str:
    """Python that loads the model and draws `prompt` with the run's settings.

    Args:
        config: of the run.
        base: its base model.
        prompt: any text.
        adapter: whether the folder holds a LoRA, or a whole pipeline.
    """
    plain_ddim = "ddim" in base.family.samplers
    classes = ["DDIMScheduler", "DiffusionPipeline"] if plain_ddim else ["DiffusionPipeline"]
    lines = ["import torch", f"from diffusers import {', '.join(classes)}"]
    if adapter and base.model == EMBEDDED:
        lines += ["from ddpo.worlds.shapes import pipeline_path  # the base comes with ddpo"]
    whole = [_whole(base, adapter), *(f"{part}=None" for part in base.left_out)]
    if (dtype := config.policy.precision.network) != "fp32":
        whole += [f"dtype={DTYPES[dtype]}"]
    lines += ["", HERE, f"pipeline = DiffusionPipeline.from_pretrained({', '.join(whole)})"]
    if plain_ddim:
        lines += [
            "scheduler = pipeline.scheduler.config",
            "pipeline.scheduler = DDIMScheduler.from_config(scheduler, clip_sample=False)",
        ]
    if adapter:
        lines += ["pipeline.load_lora_weights(model)"]
    lines += ['pipeline.to("cuda" if torch.cuda.is_available() else "cpu")']
    lines += ["image = pipeline(", f"    {prompt!r},"]
    lines += [f"    {name}={value}," for name, value in _options(config, base, plain_ddim).items()]
    lines += ["    generator=torch.Generator().manual_seed(0),", ").images[0]"]
    return "\n".join([*lines, 'image.save("picture.png")'])


def _whole(base: BaseModel, adapter: bool) -> str:
    if not adapter:
        return "model"
    return "pipeline_path()" if base.model == EMBEDDED else repr(base.model)


def _options(config: Config, base: BaseModel, plain_ddim: bool) -> dict[str, int | float]:
    """As `ddpo sample` draws: what held-out samples are told, else the chain's."""
    heldout, chain = config.evaluation, denoising(config)
    options: dict[str, int | float] = {
        "num_inference_steps": _first(heldout.num_steps, chain.num_steps),
        "guidance_scale": _first(heldout.guidance_scale, chain.guidance_scale, base.guidance_scale),
    }
    if plain_ddim:
        options["eta"] = _first(heldout.eta, chain.eta, DEFAULT_ETA["ddim"])
    if chain.resolution:
        options |= {"height": chain.resolution, "width": chain.resolution}
    if chain.max_sequence_length:
        options["max_sequence_length"] = chain.max_sequence_length
    return options


def _first(*values: int | float | None) -> int | float:
    """The first value that is given."""
    return next(value for value in values if value is not None)
