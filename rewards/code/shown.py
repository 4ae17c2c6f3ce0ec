"""Values as short text for people, read no further than is shown: a program may claim anything."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

MOST_CHARACTERS = 200
_BRACKETS = {"l": "[]", "t": "()", "d": "{}"}


def cut(text: str) -> str:
    """At most `MOST_CHARACTERS` of a text, the last one an ellipsis where more is there; what is no
    Unicode becomes question marks.
    """
    start = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
    return start.encode(errors="replace").decode()


def shown(wire: Any) -> str:
    """Typed JSON (`jail/values.py`) as Python writes the value, cut; "?" for what is no value.

    Args:
        wire: what `json.loads` gave; anything at all.
    """
    text = ""
    for piece in _pieces(wire):  # each level begins with a bracket, so that depth ends it as well
        text += piece
        if len(text) > MOST_CHARACTERS:
            break
    return cut(text)


def _pieces(wire: Any) -> Iterator[str]:
    if wire is None or type(wire) in (bool, int, float):
        yield repr(wire)
    elif type(wire) is str:
        yield repr(wire[:MOST_CHARACTERS])
    elif type(wire) is not list or not wire or type(wire[0]) is not str:
        yield "?"
    elif wire[0] == "i":
        yield _integer(wire[1:])
    elif wire[0] in _BRACKETS:
        yield from _container(wire[0], wire)
    else:
        yield "?"


def _integer(digits: list[Any]) -> str:
    """Decimal where that is short: Python writes no decimals of more than 4300 digits."""
    if len(digits) != 1 or type(digits[0]) is not str:
        return "?"
    try:
        return str(int(digits[0], 16)) if len(digits[0]) <= MOST_CHARACTERS else digits[0]
    except ValueError:
        return "?"


def _container(kind: str, wire: list[Any]) -> Iterator[str]:
    opening, closing = _BRACKETS[kind]
    yield opening
    for number, item in enumerate(islice(wire, 1, None)):
        yield ", " * (number > 0)
        yield from _pair(item) if kind == "d" else _pieces(item)
    yield "," * (kind == "t" and len(wire) == 2) + closing


def _pair(pair: Any) -> Iterator[str]:
    if type(pair) is not list or len(pair) != 2:
        yield "?"
        return
    yield from _pieces(pair[0])
    yield ": "
    yield from _pieces(pair[1])
