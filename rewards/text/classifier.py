"""What a text classifier says of a text: any sequence classifier that transformers can load."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from rewards.definition import Definition
from rewards.errors import RewardError
from rewards.network import Network, Precision
from rewards.registry import reward
from rewards.text.classifier_loading import label_index, load_classifier, token_limit


def _refined(made: "Classifier", definition: Definition) -> Definition:
    """The declaration of a classifier that returns logits, which have no bounds."""
    if made.score == "probability":
        return definition
    return replace(definition, range=None, unit="logit")


@reward(
    "classifier",
    modality="text",
    range=(0.0, 1.0),
    unit="probability",
    licence="that of the weights",
    refine=_refined,
)
class Classifier:
    """Probability, or logit, that a text classifier gives to one of its labels.

    Labels of which one is true share a softmax; each label has a sigmoid where several may be true
    (`problem_type` in the model's configuration) and where there is only one. The text is read
    without its prompt. The model is loaded once, when the reward is made.

    Args:
        model: a folder, or `owner/name` on the hub.
        label: the name of the label, or its index.
        score: the probability, or the number before the softmax or sigmoid.
        invert: score 1 − probability, or minus the logit: for toxicity, say.
        batch_size: texts in one pass of the network; in fp32 it does not change the numbers.
        max_length: tokens that are read of each text; by default as many as the model can.
        precision: of the weights.
        offload: keep the model on the CPU between calls.
        device: where it runs, such as `cpu` or `cuda:1`; by default on a GPU if there is one.

    Raises:
        RewardError: the model cannot be loaded or is no trained classifier, it has no such label or
            no probabilities or not as many positions, or there is no such device.
    """

    def __init__(
        self,
        model: str,
        label: str | int,
        score: Literal["probability", "logit"] = "probability",
        invert: bool = False,
        batch_size: Annotated[int, Field(ge=1)] = 64,
        max_length: Annotated[int, Field(ge=1)] | None = None,
        precision: Precision = "fp32",
        offload: bool = False,
        device: str | None = None,
    ) -> None:
        self.device = _device(device)
        network, self.tokenizer = load_classifier(model)
        self.label = label_index(label, network.config.id2label, model)
        self.softmax = _has_softmax(network.config, score, model)
        self.max_length = token_limit(max_length, network, self.tokenizer, model)
        # Without a padding token, texts of different lengths cannot share a pass.
        self.batch_size = 1 if self.tokenizer.pad_token_id is None else batch_size
        self.score = score
        self.invert = invert
        self.network = Network(network, precision, offload=offload)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], prompts: Sequence[str]) -> list[float]:
        """Numbers in [0, 1], or logits without bounds.

        Raises:
            ValueError: a text has no tokens, as an empty one for tokenizers that add none.
        """
        starts = range(0, len(texts), self.batch_size)
        batches = [self._tokens(list(texts[start : start + self.batch_size])) for start in starts]
        with self.network.on(self.device) as model:
            parts = [self._scores(model(**tokens.to(self.device)).logits) for tokens in batches]
        return [score for part in parts for score in part.tolist()]

    def _tokens(self, texts: list[str]) -> Any:
        tokens = self.tokenizer(
            texts,
            padding=len(texts) > 1,
            truncation=self.max_length is not None,
            max_length=self.max_length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        if not tokens["attention_mask"].any(dim=1).all():
            raise ValueError("a text has no tokens")
        return tokens

    def _scores(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        if self.score == "logit":
            return -logits[:, self.label] if self.invert else logits[:, self.label]
        probabilities = logits.softmax(dim=1) if self.softmax else logits.sigmoid()
        return 1 - probabilities[:, self.label] if self.invert else probabilities[:, self.label]


def _device(device: str | None) -> torch.device:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device or default).device
    # torch has no common error for a device that is misspelt and one that is not there.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RewardError(
            f"reward 'classifier': device='{device}' is not there; use cpu, or cuda with a GPU"
        ) from error


def _has_softmax(config: Any, score: str, model: str) -> bool:
    """Whether one label is true; the softmax of a single label would be 1 for any text."""
    if config.problem_type == "regression" and score == "probability":
        raise RewardError(
            f"reward 'classifier': '{model}' was trained for regression and has no probabilities; "
            "use score=logit, the number itself"
        )
    return config.num_labels > 1 and config.problem_type != "multi_label_classification"
