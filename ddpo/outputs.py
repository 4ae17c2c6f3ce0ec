"""What samples are: images in one tensor, or texts in a list. Whoever has to tell the two apart,
to gather, choose or write them, asks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from ddpo.distributed import gathered
from rewards.image import png


@runtime_checkable
class Outputs(Protocol):
    """Samples of one kind."""

    @property
    def seen(self) -> Tensor | list[str]:
        """As a reward sees them."""
        ...

    def everyones(self, accelerator: Accelerator) -> Outputs:
        """Those of all processes, one after the other, on each of them."""
        ...

    def rows(self, rows: Sequence[int]) -> Outputs:
        """Some of them."""
        ...

    def write(self, number: int, folder: Path) -> dict[str, str]:
        """Write one of them to a folder; returns what its index says of it."""
        ...


@dataclass(frozen=True)
class Images:
    """Images, each of which becomes a PNG named by its number."""

    seen: Float[Tensor, "n 3 h w"]

    def everyones(self, accelerator: Accelerator) -> Images:
        """See `Outputs`."""
        return Images(gathered(accelerator, self.seen))

    def rows(self, rows: Sequence[int]) -> Images:
        """See `Outputs`."""
        return Images(self.seen[list(rows)])

    def write(self, number: int, folder: Path) -> dict[str, str]:
        """See `Outputs`."""
        file = f"{number:04d}.png"
        (folder / file).write_bytes(png.encode(self.seen[number]))
        return {"file": file}


@dataclass(frozen=True)
class Texts:
    """Texts, which stand in the index itself."""

    seen: list[str]

    def everyones(self, accelerator: Accelerator) -> Texts:
        """See `Outputs`."""
        return Texts(list(gather_object(list(self.seen))))

    def rows(self, rows: Sequence[int]) -> Texts:
        """See `Outputs`."""
        return Texts([self.seen[row] for row in rows])

    def write(self, number: int, folder: Path) -> dict[str, str]:
        """See `Outputs`."""
        return {"text": self.seen[number]}


def outputs_of(seen: Tensor | list[str] | None) -> Outputs:
    """The outputs of a trajectory that were not let go."""
    assert seen is not None
    return Images(seen) if isinstance(seen, Tensor) else Texts(seen)
