"""What the script shows, as scripts of their own that register it: a page opened from disk may load
scripts, and no other files.

`data/summary.js` says what there is; `data/<iteration>.js` holds the samples of an iteration, by
columns, and is loaded when somebody looks at them. Of several runs, each has these in a folder of
its own: `data/<run>/`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ddpo.gallery.folder import GalleryFolder, set_name
from ddpo.gallery.grid import heading, shown_sets
from ddpo.gallery.measures import Measure, measures
from ddpo.gallery.run_folder import RunFolder, SampleSet
from ddpo.gallery.texts import Completion
from ddpo.gallery.thumbnails import picture_size
from ddpo.gallery.whole_file import write_whole

SUMMARY = "summary"
FIGURES = 6
"""Significant figures of a number: more than the page shows of it."""


def write_data(run: RunFolder, gallery: GalleryFolder, missing: frozenset[tuple[int, int]]) -> None:
    """Write the samples of each iteration, then the summary that names them.

    Args:
        run: its samples.
        gallery: their thumbnails are there.
        missing: (iteration, number) of the samples without a picture.
    """
    measured = measures(run.sample_sets)
    for group in run.sample_sets:
        absent = sorted(number for iteration, number in missing if iteration == group.iteration)
        register(gallery, set_name(group.iteration), set_data(group, measured, absent))
    register(gallery, SUMMARY, summary_data(run, measured, picture_size(gallery, run)))


def summary_data(
    run: RunFolder, measured: Sequence[Measure], size: tuple[int, int] | None
) -> dict[str, Any]:
    """What there is: iterations, measures, and how to speak of samples.

    Args:
        run: which.
        measured: what its samples are measured by.
        size: width and height of a small picture; None where there is none.
    """
    return {
        "seed": str(run.config.get("seed", "")),
        "counted": run.kind.counted,
        "shown": run.kind.shown,
        "several": run.kind.several,
        "size": size,
        "measures": [
            {"name": each.name, "section": each.section, "decimals": each.decimals}
            for each in measured
        ],
        "iterations": [
            {"iteration": group.iteration, "heading": heading(group.iteration, run)}
            for group in run.sample_sets
        ],
        "columns": [group.iteration for group in shown_sets(run.sample_sets)],
    }


def set_data(
    group: SampleSet, measured: Sequence[Measure], absent: Sequence[int]
) -> dict[str, Any]:
    """The samples of an iteration, by columns: `prompt` has an index into `prompts` for each, and
    `values` a list for each measure. Where any is a program, `tests` has their results.

    Args:
        group: the samples.
        measured: what they are measured by.
        absent: the numbers of those whose picture is not there.
    """
    prompts: dict[tuple[str, str | None], int] = {}
    rows = [
        prompts.setdefault((sample.prompt, sample.reference), len(prompts))
        for sample in group.samples
    ]
    contents = [sample.content for sample in group.samples]
    tests = [one.results if isinstance(one, Completion) else None for one in contents]
    return {
        "iteration": group.iteration,
        "prompts": [list(prompt) for prompt in prompts],
        "prompt": rows,
        "values": [[_rounded(each.of(sample)) for sample in group.samples] for each in measured],
        "texts": [one.text if isinstance(one, Completion) else None for one in contents],
        "absent": list(absent),
        **({"tests": [one and one.model_dump() for one in tests]} if any(tests) else {}),
    }


def register(gallery: GalleryFolder, name: str, value: Any) -> None:
    """Write the data file `name` of a gallery, or of a run's part of one."""
    script = as_script(f"{gallery.part}{name}", value)
    write_whole(gallery.data_file(name), script.encode("ascii"))


def as_script(name: str, value: Any) -> str:
    """A script that registers `value`: ASCII only, and without a `<`, so that nothing in it ends a
    script or a line.
    """
    return f'ddpoData("{name}",{json.dumps(value, separators=(",", ":"))});\n'.replace(
        "<", "\\u003c"
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{FIGURES}g}")
