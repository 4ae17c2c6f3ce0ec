"""How much people would prefer an image for its prompt: HPS v2.1, Wu et al., 2023 (Human Preference
Score v2).
"""

from collections.abc import Sequence
from typing import Annotated

import open_clip
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from rewards.definition import Weights
from rewards.errors import RewardError, did_you_mean
from rewards.image.agreement import Agreement
from rewards.image.clip_loading import Clip, load_clip
from rewards.image.gradients import declare_gradients, refuse_offloaded_gradients
from rewards.image.preprocessing import resize_and_pad
from rewards.network import Precision
from rewards.registry import reward
from rewards.weights import find_weights

WEIGHTS = Weights(
    "hf-hub:xswu/HPSv2/HPS_v2.1_compressed.pt",
    "c57a38fb4a2f7e7c15bf00da2ea377cdf165448b4dd1052a484c215a998c9837",
)


class HpsTowers(nn.Module):
    """An open_clip CLIP as `Towers`, with the preprocessing of the package `hpsv2`.

    The whole image is seen, within black bars, not its centre.
    """

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.model = clip.model
        self.tokenizer = clip.tokenizer
        self.normalise = clip.normalise
        self.size: int = clip.model.visual.image_size[0]

    def see(self, images: Tensor) -> Tensor:
        """See `Towers`. As in the package, what bicubic resizing overshoots stays."""
        pixels = self.normalise(resize_and_pad(images, self.size))
        return self.model.encode_image(pixels.to(self.model.logit_scale.dtype))

    def read(self, prompts: list[str]) -> Tensor:
        """See `Towers`. Prompts are cut to the length that the text tower can read."""
        return self.model.encode_text(self.tokenizer(prompts).to(self.model.logit_scale.device))


@reward(
    "hps",
    modality="image",
    needs_prompt=True,
    range=(-1.0, 1.0),
    unit="cosine",
    differentiable=True,
    licence="Apache-2.0",
    weights=(WEIGHTS,),
    refine=declare_gradients,
)
class Hps:
    """How much people would prefer the image, for its prompt, to other images.

    The cosine of the angle between the embeddings of image and prompt by a CLIP ViT-H/14 trained on
    people's choices (Wu et al., 2023), without the temperature, as the package `hpsv2`
    returns it: in practice about 0.2 to 0.35. Published tables show it times 100. Compare only
    images of one prompt.

    Args:
        checkpoint: weights for `architecture`: a path, `https://…`, or `hf-hub:owner/name/file`.
        sha256: checksum of the checkpoint; that of the published one is known.
        architecture: of open_clip.
        batch_size: images, or prompts, in one pass of the network; it does not change the numbers.
        precision: of the network's weights.
        offload: keep the network on the CPU between calls.
        differentiable: let gradients flow from the number to the image.

    Raises:
        RewardError: there is no such architecture or checkpoint, the one is not of the other, or
            both `differentiable` and `offload` are on.
    """

    def __init__(
        self,
        checkpoint: str = WEIGHTS.source,
        sha256: str = "",
        architecture: str = "ViT-H-14",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_offloaded_gradients("hps", differentiable=differentiable, offload=offload)
        _check_architecture(architecture)
        path = find_weights(checkpoint, sha256=sha256, published=WEIGHTS, reward="hps")
        self.differentiable = differentiable
        self.agreement = Agreement(
            HpsTowers(load_clip(architecture, str(path), reward="hps")),
            batch_size=batch_size,
            precision=precision,
            offload=offload,
            differentiable=differentiable,
        )

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Cosines in [-1, 1]."""
        return self.agreement(images, prompts)


def _check_architecture(name: str) -> None:
    """A folder, or a model on the hub, would bring its own weights instead of the checkpoint."""
    known = open_clip.list_models()
    if name not in known:
        hint = did_you_mean(name, known) or "; open_clip.list_models() lists them"
        raise RewardError(f"reward 'hps': open_clip has no architecture '{name}'{hint}")
