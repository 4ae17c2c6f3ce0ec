"""What the samples of a run are: pictures, or completions. The grid, the words and the style of the
page come from here; nothing else on it asks which kind a run is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable


@dataclass(frozen=True)
class Kind:
    """How the page speaks of samples of one kind, and how it looks.

    Attributes:
        counted: what a number of them is a number of, in the singular.
        shown: what one is called where it stands, in the singular.
        diversity: what their diversity is, in words.
        styles: the style sheets of the page.
        policy_keys: which settings of the policy are listed, in order; None for all plain ones.
    """

    counted: str
    shown: str
    diversity: str
    styles: tuple[str, ...]
    policy_keys: tuple[str, ...] | None

    @property
    def several(self) -> str:
        """What many of them are called."""
        return f"{self.shown}s"


@runtime_checkable
class Content(Protocol):
    """A sample itself, which draws itself."""

    kind: ClassVar[Kind]

    @property
    def usable(self) -> bool:
        """Whether there is something to draw, as far as the index says."""
        ...

    def draw(self, description: str, place: str | None) -> str:
        """HTML of it; `description` stands for what has no words of its own, and `place` is that
        of its files in the gallery, None where they could not be made.
        """
        ...

    @classmethod
    def diversity(cls, contents: Sequence[Any]) -> float | None:
        """How different samples of this class are from each other, in [0, 1]: 0 where all are
        alike. None where fewer than two can be read.
        """
        ...


STYLES = ("style.css", "explorer.css", "lightbox.css")
PICTURES = Kind(
    "image",
    "picture",
    "how far apart pictures are",
    STYLES,
    ("sampler", "num_steps", "eta", "guidance_scale"),
)
COMPLETIONS = Kind(
    "completion",
    "completion",
    "share of new pairs of words",
    (*STYLES, "texts.css", "programs.css"),
    None,
)

BY_POLICY = {"text": COMPLETIONS}
"""The kind by `policy.kind`, for runs that have no samples yet; pictures where it is not there."""


def planned_kind(policy: Mapping[str, Any]) -> Kind:
    """The kind that a policy's section of the configuration asks for."""
    return BY_POLICY.get(str(policy.get("kind")), PICTURES)
