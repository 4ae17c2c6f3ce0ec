"""Dtypes by part, refused where they cannot train or decode; one arithmetic for sampling and
training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

import ddpo.diffusion.building
from ddpo.diffusion.building import build_diffusion_policy
from ddpo.diffusion.compilation import compile_blocks
from ddpo.diffusion.loading import load_family
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.errors import ConfigError, UserError
from ddpo.numerics import Numerics
from ddpo.randomness import RowGenerator
from tests.support.pipelines import PIPELINES
from tests.support.policies import configured, disturb

Models = Callable[[str], Path]

ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0), (0, 1)))
PROMPTS = ["a red circle", "a dog", "a red circle"]
CPU = torch.device("cpu")
PARTS = {"network": "bf16", "text_encoder": "fp16", "vae": "bf16"}


def policy_of(
    models: Models, name: str, autocast: torch.dtype | None = None, **options: Any
) -> DiffusionPolicy:
    """A policy with adapters that were moved as by an update."""
    folder = models(name)  # made with random numbers when it is first asked for
    torch.manual_seed(0)
    options = {"resolution": 16, "num_steps": 2, "guidance_scale": None} | options
    policy = build_diffusion_policy(configured(folder, **options), CPU, autocast)
    disturb(policy)
    return policy


def dtypes(part: nn.Module, *, adapters: bool = False) -> set[torch.dtype]:
    """Of its parameters, with or without those of adapters."""
    named = part.named_parameters()
    return {values.dtype for name, values in named if ("lora_" in name) == adapters}


@pytest.mark.parametrize("name", PIPELINES)
def test_each_part_has_its_dtype_and_trajectories_are_fp32(models: Models, name: str) -> None:
    policy = policy_of(models, name, precision=PARTS)
    pipeline = policy.family.pipeline
    assert dtypes(policy.network) == {torch.bfloat16}
    assert dtypes(policy.network, adapters=True) == {torch.float32}
    assert dtypes(pipeline.vae) == {torch.bfloat16}
    for _, encoder in policy.family.tokenizers:
        assert torch.float16 in dtypes(getattr(pipeline, encoder))
    trajectory = policy.sample(PROMPTS, ROWS)
    stored = [trajectory.log_probs, *trajectory.record.values(), trajectory.outputs]
    assert all(isinstance(values, Tensor) and values.dtype == torch.float32 for values in stored)
    assert all(bool(values.isfinite().all()) for values in stored if isinstance(values, Tensor))
    latents = trajectory.record["latents"]
    assert not torch.equal(latents, latents.to(torch.bfloat16).float())


def test_without_being_asked_all_is_fp32_whatever_was_saved(models: Models, tmp_path: Path) -> None:
    saved = load_family(str(models("sd15"))).pipeline.to(torch.float16)
    saved.save_pretrained(tmp_path)
    pipeline = load_family(str(tmp_path)).pipeline
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        assert dtypes(part) == {torch.float32}


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # FLUX, autocast
@pytest.mark.parametrize("name", ["sd15", "sd3", "flux-dev"])
@pytest.mark.parametrize(
    ("weights", "autocast"),
    [("fp32", None), ("fp32", torch.bfloat16), ("bf16", None), ("fp16", torch.float16)],
)
def test_sampling_and_scoring_compute_alike(
    models: Models, name: str, weights: str, autocast: torch.dtype | None
) -> None:
    policy = policy_of(models, name, autocast, precision={"network": weights})
    seen: list[Any] = []

    def watch(block: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        tensors = [v for v in (*inputs, *options.values()) if isinstance(v, Tensor)]
        under = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
        seen.append((id(block), under, tuple(values.dtype for values in tensors), block.training))

    for block in policy.network.modules():
        if type(block).__name__ in policy.family.repeated_blocks:
            block.register_forward_pre_hook(watch, with_kwargs=True)
    trajectory = policy.sample(PROMPTS, ROWS)
    sampled = set(seen)
    seen.clear()
    scored = policy.evaluate(trajectory, torch.arange(2)).log_probs.detach()
    assert set(seen) == sampled
    assert {under for _, under, *_ in sampled} == {autocast or False}
    error = (scored - trajectory.log_probs).abs()[trajectory.mask > 0]
    assert float(error.max()) <= (1e-6 if weights == "fp32" and autocast is None else 1e-3)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo
def test_sampling_and_scoring_share_the_compiled_graph(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without gradients torch would compile a graph of its own for sampling."""
    compiling = partial(compile_blocks, backend="eager")  # as far as graphs go, and no further
    monkeypatch.setattr(ddpo.diffusion.building, "compile_blocks", compiling)
    torch._dynamo.reset()  # pyright: ignore[reportPrivateImportUsage]
    counters.clear()
    policy = policy_of(models, "sd3", compile=True)
    trajectory = policy.sample(PROMPTS, ROWS)
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0
    assert not any(values.requires_grad for values in trajectory.record.values())
    for columns in torch.arange(2).split(1):
        scored = policy.evaluate(trajectory[:2], columns).log_probs
        torch.testing.assert_close(scored.detach(), trajectory.log_probs[:2, columns])
        scored.sum().backward()
    assert counters["stats"]["unique_graphs"] == graphs
    plain = policy_of(models, "sd3").sample(PROMPTS, ROWS)
    torch.testing.assert_close(trajectory.record["latents"], plain.record["latents"])


@pytest.mark.parametrize("name", PIPELINES)
def test_every_family_has_blocks_to_compile(models: Models, name: str) -> None:
    family = load_family(str(models(name)))
    kinds = {type(module).__name__ for module in family.network.modules()}
    assert kinds.issuperset(family.repeated_blocks)


def test_what_cannot_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(UserError, match="this Sequential has no Block to compile"):
        compile_blocks(network, ["Block"], CPU)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"policy\.compile: there is no compiler no-such-compiler"):
        compile_blocks(network, ["Linear"], CPU)


@pytest.mark.parametrize(
    ("name", "precision", "autocast", "problem"),
    [
        ("sdxl", {"vae": "fp16"}, None, "policy.precision.vae: fp16 overflows"),
        ("sd15", {"network": "fp16"}, None, "network: fp16 needs its loss scaled"),
        ("flux-dev", {"network": "fp16"}, torch.bfloat16, "set train.mixed_precision: fp16"),
    ],
)
def test_fp16_is_refused_where_its_range_is_too_small(
    models: Models, name: str, precision: Any, autocast: torch.dtype | None, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        policy_of(models, name, autocast, precision=precision)
    if "vae" in precision:
        policy_of(models, "sd15", autocast, precision=precision)


def test_all_weights_are_trained_in_fp32(models: Models) -> None:
    with pytest.raises(ConfigError, match=r"policy\.precision\.network: bf16 is too coarse"):
        configured(models("sd15"), lora=False, precision={"network": "bf16"})
    configured(models("sd15"), lora=False, precision={"vae": "bf16"})


@pytest.mark.parametrize(
    ("numerics", "remedies"),
    [
        (Numerics("fp32", "no", None, False, 1), []),
        (Numerics("fp32", "bf16", None, False, 1), ["train.mixed_precision: fp16 (or no)"]),
        (Numerics("bf16", "no", None, False, 1), ["policy.precision.network: fp32"]),
        (
            Numerics("fp32", "no", "sage", True, 4),
            ["policy.compile: false", "policy.attention: native", "train.actions_per_pass: 1"],
        ),
        (
            Numerics("fp32", "no", None, False, 1, channels_last=True),
            ["policy.channels_last: false"],
        ),
    ],
)
def test_the_remedy_is_one_that_fits(numerics: Numerics, remedies: list[str]) -> None:
    assert numerics.remedies() == remedies


def test_settings_are_named_by_their_keys() -> None:
    assert Numerics("bf16", "no", None, False, 2).in_force() == (
        "policy.precision.network: bf16, train.mixed_precision: no, policy.attention: null, "
        "policy.compile: false, policy.channels_last: false, train.actions_per_pass: 2"
    )
