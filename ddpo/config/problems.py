"""What is wrong with a key, in one line: its path, the bad value, and the nearest valid one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from ddpo.config.schema import Config

UNIONS = ("policy", "algorithm")
"""Sections whose keys depend on their `kind`."""


def problem(detail: Any, tree: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors: the path, the bad value, and the remedy."""
    loc = [str(part) for part in detail["loc"]]
    if loc[0] in (*UNIONS, "watch"):  # unions, whose branch pydantic names as well
        del loc[1:2]
    path = ".".join(loc)
    if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(loc[:-1], tree)
        return f"{path}: unknown key{_nearest(loc[-1], known)}"
    if detail["type"] in ("missing", "missing_argument"):
        return f"{path}: missing; it has no default"
    if detail["type"] == "union_tag_not_found":
        return f"{path}.kind: missing; one of {_kinds(path)}"
    if detail["type"] == "union_tag_invalid":
        return f"{path}.kind: unknown kind {detail['ctx']['tag']!r}; one of {_kinds(path)}"
    return f"{path}: {detail['input']!r} is not valid: {detail['msg']}"


def _nearest(word: str, known: Sequence[str]) -> str:
    """A suggestion for a misspelt key."""
    if close := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}"


def _kinds(section: str) -> str:
    """What `kind` of a section may be."""
    schema: Any = Config
    branches = get_args(schema.__pydantic_fields__[section].annotation)
    tags = [get_args(branch.__pydantic_fields__["kind"].annotation) for branch in branches]
    return ", ".join(tag for branch in tags for tag in branch)


def _known_keys(sections: Sequence[str], tree: Mapping[str, Any]) -> list[str]:
    """The valid keys of a section, found by walking the schema."""
    schema: Any = Config
    node: Any = tree
    for section in sections:
        node = node.get(section, {}) if isinstance(node, Mapping) else {}
        schema = _section_type(schema, section, node)
        if schema is None:
            return []
    return [item.name for item in fields(schema)]


def _section_type(schema: Any, section: str, node: Any) -> Any:
    """The dataclass behind a section; a tagged union is resolved by its `kind`."""
    declared = schema.__pydantic_fields__[section].annotation
    candidates = [kind for kind in (declared, *get_args(declared)) if is_dataclass(kind)]
    kind = node.get("kind") if isinstance(node, Mapping) else None
    for candidate in candidates:
        tag = getattr(candidate, "__pydantic_fields__", {}).get("kind")
        if len(candidates) == 1 or tag is None or kind in get_args(tag.annotation):
            return candidate
    return candidates[0] if candidates else None
