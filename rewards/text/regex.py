"""Whether a text matches a regular expression.

The package `regex` is used, not the standard `re`: it stops a match that takes too long, where `re`
would hold up the whole process, and nothing in the process could stop it. It reads what `re` reads.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import regex as engine
from pydantic import AfterValidator, Field

from rewards.registry import reward


def compiles(pattern: str) -> str:
    """The pattern itself, when it is a regular expression.

    Raises:
        ValueError: it is not; the message says what is wrong with it.
    """
    try:
        engine.compile(pattern)
    except engine.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


@reward("regex", modality="text", range=(0.0, 1.0))
def regex(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    pattern: Annotated[str, AfterValidator(compiles)],
    mode: Literal["search", "fullmatch"] = "search",
    ignore_case: bool = False,
    timeout: Annotated[float, Field(gt=0)] = 1.0,
) -> list[float]:
    """1 where a text matches a regular expression, and 0 elsewhere.

    Args:
        texts: to be scored.
        prompts: not used.
        pattern: the expression. Flags stand inside it: `(?s)` lets a dot match a line break,
            `(?m)` lets `^` and `$` match at each line.
        mode: whether the pattern is searched for anywhere, or must match all of the text.
        ignore_case: let upper and lower case count as equal.
        timeout: seconds for one text. Patterns such as `(a|aa)+$` may take time that doubles with
            every letter.

    Returns:
        0 or 1 for each text.

    Raises:
        TimeoutError: a match took longer; that text counts as not scored, neither 0 nor 1.
    """
    compiled = engine.compile(pattern, engine.IGNORECASE if ignore_case else 0)
    match = compiled.search if mode == "search" else compiled.fullmatch
    return [float(match(text, timeout=timeout) is not None) for text in texts]
