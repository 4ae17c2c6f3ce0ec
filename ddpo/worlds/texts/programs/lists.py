"""Families over a list of numbers: every way of gathering with every condition, and a few more."""

from collections.abc import Callable
from typing import Any

from ddpo.worlds.texts.programs.family import LIST, Family

_GATHERED: dict[str, tuple[str, str, Callable[[list[int]], int]]] = {
    "sum": ("the sum of", "sum(x for x in {{xs}} if {condition})", sum),
    "largest": ("the largest of", "max(x for x in {{xs}} if {condition})", max),
    "smallest": ("the smallest of", "min(x for x in {{xs}} if {condition})", min),
    "number": ("the number of", "len([x for x in {{xs}} if {condition}])", len),
}
_CONDITIONS: dict[str, tuple[str, str, str, Callable[[int, int], bool]]] = {
    "greater": ("greater than {k}", "x > {{k}}", "x < {{k}}", lambda x, k: x > k),
    "less": ("less than {k}", "x < {{k}}", "x > {{k}}", lambda x, k: x < k),
    "even": ("even", "x % 2 == 0", "x % 2 == 1", lambda x, k: not x & 1),
    "odd": ("odd", "x % 2 == 1", "x % 2 == 0", lambda x, k: bool(x & 1)),
}
_HELD_OUT = {"sum_less", "largest_even", "smallest_greater", "number_odd"}
# The largest of those above a number is the largest of all, whatever the number.
_POINTLESS = {"largest_greater", "smallest_less"}


def _gathering(gather: str, condition: str) -> Family:
    start, program, gathered = _GATHERED[gather]
    words, holds, fails, kept = _CONDITIONS[condition]

    def value(xs: list[int], k: int, **_: Any) -> int:
        return gathered([x for x in xs if kept(x, k)])

    plain = program.partition("(")[0] + "({xs})"
    name = f"{gather}_{condition}"
    return Family(
        name,
        LIST,
        (
            f"{start} the numbers in {{xs}} that are {words}",
            f"{start} all numbers of {{xs}} that are {words}",
        ),
        _filled(program, holds),
        (_filled(program, fails), plain),
        value,
        held_out=name in _HELD_OUT,
    )


def _filled(program: str, condition: str) -> str:
    return program.replace("{condition}", condition).replace("{{", "{").replace("}}", "}")


_GATHERINGS = tuple(
    _gathering(gather, condition)
    for condition in _CONDITIONS
    for gather in _GATHERED
    if f"{gather}_{condition}" not in _POINTLESS
)

_OTHERS = (
    Family(
        "sum",
        LIST,
        ("the sum of {xs}", "the sum of all numbers in {xs}"),
        "sum({xs})",
        ("len({xs})", "max({xs})"),
        lambda xs, **_: sum(sorted(xs)),
    ),
    Family(
        "spread",
        LIST,
        ("the largest minus the smallest number in {xs}", "how far the numbers in {xs} reach"),
        "max({xs}) - min({xs})",
        ("max({xs}) + min({xs})", "max({xs})"),
        lambda xs, **_: sorted(xs)[-1] - sorted(xs)[0],
    ),
    Family(
        "product",
        LIST,
        ("the product of {xs}", "all numbers in {xs} multiplied"),
        "total = 1\n    for x in {xs}:\n        total *= x\n    return total",
        (
            "total = 0\n    for x in {xs}:\n        total *= x\n    return total",
            "total = 1\n    for x in {xs}:\n        total += x\n    return total",
        ),
        lambda xs, **_: _product(xs),
    ),
    Family(
        "each_times",
        LIST,
        ("each number in {xs} times {k}", "{xs} with each number multiplied by {k}"),
        "[x * {k} for x in {xs}]",
        ("{xs} * {k}", "[x + {k} for x in {xs}]"),
        lambda xs, k, **_: [k * x for x in xs],
    ),
    Family(
        "each_plus",
        LIST,
        ("each number in {xs} plus {k}", "{xs} with {k} added to each number"),
        "[x + {k} for x in {xs}]",
        ("{xs} + [{k}]", "[x * {k} for x in {xs}]"),
        lambda xs, k, **_: [k + x for x in xs],
    ),
    Family(
        "each_minus",
        LIST,
        ("each number in {xs} minus {k}", "{xs} with {k} subtracted from each number"),
        "[x - {k} for x in {xs}]",
        ("[x + {k} for x in {xs}]", "[{k} - x for x in {xs}]"),
        lambda xs, k, **_: [-(k - x) for x in xs],
        held_out=True,
    ),
    Family(
        "squares",
        LIST,
        ("the squares of the numbers in {xs}", "each number in {xs}, squared"),
        "[x * x for x in {xs}]",
        ("[x + x for x in {xs}]", "[x * 2 for x in {xs}]"),
        lambda xs, **_: [x**2 for x in xs],
    ),
    Family(
        "those_greater",
        LIST,
        ("the numbers in {xs} that are greater than {k}", "all of {xs} greater than {k}"),
        "[x for x in {xs} if x > {k}]",
        ("[x > {k} for x in {xs}]", "[x for x in {xs} if x < {k}]"),
        lambda xs, k, **_: list(filter(lambda x: x > k, xs)),
    ),
    Family(
        "those_less",
        LIST,
        ("the numbers in {xs} that are less than {k}", "all of {xs} less than {k}"),
        "[x for x in {xs} if x < {k}]",
        ("[x for x in {xs} if x > {k}]", "[x < {k} for x in {xs}]"),
        lambda xs, k, **_: list(filter(lambda x: x < k, xs)),
    ),
    Family(
        "those_even",
        LIST,
        ("the numbers in {xs} that are even", "all of {xs} that is even"),
        "[x for x in {xs} if x % 2 == 0]",
        ("[x for x in {xs} if x % 2]", "[x % 2 == 0 for x in {xs}]"),
        lambda xs, **_: list(filter(lambda x: not x & 1, xs)),
    ),
    Family(
        "without_first_number",
        LIST,
        ("{xs} without its first number", "all numbers in {xs} but the first"),
        "{xs}[1:]",
        ("{xs}[:1]", "{xs}[:-1]"),
        lambda xs, **_: [x for i, x in enumerate(xs) if i],
    ),
    Family(
        "descending",
        LIST,
        ("{xs} in descending order", "{xs} sorted from large to small"),
        "sorted({xs}, reverse=True)",
        ("sorted({xs})", "{xs}[::-1]"),
        lambda xs, **_: sorted(xs)[::-1],
    ),
    Family(
        "contains",
        LIST,
        ("whether {k} is in {xs}", "whether {xs} contains {k}"),
        "{k} in {xs}",
        ("{k} not in {xs}", "{xs}[0] == {k}"),
        lambda xs, k, **_: xs.count(k) > 0,
    ),
    Family(
        "ends",
        LIST,
        ("the first plus the last number in {xs}", "the sum of the first and last number in {xs}"),
        "{xs}[0] + {xs}[-1]",
        ("{xs}[0] + {xs}[1]", "{xs}[-1]"),
        lambda xs, **_: xs[0] + xs[len(xs) - 1],
    ),
)

LISTS = (*_GATHERINGS, *_OTHERS)


def _product(xs: list[int]) -> int:
    result = 1
    for x in xs:
        result = result * x
    return result
