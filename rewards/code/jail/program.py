"""What happens in the process of one program: walls first, then its calls, one line for each."""

import json
import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

from .values import UnsendableError, decode, encode

OUT = 3
"""The descriptor on which a program's process reports."""
NAME = "program"
LONGEST = 200
"""Characters of what is said of an error."""


def run(source: str, calls: list[list[Any]]) -> None:
    """Execute a program and call its functions; report on `OUT`, a JSON list a line.

    The first line says that the walls stand, the second what became of the program as a whole, and
    each line after it what a call returned. A program can write there as well: whatever it writes
    is compared with what a call should have returned, which nobody here knows.
    """
    _say("ready")
    try:
        code = compile(source, f"<{NAME}>", "exec", dont_inherit=True)
    except BaseException as error:  # SyntaxError, or whatever a hostile source provokes
        _say("uncompilable", _kind(error))
        return
    random.seed(0)  # the same program gives the same reward
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module  # dataclasses look there
    sys.argv = [NAME]
    try:
        exec(code, module.__dict__)
    except BaseException as error:  # a program may raise anything, SystemExit too
        _say("raised", _kind(error))
        return
    _say("loaded")
    for name, arguments, keywords in calls:
        _answer(module.__dict__, name, arguments, keywords)


def _answer(names: dict[str, Any], name: str, arguments: Any, keywords: Any) -> None:
    try:
        function: Callable[..., Any] = names[name]
        value = function(*decode(arguments), **decode(keywords))
        _say("value", encode(value))
    except UnsendableError as error:
        _say("other", str(error)[:LONGEST])
    except BaseException as error:  # see above
        _say("raised", _kind(error))


def _kind(error: BaseException) -> str:
    """Its type and, where that is a plain text, the first line of what it says: read without any
    code of the program, which could take its time.
    """
    name = type(error).__name__
    words = BaseException.__dict__["args"].__get__(error)
    lines = words[0][:LONGEST].splitlines() if words and type(words[0]) is str else []
    return (f"{name}: {lines[0]}" if lines else name)[:LONGEST]


def _say(*words: Any) -> None:
    rest = json.dumps(words).encode() + b"\n"
    while rest:
        rest = rest[os.write(OUT, rest) :]
