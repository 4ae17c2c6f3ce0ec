"""The page itself: one self-contained HTML file, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path
from string import Template

from ddpo.gallery.changes import changes, verdicts
from ddpo.gallery.curves import curves, metrics_table
from ddpo.gallery.formatting import escape
from ddpo.gallery.grid import grid
from ddpo.gallery.run_folder import RunFolder, read_run
from ddpo.gallery.summary import basis, change_cards, config_file, facts, lede


def write_gallery(run: Path) -> Path:
    """Write `<run>/gallery/index.html` and return its path.

    The page needs no network, no server and no script. It shows what there is of a run that is
    unfinished, and says what is missing.

    Raises:
        NotARunError: (a ValueError) `run` is not the folder of a run.
    """
    folder = read_run(Path(run))
    target = folder.path / "gallery" / "index.html"
    _write_whole(target, render(folder))
    return target


def render(run: RunFolder) -> str:
    """Return the page of a run that was read, as HTML."""
    found = changes(run)
    style = "".join(_asset(sheet) for sheet in run.kind.styles)
    return Template(_asset("page.html")).substitute(
        policy=content_policy(style),
        style=style,
        name=escape(run.name),
        lede=lede(run),
        changes=change_cards(run, found),
        basis=escape(basis(run, found)),
        notices=_notices(verdicts(found, run.kind), run.problems),
        curves=curves(run.metrics) or _nothing("No iteration has ended yet."),
        numbers=metrics_table(run.metrics),
        grid=grid(run) or _nothing(f"No sample {run.kind.several} yet."),
        sample=run.kind.shown,
        samples=run.kind.several,
        facts=facts(run) or _nothing("The settings are not known."),
        config=config_file(run),
        command=escape(f"ddpo gallery {run.path.parent.name}/{run.path.name}"),
    )


def content_policy(style: str) -> str:
    """Return a content security policy: pictures in the page, this style sheet, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    rules = (
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _notices(verdicts: tuple[str, ...], problems: tuple[str, ...]) -> str:
    lines = [f'<li class="warning">{escape(verdict)}</li>' for verdict in verdicts]
    lines += [f"<li>{escape(problem)}</li>" for problem in problems]
    return f'<ul class="notices">{"".join(lines)}</ul>' if lines else ""


def _nothing(sentence: str) -> str:
    return f'<p class="muted">{sentence}</p>'


def _asset(name: str) -> str:
    return resources.files("ddpo.gallery").joinpath(name).read_text(encoding="utf-8")


def _write_whole(target: Path, text: str) -> None:
    """Write beside `target`, then rename: a reader sees the old page or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(aside, "wb") as file:
            # JSON can hold lone surrogates, which no encoding can; they become question marks.
            file.write(text.encode("utf-8", errors="replace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
