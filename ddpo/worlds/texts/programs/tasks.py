"""Tasks drawn from the families: a prompt, its tests, and programs that pass them or do not.

task = next(tasks(seed=0))
task.prompt, task.tests, task.right
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpo.worlds.texts.programs.family import Family
from ddpo.worlds.texts.programs.lists import LISTS
from ddpo.worlds.texts.programs.numbers import ARITHMETIC, CONDITIONALS
from ddpo.worlds.texts.programs.strings import STRINGS

_FUNCTIONS = (
    *("f", "g", "h", "solve", "run", "compute"),
    *("answer", "result", "find", "work", "task", "make"),
)
_PARAMETERS = {
    "a": ("a", "n", "p", "u", "w", "i"),
    "b": ("b", "m", "q", "v", "y", "j"),
    "s": ("s", "t", "text", "word", "line", "name"),
    "xs": ("xs", "nums", "items", "values", "data", "numbers"),
}
_LETTERS = "aben"
_HELD_OUT_ONE_IN = 8


@dataclass(frozen=True)
class Task:
    """One member of a family.

    Attributes:
        family: which it belongs to.
        prompt: a comment that names the function, its parameters and what it returns, with its
            line end.
        right: a program that does it.
        wrong: programs that do not.
        tests: as the reward `code_tests` takes them; a right program passes all.
    """

    family: Family
    prompt: str
    right: str
    wrong: tuple[str, ...]
    tests: list[dict[str, Any]]

    @property
    def held_out(self) -> bool:
        """Whether its prompt is kept from training: one in eight of every family."""
        return zlib.crc32(self.prompt.encode()) % _HELD_OUT_ONE_IN == 0


def families(held_out: bool = False) -> list[Family]:
    """The families that the corpus has, or those kept from it."""
    every = (*ARITHMETIC, *CONDITIONALS, *STRINGS, *LISTS)
    return [family for family in every if family.held_out == held_out]


def tasks(seed: int, held_out: bool = False, held_out_families: bool = False) -> Iterator[Task]:
    """An endless stream of tasks that takes the families in turn.

    Args:
        seed: draws names, constants and phrasings.
        held_out: which side of the split the tasks are from; of held-out families, all of either
            side.
        held_out_families: take the families that are kept from the corpus.
    """
    rng = np.random.default_rng([seed, held_out, held_out_families, 11])
    while True:
        for family in families(held_out_families):
            task = draw_task(family, rng)
            while not held_out_families and task.held_out != held_out:
                task = draw_task(family, rng)
            yield task


def distinct_tasks(
    count: int, seed: int = 0, held_out: bool = False, held_out_families: bool = False
) -> list[Task]:
    """The first `count` tasks of such a stream that differ in their prompts."""
    found: dict[str, Task] = {}
    for task in tasks(seed, held_out, held_out_families):
        found.setdefault(task.prompt, task)
        if len(found) == count:
            return list(found.values())
    raise AssertionError("tasks() never ends")


def draw_task(family: Family, rng: np.random.Generator) -> Task:
    """A random task of a family."""
    names = {kind: _pick(rng, _PARAMETERS[kind]) for kind in family.kind.parameters}
    k, m = (int(number) for number in rng.permutation(np.arange(2, 10))[:2])
    letter = _pick(rng, _LETTERS)
    blanks = {**names, "k": str(k), "l": str(k - 1), "m": str(m), "c": letter}
    function = _pick(rng, _FUNCTIONS)
    head = f"{function}({', '.join(names.values())})"
    sentence = _pick(rng, family.phrasings).format(**blanks)
    tests = [
        {
            "call": function,
            "args": list(arguments),
            "expected": family.value(*arguments, k=k, m=m, c=letter),
        }
        for arguments in family.kind.inputs(k, m)
    ]
    right, *wrong = (
        f"def {head}:\n    {_body(program.format(**blanks))}\n"
        for program in (family.right, *family.wrong)
    )
    return Task(family, f"# {head}: {sentence}\n", right, tuple(wrong), tests)


def _body(program: str) -> str:
    return program if "\n" in program else f"return {program}"


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
