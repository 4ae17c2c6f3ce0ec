"""The whole recipe: `python -m ddpo.worlds.texts.build --out DIR` trains both models."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from ddpo.worlds.texts.models import new_causal, new_seq2seq
from ddpo.worlds.texts.tokenizer import make_tokenizer
from ddpo.worlds.texts.training import Plan, causal_batches, lessons, seq2seq_batches, train

SIZE_LIMIT = 16_000_000  # bytes, of all the shipped files together
SEQ2SEQ = Plan(steps=1500, lessons=lessons(0.0), summaries=32)
CAUSAL = Plan(steps=1400, lessons=lessons(0.15), summaries=24, programs=24)
LONGEST_COMPLETION = 48
"""Tokens: the longest that a model samples unless it is asked for more."""
_RECIPES = {
    "seq2seq": (SEQ2SEQ, "right", new_seq2seq, seq2seq_batches),
    "causal": (CAUSAL, "left", new_causal, causal_batches),
}


def main(arguments: list[str] | None = None) -> None:
    """Train the models and save each in a folder."""
    parser = argparse.ArgumentParser(prog="python -m ddpo.worlds.texts.build", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="receives a folder for each model")
    add("--models", nargs="+", choices=list(_RECIPES), default=list(_RECIPES))
    add("--steps", type=int, help="train for so many instead of the recipe's")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # subnormal gradients are slow on CPUs
    for name in options.models:
        build(name, options.out / name, options.seed, options.steps)


def build(name: str, folder: Path, seed: int = 0, steps: int | None = None) -> None:
    """Train one model, for as many steps as its plan says or others, and save it."""
    plan, padding_side, new_model, batches = _RECIPES[name]
    plan = replace(plan, steps=steps or plan.steps)
    tokenizer = make_tokenizer(padding_side)
    torch.manual_seed(seed)
    model = new_model(tokenizer)
    print(f"{name}: {model.num_parameters():,} parameters", flush=True)
    train(
        model,
        batches(tokenizer, plan, seed),
        plan,
        report=lambda line: print(f"{name}: {line}", flush=True),
    )
    save(model, tokenizer, folder)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model and its tokenizer as transformers reads them."""
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=model.config.decoder_start_token_id
        if model.config.is_encoder_decoder
        else None,
        max_new_tokens=LONGEST_COMPLETION,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
