"""Whether a text is Python: it is parsed, never executed."""

import ast
import warnings
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rewards.code.fences import program_in
from rewards.registry import reward


@reward("code_compiles", modality="text", range=(0.0, 1.0))
def code_compiles(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    fenced: bool = True,
    max_length: Annotated[int, Field(gt=0)] = 100_000,
) -> list[float]:
    """1 where a text is a program in Python that can be parsed, and 0 elsewhere.

    A text without a statement is 0, though Python would take it; so is one that is longer than
    `max_length`, or nested more deeply than Python reads. Nothing is executed.

    Args:
        texts: to be scored.
        prompts: not used.
        fenced: where a text has a block between ```python and ```, that is the program.
        max_length: characters of a program.

    Returns:
        0 or 1 for each text.
    """
    sources = map(program_in, texts) if fenced else texts
    return [float(len(source) <= max_length and parses(source)) for source in sources]


def parses(source: str) -> bool:
    """Whether a text is Python with at least one statement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a strange escape is no error, whatever the filters say
        try:
            return bool(ast.parse(source).body)
        # Null bytes and lone surrogates are ValueErrors; deep nesting is one of the others.
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
