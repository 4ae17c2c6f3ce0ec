"""The column `tests`: what a program's functions are called with, and what they should return."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rewards.code.jail.values import UnsendableError, encode
from rewards.code.sandbox import Call
from rewards.errors import RewardError

FORM = "assert f(1, 2) == 3, with literals"
KEYS = ("call", "args", "kwargs", "expected")


@dataclass(frozen=True)
class Case:
    """One test."""

    call: Call
    expected: Any


def cases(tests: Any) -> list[Case]:
    """The tests of one sample.

    Args:
        tests: a list, each a mapping such as `{"call": "f", "args": [1, 2], "expected": 3}`, with
            or without `kwargs`, or a line such as `assert f(1, 2) == 3`.

    Raises:
        RewardError: it is not such a list, or is empty.
    """
    if not isinstance(tests, (list, tuple)) or not tests:
        raise RewardError(f"column 'tests' holds {tests!r}: give a list of one or more tests")
    return [_case(test) for test in tests]


def _case(test: Any) -> Case:
    found = _asserted(test) if isinstance(test, str) else _mapped(test)
    call = found.call
    try:
        encode([list(call.arguments), dict(call.keywords), found.expected])
    except UnsendableError as error:
        raise RewardError(
            f"test {test!r} holds {error}: a program takes and returns None, bool, int, float, "
            "str, list, tuple and dict"
        ) from error
    return found


def _mapped(test: Any) -> Case:
    if not isinstance(test, Mapping) or not {"call", "expected"} <= set(test) <= set(KEYS):
        raise RewardError(f"test {test!r} is neither a mapping of {', '.join(KEYS)} nor a text")
    name, arguments, keywords = test["call"], test.get("args", []), test.get("kwargs", {})
    well_formed = (
        isinstance(name, str)
        and name.isidentifier()
        and isinstance(arguments, (list, tuple))
        and isinstance(keywords, dict)
        and all(isinstance(key, str) for key in keywords)
    )
    if not well_formed:
        raise RewardError(
            f"test {test!r}: 'call' is the name of a function, 'args' a list, 'kwargs' a mapping"
        )
    return Case(Call(name, tuple(arguments), tuple(keywords.items())), test["expected"])


def _asserted(line: str) -> Case:
    """What an assertion says, found by parsing it: it is never executed.

    Raises:
        RewardError: it has another form.
    """
    try:
        match ast.parse(line.strip()).body:
            case [
                ast.Assert(
                    test=ast.Compare(
                        left=ast.Call(func=ast.Name(id=name), args=given, keywords=named),
                        ops=[ast.Eq()],
                        comparators=[right],
                    )
                )
            ]:
                arguments = tuple(map(ast.literal_eval, given))
                keywords = tuple((word.arg or "**", ast.literal_eval(word.value)) for word in named)
                return Case(Call(name, arguments, keywords), ast.literal_eval(right))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass  # not Python, or not literals
    raise RewardError(f"test {line!r} is not of the form {FORM}")
