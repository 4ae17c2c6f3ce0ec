"""Samples that are made up for a check: ordinary ones, and odd ones that a reward must survive."""

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

# Also what an odd sample may be, where samples are texts.
ODD_TEXTS = {
    "an empty text": "",
    "white space": " \n\t ",
    "accents, emoji and Chinese": "été 🐈‍⬛👩🏽‍🚀 猫が好き",
    "text from right to left": "שלום עולם، مرحبا بالعالم",
    "20,000 words": "one red circle and " * 5_000,
}


@runtime_checkable
class Samples(Protocol):
    """The modules of this package keep it, one for each modality."""

    def ordinary(self, count: int) -> Any:
        """A batch of different samples, the same ones each time."""
        ...

    def odd(self) -> dict[str, Any]:
        """Batches of one sample, each with the words for it in a message."""
        ...


def samples_of(kind: str) -> Samples:
    """The samples of a modality, "image" or "text"."""
    return cast(Samples, import_module(f"rewards.testing.samples.{kind}"))
