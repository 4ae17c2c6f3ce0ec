"""The prompt sets that can be named: files of the package, and those of the embedded worlds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ddpo.errors import UserError
from ddpo.prompts.table import Table
from ddpo.prompts.text_files import listed

SHAPES_CAPTIONS = 512
"""Size of the `shapes` prompt sets."""

SHAPES_SETS = ("shapes", "shapes-heldout", "shapes-pairs", "shapes-pairs-heldout")
"""All captions, or those of two things; of scenes like those the weights were trained on, or of
others."""


TEXTS_SETS = (
    "summaries",
    "summaries-heldout",
    "programs",
    "programs-heldout",
    "programs-heldout-families",
)
"""Descriptions with references, and tasks with tests, of the text world."""


def named_set(name: str, key: str) -> Table:
    """The rows of a named set: the column `prompt`, and in the text world one for the rewards.

    Args:
        name: of the set.
        key: of the configuration, for messages, such as `prompts.set`.

    Raises:
        UserError: there is no such set.
    """
    if name in TEXTS_SETS:
        from ddpo.worlds.texts.prompt_sets import SETS

        columns = SETS[name]()
    else:
        columns = {"prompt": _texts(name, key)}
    rows = range(1, len(columns["prompt"]) + 1)
    return Table(key, f"the set {name!r}", columns, rows, "prompt")


def set_names() -> list[str]:
    """The prompt sets that can be named."""
    folder = resources.files("ddpo") / "prompt_sets"
    files = [
        item.name.removesuffix(".txt") for item in folder.iterdir() if item.name.endswith(".txt")
    ]
    return sorted([*files, *SHAPES_SETS, *TEXTS_SETS])


def _texts(name: str, key: str) -> list[str]:
    """The prompts of a set without further columns."""
    if name in SHAPES_SETS:
        return _shapes(name)
    file = resources.files("ddpo") / "prompt_sets" / f"{name}.txt"
    if not name or Path(name).name != name or not file.is_file():
        raise UserError(f"{key}: unknown set {name!r}; known: {', '.join(set_names())}")
    return listed(file.read_text(encoding="utf-8"))


def _shapes(name: str) -> list[str]:
    from ddpo.worlds.shapes.scenes import heldout_captions, training_captions

    captions = heldout_captions if name.endswith("-heldout") else training_captions
    return captions(SHAPES_CAPTIONS, things=2 if "-pairs" in name else None)
