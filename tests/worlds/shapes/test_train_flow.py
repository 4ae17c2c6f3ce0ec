"""The recipe of the flow-matching model: its loss, its encoding, and going on after a stop."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ddpo.worlds.shapes import pipeline_path, train_flow
from ddpo.worlds.shapes.captioned_latents import token_ids
from ddpo.worlds.shapes.tokenizer import make_tokenizer

CAPTIONS = ["a red circle on a gray background", "a blue square", ""]


def test_the_loss_is_that_of_the_velocity(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = train_flow.new_transformer()
    latents = torch.randn(3, 4, 8, 8)
    seen: list[tuple[Tensor, Tensor]] = []

    def answer(noisy: Tensor, embeddings: Tensor, pooled: Tensor, timestep: Tensor, **_: Any):
        seen.append((noisy, timestep))
        sigma = timestep[:, None, None, None] / 1000
        return ((noisy - latents) / sigma + 0.5,)  # σ(ε − x), and half too much

    monkeypatch.setattr(transformer, "forward", answer)
    torch.manual_seed(0)
    loss = train_flow.flow_loss(transformer, latents, torch.zeros(3, 2, 4), torch.zeros(3, 4))
    assert loss.item() == pytest.approx(0.25, rel=1e-4)
    ((noisy, timestep),) = seen
    torch.manual_seed(0)
    noise, sigma = torch.randn_like(latents), torch.sigmoid(torch.randn(3))
    torch.testing.assert_close(timestep, sigma * 1000)
    for row in range(3):
        by_hand = (1 - sigma[row]) * latents[row] + sigma[row] * noise[row]
        torch.testing.assert_close(noisy[row], by_hand)


def test_captions_are_encoded_as_the_pipeline_does() -> None:
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    text_encoder = train_flow.new_text_encoder(tokenizer)
    vae = AutoencoderKL.from_pretrained(pipeline_path() / "vae")
    pipeline: Any = train_flow.assemble(vae, train_flow.new_transformer(), text_encoder, tokenizer)
    with torch.no_grad():
        own = train_flow.encoded(text_encoder, token_ids(tokenizer, CAPTIONS))
        embeddings, _, pooled, _ = pipeline.encode_prompt(
            CAPTIONS,
            *(None, None),
            do_classifier_free_guidance=False,
            max_sequence_length=train_flow.T5_TOKENS,
        )
    torch.testing.assert_close(own[0], embeddings)
    torch.testing.assert_close(own[1], pooled)
    assert not torch.allclose(own[1][0], own[1][1], atol=1e-3)


def test_the_training_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))  # a step takes one
    made: list[float] = []
    flow_loss = train_flow.flow_loss

    def counted(*arguments: Any) -> Tensor:
        loss = flow_loss(*arguments)
        made.append(loss.item())
        return loss

    monkeypatch.setattr(train_flow, "flow_loss", counted)

    def weights(steps: int) -> dict[str, Tensor]:
        small = replace(train_flow.PLAN, minutes=steps / 60, pool_size=64, batch_size=4)
        pipeline = train_flow.train(tmp_path, small)
        return {k: v.clone() for k, v in pipeline.transformer.state_dict().items()}

    after_two = weights(2)
    assert len(made) == 2
    again = weights(2)
    assert len(made) == 2
    assert all(torch.equal(after_two[name], again[name]) for name in after_two)
    after_three = weights(3)
    assert len(made) == 3
    assert any(not torch.equal(after_two[name], after_three[name]) for name in after_two)
    assert (tmp_path / "pipeline" / "model_index.json").exists()
