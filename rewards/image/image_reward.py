"""How people would rate an image of a prompt: ImageReward v1.0, Xu et al., 2023."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from pydantic import Field
from torch import Tensor
from torchvision.transforms.functional import center_crop, normalize
from transformers import BertTokenizer

from rewards.definition import Weights
from rewards.errors import RewardError
from rewards.image.blip_loading import load_blip_scorer
from rewards.image.gradients import declare_gradients, gradients_if, refuse_offloaded_gradients
from rewards.image.preprocessing import resize_shorter_side
from rewards.network import Network, Precision
from rewards.pretrained import load_pretrained, tokenizer_problem
from rewards.registry import reward
from rewards.weights import find_weights, load_state

WEIGHTS = Weights(
    "hf-hub:THUDM/ImageReward/ImageReward.pt",
    "d71dc8d4912bc633c06ab8ef1ef6a81e8199d4369f14b47b29baf1d19de561f6",
)
TOKENIZER = "google-bert/bert-base-uncased"

PIXEL_MEAN, PIXEL_STD = list(OPENAI_DATASET_MEAN), list(OPENAI_DATASET_STD)

# Of the network's numbers over the authors' images: a reward of 0 is a usual image.
MEAN, STD = 0.16717362830052426, 1.0333394966054072
PROMPT_TOKENS = 35


@reward(
    "image_reward",
    modality="image",
    needs_prompt=True,
    unit="standard deviations",
    differentiable=True,
    licence="Apache-2.0",
    weights=(WEIGHTS, Weights(f"hf-hub:{TOKENIZER}")),
    refine=declare_gradients,
)
class ImageReward:
    """How highly people would rank the image among images of its prompt.

    reward = (f(image, prompt) − mean) / std, with a BLIP f trained on ranked images and the mean
    and standard deviation that its authors measured (Xu et al., 2023): not bounded,
    in practice about −2.5 to 2.

    Args:
        checkpoint: the published `ImageReward.pt` or another of its format: a path, `https://…`, or
            `hf-hub:owner/name/file`.
        sha256: checksum of the checkpoint; that of the published one is known.
        tokenizer: a folder or a repository on the hub with the tokenizer of an uncased BERT.
        batch_size: images in one pass of the network; it does not change the numbers.
        precision: of the network's weights.
        offload: keep the network on the CPU between calls.
        differentiable: let gradients flow from the number to the image.

    Raises:
        RewardError: checkpoint or tokenizer cannot be loaded, the one is not of the other, or both
            `differentiable` and `offload` are on.
    """

    def __init__(
        self,
        checkpoint: str = WEIGHTS.source,
        sha256: str = "",
        tokenizer: str = TOKENIZER,
        batch_size: Annotated[int, Field(ge=1)] = 64,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_offloaded_gradients("image_reward", differentiable=differentiable, offload=offload)
        path = find_weights(checkpoint, sha256=sha256, published=WEIGHTS, reward="image_reward")
        state = load_state(path, reward="image_reward")
        scorer = load_blip_scorer(state, where=f"reward 'image_reward': the weights '{path}'")
        self.tokenizer = _load_tokenizer(tokenizer, scorer.vocabulary)
        self.image_size = scorer.image_size
        self.network = Network(scorer, precision, offload=offload)
        self.batch_size = batch_size
        self.differentiable = differentiable

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Rewards in standard deviations from the mean."""
        if not len(images):
            return torch.zeros(0, device=images.device)
        tokens = self._tokens(list(prompts)).to(images.device)
        batches = [
            part.split(self.batch_size)
            for part in (images, tokens["input_ids"], tokens["attention_mask"])
        ]
        with self.network.on(images.device) as scorer, gradients_if(self.differentiable):
            numbers = [
                scorer(self._pixels(part), ids, mask)
                for part, ids, mask in zip(*batches, strict=True)
            ]
        return (torch.cat(numbers).float() - MEAN) / STD

    def _pixels(self, images: Tensor) -> Tensor:
        square = center_crop(resize_shorter_side(images, self.image_size), [self.image_size])
        return normalize(square, PIXEL_MEAN, PIXEL_STD).to(self.network.dtype)

    def _tokens(self, prompts: list[str]) -> Any:
        return self.tokenizer(
            prompts,
            # Not to the longest: a prompt's numbers must not depend on the others.
            padding="max_length",
            truncation=True,
            max_length=PROMPT_TOKENS,
            return_tensors="pt",
        )


def _load_tokenizer(source: str, vocabulary: int) -> Any:
    tokenizer = load_pretrained(BertTokenizer.from_pretrained, source, reward="image_reward")
    # BLIP's own two, last in its table of embeddings.
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_tokens(["[ENC]"], special_tokens=True)
    if problem := tokenizer_problem(tokenizer, vocabulary, source):
        raise RewardError(f"reward 'image_reward': {problem}")
    return tokenizer
