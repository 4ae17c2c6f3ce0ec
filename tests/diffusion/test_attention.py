"""Attention back ends: taken everywhere, verified on the model, refused where they cannot train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

from ddpo.diffusion.attention import backends_in_force, set_attention
from ddpo.diffusion.loading import load_family
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from tests.support.policies import built

Models = Callable[[str], Path]

ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0)))
PROMPTS = ["a red circle", "a dog"]
RUN_HERE = [
    *[("sd15", "native"), ("sd15", "eager"), ("sdxl", "eager"), ("sd3", "native")],
    *[("flux-dev", "native"), ("flux-dev", "_native_math")],
]


@pytest.fixture(autouse=True)
def _backend_of_everyone() -> Iterator[None]:
    """What models use that were told nothing stays as it was."""
    before = _AttentionBackendRegistry.get_active_backend()[0]
    yield
    assert _AttentionBackendRegistry.get_active_backend()[0] == before


def policy_with(models: Models, name: str, **options: Any) -> DiffusionPolicy:
    """A policy of this family."""
    return built(models(name), resolution=16, num_steps=2, **options)


@pytest.mark.parametrize(("name", "backend"), RUN_HERE)
def test_all_attention_takes_it_and_draws_the_same(models: Models, name: str, backend: str) -> None:
    policy = policy_with(models, name, attention=backend)
    assert backends_in_force(policy.network, policy.family.attention) == {backend}
    images = policy.sample(PROMPTS, ROWS).outputs
    plain = policy_with(models, name).sample(PROMPTS, ROWS).outputs
    torch.testing.assert_close(images, plain, atol=1e-4, rtol=0)


def test_sampling_and_scoring_run_what_was_asked_for(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policy_with(models, "sd15", attention="eager")
    own, calls = set(policy.network.modules()), []
    for kind in (AttnProcessor, AttnProcessor2_0):
        plain = kind.__call__

        def counting(self: Any, layer: Any, *args: Any, plain: Any = plain, **options: Any) -> Any:
            if layer in own:
                calls.append(type(self))
            return plain(self, layer, *args, **options)

        monkeypatch.setattr(kind, "__call__", counting)
    trajectory = policy.sample(PROMPTS, ROWS)
    sampled = len(calls)
    policy.evaluate(trajectory, torch.arange(2))
    assert len(calls) == sampled + sampled // 2  # two passes, and one of both steps
    assert set(calls) == {AttnProcessor}


def test_left_out_the_model_stays_as_it_is(models: Models) -> None:
    network = policy_with(models, "flux-dev").network
    assert backends_in_force(network, {}) == {None}


@pytest.mark.parametrize(
    ("name", "backend", "problem"),
    [
        ("sd15", "flash", "flash is none of UNet2DConditionModel's .*: native, eager, xformers$"),
        ("sd3", "eager", "eager is none of SD3Transformer2DModel's back ends: native, xformers$"),
        ("flux-dev", "nativ", "nativ is none of FluxTransformer2DModel's back ends: .*, native"),
        ("sd3", "xformers", "xformers is not installed; pip install xformers"),
        ("flux-dev", "xformers", "xformers is not installed; pip install xformers"),
        ("flux-dev", "flash", "flash does not run here: .*install `flash-attn"),
        ("flux-dev", "sage", "sage does not run here: .*install `sageattention"),
        ("flux-dev", "flash_hub", "flash_hub does not run here: .*pip install kernels"),
        ("flux-dev", "_native_cudnn", "_native_cudnn does not run here: "),
        ("flux-dev", "flex", "flex does not run here: .* backward on CPU"),
    ],
)
def test_a_back_end_that_is_missing_is_refused(
    models: Models, name: str, backend: str, problem: str
) -> None:
    with pytest.raises(UserError, match=f"^policy.attention: {problem}"):
        policy_with(models, name, attention=backend)


class _Blind(AttnProcessor2_0):
    """Attention of a kernel that has no backward pass."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        with torch.no_grad():
            return super().__call__(*args, **options)


def refused(network: Any, name: str, processors: Mapping[str, type]) -> str:
    """The words in which a back end is refused."""
    with pytest.raises(UserError) as caught:
        set_attention(network, name, processors, nullcontext())
    return str(caught.value)


def test_a_back_end_without_a_gradient_is_refused(models: Models) -> None:
    unet = load_family(str(models("sd15"))).network
    message = refused(unet, "blind", {"blind": _Blind})
    assert message.startswith("policy.attention: blind lets no gradient through")


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_the_dispatcher_has_no_effect_on_models_that_do_not_ask_it(
    models: Models, name: str
) -> None:
    network = load_family(str(models(name))).network
    message = refused(network, AttentionBackendName._NATIVE_MATH.value, {})
    assert "_native_math had no effect on all of" in message


def test_a_back_end_that_is_taken_by_some_layers_only_is_refused(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = load_family(str(models("sd15"))).network
    first, set_all = next(iter(unet.attn_processors)), unet.set_attn_processor

    def set_but_one(processor: Any) -> None:
        set_all(processor)
        unet.get_submodule(first.removesuffix(".processor")).set_processor(AttnProcessor2_0())

    monkeypatch.setattr(unet, "set_attn_processor", set_but_one)
    known = {"native": AttnProcessor2_0, "eager": AttnProcessor}
    assert "eager had no effect on all of UNet2DConditionModel, which keeps native" in refused(
        unet, "eager", known
    )
