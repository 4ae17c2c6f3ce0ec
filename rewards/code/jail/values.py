"""Values as typed JSON: what crosses between the trainer and a program.

Plain values only, of exactly these types: None, bool, int, float, str, list, tuple, dict. JSON has
no tuples and no keys but texts, so that containers are lists that begin with a letter.
"""

from typing import Any

MOST_DEEP = 50
"""Containers within containers."""
_LARGE = 2**53


class UnsendableError(ValueError):
    """A value that is not plain, or is nested too deeply."""


def encode(value: Any, depth: int = 0) -> Any:
    """A value as what `json.dumps` takes.

    Raises:
        UnsendableError: it is of another type, though it be a subclass, or is nested too deeply.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        # Hexadecimal, since Python refuses to read or write decimals of more than 4300 digits.
        return value if -_LARGE <= value <= _LARGE else ["i", hex(value)]
    if depth >= MOST_DEEP:
        raise UnsendableError(f"a value nested more than {MOST_DEEP} deep")
    if kind is list or kind is tuple:
        return ["l" if kind is list else "t", *(encode(item, depth + 1) for item in value)]
    if kind is dict:
        pairs = ([encode(key, depth + 1), encode(value[key], depth + 1)] for key in value)
        return ["d", *pairs]
    raise UnsendableError(f"a value of the type {kind.__name__}")


def decode(wire: Any, depth: int = 0) -> Any:
    """The value that `encode` was given.

    Raises:
        UnsendableError: it does not come from `encode`.
    """
    if wire is None or type(wire) in (bool, str, int, float):
        return wire
    if type(wire) is not list or not wire or depth > MOST_DEEP:
        raise UnsendableError("not a value as encode writes it")
    kind, *items = wire
    try:
        if kind == "i":
            return int(items[0], 16)
        if kind == "l":
            return [decode(item, depth + 1) for item in items]
        if kind == "t":
            return tuple([decode(item, depth + 1) for item in items])
        if kind == "d":
            return {decode(key, depth + 1): decode(item, depth + 1) for key, item in items}
    except (IndexError, TypeError, ValueError) as error:
        raise UnsendableError("not a value as encode writes it") from error
    raise UnsendableError("not a value as encode writes it")
