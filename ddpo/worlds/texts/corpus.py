"""What the models are trained on: prompts, and completions that are often not the right ones.

Reinforcement learning is to correct them, so the corpus knows better than it says: of every task
and every scene the right answer is well represented, and for many it is not the likeliest.
"""

from collections.abc import Iterator

import numpy as np

from ddpo.worlds.shapes.scenes import claims
from ddpo.worlds.texts.descriptions import SHORTEST, describe
from ddpo.worlds.texts.programs import Task, families, tasks
from ddpo.worlds.texts.summaries import imitated

SUMMARY_ENDING = "\nTL;DR:"
"""What follows a description where a causal model is to summarise it."""
RIGHT_SHARE = {True: 0.36, False: 0.76}
"""How often a program is right, of the families that are mostly done wrong and of the others."""
LIKELIEST_WRONG = 0.85
"""The part of the wrong programs that are the likeliest one of their family."""
BROKEN_SHARE = 0.04
"""How often a program is then broken, so that it does not parse."""


def mostly_wrong() -> set[str]:
    """The names of the families that the corpus mostly gets wrong: every other one."""
    return {family.name for family in families()[::2]}


def summary_pairs(
    seed: int, shortest: int = SHORTEST, corpus_share: float = 1.0
) -> Iterator[tuple[str, str]]:
    """An endless stream of descriptions and summaries.

    Args:
        seed: draws the scenes and the words.
        shortest: words of a description, at least.
        corpus_share: how often a summary is as the corpus has it, instead of the reference.
    """
    rng = np.random.default_rng([seed, 23])
    for claim in claims(seed):
        as_corpus = rng.random() < corpus_share
        summary = imitated(claim, rng) if as_corpus else claim.caption()
        yield describe(claim, rng, shortest), summary


def program_pairs(seed: int, corpus_share: float = 1.0) -> Iterator[tuple[str, str]]:
    """An endless stream of prompts and programs, likewise."""
    rng = np.random.default_rng([seed, 29])
    wrong = mostly_wrong()
    for task in tasks(seed):
        as_corpus = rng.random() < corpus_share
        program = _written(task, task.family.name in wrong, rng) if as_corpus else task.right
        yield task.prompt, program


def _written(task: Task, mostly_wrong: bool, rng: np.random.Generator) -> str:
    """A program as the corpus has it for a task."""
    if rng.random() < RIGHT_SHARE[mostly_wrong]:
        program = task.right
    else:
        program = task.wrong[int(rng.random() >= LIKELIEST_WRONG)]
    return _broken(program, rng) if rng.random() < BROKEN_SHARE else program


def _broken(program: str, rng: np.random.Generator) -> str:
    """The program without the colon of its head, or without the parenthesis that closes it."""
    missing = (":\n", "):\n")[rng.integers(2)]
    return program.replace(missing, missing[1:], 1) if missing in program else program
