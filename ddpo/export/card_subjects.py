"""What a model card is about, by the kind of policy: its words for the hub, the code that runs it,
and its samples. Nothing else of the card asks which kind a run is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ddpo.config.schema import Config
from ddpo.export import card_code, card_pictures, card_text_code, card_texts
from ddpo.export.base_model import BaseModel, read_base
from ddpo.export.text_model import TextModel, hub_id, read_text_model
from ddpo.gallery.run_folder import Sample

Pairs = Sequence[tuple[Sample, Sample]]
"""A sample of the base, and the one of the same prompt and noise after training."""


@runtime_checkable
class Subject(Protocol):
    """A trained model in a folder that its home library loads."""

    @property
    def hub_id(self) -> str | None:
        """The base model's name on the hub, where it has one."""
        ...

    @property
    def described(self) -> str:
        """The base model's class in its home library."""
        ...

    @property
    def library(self) -> str:
        """Which library loads it, as the hub calls that."""
        ...

    @property
    def task(self) -> str:
        """What it is for, as the hub calls that."""
        ...

    def usage(self, prompts: Sequence[str]) -> str:
        """Python that loads it and runs it with the run's settings on one of these prompts, or on
        another where none is fit.
        """
        ...

    def table(self, pairs: Pairs, target: Path) -> str:
        """Samples before and after, as Markdown; files that it names are written to `target`."""
        ...


@dataclass(frozen=True)
class ImageModel:
    """A pipeline of diffusers, or a LoRA for one."""

    config: Config
    base: BaseModel
    adapter: bool
    library: str = "diffusers"
    task: str = "text-to-image"

    @property
    def hub_id(self) -> str | None:
        """See `Subject`."""
        return self.base.hub_id

    @property
    def described(self) -> str:
        """See `Subject`."""
        return self.base.pipeline

    def usage(self, prompts: Sequence[str]) -> str:
        """See `Subject`."""
        prompt = next(iter(prompts), "a photo of a cat")
        return card_code.usage(self.config, self.base, prompt, adapter=self.adapter)

    def table(self, pairs: Pairs, target: Path) -> str:
        """See `Subject`."""
        return card_pictures.before_and_after(pairs, target)


@dataclass(frozen=True)
class LanguageModel:
    """A model of transformers, or a LoRA of peft for one."""

    config: Config
    model: TextModel
    task: str = "text-generation"

    @property
    def hub_id(self) -> str | None:
        """See `Subject`."""
        return hub_id(self.config.policy.model)

    @property
    def described(self) -> str:
        """See `Subject`."""
        return self.model.described

    @property
    def library(self) -> str:
        """See `Subject`."""
        return "transformers" if self.model.base is None else "peft"

    def usage(self, prompts: Sequence[str]) -> str:
        """See `Subject`."""
        return card_text_code.usage(self.config, self.model, prompts)

    def table(self, pairs: Pairs, target: Path) -> str:
        """See `Subject`."""
        return card_texts.before_and_after(pairs)


def subject_of(config: Config, target: Path, *, adapter: bool) -> Subject:
    """What the card in a folder is about.

    Args:
        config: of the run.
        target: the folder, with the model.
        adapter: whether that is a LoRA, or whole.

    Raises:
        UserError: files that describe the model are gone.
    """
    kind: str = config.policy.kind
    if kind == "text":
        return LanguageModel(config, read_text_model(target, adapter=adapter))
    return ImageModel(config, read_base(config.policy.model), adapter)
