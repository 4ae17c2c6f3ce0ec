"""What a user of rewards may see go wrong, and how a misspelt name is answered."""

from collections.abc import Iterable
from difflib import get_close_matches


class RewardError(Exception):
    """A reward cannot be found, made, or used; the message says which one, why, and what to do."""


class UnavailableError(RewardError):
    """A reward as a whole cannot score now, as when its server is gone: trying sample by sample
    would not help.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message that suggests the nearest known name; empty if none is near."""
    nearest = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{nearest[0]}'?" if nearest else ""


def one_line(error: BaseException) -> str:
    """The error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
