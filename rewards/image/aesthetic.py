"""How pleasing people find an image: the LAION aesthetic predictor, Schuhmann et al., 2022.

The published head is the one of LAION-Aesthetics V2, trained on the ratings of SAC, LAION-Logos and
AVA: `sac+logos+ava1-l14-linearMSE`. It belongs to OpenAI's CLIP ViT-L/14.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from rewards.definition import Weights
from rewards.errors import RewardError, did_you_mean
from rewards.image.clip_loading import OPENAI_WEIGHTS, load_clip
from rewards.image.gradients import declare_gradients, gradients_if, refuse_offloaded_gradients
from rewards.network import Network, Precision
from rewards.registry import reward
from rewards.weights import find_installed, find_weights, installed_names, load_state

ENTRY_POINT_GROUP = "ddpo.aesthetic_heads"

LAION = "laion"
LAION_WEIGHTS = Weights(
    "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/"
    "6934dd81792f086e613a121dbce43082cb8be85e/sac%2Blogos%2Bava1-l14-linearMSE.pth",
    "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
)

LINEAR_LAYERS = (0, 2, 4, 6, 7)
# After each of the first three linear layers, as published; they count only in training.
DROPOUTS = (0.2, 0.2, 0.1)


@reward(
    "aesthetic",
    modality="image",
    unit="rating",
    differentiable=True,
    licence="those of the weights; Apache-2.0 for LAION's head, MIT for OpenAI's CLIP",
    weights=(OPENAI_WEIGHTS, LAION_WEIGHTS),
    refine=declare_gradients,
)
class Aesthetic:
    """Rating that people would give the image, about 1 to 10, whatever its prompt.

    A linear function of the image's CLIP embedding, so in principle it can leave that range.

    Args:
        model: as for `clip_alignment`.
        pretrained: as for `clip_alignment`.
        head: "laion", an installed head such as `shapes`, a file, `https://…` with a `sha256`, or
            `hf-hub:owner/name/file`. It must have been trained on embeddings of the same CLIP.
        sha256: checksum of the head's file; that of "laion" is known.
        batch_size: images in one pass of the network; it does not change the numbers.
        precision: of the CLIP's weights and arithmetic; the head's is always fp32.
        offload: keep the networks on the CPU while they are not in use.
        differentiable: let gradients flow from the number to the image.

    Raises:
        RewardError: the CLIP or the head cannot be loaded, they do not fit each other, or both
            `differentiable` and `offload` are on.
    """

    def __init__(
        self,
        model: str = "ViT-L-14",
        pretrained: str = "openai",
        head: str = LAION,
        sha256: str = "",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_offloaded_gradients("aesthetic", differentiable=differentiable, offload=offload)
        regression = load_head(find_head(head, sha256))
        self.clip = load_clip(model, pretrained, precision, offload=offload, reward="aesthetic")
        if regression.width != self.clip.width:
            raise RewardError(
                f"reward 'aesthetic': the head '{head}' is for embeddings of {regression.width} "
                f"numbers, but the CLIP model '{model}' gives {self.clip.width}; "
                "choose the CLIP that the head was trained on"
            )
        self.head = Network(regression, offload=offload)
        self.batch_size = batch_size
        self.differentiable = differentiable

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Ratings, about 1 to 10."""
        with (
            self.clip.network.on(images.device),
            self.head.on(images.device) as head,
            gradients_if(self.differentiable),
        ):
            return head(self.clip.embed_images(images, self.batch_size))


class AestheticHead(nn.Module):
    """The published regression from a normalised CLIP embedding to a score: linear layers alone.

    Args:
        widths: of the embedding, of each hidden layer, and 1: `[768, 1024, 128, 64, 16, 1]` as
            published.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.width = widths[0]
        layers: list[nn.Module] = []
        for index, (wide, narrow) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(wide, narrow))
            layers += [nn.Dropout(rate) for rate in DROPOUTS[index : index + 1]]
        self.layers = nn.Sequential(*layers)

    def forward(self, embeddings: Float[Tensor, "b width"]) -> Float[Tensor, " b"]:
        """Scores, about 1 to 10, of embeddings of length 1."""
        return self.layers(embeddings).squeeze(1)


def find_head(head: str, sha256: str) -> Path:
    """The file of a head: published, installed, local, or downloaded.

    Raises:
        RewardError: there is no such head, or its file is not the one of the checksum.
    """
    source = LAION_WEIGHTS.source if head == LAION else _source(head)
    return find_weights(source, sha256=sha256, published=LAION_WEIGHTS, reward="aesthetic")


def load_head(path: Path) -> AestheticHead:
    """A head from a file in the published format: `layers.{0,2,4,6,7}.{weight,bias}`.

    The widths of the layers are those of the file.

    Raises:
        RewardError: the file cannot be read, or holds other tensors than a head.
    """
    where = f"reward 'aesthetic': the head '{path}'"
    state = load_state(path, reward="aesthetic")
    expected = {f"layers.{i}.{part}" for i in LINEAR_LAYERS for part in ("weight", "bias")}
    if set(state) != expected:
        raise RewardError(
            f"{where} is not one: missing {_list(expected - set(state))}, "
            f"unknown {_list(set(state) - expected)}"
        )
    weights = [state[f"layers.{i}.weight"] for i in LINEAR_LAYERS]
    head = AestheticHead([weights[0].shape[-1], *(len(weight) for weight in weights)])
    try:
        head.load_state_dict(state)
    except RuntimeError as error:
        raise RewardError(f"{where} has layers that do not fit each other") from error
    if len(weights[-1]) != 1:
        raise RewardError(f"{where} ends in {len(weights[-1])} numbers, not in one rating")
    return head


def _source(head: str) -> str:
    """A path or an address, which may not be there; a word alone must name something."""
    installed = find_installed(ENTRY_POINT_GROUP, head, "aesthetic head")
    if not installed and ":" not in head and not Path(head).expanduser().is_file():
        known = [LAION, *installed_names(ENTRY_POINT_GROUP)]
        raise RewardError(
            f"reward 'aesthetic': no head, and no file, is called '{head}'"
            f"{did_you_mean(head, known) or '.'} Known: {', '.join(known)}"
        )
    return installed or head


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
