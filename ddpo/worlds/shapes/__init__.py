"""The shapes world: captioned scenes, a tiny diffusion pipeline and CLIP, and an exact verifier.

    from ddpo.worlds import shapes

    shapes.training_captions(3)
    pipeline = StableDiffusionPipeline.from_pretrained(shapes.pipeline_path())

Importing it loads no tensor library. `MODEL_CARD.md` beside this file says how the weights were
made and how good they are; `python -m ddpo.worlds.shapes.build` makes them again.
"""

from pathlib import Path

from ddpo.worlds.shapes.scenes import heldout_captions, parse, training_captions

__all__ = ["clip_path", "heldout_captions", "parse", "pipeline_path", "training_captions"]

_WEIGHTS = Path(__file__).parent / "weights"


def pipeline_path() -> Path:
    """The folder of the embedded `StableDiffusionPipeline`."""
    return _WEIGHTS / "pipeline"


def clip_path() -> Path:
    """The folder of the embedded open_clip model, to be named as `local-dir:<folder>`."""
    return _WEIGHTS / "clip"
