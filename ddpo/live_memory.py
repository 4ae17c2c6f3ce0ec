"""How many bytes the tensors of a program hold at any moment, by what they are for, and the most
they held at each stage.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")

ACTIVATIONS = "activations"
"""What everything is for until it is labelled."""

UNNAMED = ""
"""The stage of what is measured nowhere."""


@dataclass
class Held:
    """A tensor's bytes, however many tensors look at them."""

    label: str
    size: int
    storage: weakref.ref[Any]


@dataclass
class Peak:
    """The most that was held at a stage, in bytes: all of it, and by label."""

    total: int = 0
    parts: Counter[str] = field(default_factory=Counter)


class LiveMemory(TorchDispatchMode):
    """Counts, while entered, what torch's operations make on one kind of device, until it is gone.

    Attributes:
        peaks: by stage.
        now: bytes held, by label.
    """

    def __init__(self, device: torch.device):
        """Count on devices of this type."""
        super().__init__()
        self.peaks: dict[str, Peak] = {}
        self.now: Counter[str] = Counter()
        self._device = device.type
        self._held: dict[int, Held] = {}
        self._total = 0
        self._stage = UNNAMED

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it made."""
        result = func(*args, **(kwargs or {}))
        for leaf in (result,) if isinstance(result, Tensor) else tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf, ACTIVATIONS, relabel=False)
        return result

    def label(self, tensors: Iterable[Tensor | None], label: str) -> None:
        """Say what tensors are for; those that were not counted are from now on."""
        for tensor in tensors:
            if tensor is not None:
                self._count(tensor, label, relabel=True)

    def label_rest(self, label: str) -> None:
        """Say what everything is for that nobody labelled."""
        for key in [key for key, held in self._held.items() if held.label == ACTIVATIONS]:
            self._relabel(key, label)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Inside, the most that is held is that of this stage, and of no stage around it."""
        outer, self._stage = self._stage, name
        self._note(0)
        try:
            yield
        finally:
            self._stage = outer

    def once(self, work: Callable[[], T]) -> tuple[T, int]:
        """The result of `work`, and how many bytes more than at its end were held at its most."""
        so_far = self.peaks.pop(self._stage, Peak())
        self._note(0)
        result = work()
        inside = self.peaks[self._stage]
        self.peaks[self._stage] = max(so_far, inside, key=lambda peak: peak.total)
        return result, inside.total - self._total

    def as_if(self, more: int) -> None:
        """Note a peak of so many bytes more than there are now."""
        self._note(more)

    def _count(self, tensor: Tensor, label: str, *, relabel: bool) -> None:
        """Know of a tensor's storage until it is gone."""
        if tensor.device.type != self._device:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._held:
            if relabel:
                self._relabel(key, label)
            return
        gone = weakref.ref(storage, lambda _: self._forget(key))
        self._held[key] = Held(label, storage.nbytes(), gone)
        self._add(label, storage.nbytes())
        self._note(0)

    def _relabel(self, key: int, label: str) -> None:
        held = self._held[key]
        self.now[held.label] -= held.size
        self.now[label] += held.size
        held.label = label

    def _forget(self, key: int) -> None:
        held = self._held.pop(key)
        self._add(held.label, -held.size)

    def _add(self, label: str, size: int) -> None:
        self.now[label] += size
        self._total += size

    def _note(self, more: int) -> None:
        """Keep what is held now, and so many bytes of activations, if it is the stage's most."""
        peak = self.peaks.setdefault(self._stage, Peak())
        if self._total + more > peak.total:
            peak.total = self._total + more
            peak.parts = self.now.copy()
            peak.parts[ACTIVATIONS] += more


def form(leaf: Any) -> Any:
    """Shape and dtype of a tensor; anything else is itself."""
    return (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else leaf
