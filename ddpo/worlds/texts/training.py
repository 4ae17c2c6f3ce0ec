"""Supervised training of the models on the corpus: the loss is over completions alone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from ddpo.worlds.texts.corpus import SUMMARY_ENDING, program_pairs, summary_pairs

Pair = tuple[str, str]
IGNORED = -100
"""A label of which transformers' losses take no account."""


@dataclass(frozen=True)
class Lesson:
    """A part of a training.

    Attributes:
        share: of its steps.
        shortest: words of a description, at least.
        corpus_share: how often a completion is as the corpus has it, instead of right.
    """

    share: float
    shortest: int
    corpus_share: float


def lessons(corpus_share: float) -> tuple[Lesson, ...]:
    """What is right first, of descriptions that grow, and the corpus last.

    To find facts among few sentences first takes a fraction of the steps; and so does learning
    what is right before learning to say something else, as most completions of the corpus do.

    Args:
        corpus_share: of the lessons before the last.
    """
    return (
        Lesson(0.30, 0, corpus_share),
        Lesson(0.20, 30, corpus_share),
        Lesson(0.25, 60, corpus_share),
        Lesson(0.25, 60, 1.0),
    )


@dataclass(frozen=True)
class Plan:
    """How long and how fast a model is trained.

    Attributes:
        steps: optimizer steps.
        lessons: what they are spent on.
        summaries: examples of summaries in a step.
        programs: examples of programs in a step.
        peak_rate: the highest learning rate; it rises over the first steps, and falls as a cosine
            to a tenth. At 2.5e-3 which colour belongs to which shape was not learned in 600 steps.
        warm_up: those first steps.
    """

    steps: int
    lessons: tuple[Lesson, ...]
    summaries: int
    programs: int = 0
    peak_rate: float = 1e-3
    warm_up: int = 50


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
            group["lr"] = plan.peak_rate * min(1.0, rise) * (0.55 + 0.45 * fall.item())
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
    for summaries, _ in _examples(plan, seed):
        prompts = tokenizer([prompt for prompt, _ in summaries], return_tensors="pt", padding=True)
        labels = tokenizer(
            [completion + str(tokenizer.eos_token) for _, completion in summaries],
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
    for summaries, programs in _examples(plan, seed):
        asked = [(prompt + SUMMARY_ENDING, f" {summary}") for prompt, summary in summaries]
        yield [causal_batch(tokenizer, asked), causal_batch(tokenizer, programs)]


def causal_batch(tokenizer: PreTrainedTokenizerFast, pairs: list[Pair]) -> dict[str, Tensor]:
    """Prompts and completions end to end, padded on the right; prompts have no labels."""
    rows = []
    for prompt, completion in pairs:
        start = tokenizer(prompt)["input_ids"]
        rest = tokenizer(completion + str(tokenizer.eos_token))["input_ids"]
        rows.append((start, rest))
    longest = max(len(start) + len(rest) for start, rest in rows)
    padding: Any = tokenizer.pad_token_id
    ids = torch.full((len(rows), longest), padding)
    labels, mask = torch.full_like(ids, IGNORED), torch.zeros_like(ids)
    for row, (start, rest) in enumerate(rows):
        whole = len(start) + len(rest)
        ids[row, :whole] = torch.tensor(start + rest)
        labels[row, len(start) : whole] = torch.tensor(rest)
        mask[row, :whole] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _examples(plan: Plan, seed: int) -> Iterator[tuple[list[Pair], list[Pair]]]:
    """The summaries and the programs of each step, lesson after lesson."""
    done, end = 0, 0.0
    for number, lesson in enumerate(plan.lessons):
        summaries = summary_pairs(seed + number, lesson.shortest, lesson.corpus_share)
        programs = program_pairs(seed + number, lesson.corpus_share)
        end += lesson.share * plan.steps
        while done < round(end):
            yield list(islice(summaries, plan.summaries)), list(islice(programs, plan.programs))
            done += 1
