"""A flow-matching model of SD3's architecture on the same scenes: `python -m
ddpo.worlds.shapes.train_flow --out DIR`. It is not shipped: its pipeline is a folder that
`policy.model` takes.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from ddpo.worlds.shapes import pipeline_path, text_to_image
from ddpo.worlds.shapes.evaluate import heldout_accuracy
from ddpo.worlds.shapes.text_to_image import Plan, text_config
from ddpo.worlds.shapes.tokenizer import make_tokenizer

PLAN = Plan(minutes=90.0, evaluate_every=5.0, peak_rate=1e-3, betas=(0.9, 0.99))
TEXT_WIDTH = 64
HEADS, HEAD_WIDTH, LAYERS = 4, 32, 6
T5_TOKENS = 1
"""There is no T5: the pipeline puts zeros in its place, and one is enough."""


def new_transformer() -> SD3Transformer2DModel:
    """An untrained transformer over 4x8x8 latents in 16 tokens."""
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=LAYERS,
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_WIDTH,
        caption_projection_dim=HEADS * HEAD_WIDTH,
        joint_attention_dim=2 * TEXT_WIDTH,
        pooled_projection_dim=2 * TEXT_WIDTH,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """An untrained text encoder; only the pooled embedding sees the last of its three layers."""
    return CLIPTextModelWithProjection(text_config(tokenizer, TEXT_WIDTH, layers=3))


def encoded(
    text_encoder: CLIPTextModelWithProjection, tokens: Int[Tensor, "b tokens"]
) -> tuple[Float[Tensor, "b length width"], Float[Tensor, "b width"]]:
    """Embeddings and pooled embedding, as the pipeline makes them of one encoder used twice."""
    output = text_encoder(tokens, output_hidden_states=True)
    hidden, pooled = cast(Any, output).hidden_states[-2], output.text_embeds
    embeddings = F.pad(torch.cat([hidden, hidden], -1), (0, 0, 0, T5_TOKENS))
    return embeddings, torch.cat([pooled, pooled], -1)


def flow_loss(
    transformer: SD3Transformer2DModel,
    latents: Float[Tensor, "b c h w"],
    embeddings: Float[Tensor, "b length width"],
    pooled: Float[Tensor, "b width"],
) -> Float[Tensor, ""]:
    """Mean squared error of the velocity ε − x at logit-normal noise levels (Esser et al. 2024)."""
    noise = torch.randn_like(latents)
    sigma = torch.randn(len(latents)).sigmoid()
    weight = sigma[:, None, None, None]
    noisy = (1 - weight) * latents + weight * noise
    predicted = transformer(noisy, embeddings, pooled, sigma * 1000, return_dict=False)[0]
    return F.mse_loss(predicted, noise - latents)


def assemble(
    vae: AutoencoderKL,
    transformer: SD3Transformer2DModel,
    text_encoder: CLIPTextModelWithProjection,
    tokenizer: CLIPTokenizer,
) -> StableDiffusion3Pipeline:
    """The trained parts as a plain SD3 pipeline without T5."""
    vae.register_to_config(shift_factor=0.0)  # SD3's pipeline adds it, whether there is one or not
    make: Any = StableDiffusion3Pipeline
    return make(
        vae=vae,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder,
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


def train(folder: Path, plan: Plan = PLAN) -> StableDiffusion3Pipeline:
    """Train the pipeline around the embedded autoencoder; see `text_to_image.train`."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    vae = AutoencoderKL.from_pretrained(pipeline_path() / "vae")
    transformer, text_encoder = new_transformer(), new_text_encoder(tokenizer)

    def loss(latents: Tensor, tokens: Tensor) -> Tensor:
        return flow_loss(transformer, latents, *encoded(text_encoder, tokens))

    return text_to_image.train(
        folder,
        "flow",
        {"flow": transformer, "text": text_encoder},
        loss,
        lambda averages: assemble(vae, averages["flow"], averages["text"], tokenizer),
        vae,
        tokenizer,
        plan,
        max_sequence_length=T5_TOKENS,
    )


def main() -> None:
    """Train, and print how many held-out captions come out right."""
    parser = argparse.ArgumentParser(prog="python -m ddpo.worlds.shapes.train_flow")
    parser.add_argument(
        "--out", type=Path, required=True, help="receives pipeline/ and a checkpoint"
    )
    parser.add_argument("--minutes", type=float, default=PLAN.minutes)
    parser.add_argument(
        "--stop-at", type=float, default=PLAN.stop_at, help="held-out accuracy to stop at"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = replace(PLAN, minutes=options.minutes, stop_at=options.stop_at)
    pipeline = train(options.out, plan)
    right = heldout_accuracy(pipeline, count=256, max_sequence_length=T5_TOKENS)
    print(f"{right:.3f} of 256 held-out captions; {options.out / 'pipeline'}", flush=True)


if __name__ == "__main__":
    main()
