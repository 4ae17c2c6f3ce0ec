"""What is known of a saved language model without loading its weights: the JSON files beside
them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpo.errors import UserError

CAUSAL, SEQUENCE_TO_SEQUENCE = "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"


@dataclass(frozen=True)
class TextModel:
    """A folder that transformers loads, or peft.

    Attributes:
        loader: the class of transformers that loads it, or its base, whatever its family.
        described: its own class, where the folder says.
        base: what a LoRA is loaded onto; None where the folder holds a whole model.
    """

    loader: str
    described: str
    base: str | None = None

    @property
    def encoder_decoder(self) -> bool:
        """Whether the prompt goes into an encoder, or before the completion."""
        return self.loader == SEQUENCE_TO_SEQUENCE


def read_text_model(folder: Path, *, adapter: bool) -> TextModel:
    """Read the small files of a saved language model.

    Args:
        folder: with the model.
        adapter: whether it is a LoRA, as peft saves one, or whole.

    Raises:
        UserError: they are not there, or are not JSON.
    """
    if adapter:
        said = _read(folder / "adapter_config.json")
        loader = SEQUENCE_TO_SEQUENCE if said.get("task_type") == "SEQ_2_SEQ_LM" else CAUSAL
        return TextModel(loader, loader, said["base_model_name_or_path"])
    said = _read(folder / "config.json")
    loader = SEQUENCE_TO_SEQUENCE if said.get("is_encoder_decoder") else CAUSAL
    return TextModel(loader, next(iter(said.get("architectures") or [loader])))


def hub_id(model: str) -> str | None:
    """A model's name on the hub; None for an embedded one, whose name has no owner, and for a
    folder.
    """
    return model if "/" in model and not Path(model).is_dir() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read, and the model card needs it; train the run again, or put the "
            f"file back"
        ) from error
