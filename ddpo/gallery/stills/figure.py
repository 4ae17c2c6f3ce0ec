"""One picture of a run: what changed, the curves, and the first samples."""

from __future__ import annotations

from PIL import Image

from ddpo.gallery.curves import panels
from ddpo.gallery.kinds import COMPLETIONS
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.stills.colours import light
from ddpo.gallery.stills.lines import line_charts
from ddpo.gallery.stills.opening import opening
from ddpo.gallery.stills.picture_table import picture_table
from ddpo.gallery.stills.sheet import plain_style, stacked
from ddpo.gallery.stills.text_table import text_table

WIDTH = 1500
MARGIN = 50
GAP = 44


def draw_figure(run: RunFolder) -> Image.Image:
    """Draw what there is of a run, and say what is missing."""
    colours = light(run.kind)
    with plain_style():
        parts = opening(run, WIDTH, colours)
        if measured := panels(run.metrics):
            parts.append(line_charts(measured, WIDTH, colours))
        table = text_table if run.kind == COMPLETIONS else picture_table
        if (samples := table(run, WIDTH, colours)) is not None:
            parts.append(samples)
    return stacked(parts, GAP, MARGIN, colours["page"])
