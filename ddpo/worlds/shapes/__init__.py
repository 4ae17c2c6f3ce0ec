"""The shapes world: captioned scenes, a tiny diffusion pipeline and CLIP, and an exact verifier.

Its taste, a rule that says which of two pictures is better, comes with a head that learned it.

    from ddpo.worlds import shapes

    shapes.training_captions(3)
    pipeline = StableDiffusionPipeline.from_pretrained(shapes.pipeline_path())

Importing it loads nothing. `MODEL_CARD.md` beside this file says how the weights were
made and how good they are; `python -m ddpo.worlds.shapes.build` makes them again.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpo.worlds.shapes.scenes import heldout_captions, parse, training_captions

__all__ = [
    "aesthetic_path",
    "clip_path",
    "heldout_captions",
    "parse",
    "pipeline_path",
    "training_captions",
]

_SCENES = ("heldout_captions", "parse", "training_captions")
_WEIGHTS = Path(__file__).parent / "weights"


def pipeline_path() -> Path:
    """The folder of the embedded `StableDiffusionPipeline`."""
    return _WEIGHTS / "pipeline"


def clip_path() -> Path:
    """The folder of the embedded open_clip model, to be named as `local-dir:<folder>`."""
    return _WEIGHTS / "clip"


def aesthetic_path() -> Path:
    """The file of the embedded aesthetic head, which scores the embeddings of that CLIP."""
    return _WEIGHTS / "aesthetic" / "head.safetensors"


def __getattr__(name: str) -> Any:
    """Import what draws and reads scenes when it is used: rewards are listed without it."""
    if name in _SCENES:
        return getattr(import_module("ddpo.worlds.shapes.scenes"), name)
    raise AttributeError(f"module 'ddpo.worlds.shapes' has no attribute {name!r}")
