"""Which image of a prompt people would pick: PickScore, Kirstain et al., 2023 (Pick-a-Pic)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torchvision.transforms.functional import normalize
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from rewards.definition import Definition, Weights
from rewards.errors import RewardError
from rewards.image.agreement import Agreement
from rewards.image.gradients import declare_gradients, refuse_offloaded_gradients
from rewards.image.preprocessing import resize_shorter_side
from rewards.network import Precision
from rewards.pretrained import load_network, load_pretrained, tokenizer_problem
from rewards.registry import reward

MODEL = "yuvalkirstain/PickScore_v1"
PROCESSOR = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


class PickTowers(nn.Module):
    """A CLIP of transformers as `Towers`, with the preprocessing that its processor describes.

    Args:
        clip: a `CLIPModel` in float32; its methods have no exact types.
        tokenizer: of the text tower.
        processor: its size, crop and mean and standard deviation are used, on tensors.
    """

    def __init__(self, clip: Any, tokenizer: Any, processor: Any) -> None:
        super().__init__()
        self.clip = clip
        self.tokenizer = tokenizer
        self.shorter_side: int = processor.size["shortest_edge"]
        self.crop: tuple[int, int] = processor.crop_size["height"], processor.crop_size["width"]
        self.mean, self.std = list(processor.image_mean), list(processor.image_std)

    def see(self, images: Tensor) -> Tensor:
        """See `Towers`."""
        resized = resize_shorter_side(images, self.shorter_side)
        height, width = self.crop
        # Half a pixel is rounded down, as by the processor; torchvision rounds to even.
        top, left = (resized.shape[2] - height) // 2, (resized.shape[3] - width) // 2
        square = resized[:, :, top : top + height, left : left + width]
        pixels = normalize(square, self.mean, self.std).to(self.clip.dtype)
        return self.clip.get_image_features(pixel_values=pixels).pooler_output

    def read(self, prompts: list[str]) -> Tensor:
        """See `Towers`. Prompts are cut to the length that the text tower can read."""
        tokens = self.tokenizer(
            prompts,
            # Not to the longest: a prompt's numbers must not depend on the others.
            padding="max_length",
            truncation=True,
            max_length=self.clip.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self.clip.device)
        return self.clip.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output


def _declare(made: "PickScore", definition: Definition) -> Definition:
    return replace(declare_gradients(made, definition), range=(-made.scale, made.scale))


@reward(
    "pickscore",
    modality="image",
    needs_prompt=True,
    unit="logit",
    differentiable=True,
    licence="see the weights' page",
    weights=(Weights(f"hf-hub:{MODEL}"), Weights(f"hf-hub:{PROCESSOR}")),
    refine=_declare,
)
class PickScore:
    """How readily people would pick the image for its prompt over other images of it.

    score = exp(t) · cos(image, text), with embeddings of a CLIP ViT-H/14 that was trained on what
    people picked and its learned temperature t (Kirstain et al., 2023): within ±100 for the
    published weights, and in practice about 15 to 25. Over the images of one prompt, softmax of the
    scores is the chance of each to be picked; between prompts they are hard to compare.

    Args:
        model: a folder or a repository on the hub, in transformers' format for a CLIP.
        processor: the same for its tokenizer and `preprocessor_config.json`.
        batch_size: images, or prompts, in one pass of the network; it does not change the numbers.
        precision: of the network's weights.
        offload: keep the network on the CPU between calls.
        differentiable: let gradients flow from the number to the image.

    Raises:
        RewardError: model or processor cannot be loaded, the one is not of the other, or both
            `differentiable` and `offload` are on.
    """

    def __init__(
        self,
        model: str = MODEL,
        processor: str = PROCESSOR,
        batch_size: Annotated[int, Field(ge=1)] = 64,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_offloaded_gradients("pickscore", differentiable=differentiable, offload=offload)
        towers = _load(model, processor)
        self.differentiable = differentiable
        self.scale = towers.clip.logit_scale.exp().item()
        self.agreement = Agreement(
            towers,
            batch_size=batch_size,
            precision=precision,
            offload=offload,
            differentiable=differentiable,
        )

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Scores within ± the model's `exp(t)`."""
        return self.scale * self.agreement(images, prompts)


def _load(model: str, processor: str) -> PickTowers:
    clip = load_network(CLIPModel.from_pretrained, model, reward="pickscore", dtype=torch.float32)
    tokenizer = load_pretrained(CLIPTokenizer.from_pretrained, processor, reward="pickscore")
    if problem := tokenizer_problem(tokenizer, clip.config.text_config.vocab_size, processor):
        raise RewardError(f"reward 'pickscore': {problem}")
    images = load_pretrained(CLIPImageProcessor.from_pretrained, processor, reward="pickscore")
    _check_crop(images, clip.config.vision_config.image_size, processor)
    return PickTowers(clip, tokenizer, images)


def _check_crop(images: Any, wanted: int, processor: str) -> None:
    crop = images.crop_size["height"], images.crop_size["width"]
    if not images.size.shortest_edge or crop != (wanted, wanted):
        raise RewardError(
            f"reward 'pickscore': preprocessor_config.json of '{processor}' needs "
            f"size.shortest_edge and a crop_size of {wanted}×{wanted} pixels, which the network "
            "reads; choose the processor of this model"
        )
