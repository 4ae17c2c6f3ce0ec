"""What a text is counted in: words or characters."""

from collections.abc import Sequence
from typing import Literal

Unit = Literal["words", "characters"]


def parts(text: str, unit: Unit) -> Sequence[str]:
    """The words of a text, which are what whitespace separates, or its characters.

    A character is a Unicode code point, whitespace included: "é" is one or two, as it was written.
    Languages without spaces between words are to be counted in characters.
    """
    return text.split() if unit == "words" else text
