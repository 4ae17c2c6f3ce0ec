"""Completions by a finished run, written as its held-out samples are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from ddpo.config.schema import Config
from ddpo.config.text_policy import TextPolicyConfig
from ddpo.randomness import EVALUATION, RowGenerator
from ddpo.text.building import build_token_policy


def completions(
    config: Config, final: Path, prompts: Sequence[str], *, seed: int, greedy: bool
) -> list[str]:
    """One completion per prompt; the i-th depends on the seed, on i and on its prompt.

    Args:
        config: of the run.
        final: where its model is, or the adapter of one.
        prompts: at least one.
        seed: of what is drawn.
        greedy: take the likeliest token at each place, whatever the seed.

    Raises:
        UserError: the model cannot be loaded, or a prompt does not fit.
    """
    asked, adapter = config.policy, config.lora is not None
    assert isinstance(asked, TextPolicyConfig)
    if not adapter:
        asked = dataclasses.replace(asked, model=str(final))
    plain = dataclasses.replace(config, policy=asked, lora=None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy = build_token_policy(plain, device, None)
    if adapter:
        policy.language.model.load_adapter(str(final))
    policy.check_prompts(prompts, "--prompts")
    if greedy:
        outputs = policy.sample_greedily(prompts).outputs
    else:
        rows = tuple((number, 0) for number in range(len(prompts)))
        generator = RowGenerator(seed, EVALUATION, rows)
        outputs = policy.sample(prompts, generator, heldout=True).outputs
    assert isinstance(outputs, list)
    return outputs
