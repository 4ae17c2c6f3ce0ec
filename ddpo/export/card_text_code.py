"""The part of a language model's card that is run: plain transformers, from loading to a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ddpo.config.schema import Config
from ddpo.config.text_policy import TextPolicyConfig
from ddpo.export.card_code import HERE
from ddpo.export.text_model import TextModel
from ddpo.worlds.texts import MODELS

DEFAULT_PROMPT = "Once upon a time"
LONGEST_PROMPT = 500


def usage(config: Config, model: TextModel, prompts: Sequence[str]) -> str:
    """Python that loads the model and completes the first of `prompts` that is no article.

    Args:
        config: of the run.
        model: what its folder holds.
        prompts: any texts.
    """
    prompt = next((text for text in prompts if len(text) <= LONGEST_PROMPT), DEFAULT_PROMPT)
    adapter = model.base is not None
    lines = ["import torch", *(["from peft import PeftModel"] if adapter else [])]
    lines += [f"from transformers import {model.loader}, AutoTokenizer"]
    embedded = model.base in MODELS
    lines += ["from ddpo.worlds.texts import model_path"] if embedded else []
    lines += ["", HERE]
    base = f"model_path({model.base!r})" if embedded else repr(model.base)
    lines += [f"base = {base}"] if adapter else []
    whole = "base" if adapter else "model"
    lines += [
        f"tokenizer = AutoTokenizer.from_pretrained({whole})",
        f"network = {model.loader}.from_pretrained({whole})",
    ]
    lines += ["network = PeftModel.from_pretrained(network, model)"] if adapter else []
    lines += [
        'network.to("cuda" if torch.cuda.is_available() else "cpu")',
        f'inputs = tokenizer({prompt!r}, return_tensors="pt").to(network.device)',
        "torch.manual_seed(0)",
        "tokens = network.generate(",
        "    **inputs,",
        *(f"    {name}={value!r}," for name, value in _settings(config).items()),
        ")[0]",
    ]
    if not model.encoder_decoder:
        lines += ['tokens = tokens[inputs["input_ids"].shape[1] :]  # without the prompt']
    return "\n".join([*lines, "print(tokenizer.decode(tokens, skip_special_tokens=True))"])


def _settings(config: Config) -> dict[str, Any]:
    """As held-out samples are drawn: what they are told, else what the policy is.

    What transformers does unless told otherwise, or a model's own settings say, is not the plain
    distribution that a policy samples from: both cuts are named so that they are off.
    """
    heldout, chain = config.evaluation, config.policy
    assert isinstance(chain, TextPolicyConfig)
    found: dict[str, Any] = {
        "max_new_tokens": chain.max_length,
        "do_sample": True,
        "temperature": heldout.temperature or chain.temperature,
        "top_k": heldout.top_k or 0,
        "top_p": heldout.top_p or 1.0,
    }
    if chain.min_length:
        found["min_new_tokens"] = chain.min_length
    if chain.stop:
        found |= {"stop_strings": list(chain.stop), "tokenizer": Name("tokenizer")}
    return found


class Name(str):
    """A word that stands for itself in code, without quotes."""

    def __repr__(self) -> str:
        """As it is."""
        return str(self)
