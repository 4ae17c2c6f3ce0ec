"""What a reward declares about itself: the card by which others know it, without running it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MODALITIES = ("image", "text", "any")
DIRECTIONS = ("higher", "lower")


@dataclass(frozen=True)
class Weights:
    """Weights that a reward loads: where they come from, and the checksum of the file.

    `source` is a URL, `hf-hub:owner/name` with or without a `/file`, or a path inside a package.
    Without a `sha256` nothing is pinned, and the card says so.
    """

    source: str
    sha256: str = ""


@dataclass(frozen=True)
class Definition:
    """What a reward declares about itself.

    Attributes:
        name: unique in the registry.
        factory: the decorated function or class.
        place: where it is defined, `module:attribute`.
        modality: "image" for images `[B, 3, H, W]` in [0, 1], "text" for a list of texts, "any" for
            either.
        description: one sentence.
        columns: dataset columns that it needs, each a list of `B` values.
        range: lowest and highest value that it can return.
        unit: of the number, such as kB.
        direction: whether the quantity in the description is better "higher" or "lower". The reward
            itself is always better higher: a "lower" quantity comes with its sign turned.
        deterministic: the same input gives the same number.
        differentiable: gradients flow from the number to the image.
        group: a sample's number depends on the other samples of its prompt.
        needs_prompt: it compares a sample with its prompt, and cannot do without one.
        cpu_bound: it computes in Python on one core, so a pool of processes makes it faster.
        licence: of the weights that it loads.
        weights: the files that it loads by default.
        refine: what the made reward adds to this declaration, once its options are known.
    """

    name: str
    factory: Callable[..., Any] = field(repr=False)
    place: str
    modality: str
    description: str
    columns: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    unit: str = ""
    direction: str = "higher"
    deterministic: bool = True
    differentiable: bool = False
    group: bool = False
    needs_prompt: bool = False
    cpu_bound: bool = False
    licence: str = ""
    weights: tuple[Weights, ...] = ()
    refine: Callable[[Any, "Definition"], "Definition"] | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Its options as they are written: all parameters of a class's `__init__`; of a function
        the keyword-only ones that are no columns.
        """
        is_class = inspect.isclass(self.factory)
        kinds = {inspect.Parameter.KEYWORD_ONLY}
        if is_class:
            kinds.add(inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return {
            name: parameter
            for name, parameter in inspect.signature(self.factory).parameters.items()
            if parameter.kind in kinds and (is_class or name not in self.columns)
        }
