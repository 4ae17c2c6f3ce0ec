"""`ddpo gallery`: its options, and which of the forms of a gallery they ask for.

Nothing of the gallery is imported before the command is given.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ddpo.errors import UserError
from rewards.command_line import show, whole_number

OF_ONE_FORM = {"row": "animation", "host": "serve", "port": "serve"}
"""Options that go with one form of a gallery only."""


def add_gallery(commands: Any) -> None:
    """Add the command to the others."""
    gallery = commands.add_parser(
        "gallery",
        help="samples and rewards of a run, or of several, for a browser or as a picture",
    )
    gallery.add_argument(
        "runs", metavar="RUN", nargs="+", help="a run folder; several stand side by side"
    )
    _add_forms(gallery.add_mutually_exclusive_group())
    gallery.add_argument(
        "--row", metavar="N", type=whole_number(1), help="of --animation: which prompt (default 1)"
    )
    gallery.add_argument("--host", help="of --serve: address to listen on (default 127.0.0.1)")
    gallery.add_argument(
        "--port", type=whole_number(0, 65535), help="of --serve (default 0: one that is free)"
    )
    gallery.add_argument(
        "--out",
        metavar="PATH",
        type=Path,
        help="folder or file (default: RUN/gallery, or the file named above, beside it; needed "
        "for several runs)",
    )
    gallery.set_defaults(command=_gallery, parser=gallery, more="runs")


def _add_forms(form: Any) -> None:
    form.add_argument(
        "--format",
        choices=("html", "png"),
        default="html",
        help="html: a folder for a browser (the default); png: one picture, RUN/gallery.png",
    )
    form.add_argument(
        "--strip", action="store_true", help="pictures before and after, RUN/strip.png"
    )
    form.add_argument(
        "--animation", action="store_true", help="one prompt through training, RUN/animation.webp"
    )
    form.add_argument("--serve", action="store_true", help="show the run live until Ctrl-C")


def _gallery(options: argparse.Namespace) -> None:
    for option, form in OF_ONE_FORM.items():
        if getattr(options, option) is not None and not getattr(options, form):
            raise UserError(f"--{option}: only with --{form}; add that, or leave this out")
    # Here, since those that stand after an option are still text.
    runs = [Path(run) for run in options.runs]
    if options.serve:
        _serve(runs, options)
        return
    try:
        written = _write_several(runs, options) if len(runs) > 1 else _write_one(runs[0], options)
    except OSError as error:
        raise UserError(f"the gallery cannot be written: {error}") from error
    show(str(written))


def _serve(runs: list[Path], options: argparse.Namespace) -> None:
    from ddpo.gallery.serving import serve

    if len(runs) > 1:
        raise UserError(f"RUN: {len(runs)} are named, and --serve shows one: name one of them")
    where = {key: getattr(options, key) for key in ("host", "port")}
    given = {key: value for key, value in where.items() if value is not None}
    serve(runs[0], options.out, **given)


def _write_one(run: Path, options: argparse.Namespace) -> Path:
    from ddpo.gallery import write_animation, write_figure, write_gallery, write_strip

    if options.animation:
        return write_animation(run, options.out, row=options.row or 1)
    if options.strip:
        return write_strip(run, options.out)
    return (write_figure if options.format == "png" else write_gallery)(run, options.out)


def _write_several(runs: list[Path], options: argparse.Namespace) -> Path:
    from ddpo.gallery import write_comparison

    count = len(runs)
    if options.animation or options.strip or options.format == "png":
        raise UserError(f"RUN: {count} are named, and a picture is of one: name one of them")
    if options.out is None:
        raise UserError(f"--out: not given; name the folder for the gallery of these {count} runs")
    return write_comparison(runs, options.out)
