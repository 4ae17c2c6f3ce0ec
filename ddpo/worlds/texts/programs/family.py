"""A family of tasks: a sentence with blanks, a program that does what it says, and wrong ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Inputs = Callable[[int, int], list[tuple[Any, ...]]]
"""From the constants k and m of a task to the arguments that its tests call it with."""


@dataclass(frozen=True)
class Kind:
    """What the functions of a family take.

    Attributes:
        parameters: the blanks that stand for them, in order.
        inputs: of the tests; chosen so that every wrong program of the family fails one.
    """

    parameters: tuple[str, ...]
    inputs: Inputs


@dataclass(frozen=True)
class Family:
    """Tasks that differ in names, constants and phrasing.

    Blanks in texts and programs: `{a}` and `{b}` are numbers, `{s}` a text and `{xs}` a list of
    numbers, as the kind says; `{k}` and `{m}` are constants from 2 to 9, `{l}` is `{k}` less one,
    and `{c}` is a letter.

    Attributes:
        name: of the family.
        kind: what its functions take.
        phrasings: sentences that say what to compute.
        right: what follows `return`, or, where it holds a line end, the whole body.
        wrong: the same of programs that a hasty reader might write; the likeliest first.
        value: what a right program returns, given the arguments and then k, m and c by name.
        held_out: whether it is kept from training.
    """

    name: str
    kind: Kind
    phrasings: tuple[str, ...]
    right: str
    wrong: tuple[str, ...]
    value: Callable[..., Any]
    held_out: bool = False


NUMBER = Kind(("a",), lambda k, m: [(k,), (k - 1,), (k + 1,), (-4,), (0,), (6 * k,), (9 * m + 1,)])
NUMBERS = Kind(("a", "b"), lambda k, m: [(7, 3), (2, 9), (-4, 5), (k + 1, m), (12, 12), (m, -k)])
TEXT = Kind(
    ("s",),
    lambda k, m: [
        ("Understanding",),
        ("banana bread tin",),
        ("racecar",),
        ("a new barn",),
        ("even so",),
    ],
)
LIST = Kind(
    ("xs",),
    lambda k, m: [
        ([3, 8, 1, 12, 5],),
        ([k, k + 1, -2, 15, k - 1],),
        ([10, -4, 0, 6, 11, 3],),
        ([20, 1, k, 4, 4],),
    ],
)
