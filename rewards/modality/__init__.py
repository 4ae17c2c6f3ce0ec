"""The two kinds of sample, and all that differs between them when a reward is called.

Numbers are tensors for images, so that gradients can flow, and arrays for texts, so that rewards of
texts need no tensor library.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Modality(Protocol):
    """What `rewards.scoring` asks of a kind of sample. The modules of this package keep it."""

    def malformed(self, samples: Any) -> str:
        """What is wrong with the type or shape of a batch, as in `problem`, which includes it."""
        ...

    def problem(self, samples: Any) -> str:
        """What is wrong with a batch as a whole, to be read after the reward's name; else empty."""
        ...

    def unusable(self, samples: Any) -> dict[int, str]:
        """Rows that no reward may score, with the reason."""
        ...

    def take(self, samples: Any, rows: Sequence[int]) -> Any:
        """Some rows of a batch."""
        ...

    def digests(self, samples: Any) -> list[bytes]:
        """A hash of each sample's content."""
        ...

    def numbers(self, result: Any, *, keep_graph: bool) -> Any:
        """What a reward returned, as float32; its shape is as it was returned.

        Raises:
            TypeError, ValueError, RuntimeError: it is not numbers.
        """
        ...

    def missing(self, samples: Any) -> Any:
        """NaN for each sample: float32 `[B]`."""
        ...

    def place(self, numbers: Any, rows: Sequence[int], scores: Any) -> Any:
        """`numbers` with `scores` at `rows`."""
        ...

    def array(self, numbers: Any) -> "np.ndarray":
        """The numbers as an array on the CPU, without their graph."""
        ...

    def without_infinities(self, numbers: Any) -> tuple[Any, dict[int, float]]:
        """The numbers with NaN for each infinity, and all rows that are not finite, as returned."""
        ...


def modality_of(kind: str, samples: Any) -> Modality:
    """The modality of that name; of the samples themselves where a reward takes "any"."""
    if kind == "any":
        texts = isinstance(samples, Sequence) and all(isinstance(s, str) for s in samples)
        kind = "text" if texts else "image"
    return cast(Modality, import_module(f"rewards.modality.{kind}"))
