"""The column `reference`: for each text, what it should say, in one wording or in several."""

from typing import Any

from rewards.errors import RewardError


def wordings(reference: Any) -> list[str]:
    """The wordings of one sample's reference: a text, or a list of texts of which any will do.

    Raises:
        RewardError: it is neither, or the list is empty.
    """
    wordings = [reference] if isinstance(reference, str) else reference
    listed = isinstance(wordings, (list, tuple)) and len(wordings) > 0
    if not listed or not all(isinstance(wording, str) for wording in wordings):
        raise RewardError(
            f"column 'reference' holds {reference!r}: give a text, or a list of one or more texts"
        )
    return list(wordings)
