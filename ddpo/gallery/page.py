"""The page itself, its style and its script: the page says what matters where scripts are off."""

from __future__ import annotations

from importlib import resources
from string import Template

from ddpo.gallery.changes import changes, verdicts
from ddpo.gallery.curves import curves, metrics_table
from ddpo.gallery.formatting import escape
from ddpo.gallery.grid import grid
from ddpo.gallery.kinds import Kind
from ddpo.gallery.reproducing import reproducing
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.summary import basis, change_cards, config_file, facts, lede

CONTENT_POLICY = (
    "default-src 'none'",
    # Not every browser takes a file beside the page for its own; elsewhere `file:` means nothing.
    "script-src 'self' file:",
    "style-src 'self' file:",
    "img-src 'self' file: data:",
    "base-uri 'none'",
    "form-action 'none'",
    # Whatever the script does, no text becomes markup or code.
    "require-trusted-types-for 'script'",
    "trusted-types data",
)
SCRIPTS = (
    "elements",
    "theme",
    "data",
    "scores",
    "words",
    "comparison",
    "highlighting",
    "programs",
    "lightbox",
    "rows",
    "order",
    "wall",
    "histogram",
    "explorer",
    "start",
)
"""The parts of the script, in the order in which they build on each other."""


def render(run: RunFolder, missing: frozenset[tuple[int, int]]) -> str:
    """Return the page of a run that was read, as HTML.

    Args:
        run: which.
        missing: (iteration, number) of the samples without a picture.
    """
    found = changes(run)
    return Template(_asset("page.html")).substitute(
        policy="; ".join(CONTENT_POLICY),
        name=escape(run.name),
        lede=lede(run),
        changes=change_cards(run, found),
        basis=escape(basis(run, found)),
        notices=_notices(verdicts(found, run.kind), run.problems),
        curves=curves(run.metrics) or _nothing("No iteration has ended yet."),
        numbers=metrics_table(run.metrics),
        grid=grid(run, missing) or _nothing(f"No sample {run.kind.several} yet."),
        sample=run.kind.shown,
        samples=run.kind.several,
        facts=facts(run) or _nothing("The settings are not known."),
        config=config_file(run),
        reproducing=reproducing(run),
    )


def style(kind: Kind) -> str:
    """The style sheet of a gallery of samples of this kind."""
    return "\n".join(_asset(sheet) for sheet in kind.styles)


def script() -> str:
    """The script of every gallery, whose names are its own."""
    parts = "\n".join(_asset(f"script/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def _notices(verdicts: tuple[str, ...], problems: tuple[str, ...]) -> str:
    lines = [f'<li class="warning">{escape(verdict)}</li>' for verdict in verdicts]
    lines += [f"<li>{escape(problem)}</li>" for problem in problems]
    return f'<ul class="notices">{"".join(lines)}</ul>' if lines else ""


def _nothing(sentence: str) -> str:
    return f'<p class="muted">{sentence}</p>'


def _asset(name: str) -> str:
    return resources.files("ddpo.gallery").joinpath(name).read_text(encoding="utf-8")
