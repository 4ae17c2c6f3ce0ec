"""The page of several runs, and what its style adds to that of one."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from ddpo.gallery.comparison.curves import curves, has_other_totals, key, numbers, quantities
from ddpo.gallery.comparison.differences import differences
from ddpo.gallery.comparison.grid import grid, is_wide, remarks
from ddpo.gallery.comparison.rows import AlignedRow
from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.comparison.table import bases, found_changes, remarkable, runs_table
from ddpo.gallery.formatting import escape, shorten
from ddpo.gallery.kinds import Kind
from ddpo.gallery.page import asset, framed, nothing, notices
from ddpo.gallery.page import style as style_of_one
from ddpo.gallery.reproducing import reproducing_several
from ddpo.gallery.summary import config_file

TOTALS = "The runs make their totals of different rewards: those stand in no chart together."


def render(runs: Sequence[NumberedRun], rows: Sequence[AlignedRow], base_once: bool) -> str:
    """Return the page of several runs, as HTML.

    Args:
        runs: in the order in which they are shown.
        rows: their samples, aligned.
        base_once: whether all of them share the base's samples.
    """
    kind = runs[0].run.kind
    found = found_changes(runs)
    sections = Template(asset("comparison/page.html")).substitute(
        runs=runs_table(runs, found),
        basis=escape(bases(runs, found)),
        notices=notices(*remarkable(runs, found)),
        **_charts(runs),
        remarks=escape(remarks(runs, rows)),
        wide="wide" if is_wide(runs, base_once) else "",
        grid=grid(runs, rows, base_once) or nothing(f"No sample {kind.several} yet."),
        sample=kind.shown,
        samples=kind.several,
        differences=differences(runs),
        configs="\n".join(config_file(run.run, f"{run.title}: config.yaml") for run in runs),
        reproducing=reproducing_several([(run.title, run.run) for run in runs]),
    )
    names = shorten(", ".join(run.run.name for run in runs), 80)
    heading = f"{len(runs)} runs side by side"
    return framed(kind, escape(f"{heading}: {names}"), heading, _lede(runs), sections)


def style(kind: Kind) -> str:
    """The style sheet of a gallery of several runs of this kind."""
    return "\n".join([style_of_one(kind), asset("comparison/style.css")])


def _charts(runs: Sequence[NumberedRun]) -> dict[str, str]:
    found = quantities(runs)
    return {
        "totals": TOTALS if has_other_totals(runs) else "",
        "curves": curves(found) or nothing("No iteration has ended yet."),
        "numbers": numbers(found),
    }


def _lede(runs: Sequence[NumberedRun]) -> str:
    """Name the runs, each with its line."""
    return " ".join(f"<span>{key(run)}<bdi>{escape(run.title)}</bdi></span>" for run in runs)
