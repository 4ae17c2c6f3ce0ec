"""What is known of a run's base model without loading its weights: the JSON files beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from ddpo.diffusion.family import Family
from ddpo.diffusion.loading import FAMILIES, INDEX
from ddpo.errors import UserError

EMBEDDED = "shapes"


@dataclass(frozen=True)
class BaseModel:
    """A base model's name and the configurations of its parts.

    Attributes:
        model: as in `policy.model`.
        pipeline: name of its class in diffusers.
        network: configuration of what is trained.
        scheduler: of the noise schedule.
        vae: of the autoencoder.
        left_out: tokenizers and text encoders that it does without, such as SD3's T5.
    """

    model: str
    pipeline: str
    network: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    vae: Mapping[str, Any]
    left_out: tuple[str, ...] = ()

    @property
    def family(self) -> type[Family]:
        """The family that trains it."""
        return _family(self.pipeline, self.model)

    @property
    def hub_id(self) -> str | None:
        """Its name on the hub; None for the embedded model and for a folder."""
        local = self.model == EMBEDDED or Path(self.model).is_dir()
        return None if local else self.model

    @property
    def resolution(self) -> int:
        """Pixels a side that it draws unless told otherwise."""
        factor = 2 ** (len(self.vae["block_out_channels"]) - 1)
        return self.family.default_side(self.network) * factor

    @property
    def guidance_scale(self) -> float:
        """The scale that its family trains with where the configuration gives none."""
        return self.family.default_guidance_scale(self.network)


def read_base(model: str) -> BaseModel:
    """Read the small files of a model that a run was trained from.

    Raises:
        UserError: they are not on this machine any more, or no family knows the pipeline.
    """
    index = _read(model, INDEX)
    pipeline = index["_class_name"]
    family = _family(pipeline, model)
    network, parts = family.network_name, [part for pair in family.tokenizers for part in pair]
    return BaseModel(
        model,
        pipeline,
        network=_read(model, f"{network}/config.json"),
        scheduler=_read(model, "scheduler/scheduler_config.json"),
        vae=_read(model, "vae/config.json"),
        left_out=tuple(part for part in parts if index.get(part) == [None, None]),
    )


def _family(pipeline: str, model: str) -> type[Family]:
    known = {cls.__name__: family for cls, family in FAMILIES.items()}
    if pipeline not in known:
        raise UserError(
            f"policy.model: {model} is a {pipeline}; known families: {', '.join(known)}"
        )
    return known[pipeline]


def _read(model: str, file: str) -> dict[str, Any]:
    try:
        return json.loads(_find(model, file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"policy.model: {file} of {model} cannot be read, and the export needs it; put the "
            f"base model back where the run found it"
        ) from error


def _find(model: str, file: str) -> Path:
    if model == EMBEDDED:
        from ddpo.worlds.shapes import pipeline_path

        return pipeline_path() / file
    if Path(model).is_dir():
        return Path(model) / file
    try:
        return Path(hf_hub_download(model, file, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"policy.model: {model} is neither a folder nor in the hub's cache; fetch it with `hf "
            f"download {model}` and export again"
        ) from error
