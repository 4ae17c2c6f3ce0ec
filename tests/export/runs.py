"""Finished runs of tiny models, as `ddpo train` leaves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpo.config.schema import Config
from ddpo.config.writing import dump_config
from ddpo.diffusion.building import build_diffusion_policy
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.export.lora_file import name_base_model
from tests.diffusion.test_families import PROMPTS, ROWS, plain_images, plain_pipeline
from tests.gallery.made_up import write_metrics
from tests.support.policies import configured, disturb

STEPS = 4


@dataclass(frozen=True)
class Finished:
    """A run folder, and the policy that it was saved from."""

    path: Path
    config: Config
    policy: DiffusionPolicy
    guidance_scale: float

    @property
    def images(self) -> Tensor:
        """What the policy makes of the test's prompts and noise, without noise on the way."""
        outputs = self.policy.sample(PROMPTS, ROWS, heldout=True).outputs
        assert isinstance(outputs, Tensor)
        return outputs

    def plain_images(self, lora: Path | None = None, model: Path | None = None) -> Tensor:
        """What plain diffusers makes of them, with a LoRA on a model; the base if None."""
        pipeline = plain_pipeline(model or Path(self.config.policy.model))
        if lora is not None:
            pipeline.load_lora_weights(lora)
        noise = ROWS.normal(0, (4, 8, 8))
        return plain_images(pipeline, noise, self.guidance_scale, STEPS)


def finished(folder: Path, model: Path, targets: tuple[str, ...] = (), **options: Any) -> Finished:
    """A run whose weights moved: of a LoRA with rank 2 and alpha 4, or of all with `lora=False`."""
    scale = 1.0 if "schnell" in model.name else 3.0
    chain = {"resolution": 16, "guidance_scale": None if scale == 1.0 else scale}
    config = configured(model, evaluation={"eta": 0.0}, **chain | options)
    if targets and config.lora is not None:
        config = replace(config, lora=replace(config.lora, target_modules=targets))
    torch.manual_seed(0)
    policy = build_diffusion_policy(config, torch.device("cpu"), None)
    disturb(policy)
    run = folder / "a-run"
    policy.save_pretrained(run / "final", policy.trained_state())
    if config.lora is not None:
        name_base_model(run / "final", str(model))
    (run / "config.yaml").write_text(dump_config(config))
    write_metrics(run, [{"iteration": 0}, {"iteration": 1, "reward/mean": 2.0}])
    return Finished(run, config, policy, scale)
