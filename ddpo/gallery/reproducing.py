"""How to make the run, and its page, again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ddpo.gallery.formatting import counted, escape
from ddpo.gallery.run_folder import RunFolder


def reproducing(run: RunFolder) -> str:
    """The commands for the run and its page, and what the run was started with."""
    return _listed([*_training(run), ("this page", _code(f"ddpo gallery {run_folder(run)}"))])


def reproducing_several(runs: Sequence[tuple[str, RunFolder]]) -> str:
    """As `reproducing`, for the runs of one page, each beneath its title."""
    folders = " ".join(run_folder(run) for _, run in runs)
    page = _listed([("this page", _code(f"ddpo gallery {folders} --out DIR"))])
    parts = [
        f"<h3><bdi>{escape(title)}</bdi></h3>\n{_listed(_training(run))}" for title, run in runs
    ]
    return "\n".join([*parts, page])


def run_folder(run: RunFolder) -> str:
    """The run's folder as commands name it, without where that lies."""
    return f"{run.path.parent.name}/{run.path.name}"


def _training(run: RunFolder) -> list[tuple[str, str]]:
    terms = [("command", _code(f"ddpo train {run_folder(run)}/config.yaml output_dir=again"))]
    terms += [("seed", escape(seed))] if (seed := str(run.config.get("seed", ""))) else []
    return terms + [(term, escape(value)) for term, value in _started(run)]


def _listed(terms: Sequence[tuple[str, str]]) -> str:
    lines = "\n".join(f"<div><dt>{term}</dt><dd>{value}</dd></div>" for term, value in terms)
    return f'<dl class="facts">\n{lines}\n</dl>'


def _started(run: RunFolder) -> Iterator[tuple[str, str]]:
    if not run.starts:
        yield "commit and hardware", "not recorded: this run has no starts.jsonl"
        return
    last = run.starts[-1]
    yield "code", _version(last)
    yield "libraries", f"Python {last.get('python')}, torch {last.get('torch')}"
    yield "hardware", f"{last.get('hardware')}, {_processes(last)}"
    dates = [str(start.get("date")) for start in run.starts]
    resumed = f", resumed on {', '.join(dates[1:])}" if len(dates) > 1 else ""
    yield "started", f"on {dates[0]}{resumed}"


def _version(start: Mapping[str, Any]) -> str:
    commit = start.get("commit")
    where = f"commit {commit}" if commit else "installed, commit not known"
    return f"ddpo {start.get('version')}, {where}"


def _processes(start: Mapping[str, Any]) -> str:
    processes = start.get("processes")
    if not isinstance(processes, int):
        return "processes not known"
    return counted(processes, "process") if processes == 1 else f"{processes:,} processes"


def _code(command: str) -> str:
    return f"<code><bdi>{escape(command)}</bdi></code>"
