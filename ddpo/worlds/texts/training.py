"""Supervised training of the models on the corpus: the loss is over completions alone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from ddpo.worlds.texts.corpus import SUMMARY_ENDING, program_pairs, summary_pairs
from ddpo.worlds.texts.tokenizer import PADDING

Pair = tuple[str, str]
IGNORED = -100
"""A label of which transformers' losses take no account."""
_SHORTEST = ((0.35, 0), (0.65, 30), (1.0, 60))
"""Words of the shortest descriptions, up to each part of the training: finding a fact among few
sentences is learned in a fraction of the steps that finding it among many takes."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast a model is trained.

    Attributes:
        steps: optimizer steps.
        summaries: examples of summaries in a step.
        programs: examples of programs in a step.
        peak_rate: the highest learning rate; it rises over the first steps, and falls as a cosine.
        warm_up: those first steps.
    """

    steps: int
    summaries: int
    programs: int = 0
    peak_rate: float = 2.5e-3
    warm_up: int = 100


def train(
    model: nn.Module,
    batches: Iterator[list[dict[str, Tensor]]],
    plan: Plan,
    report: Callable[[str], None] = print,
) -> None:
    """Train a model in place; the loss of a step is the sum over its batches' mean losses."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=0.05
    )
    model.train()
    started, shown = time.monotonic(), []
    for step, parts in enumerate(islice(batches, plan.steps)):
        rise, fall = (step + 1) / plan.warm_up, torch.tensor(torch.pi * step / plan.steps).cos()
        for group in optimizer.param_groups:
            group["lr"] = plan.peak_rate * min(1.0, rise) * (0.51 + 0.49 * fall.item())
        losses = [model(**part).loss for part in parts]
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown.append([loss.item() for loss in losses])
        if len(shown) == 100 or step + 1 == plan.steps:
            means = " ".join(f"{loss:.3f}" for loss in torch.tensor(shown).mean(0).tolist())
            report(f"step {step + 1}, {time.monotonic() - started:.0f} s: loss {means}")
            shown.clear()
    model.eval()


def seq2seq_batches(
    tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int
) -> Iterator[list[dict[str, Tensor]]]:
    """Batches for the sequence-to-sequence model: descriptions in, summaries out."""
    for pairs in _summaries(plan, seed):
        prompts = tokenizer([prompt for prompt, _ in pairs], return_tensors="pt", padding=True)
        labels = tokenizer(
            [completion + str(tokenizer.eos_token) for _, completion in pairs],
            return_tensors="pt",
            padding=True,
        )
        ignored = labels["attention_mask"] == 0
        yield [
            {
                "input_ids": prompts["input_ids"],
                "attention_mask": prompts["attention_mask"],
                "labels": labels["input_ids"].masked_fill(ignored, IGNORED),
            }
        ]


def causal_batches(
    tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int
) -> Iterator[list[dict[str, Tensor]]]:
    """Batches for the causal model: one of summaries and one of programs a step."""
    programs = program_pairs(seed)
    for pairs in _summaries(plan, seed):
        ended = [(prompt + SUMMARY_ENDING, f" {summary}") for prompt, summary in pairs]
        yield [
            causal_batch(tokenizer, ended),
            causal_batch(tokenizer, list(islice(programs, plan.programs))),
        ]


def causal_batch(tokenizer: PreTrainedTokenizerFast, pairs: list[Pair]) -> dict[str, Tensor]:
    """Prompts and completions end to end, padded on the right; prompts have no labels."""
    rows = []
    for prompt, completion in pairs:
        start = tokenizer(prompt)["input_ids"]
        rest = tokenizer(completion + str(tokenizer.eos_token))["input_ids"]
        rows.append((start, rest))
    longest = max(len(start) + len(rest) for start, rest in rows)
    ids = torch.full((len(rows), longest), tokenizer.convert_tokens_to_ids(PADDING))
    labels, mask = torch.full_like(ids, IGNORED), torch.zeros_like(ids)
    for row, (start, rest) in enumerate(rows):
        whole = len(start) + len(rest)
        ids[row, :whole] = torch.tensor(start + rest)
        labels[row, len(start) : whole] = torch.tensor(rest)
        mask[row, :whole] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _summaries(plan: Plan, seed: int) -> Iterator[list[Pair]]:
    """The summaries of each step, of descriptions that grow."""
    done = 0
    for number, (part, shortest) in enumerate(_SHORTEST):
        stream = summary_pairs(seed + number, shortest)
        while done < part * plan.steps:
            yield list(islice(stream, plan.summaries))
            done += 1
