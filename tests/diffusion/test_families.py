"""Every family keeps one contract, on pipelines of its true architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from torch import Tensor

from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Trajectory
from tests.support.pipelines import PIPELINES
from tests.support.policies import built, disturb

PROMPTS = ["a red circle", "a dog", "a red circle"]
ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0), (0, 1)))
ALL = torch.arange(4)
RESIDUAL = 1e-6
"""Largest |log-ratio| on-policy, in fp32."""

Models = Callable[[str], Path]


@pytest.fixture(params=PIPELINES)
def name(request: pytest.FixtureRequest) -> str:
    """A family."""
    return request.param


def policy_of(models: Models, name: str, **options: Any) -> DiffusionPolicy:
    """A policy, moved as by an update, that is guided where its model can be."""
    scale = None if name == "flux-schnell" else 3.0
    policy = built(models(name), **{"guidance_scale": scale, "resolution": 16} | options)
    disturb(policy)
    return policy


def plain_pipeline(folder: Path) -> Any:
    """The model in diffusers alone, with the scheduler that its chain follows."""
    pipeline: Any = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if hasattr(pipeline, "unet"):
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    return pipeline


def plain_images(pipeline: Any, noise: Tensor, scale: float, steps: int) -> Tensor:
    """What the pipeline's own solver makes of this noise."""
    if hasattr(pipeline, "_pack_latents"):
        rows, channels, height, width = noise.shape
        noise = pipeline._pack_latents(noise, rows, channels, height, width)
    options = {"num_inference_steps": steps, "guidance_scale": scale, "output_type": "pt"}
    return pipeline(PROMPTS, latents=noise, height=16, width=16, **options).images


@pytest.mark.parametrize("lora", [True, False])
def test_evaluate_returns_the_log_probs_that_sample_stored(
    models: Models, name: str, lora: bool
) -> None:
    policy = policy_of(models, name, lora=lora)
    trajectory = policy.sample(PROMPTS, ROWS)
    assert residual(policy, trajectory) <= RESIDUAL
    disturb(policy)
    assert residual(policy, trajectory) > 1e-4


@pytest.mark.parametrize("sampler", ["flow_sde", "cps", "dance_sde"])
@pytest.mark.parametrize("name", ["sd3", "flux-dev"])
def test_it_does_so_with_every_sampler(models: Models, name: str, sampler: str) -> None:
    policy = policy_of(models, name, sampler=sampler)
    trajectory = policy.sample(PROMPTS, ROWS)
    assert trajectory.mask.tolist() == [[1, 1, 1, 0]] * 3
    assert residual(policy, trajectory) <= RESIDUAL


def residual(policy: DiffusionPolicy, trajectory: Trajectory) -> float:
    """Largest |log-ratio|."""
    again = policy.evaluate(trajectory, ALL).log_probs.detach()
    return float((again - trajectory.log_probs).abs().max())


def test_without_noise_the_policy_is_the_pipeline(models: Models, name: str) -> None:
    policy = built(
        models(name),
        guidance_scale=None if name == "flux-schnell" else 3.0,
        resolution=16,
        evaluation={"num_steps": 5, "eta": 0.0},
    )
    trajectory = policy.sample(PROMPTS, ROWS, heldout=True)
    assert not trajectory.mask.any()
    noise = ROWS.normal(0, (4, 8, 8))
    pipeline = plain_pipeline(models(name))
    images = plain_images(pipeline, noise, 3.0, steps=5)
    assert isinstance(trajectory.outputs, Tensor)
    torch.testing.assert_close(trajectory.outputs, images, atol=1e-4, rtol=0)
    others = plain_images(pipeline, noise.flip(0), 3.0, steps=5)
    assert (trajectory.outputs - others).abs().max() > 1e-2


@pytest.mark.parametrize("lora", [True, False])
def test_what_is_saved_makes_the_same_image_in_plain_diffusers(
    models: Models, name: str, lora: bool, tmp_path: Path
) -> None:
    policy = policy_of(models, name, lora=lora, evaluation={"eta": 0.0})
    assert policy.heldout.guidance_scale == (1.0 if name == "flux-schnell" else 3.0)
    outputs = policy.sample(PROMPTS, ROWS, heldout=True).outputs
    policy.save_pretrained(tmp_path / "final", policy.trained_state())
    pipeline = plain_pipeline(models(name) if lora else tmp_path / "final")
    noise = ROWS.normal(0, (4, 8, 8))
    base = plain_images(plain_pipeline(models(name)), noise, 3.0, steps=4)
    if lora:
        pipeline.load_lora_weights(tmp_path / "final")
    images = plain_images(pipeline, noise, 3.0, steps=4)
    assert isinstance(outputs, Tensor)
    torch.testing.assert_close(outputs, images, atol=1e-4, rtol=0)
    assert (images - base).abs().max() > 1e-3


def test_the_gradient_does_not_depend_on_passes(models: Models, name: str) -> None:
    policy = policy_of(models, name)
    trajectory = policy.sample(PROMPTS, ROWS)
    weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)) * trajectory.mask

    def gradient(rows: int, actions: int) -> Tensor:
        policy.network.zero_grad()
        for start in range(0, 3, rows):
            part = slice(start, start + rows)
            for columns in ALL.split(actions):
                log_probs = policy.evaluate(trajectory[part], columns).log_probs
                (log_probs * weights[part][:, columns]).sum().backward()
        grads = [p.grad.flatten() for p in policy.network.parameters() if p.grad is not None]
        return torch.cat(grads)

    whole = gradient(3, 4)
    assert whole.norm() > 0
    for rows, actions in [(3, 1), (1, 4), (2, 2)]:
        assert (gradient(rows, actions) - whole).norm() / whole.norm() < 1e-4


def test_kl_is_to_the_policy_before_training(models: Models, name: str) -> None:
    policy = built(models(name), guidance_scale=None, resolution=16)
    trajectory = policy.sample(PROMPTS, ROWS)
    before = policy.evaluate(trajectory, ALL, with_kl=True).kl
    disturb(policy)
    after = policy.evaluate(trajectory, ALL, with_kl=True).kl
    assert before is not None
    assert after is not None
    assert before.abs().max() <= 1e-10
    assert (after[trajectory.mask > 0] > 0).all()


@pytest.mark.parametrize("name", ["sd15", "sd3"])
@pytest.mark.parametrize(
    ("window", "masks"),
    [
        ({"kind": "fixed", "size": 2}, {1: [1, 1, 0, 0], 2: [1, 1, 0, 0]}),
        ({"kind": "fixed", "size": 1, "start": 2}, {1: [0, 0, 1, 0], 9: [0, 0, 1, 0]}),
        ({"kind": "sliding", "size": 2, "every": 3}, {3: [1, 1, 0, 0], 4: [0, 1, 1, 0]}),
    ],
)
def test_outside_the_window_the_plain_solver_steps(
    models: Models, name: str, window: dict[str, Any], masks: dict[int, list[int]]
) -> None:
    policy = policy_of(models, name, window=window)
    for iteration, mask in masks.items():
        rows = RowGenerator(seed=0, iteration=iteration, rows=ROWS.rows)
        trajectory = policy.sample(PROMPTS, rows)
        assert trajectory.mask.tolist() == [mask] * 3
        assert residual(policy, trajectory) <= RESIDUAL
        assert trajectory.log_probs[trajectory.mask == 0].tolist() == [0] * (12 - 3 * sum(mask))


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("sd15", {"sampler": "cps"}, "policy.sampler: cps is not for .*; it has ddim"),
        ("sd3", {"sampler": "ddim"}, "it has flow_sde, cps, dance_sde"),
        ("sd15", {"eta": 1.5}, "policy.eta: 1.5 is more than ddim takes, at most 1"),
        ("sd3", {"sampler": "cps", "eta": 1.1}, "more than cps takes, at most 1"),
        ("flux-schnell", {"guidance_scale": 3.0}, "policy.guidance_scale: 3 for a model"),
        (
            "flux-schnell",
            {"guidance_scale": None, "evaluation": {"guidance_scale": 2}},
            "evaluation.guidance_scale: 2 for a model",
        ),
        ("sdxl", {"resolution": 17}, "policy.resolution: 17 is not a multiple of 2"),
        ("sd3", {"resolution": 18}, "not a multiple of 4; the nearest is 16"),
        ("sd3", {"resolution": 52}, "policy.resolution: 52 is more .* at most 48"),
        ("flux-dev", {"resolution": 18}, "not a multiple of 4; the nearest is 16"),
        ("sd3", {"num_steps": 1}, "no step of this model's chain has noise"),
        ("sd3", {"num_steps": 1001}, "policy.num_steps: 1001 is more than the 1000"),
        ("sd3", {"window": {"kind": "fixed", "size": 4}}, "policy.window: 4 steps .* the 3 steps"),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    models: Models, name: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        built(models(name), **{"resolution": 16, **options})
