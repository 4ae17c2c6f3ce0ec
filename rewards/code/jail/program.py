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
        _say("other", str(error)[:200])
    except BaseException as error:  # see above
        _say("raised", _kind(error))


def _kind(error: BaseException) -> str:
    return type(error).__name__[:100]


def _say(*words: Any) -> None:
    rest = json.dumps(words).encode() + b"\n"
    while rest:
        rest = rest[os.write(OUT, rest) :]
