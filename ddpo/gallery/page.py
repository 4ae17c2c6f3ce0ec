"""The page itself, its style and its script: the page says what matters where scripts are off."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from string import Template

from ddpo.gallery.changes import changes
from ddpo.gallery.curves import curves, metrics_table
from ddpo.gallery.diversity import diversity
from ddpo.gallery.formatting import escape
from ddpo.gallery.grid import grid
from ddpo.gallery.kinds import Kind
from ddpo.gallery.reproducing import reproducing
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.summary import basis, change_cards, config_file, facts, sentence
from ddpo.gallery.verdicts import Verdicts, verdicts

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
    "run",
    "scores",
    "words",
    "comparison",
    "highlighting",
    "programs",
    "lightbox",
    "rows",
    "run_grid",
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
    found, varied = changes(run), diversity(run)
    sections = Template(asset("page.html")).substitute(
        changes=change_cards(run, found, varied),
        basis=escape(basis(run, found)),
        notices=notices(verdicts(found, varied, run.kind), run.problems),
        curves=curves(run.metrics) or nothing("No iteration has ended yet."),
        numbers=metrics_table(run.metrics),
        grid=grid(run, missing) or nothing(f"No sample {run.kind.several} yet."),
        sample=run.kind.shown,
        samples=run.kind.several,
        facts=facts(run) or nothing("The settings are not known."),
        config=config_file(run),
        reproducing=reproducing(run),
    )
    name = escape(run.name)
    return framed(run.kind, name, f"<bdi>{name}</bdi>", sentence(run), sections)


def framed(kind: Kind, name: str, heading: str, lede: str, sections: str) -> str:
    """Return a page of these sections, as HTML.

    Args:
        kind: of the samples on it.
        name: in the title.
        heading: at the top.
        lede: the sentence beneath it.
        sections: the page's own.
    """
    return Template(asset("frame.html")).substitute(
        policy="; ".join(CONTENT_POLICY),
        name=name,
        heading=heading,
        lede=lede,
        samples=kind.several,
        main=sections.rstrip("\n"),
    )


def style(kind: Kind) -> str:
    """The style sheet of a gallery of samples of this kind."""
    return "\n".join(asset(sheet) for sheet in kind.styles)


def script(names: Sequence[str] = SCRIPTS) -> str:
    """A gallery's script, of these parts, whose names are its own."""
    parts = "\n".join(asset(f"script/{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def notices(said: Verdicts, problems: Sequence[str]) -> str:
    """List what a reader should know: what is wrong or well with the run, and what is missing."""
    lines = [f'<li class="warning">{escape(verdict)}</li>' for verdict in said.warnings]
    lines += [f'<li class="good">{escape(verdict)}</li>' for verdict in said.good]
    lines += [f"<li>{escape(problem)}</li>" for problem in problems]
    return f'<ul class="notices">{"".join(lines)}</ul>' if lines else ""


def nothing(sentence: str) -> str:
    """Say that there is nothing in this place."""
    return f'<p class="muted">{sentence}</p>'


def asset(name: str) -> str:
    """A file of the package: a template, a style sheet or a part of the script."""
    return resources.files("ddpo.gallery").joinpath(name).read_text(encoding="utf-8")
