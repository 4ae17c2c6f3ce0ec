"""The denoising chain keeps the contract of a policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpo.diffusion.ddim_schedule import DdimSchedule
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.randomness import RowGenerator
from tests.support.policies import built, disturb

PROMPTS = ["a red circle", "a dog", "a red circle"]
ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0), (0, 1)))


@pytest.fixture(params=["tiny_model", "tiny_v_model"])
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_evaluate_returns_the_log_probs_that_sample_stored(
    model: Path, lora: bool, guidance_scale: float
) -> None:
    policy = built(model, lora=lora, guidance_scale=guidance_scale)
    disturb(policy)
    trajectory = policy.sample(PROMPTS, ROWS)
    evaluation = policy.evaluate(trajectory, torch.arange(4))
    assert (evaluation.log_probs - trajectory.log_probs).abs().max() <= 1e-6
    disturb(policy)
    moved = policy.evaluate(trajectory, torch.arange(4))
    assert (moved.log_probs - trajectory.log_probs).abs().max() > 1e-4


def test_actions_scored_together_are_scored_as_they_are_alone(tiny_model: Path) -> None:
    policy = built(tiny_model)
    trajectory = policy.sample(PROMPTS, ROWS)
    together = policy.evaluate(trajectory, torch.tensor([0, 2, 3])).log_probs
    alone = [policy.evaluate(trajectory, torch.tensor([a])).log_probs for a in (0, 2, 3)]
    torch.testing.assert_close(together, torch.cat(alone, 1), rtol=0, atol=1e-6)


def test_a_sample_does_not_depend_on_who_else_is_in_the_batch(tiny_model: Path) -> None:
    policy = built(tiny_model)
    together = policy.sample(PROMPTS, ROWS)
    alone = policy.sample(PROMPTS[2:], ROWS[2:3])
    torch.testing.assert_close(together[2:3].outputs, alone.outputs, rtol=0, atol=1e-5)
    assert (together[0:1].outputs - alone.outputs).abs().max() > 0.01


@pytest.mark.parametrize("lora", [True, False])
def test_kl_is_to_the_policy_before_training(tiny_model: Path, lora: bool) -> None:
    policy = built(tiny_model, lora=lora)
    trajectory = policy.sample(PROMPTS, ROWS)
    before = policy.evaluate(trajectory, torch.arange(4), with_kl=True).kl
    assert before is not None
    assert before.abs().max() <= 1e-10
    disturb(policy)
    after = policy.evaluate(trajectory, torch.arange(4), with_kl=True).kl
    assert after is not None
    assert (after > 0).all()
    after.sum().backward()
    gradients = [p.grad for p in policy.network.parameters() if p.requires_grad]
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


def test_each_distinct_prompt_is_encoded_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = built(tiny_model)
    encoded: list[str] = []
    embed = policy.family.embed
    monkeypatch.setattr(
        policy.family, "embed", lambda texts: (encoded.extend(texts), embed(texts))[1]
    )
    trajectory = policy.sample(PROMPTS, ROWS)
    policy.evaluate(trajectory, torch.arange(4))
    assert sorted(encoded) == ["", "a dog", "a red circle"]


def test_guidance_is_one_batched_pass(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = built(tiny_model)
    sizes: list[int] = []
    predict = policy.family.predict
    spy = lambda network, x, *rest: (sizes.append(len(x)), predict(network, x, *rest))[1]  # noqa: E731
    monkeypatch.setattr(policy.family, "predict", spy)
    policy.sample(PROMPTS, ROWS)
    assert sizes == [6, 6, 6, 6]
    assert policy.network_passes == 24


def test_guidance_in_an_interval_is_mirrored_in_training(tiny_model: Path) -> None:
    policy = built(tiny_model, guidance_interval=[0.25, 0.75])
    trajectory = policy.sample(PROMPTS, ROWS)
    assert policy.network_passes == 3 + 6 + 6 + 3
    together = policy.evaluate(trajectory, torch.arange(4)).log_probs
    assert policy.network_passes == 18 + 18
    alone = [policy.evaluate(trajectory, torch.tensor([step])).log_probs for step in range(4)]
    torch.testing.assert_close(together, trajectory.log_probs, atol=1e-6, rtol=0)
    torch.testing.assert_close(together, torch.cat(alone, 1), atol=1e-6, rtol=0)
    guided = built(tiny_model).evaluate(trajectory, torch.arange(4)).log_probs
    differs = (guided - trajectory.log_probs).abs().amax(0) > 1e-5
    assert differs.tolist() == [True, False, False, True]


def test_samples_of_a_prompt_can_begin_from_the_same_noise(tiny_model: Path) -> None:
    rows = RowGenerator(seed=3, iteration=1, rows=((0, 0), (0, 1), (1, 4), (1, 5)))
    prompts = ["a dog", "a dog", "a cat", "a cat"]
    shared, own = (built(tiny_model, shared_noise=on) for on in (True, False))
    states = shared.sample(prompts, rows).record["latents"]
    for first in (0, 2):
        assert torch.equal(states[first, 0], states[first + 1, 0])
        assert not torch.equal(states[first, 1], states[first + 1, 1])
    assert not torch.equal(states[0, 0], states[2, 0])
    assert torch.equal(states[0], own.sample(prompts, rows).record["latents"][0])
    heldout = shared.sample(prompts, rows, heldout=True)
    assert torch.equal(heldout.outputs, own.sample(prompts, rows, heldout=True).outputs)


def test_a_step_without_noise_is_no_action(tiny_model: Path) -> None:
    policy = built(tiny_model)
    scheduler = policy.family.pipeline.scheduler
    scheduler.register_to_config(set_alpha_to_one=True)
    scheduler.final_alpha_cumprod = torch.tensor(1.0)
    schedule = DdimSchedule.from_scheduler(scheduler, 4, 1.0)
    policy.trained = replace(policy.trained, schedule=schedule)
    trajectory = policy.sample(PROMPTS, ROWS)
    assert trajectory.mask.tolist() == [[1, 1, 1, 0]] * 3
    assert trajectory.log_probs.isfinite().all()
    assert trajectory.log_probs[:, 3].tolist() == [0, 0, 0]


def test_trained_state_is_what_training_changes_and_comes_back(tiny_model: Path) -> None:
    policy = built(tiny_model)
    before = {name: value.clone() for name, value in policy.trained_state().items()}
    assert before
    assert all("lora" in name for name in before)
    disturb(policy)
    assert any(not torch.equal(before[k], v) for k, v in policy.trained_state().items())
    policy.load_trained_state(before)
    assert all(torch.equal(before[k], v) for k, v in policy.trained_state().items())
    with pytest.raises(KeyError, match="differ"):
        policy.load_trained_state({})


def test_latent_dimensions(tiny_model: Path) -> None:
    assert built(tiny_model).action_dimensions == 4 * 8 * 8
    assert built(tiny_model, resolution=32).action_dimensions == 4 * 16 * 16


def test_gradient_checkpointing_leaves_the_gradient_as_it_is(tiny_model: Path) -> None:
    def gradient(policy: DiffusionPolicy) -> torch.Tensor:
        disturb(policy)
        evaluation = policy.evaluate(policy.sample(PROMPTS, ROWS), torch.arange(4))
        evaluation.log_probs.sum().backward()
        grads = [p.grad.flatten() for p in policy.network.parameters() if p.grad is not None]
        return torch.cat(grads)

    plain, saving = built(tiny_model), built(tiny_model)
    network: Any = saving.network
    network.enable_gradient_checkpointing()
    torch.testing.assert_close(gradient(saving), gradient(plain), rtol=1e-5, atol=1e-6)
