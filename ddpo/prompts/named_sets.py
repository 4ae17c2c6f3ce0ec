"""The prompt sets that can be named: files of the package, and captions of the shapes world."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ddpo.errors import UserError
from ddpo.prompts.text_files import listed

SHAPES_CAPTIONS = 512
"""Size of the `shapes` prompt sets."""

SHAPES_SETS = ("shapes", "shapes-heldout", "shapes-pairs", "shapes-pairs-heldout")
"""All captions, or those of two things; of scenes like those the weights were trained on, or of
others."""


def named_prompts(name: str, key: str) -> list[str]:
    """The prompts of a named set.

    Args:
        name: of the set.
        key: of the configuration, for messages, such as `prompts.set`.

    Raises:
        UserError: there is no such set.
    """
    if name in SHAPES_SETS:
        return _shapes(name)
    file = resources.files("ddpo") / "prompt_sets" / f"{name}.txt"
    if not name or Path(name).name != name or not file.is_file():
        raise UserError(f"{key}: unknown set {name!r}; known: {', '.join(set_names())}")
    return listed(file.read_text(encoding="utf-8"))


def set_names() -> list[str]:
    """The prompt sets that can be named."""
    folder = resources.files("ddpo") / "prompt_sets"
    files = [
        item.name.removesuffix(".txt") for item in folder.iterdir() if item.name.endswith(".txt")
    ]
    return sorted([*files, *SHAPES_SETS])


def _shapes(name: str) -> list[str]:
    from ddpo.worlds.shapes.scenes import heldout_captions, training_captions

    captions = heldout_captions if name.endswith("-heldout") else training_captions
    return captions(SHAPES_CAPTIONS, things=2 if "-pairs" in name else None)
