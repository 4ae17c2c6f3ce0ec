"""The policy over noise levels keeps the contract of every policy, and its old one follows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpo.config.contradictions import contradictions
from ddpo.config.reading import decode_config
from ddpo.config.writing import config_tree
from ddpo.diffusion.forward_process import ForwardProcessPolicy
from ddpo.errors import UserError
from ddpo.policies import build_policy
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Policy, Trajectory
from tests.support.policies import configured

PROMPTS = ["a red circle", "a dog", "a red circle"]
ROWS = ((0, 0), (1, 0), (0, 1))
ALL = torch.arange(4)
KINDS = pytest.mark.parametrize("kind", ["awm", "nft"])
RESIDUAL = 1e-6

Models = Callable[[str], Path]


def built(models: Models, name: str = "sd3", lora: bool = True, **algorithm: Any) -> Policy:
    """The policy of four steps without guidance."""
    config = configured(models(name), lora=lora, guidance_scale=None, resolution=16)
    share = algorithm.pop("share", 1.0)
    tree = config_tree(config)
    tree["algorithm"] = {"kl_coef": 0.1, **algorithm}
    tree["policy"]["trained_share"] = share
    torch.manual_seed(0)
    policy = build_policy(decode_config(tree), torch.device("cpu"), "no")
    disturb(policy)
    return policy


def disturb(policy: Policy, seed: int = 1) -> None:
    """Move what is trained, as an update would."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.network.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)


def rows(iteration: int = 1) -> RowGenerator:
    return RowGenerator(seed=0, iteration=iteration, rows=ROWS)


def residual(policy: Policy, trajectory: Trajectory) -> float:
    """Largest |log-ratio|."""
    again = policy.evaluate(trajectory, ALL).log_probs.detach()
    return float((again - trajectory.log_probs).abs().max())


@KINDS
@pytest.mark.parametrize("name", ["sd3", "flux-dev", "flux-schnell"])
def test_evaluate_returns_the_log_probs_that_sample_stored(
    models: Models, name: str, kind: str
) -> None:
    policy = built(models, name, kind=kind)
    assert isinstance(policy, Policy)
    trajectory = policy.sample(PROMPTS, rows())
    assert trajectory.mask.tolist() == [[1] * 4] * 3
    assert residual(policy, trajectory) <= RESIDUAL
    disturb(policy)
    assert residual(policy, trajectory) > 1e-4


@KINDS
def test_what_it_measures_is_what_it_says(models: Models, kind: str) -> None:
    """One level by hand: the network at (1 − σ)x0 + σε against ε − x0."""
    policy = built(models, kind=kind)
    assert isinstance(policy, ForwardProcessPolicy)
    trajectory = policy.sample(PROMPTS, rows())
    disturb(policy)
    own = policy.evaluate(trajectory, torch.tensor([2]), with_kl=True)
    inner, record = policy._policy, trajectory.record
    x0, noise, steps = record["latents"], record["noise"][:, 2], record["steps"][:, 2]
    sigma = inner.trained.schedule.sigma[steps]  # pyright: ignore[reportAttributeAccessIssue]
    weight = sigma.view(-1, 1, 1, 1)

    def velocity() -> Tensor:
        noisy = (1 - weight) * x0 + weight * noise
        return inner.predict(inner.network, inner.trained, noisy, steps, PROMPTS)

    def mean_square(values: Tensor) -> Tensor:
        return values.square().flatten(1).mean(1, keepdim=True)

    now = velocity()
    with inner.reference():
        before = velocity()
    torch.testing.assert_close(own.log_probs, -mean_square(now - (noise - x0)))
    torch.testing.assert_close(own.kl, mean_square(now - before))
    torch.testing.assert_close(own.step_scale, sigma[:, None])
    if kind == "nft":
        old_error = record["velocities"][:, 2] - (noise - x0)
        torch.testing.assert_close(own.velocity_error, (now - (noise - x0))[:, None])
        torch.testing.assert_close(own.old_velocity_error, old_error[:, None])
        assert (mean_square(now - record["velocities"][:, 2]) > 1e-5).all()
    else:
        assert own.velocity_error is None
        assert own.old_velocity_error is None


@KINDS
def test_levels_and_noise_are_addressed(models: Models, kind: str) -> None:
    """A sample has the same in any batch, its levels all differ, and every sample has its own."""
    policy = built(models, kind=kind, share=0.75)
    whole = policy.sample(PROMPTS, rows())
    alone = policy.sample(PROMPTS[1:2], rows()[slice(1, 2)])
    for name in ("steps", "noise", "latents"):
        torch.testing.assert_close(alone.record[name], whole.record[name][1:2], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.log_probs, whole.log_probs[1:2], rtol=0, atol=1e-5)
    steps = whole.record["steps"]
    assert steps.shape == (3, 3)
    assert all(len(set(row)) == 3 for row in steps.tolist())
    assert len({tuple(row) for row in steps.tolist()}) > 1
    noise = whole.record["noise"].flatten(0, 1).flatten(1)
    assert len({round(float(row[0]), 6) for row in noise}) == 9


@KINDS
def test_the_gradient_does_not_depend_on_passes(models: Models, kind: str) -> None:
    policy = built(models, kind=kind)
    trajectory = policy.sample(PROMPTS, rows())
    weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))

    def gradient(samples: int, actions: int) -> Tensor:
        policy.network.zero_grad()
        for start in range(0, 3, samples):
            part = slice(start, start + samples)
            for columns in ALL.split(actions):
                log_probs = policy.evaluate(trajectory[part], columns).log_probs
                (log_probs * weights[part][:, columns]).sum().backward()
        grads = [p.grad.flatten() for p in policy.network.parameters() if p.grad is not None]
        return torch.cat(grads)

    whole = gradient(3, 4)
    assert whole.norm() > 0
    for samples, actions in [(3, 1), (1, 4), (2, 2)]:
        assert (gradient(samples, actions) - whole).norm() / whole.norm() < 1e-4


@pytest.mark.parametrize("lora", [True, False])
def test_the_old_policy_follows_once_an_iteration(models: Models, lora: bool) -> None:
    policy = built(models, lora=lora, kind="nft", old_decay=0.5, old_decay_growth=0.4)
    weights = [trained(policy)]
    for iteration, decay in [(1, 0.0), (2, 0.4), (3, 0.5), (4, 0.5)]:
        before = trained(policy)
        policy.sample(PROMPTS[:1], rows(iteration)[slice(1)])
        assert torch.equal(trained(policy), before)  # and is itself again
        weights.append(decay * weights[-1] + (1 - decay) * before)
        torch.testing.assert_close(old(policy), weights[-1])
        policy.sample(PROMPTS[:1], rows(iteration)[slice(1)])
        torch.testing.assert_close(old(policy), weights[-1])
        disturb(policy, seed=iteration)


def trained(policy: Policy) -> Tensor:
    """What the optimizer trains, as one vector."""
    return torch.cat([p.detach().flatten() for p in policy.network.parameters() if p.requires_grad])


def old(policy: Policy) -> Tensor:
    """The same of the policy that samples."""
    state = policy.trained_state()
    return torch.cat([t.flatten() for name, t in state.items() if name.startswith("old.")])


def test_the_old_policy_samples_and_the_other_is_evaluated(models: Models) -> None:
    """Also held out: that is the policy being trained."""
    policy = built(models, kind="nft", old_decay=0.9, old_decay_growth=1.0)
    first = policy.sample(PROMPTS, rows(1))
    disturb(policy)
    second = policy.sample(PROMPTS, rows(2))
    assert residual(policy, first) > 1e-4
    assert residual(policy, second) > 1e-4
    state = {name: t.clone() for name, t in policy.trained_state().items()}
    with torch.no_grad():
        for name, parameter in policy.network.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(state[f"old.{name}"])
    assert residual(policy, second) <= RESIDUAL
    held_out = policy.sample(PROMPTS, rows(2), heldout=True).outputs
    policy.load_trained_state(state)
    moved = policy.sample(PROMPTS, rows(2), heldout=True).outputs
    assert isinstance(moved, Tensor)
    assert isinstance(held_out, Tensor)
    assert not torch.equal(held_out, moved)


def test_a_state_is_the_whole_policy(models: Models) -> None:
    policy = built(models, kind="nft", old_decay=0.9, old_decay_growth=0.5)
    policy.sample(PROMPTS, rows(1))
    disturb(policy)
    policy.sample(PROMPTS, rows(2))
    state = {name: t.clone() for name, t in policy.trained_state().items()}
    disturb(policy)
    expected = policy.sample(PROMPTS, rows(3))
    other = built(models, kind="nft", old_decay=0.9, old_decay_growth=0.5)
    other.load_trained_state(state)
    disturb(other)
    again = other.sample(PROMPTS, rows(3))
    assert torch.equal(again.log_probs, expected.log_probs)
    with pytest.raises(KeyError):
        other.load_trained_state({k: v for k, v in state.items() if not k.startswith("old.")})


@KINDS
@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_model_that_does_not_match_flows_is_refused(models: Models, name: str, kind: str) -> None:
    with pytest.raises(UserError, match=r"^algorithm.kind: nft and awm are for flow-matching"):
        built(models, name, kind=kind)


@KINDS
def test_a_window_is_refused_and_no_noise_is_not(models: Models, kind: str) -> None:
    tree = config_tree(configured(models("sd3")))
    tree["algorithm"] = {"kind": kind}
    tree["policy"] |= {"eta": 0.0}
    assert contradictions(decode_config(tree)) == []
    tree["policy"] |= {"window": {"kind": "fixed", "size": 2}}
    with pytest.raises(UserError, match=f"policy.window: {kind} trains no step of the chain"):
        decode_config(tree)
