"""What a run's figures say in words: that it learns what was asked, games a reward, collapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddpo.gallery.changes import Change
from ddpo.gallery.diversity import Diversity
from ddpo.gallery.formatting import counted, number
from ddpo.gallery.kinds import PICTURES, Kind


@dataclass(frozen=True)
class Verdicts:
    """Sentences about a run: what to look into, and, where there is no such thing, what is well."""

    warnings: tuple[str, ...]
    good: tuple[str, ...]


def verdicts(found: Sequence[Change], varied: Diversity | None, kind: Kind) -> Verdicts:
    """Say what changes of rewards and of diversity mean."""
    warnings = collapse(varied, kind) + falls(found, kind)
    return Verdicts(warnings, () if warnings else rises(found))


def falls(found: Sequence[Change], kind: Kind = PICTURES) -> tuple[str, ...]:
    """State every watch reward that fell, and what its fall may mean."""
    optimised = [change for change in found if not change.watched]
    rose = bool(optimised) and optimised[0].delta > 0
    fell = (change for change in found if change.watched and _fell(change))
    return tuple(_verdict(change, rose, kind) for change in fell)


def _fell(change: Change) -> bool:
    """Whether the mean fell by enough to be seen in the figures on the page."""
    return change.delta < 0 and round(change.delta, change.decimals) != 0


def _verdict(change: Change, reward_rose: bool, kind: Kind) -> str:
    before, after = _figures(change)
    fall = f"{change.name} fell from {before} to {after}"
    if change.within_chance:
        return f"{fall}, which is within chance for {counted(change.count, kind.counted)}."
    if reward_rose:
        return (
            f"{fall}: the reward may be being gamed. The reward rose meanwhile, but "
            f"{change.name} is only watched, never optimised."
        )
    return f"{fall}, and the reward did not rise either: this run is not learning what was asked."


def rises(found: Sequence[Change]) -> tuple[str, ...]:
    """State every watch reward that rose beyond chance where the reward did."""
    optimised = [change for change in found if not change.watched]
    if not optimised or not _rose(optimised[0]):
        return ()
    return tuple(
        f"The reward rose, and so did {change.name}, from {before} to {after}, which is only "
        "watched, never optimised: this run is learning what was asked."
        for change in found
        if change.watched and _rose(change)
        for before, after in [_figures(change)]
    )


def collapse(found: Diversity | None, kind: Kind) -> tuple[str, ...]:
    """Say that samples become alike, where they do."""
    if found is None or not found.collapsing:
        return ()
    before, after = _figures(found)
    state = "have become alike: this run has collapsed"
    if not found.collapsed:
        state = "become alike: this run is collapsing"
    return (
        f"Diversity fell from {before} to {after}: {kind.several} of different prompts and seeds "
        f"{state}.",
    )


def _rose(change: Change) -> bool:
    """Whether the mean rose by more than chance, so far as that is known."""
    return change.delta > 0 and change.error is not None and not change.within_chance


def _figures(pair: Change | Diversity) -> tuple[str, str]:
    return number(pair.before, pair.decimals), number(pair.after, pair.decimals)
