"""The last public DDPO trainer (trl 0.23.1), made to do what a run of this project does.

pip install trl==0.23.1
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ddpo.trajectory import Trajectory

Reward = Callable[[Tensor, Sequence[str]], Any]


@dataclass(frozen=True)
class Geometry:
    """What both trainers do in an iteration.

    Attributes:
        samples: of an iteration.
        batch: samples of a pass, in sampling and in training.
        num_steps: of a chain; all of them are trained.
        guidance_scale: in both; off at 1.
        updates: of an iteration.
        learning_rate: of AdamW.
        lora: rank of adapters on attention; None to train all weights.
    """

    samples: int = 128
    batch: int = 32
    num_steps: int = 20
    guidance_scale: float = 3.0
    updates: int = 1
    learning_rate: float = 3e-4
    lora: int | None = None


class TrlTrainer:
    """trl's trainer on a pipeline in a folder.

    Attributes:
        network: its U-Net.
        network_passes: rows that went through it.
    """

    def __init__(
        self, model: Path, prompts: Sequence[str], reward: Reward, geometry: Geometry, seed: int = 0
    ):
        """Load the pipeline; prompts are taken in turn."""
        with _quiet():
            from accelerate import PartialState

            PartialState()  # trl logs through it as it is imported
            from trl import DDPOConfig, DDPOTrainer, DefaultDDPOStableDiffusionPipeline

            pipeline: Any = DefaultDDPOStableDiffusionPipeline(
                str(model), use_lora=geometry.lora is not None
            )
            if geometry.lora is not None:
                pipeline.get_trainable_layers = lambda: _with_adapters(pipeline, geometry.lora)
            asked = cycle(prompts)
            self.trainer: Any = DDPOTrainer(
                DDPOConfig(
                    **_options(geometry), seed=seed, num_epochs=1, log_with=None, save_freq=10**9
                ),
                lambda images, texts, columns: (reward(images.float(), texts), {}),
                lambda: (next(asked), {}),
                pipeline,
            )
        pipeline.set_progress_bar_config(disable=True)
        self.trainer.image_samples_callback = None
        self.trainer.accelerator.log = lambda *_, **__: None
        self.network: nn.Module = pipeline.unet
        self.network_passes = 0
        self.network.register_forward_pre_hook(self._count)
        self._epoch, self._updates, self._geometry = 0, 0, geometry

    def iterate(self) -> None:
        """One iteration: sample, score, update."""
        with _quiet():
            self._updates = self.trainer.step(self._epoch, self._updates)
        self._epoch += 1

    def gradients(
        self, trajectory: Trajectory, advantages: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Log-probs `[B, A]` of a trajectory's actions, and the gradient of their update."""
        trainer, pipeline = self.trainer, self.trainer.sd_pipeline
        latents, count = trajectory.record["latents"], len(trajectory)
        pipeline.scheduler.set_timesteps(self._geometry.num_steps)
        embeds = pipeline.sd_pipeline.encode_prompt(
            trajectory.prompts, latents.device, 1, do_classifier_free_guidance=False
        )[0]
        if trainer.config.train_cfg:
            embeds = torch.cat([trainer.neg_prompt_embed.repeat(count, 1, 1), embeds])
        log_probs: list[Tensor] = []
        step = pipeline.scheduler_step

        def kept(*args: Any, **options: Any) -> Any:
            output = step(*args, **options)
            log_probs.append(output.log_probs.detach())
            return output

        pipeline.scheduler_step = kept
        for number, timestep in enumerate(pipeline.scheduler.timesteps):
            loss, _, _ = trainer.calculate_loss(
                latents[:, number],
                timestep.repeat(count),
                latents[:, number + 1],
                trajectory.log_probs[:, number],
                advantages,
                embeds,
            )
            (loss / self._geometry.num_steps).backward()
        del pipeline.scheduler_step
        found = {name: p.grad for name, p in self.network.named_parameters() if p.grad is not None}
        return torch.stack(log_probs, 1), found

    def _count(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.network_passes += len(inputs[0])


def _options(geometry: Geometry) -> dict[str, Any]:
    """The geometry in that trainer's words; the rest is this project's default, or its own."""
    batches = geometry.samples // geometry.batch
    return {
        "sample_num_steps": geometry.num_steps,
        "sample_eta": 1.0,
        "sample_guidance_scale": geometry.guidance_scale,
        "sample_batch_size": geometry.batch,
        "sample_num_batches_per_epoch": batches,
        "train_batch_size": geometry.batch,
        "train_gradient_accumulation_steps": batches // geometry.updates,
        "train_cfg": geometry.guidance_scale > 1,
        "train_learning_rate": geometry.learning_rate,
        "mixed_precision": "no",
        "per_prompt_stat_tracking": True,
        "per_prompt_stat_tracking_buffer_size": 32,
        "per_prompt_stat_tracking_min_count": 16,
    }


def _with_adapters(pipeline: Any, rank: int | None) -> nn.Module:
    """That trainer's own adapters, of another rank than its 4."""
    from peft import LoraConfig

    targets = ["to_k", "to_q", "to_v", "to_out.0"]
    pipeline.unet.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=targets)
    )
    return pipeline.unet


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what that trainer prints and warns of."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
        warnings.simplefilter("ignore")
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
