"""The launcher: isolates itself as far as the kernel lets it, and runs programs for the trainer.

It reads jobs from its input and answers on its output, in messages as in `frames.py`: first what it
reached, then for each job how the program ended and what it reported.
"""

import gc
import importlib
import json
import os
import signal
import sys

from . import check, frames, landlock, limits, namespaces, root, runner, seccomp
from .namespaces import Inside

# Loaded once, before any program: those that programs use most, and those with C libraries of their
# own, which lie where a program cannot read.
PRELOADED = """
    abc array ast base64 bisect bz2 calendar cmath collections collections.abc contextlib copy csv
    ctypes dataclasses datetime decimal enum fractions functools hashlib heapq inspect io itertools
    json keyword locale lzma math numbers operator pprint queue random re secrets statistics string
    struct tempfile textwrap threading time traceback types typing unicodedata uuid zlib
"""
FULL, FILTERED, NONE = "full", "filtered", "none"
OUT = 1
"""The descriptor on which the launcher answers."""


def main(required: str, most: str) -> None:
    """Serve programs, at the highest level that can be had, until the input closes.

    Args:
        required: "full" or "filtered": below it no program is run, and the launcher ends.
        most: a higher level than this is not tried.
    """
    os.environ.clear()
    sys.orig_argv.clear()
    found = map(os.path.realpath, sys.path)
    sys.path[:] = [path for path in found if path.startswith(tuple(root.library()))]
    for name in PRELOADED.split():
        try:
            importlib.import_module(name)
        except ImportError:  # this Python was built without it
            continue
    null = os.open(root.NULL, os.O_RDWR | os.O_CLOEXEC)
    try:
        abi, calls = landlock.version(), seccomp.program()
    except OSError as error:
        _report(NONE, str(error))
        return
    parts = f"Landlock version {abi}, a filter of system calls, limits"

    def inside(entered: Inside) -> None:
        walls = runner.Walls(entered, None, calls, null)
        _serve(walls, FULL, f"namespaces, {parts}", required)

    refused = namespaces.enter(inside) if most == FULL else "not tried"
    if refused and abi < landlock.KNOWS_TRUNCATE:
        _report(NONE, f"no namespaces: {refused}; Landlock version {abi} cannot protect files")
    elif refused:
        rules = landlock.ruleset(root.rights_outside())
        walls = runner.Walls(None, rules, calls, null)
        _serve(walls, FILTERED, f"{parts}; no namespaces: {refused}", required)


def _serve(walls: runner.Walls, level: str, how: str, required: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    limits.lose_capabilities_for_good()
    gc.collect()
    gc.freeze()  # a collection in a child would copy all pages
    holes = check.holes(walls)
    _report(NONE if holes else level, f"{how}; {holes}" if holes else how)
    if holes or (level != FULL and required == FULL):
        return
    while (message := frames.read(runner.IN)) is not None:
        end, output = runner.run(walls, json.loads(message))
        if end == "gone":
            return
        frames.write(OUT, end.encode())
        frames.write(OUT, output)


def _report(level: str, how: str) -> None:
    frames.write(OUT, json.dumps([level, how]).encode())
