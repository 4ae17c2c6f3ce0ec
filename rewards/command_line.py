"""What the command lines share: errors of one line, and output that nobody may be able to read."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: what was given, what is expected, where to read on."""

    def error(self, message: str) -> NoReturn:
        """Print the line and leave with exit code 2."""
        said = message.removeprefix("argument ")
        self.exit(2, f"error: {said}; see {self.prog} --help\n")

    def print_help(self, file: Any = None) -> None:
        """Print how to use it; see `show`."""
        show(self.format_help().removesuffix("\n"))


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, with words of a list also after options, where argparse takes none.

    A command says by `set_defaults(parser=…)` which parser is its own, and by `more=…` which of its
    arguments is such a list, if one is.
    """
    chosen, rest = parser.parse_known_args(arguments)
    unknown = [word for word in rest if word.startswith("-") or not chosen.more]
    if unknown:
        chosen.parser.error(f"unexpected: {' '.join(unknown)}")
    if rest:
        getattr(chosen, chosen.more).extend(rest)
    return chosen


def whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """A type for `add_argument`: the whole numbers of a range, its ends included."""
    wanted = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"

    def read(text: str) -> int:
        if text.removeprefix("-").isdecimal():
            number = int(text)
            if number >= lowest and (highest is None or number <= highest):
                return number
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {wanted}")

    return read


def show(text: str) -> None:
    """Print a text at once.

    Raises:
        SystemExit: it cannot be printed. Who reads has read enough (`… | head`): exit code 0, and
            no word. Else, as on a full disk: one line on standard error, and exit code 2.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        _drop_output()
        raise SystemExit(0) from error
    except OSError as error:
        _drop_output()
        reason = error.strerror or error
        print(
            f"error: the output cannot be written: {reason}; make room, or send it elsewhere",
            file=sys.stderr,
        )
        raise SystemExit(2) from error


def _drop_output() -> None:
    """Python prints what is left when it ends, and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
