"""The program in a text: between the fences of Markdown, or all of it."""

import re

_FENCED = re.compile(
    r"^[ \t]*```[ \t]*(?:python3?|py)?[ \t]*\r?\n(.*?)(?:^[ \t]*```|\Z)",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)


def program_in(text: str) -> str:
    """The first block of Python within fences; the whole text where there is none.

    A fence of another language does not count. A block that is not closed reaches to the end.
    """
    found = _FENCED.search(text)
    return found[1] if found else text
