"""In which settings runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.formatting import breakable, escape
from ddpo.gallery.passage import passage

NOT_SET = "not set"
MOST_SETTINGS = 1000
DEEPEST = 8
"""A file of a few lines may stand for more than anybody reads, where it names its parts again."""


def differences(runs: Sequence[NumberedRun]) -> str:
    """Tabulate the settings whose values differ, a column a run."""
    rows = differing([run.run.config for run in runs])
    if not rows:
        return '<p class="muted">No setting differs.</p>'
    head = "".join(f'<th scope="col"><bdi>{escape(run.title)}</bdi></th>' for run in runs)
    body = "\n".join(_row(key, values) for key, values in rows.items())
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of settings">'
        f'<table class="settings"><thead><tr><th scope="col">setting</th>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str | None, ...]]:
    """The settings whose values differ, as `section.key`; None where one is not set."""
    flat = [dict(islice(_flattened(config), MOST_SETTINGS)) if config else {} for config in configs]
    keys = dict.fromkeys(key for each in flat for key in each)
    rows = {key: tuple(each.get(key) for each in flat) for key in keys}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def _flattened(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth < DEEPEST and isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flattened(inner, f"{key}.{name}" if key else str(name), depth + 1)
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        yield key, f"[{', '.join(value)}]"
    elif depth < DEEPEST and isinstance(value, list):
        yield from _flattened(dict(enumerate(value)), key, depth)
    else:
        yield key, value if isinstance(value, str) else "{}" if not value else "…"


def _row(key: str, values: Sequence[str | None]) -> str:
    cells = "".join(f"<td>{_value(value)}</td>" for value in values)
    return f'<tr><th scope="row"><bdi>{breakable(key)}</bdi></th>{cells}</tr>'


def _value(value: str | None) -> str:
    return f'<span class="muted">{NOT_SET}</span>' if value is None else passage(value)
