"""Whether what a program claims to have returned is what was expected: by value, in the trainer.

What comes from a program is typed JSON, of which only plain values are made here, so that no object
with an equality of its own can take part. Values are compared as Python compares them: 1 equals
1.0 and True, a list does not equal a tuple, NaN equals nothing.
"""

from typing import Any

from rewards.code.jail.values import UnsendableError, decode


def matches(expected: Any, wire: Any) -> bool:
    """Whether typed JSON stands for a value that equals `expected`.

    The work is bounded by the size of `expected`: a claim of another size is not even read.

    Args:
        expected: a plain value, as in `jail/values.py`.
        wire: what `json.loads` gave; anything at all.
    """
    kind = type(expected)
    if kind is list or kind is tuple:
        tag = "l" if kind is list else "t"
        return _is_container(wire, tag, len(expected)) and all(
            matches(*pair) for pair in zip(expected, wire[1:], strict=True)
        )
    if kind is dict:
        return _is_container(wire, "d", len(expected)) and _same_items(expected, wire[1:])
    if type(wire) is list and (len(wire) != 2 or wire[0] != "i"):
        return False
    try:
        value = decode(wire)
    except UnsendableError:
        return False
    return bool(value == expected)


def _is_container(wire: Any, tag: str, size: int) -> bool:
    return type(wire) is list and len(wire) == size + 1 and wire[0] == tag


def _same_items(expected: dict[Any, Any], pairs: list[Any]) -> bool:
    claimed = {}
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:
            return False
        try:
            claimed[decode(pair[0])] = pair[1]
        except (UnsendableError, TypeError):  # a key that no dictionary can have
            return False
    return all(key in claimed and matches(expected[key], claimed[key]) for key in expected)
