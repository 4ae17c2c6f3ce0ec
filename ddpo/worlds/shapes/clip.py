"""Loading the embedded CLIP through open_clip."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.transforms import Normalize

from ddpo.worlds.shapes import clip_path

Preprocess = Callable[[Float[Tensor, "b 3 64 64"]], Float[Tensor, "b 3 64 64"]]
Tokenize = Callable[[list[str]], Int[Tensor, "b context"]]


def load_clip(folder: Path | None = None) -> tuple[Any, Preprocess, Tokenize]:
    """Load the tiny CLIP, frozen.

    Args:
        folder: Another folder made by the recipe; the embedded one by default.

    Returns:
        The model; what turns pixels in [0, 1] into its input; and its tokenizer.
    """
    name = f"local-dir:{folder or clip_path()}"
    model: Any = open_clip.create_model(name, require_pretrained=True)
    model.eval().requires_grad_(False)
    config = model.visual.preprocess_cfg
    return model, Normalize(config["mean"], config["std"]), open_clip.get_tokenizer(name)
