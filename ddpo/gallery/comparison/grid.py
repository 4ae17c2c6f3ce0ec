"""The grid of several runs as the page itself has it: its first rows, and what to know of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ddpo.gallery.comparison.rows import AlignedRow
from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.formatting import counted
from ddpo.gallery.grid import MAX_ROWS, Cell, Row, note, table

BASE = "base"
MOST_IN_PAGE = 6
"""Columns that the page has room for; with more the grid scrolls in a box of its own."""


def grid(runs: Sequence[NumberedRun], rows: Sequence[AlignedRow], base_once: bool) -> str:
    """Lay out the first rows: the base, then each run at its newest iteration.

    Args:
        runs: in the order of their columns.
        rows: their samples, aligned.
        base_once: whether all runs share the base's samples, which then stand in one column.
    """
    if not rows:
        return ""
    shown = [_row(runs, row, base_once) for row in rows[:MAX_ROWS]]
    headings = [cell.heading for cell in shown[0].cells]
    return f"{note(len(rows))}{table('Samples by run', headings, shown)}"


def is_wide(runs: Sequence[NumberedRun], base_once: bool) -> bool:
    """Whether there are more columns than the page has room for."""
    return (len(runs) + 1 if base_once else 2 * len(runs)) > MOST_IN_PAGE


def remarks(runs: Sequence[NumberedRun], rows: Sequence[AlignedRow]) -> str:
    """Say what rows do not share: their noise where seeds differ, and prompts."""
    said = []
    seeds = [str(run.run.config.get("seed", "not known")) for run in runs]
    if len(set(seeds)) > 1:
        said.append(
            f"The seeds are {', '.join(seeds)}: samples of a row begin from different noise."
        )
    shared = sum(row.shared for row in rows)
    if shared < len(rows):
        said.append(
            f"The prompts differ: {shared:,} of {counted(len(rows), 'row')} "
            f"{'is' if shared == 1 else 'are'} in all runs."
        )
    return " ".join(said)


def _row(runs: Sequence[NumberedRun], row: AlignedRow, base_once: bool) -> Row:
    cells = [_shared_base(runs, row)] if base_once else []
    for run, number in zip(runs, row.numbers, strict=True):
        cells += _cells(run, number, row.prompt, with_base=not base_once)
    return Row(row.prompt, row.reference, tuple(cells))


def _shared_base(runs: Sequence[NumberedRun], row: AlignedRow) -> Cell:
    """The base's sample, of the first run that has the row."""
    for run, number in zip(runs, row.numbers, strict=True):
        if number is not None:
            return run.shown.cell(BASE, run.run.sample_sets[0], number, row.prompt)
    return Cell(BASE)


def _cells(run: NumberedRun, number: int | None, prompt: str, with_base: bool) -> Iterator[Cell]:
    """What the run has in a row: its base's sample where it is wanted, and the newest."""
    sets = run.run.sample_sets
    wanted = sets[-1:]
    if with_base and len(sets) > 1 and sets[0].iteration == 0:
        wanted = (sets[0], *wanted)
    for group in wanted:
        column = run.column(group.iteration)
        yield Cell(column) if number is None else run.shown.cell(column, group, number, prompt)
