"""How well a model does on the prompt sets: `python -m ddpo.worlds.texts.evaluate [FOLDER ...]`.

It prints the BLEU of summaries and the part of programs that pass all their tests, greedy and
sampled at temperature 1, for each folder; for the embedded models if none is named.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

import rewards
from ddpo.config.schema import PromptsConfig
from ddpo.prompts import PromptSet, load_prompts
from ddpo.worlds.texts import MODELS, model_path
from ddpo.worlds.texts.corpus import SUMMARY_ENDING

SUMMARIES = ("summaries", "summaries-heldout")
PROGRAMS = ("programs", "programs-heldout", "programs-heldout-families")
_BATCH = 64


def main(arguments: list[str] | None = None) -> None:
    """Print the figures of each folder as one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python -m ddpo.worlds.texts.evaluate", description=__doc__
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="*", default=[model_path(name) for name in MODELS])
    add("--samples", type=int, default=4, help="completions of a prompt at temperature 1")
    add("--limit", type=int, help="prompts of each set; all by default")
    add("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for folder in options.folders:
        figures = evaluate(folder, options.samples, options.limit, options.seed)
        print(json.dumps({"model": folder.name, **figures}, indent=2), flush=True)


def evaluate(
    folder: Path, samples: int = 4, limit: int | None = None, seed: int = 0
) -> dict[str, dict[str, float]]:
    """The figures of a model on every set it can take.

    Returns:
        For each set the number of prompts, and the means over `greedy` completions, one a prompt,
        and over `sampled` ones, `samples` a prompt: of BLEU in [0, 1], or of programs the share
        that passes all tests.
    """
    model, tokenizer = load(folder)
    names = SUMMARIES if model.config.is_encoder_decoder else SUMMARIES + PROGRAMS
    figures = {}
    for name in names:
        prompts = prompt_set(name, model.config.is_encoder_decoder, limit)
        repeated, columns = prompts.rows([i for i in range(len(prompts)) for _ in range(samples)])
        greedy = complete(model, tokenizer, prompts.texts)
        sampled = complete(model, tokenizer, repeated, seed)
        figures[name] = {
            "prompts": len(prompts),
            "greedy": score(greedy, prompts.texts, prompts.columns),
            "sampled": score(sampled, repeated, columns),
        }
    return figures


def load(folder: Path) -> tuple[Any, Any]:
    """A model of either kind with its tokenizer."""
    encoder_decoder = AutoConfig.from_pretrained(folder).is_encoder_decoder
    kind = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
    return kind.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def prompt_set(name: str, encoder_decoder: bool, limit: int | None = None) -> PromptSet:
    """A named set as a model of that kind takes it."""
    asks = name in SUMMARIES and not encoder_decoder
    template = "{prompt}" + SUMMARY_ENDING if asks else None
    return load_prompts(PromptsConfig(set=name, template=template, limit=limit))


@torch.no_grad()
def complete(model: Any, tokenizer: Any, prompts: list[str], seed: int | None = None) -> list[str]:
    """One completion a prompt: sampled at temperature 1 with a seed, the likeliest without."""
    if seed is not None:
        torch.manual_seed(seed)
    completions = []
    for batch in _batches(prompts):
        inputs = tokenizer(batch, return_tensors="pt", padding=True)
        ids = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            **({} if seed is None else {"do_sample": True, "top_k": 0}),
        )
        if not model.config.is_encoder_decoder:
            ids = ids[:, inputs["input_ids"].shape[1] :]
        completions += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return completions


def score(completions: list[str], prompts: list[str], columns: dict[str, list[Any]]) -> float:
    """Mean BLEU where there are references; with tests, the share that passes all of them."""
    if "reference" in columns:
        bleu = rewards.make("bleu")
        return float(bleu(completions, prompts, reference=columns["reference"]).mean())
    passed = rewards.make("code_tests", fenced=False)(completions, prompts, tests=columns["tests"])
    return float((passed == 1.0).mean())


def _batches(prompts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(prompts), _BATCH):
        yield prompts[start : start + _BATCH]


if __name__ == "__main__":
    main()
