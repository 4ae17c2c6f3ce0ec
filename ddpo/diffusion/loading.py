"""From a model's name to its family: the embedded model, a folder, or a hub id."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import constants, hf_hub_download
from transformers.utils import logging as transformers_logging

from ddpo.config.diffusion_policy import PrecisionConfig
from ddpo.diffusion.family import Family
from ddpo.diffusion.flux import Flux
from ddpo.diffusion.precision import part_dtypes
from ddpo.diffusion.stable_diffusion import StableDiffusion
from ddpo.diffusion.stable_diffusion_3 import StableDiffusion3
from ddpo.diffusion.stable_diffusion_xl import StableDiffusionXL
from ddpo.errors import UserError
from rewards.pretrained import tokenizer_problem

EMBEDDED_HINT = "model: shapes needs no download"
PROBE_SECONDS = 5.0
INDEX = "model_index.json"
FP32 = PrecisionConfig()

FAMILIES: dict[type, type[Family]] = {
    StableDiffusionPipeline: StableDiffusion,
    StableDiffusionXLPipeline: StableDiffusionXL,
    StableDiffusion3Pipeline: StableDiffusion3,
    FluxPipeline: Flux,
}
"""Pipeline classes that can be trained, and the family that knows how."""


def load_family(
    model: str,
    max_sequence_length: int | None = None,
    precision: PrecisionConfig = FP32,
) -> Family:
    """Load a model and wrap it in its family, each part in its dtype.

    Raises:
        UserError: nothing can be loaded under this name, no family knows its pipeline, or the
            length of prompts cannot be chosen.
    """
    return family_of(load_pipeline(model, precision), model, max_sequence_length)


def family_of(pipeline: Any, model: str, max_sequence_length: int | None) -> Family:
    """Wrap a pipeline in its family.

    Raises:
        UserError: no family knows it, or the length of prompts cannot be chosen.
    """
    family = FAMILIES.get(type(pipeline))
    if family is None:
        known = ", ".join(cls.__name__ for cls in FAMILIES)
        raise UserError(
            f"policy.model: {model} is a {type(pipeline).__name__}; known families: {known}"
        )
    if max_sequence_length and not family.reads_t5:
        raise UserError(
            f"policy.max_sequence_length: {max_sequence_length}, but {model} has no T5; leave the "
            f"key out"
        )
    return family(pipeline, max_sequence_length)


def load_pipeline(model: str, precision: PrecisionConfig = FP32) -> Any:
    """Load a diffusers pipeline, each part in its dtype, without its safety checker.

    Raises:
        UserError: a missing or unreadable folder, an unreachable hub, or a tokenizer that does not
            fit its encoder.
    """
    if model == "shapes":
        from ddpo.worlds.shapes import pipeline_path

        return pipeline_from(model, pipeline_path(), precision)
    if Path(model).is_dir():
        return pipeline_from(model, Path(model), precision)
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise UserError(f"policy.model: there is no folder {model}; {EMBEDDED_HINT}")
    return _from_hub(model, precision)


def pipeline_from(
    model: str, source: Path | str, precision: PrecisionConfig, **options: Any
) -> Any:
    """Load from a folder or the hub's cache, and check the tokenizer. Parts that are given as
    options are not loaded.

    Raises:
        UserError: see `load_pipeline`.
    """
    if not sys.stderr.isatty():
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
    try:
        without = dict.fromkeys(_parts_to_leave_out(source, **options))
        pipeline = DiffusionPipeline.from_pretrained(
            source, dtype=dict(part_dtypes(precision)), **without, **options
        )
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"policy.model: {model} cannot be loaded: {reason}") from error
    if family := FAMILIES.get(type(pipeline)):
        _check_tokenizers(model, pipeline, family)
    return pipeline


def _parts_to_leave_out(source: Path | str, **options: Any) -> list[str]:
    """The safety checker, and parts that were not saved: diffusers wants both named."""
    index = Path(source) / INDEX
    path = index if index.exists() else hf_hub_download(str(source), INDEX, **options)
    parts = json.loads(Path(path).read_text())
    return [k for k, kind in parts.items() if k == "safety_checker" or kind == [None, None]]


def _check_tokenizers(model: str, pipeline: Any, family: type[Family]) -> None:
    """Refuse a tokenizer that does not fit its encoder. An encoder may be left out."""
    for tokenizer, encoder in family.tokenizers:
        if (network := getattr(pipeline, encoder)) is None:
            continue
        rows = network.config.vocab_size
        if problem := tokenizer_problem(getattr(pipeline, tokenizer), rows, model):
            raise UserError(f"policy.model: {tokenizer}: {problem}")


def _from_hub(model: str, precision: PrecisionConfig) -> Any:
    """Load a hub id: from the cache if it is there, else from the hub if one probe reaches it."""
    try:
        return pipeline_from(model, model, precision, local_files_only=True)
    except UserError as error:
        if constants.HF_HUB_OFFLINE:
            raise UserError(
                f"policy.model: {model} is neither a folder nor in the hub's cache, and "
                f"HF_HUB_OFFLINE is set; "
                f"{EMBEDDED_HINT}"
            ) from error
    if not _hub_answers():
        raise UserError(
            f"policy.model: {model} is neither a folder nor in the hub's cache, and the hub "
            f"cannot be reached; "
            f"{EMBEDDED_HINT}"
        )
    return pipeline_from(model, model, precision)


def _hub_answers() -> bool:
    """One attempt to connect, instead of the library's many."""
    address = urlparse(getproxies().get("https") or constants.ENDPOINT)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), PROBE_SECONDS):
            return True
    except OSError:
        return False
