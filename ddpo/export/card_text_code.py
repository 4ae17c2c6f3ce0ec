"""The part of a language model's card that is run: plain transformers, from loading to a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ddpo.config.schema import Config
from ddpo.export.card_code import HERE
from ddpo.export.text_model import TextModel

DEFAULT_PROMPT = "Once upon a time"
LONGEST_PROMPT = 500
# What transformers does unless told otherwise, or a model's own settings say, is not the plain
# distribution that a policy samples from: both cuts are named so that they are off.
SETTINGS: Mapping[str, int | float] = {
    "max_new_tokens": 64,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
}


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
    lines += [f"from transformers import {model.loader}, AutoTokenizer", "", HERE]
    lines += [f"base = {model.base!r}"] if adapter else []
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
        *(f"    {name}={value}," for name, value in _settings(config).items()),
        ")[0]",
    ]
    if not model.encoder_decoder:
        lines += ['tokens = tokens[inputs["input_ids"].shape[1] :]  # without the prompt']
    return "\n".join([*lines, "print(tokenizer.decode(tokens, skip_special_tokens=True))"])


def _settings(config: Config) -> dict[str, Any]:
    """As held-out samples are drawn: what they are told, else what the policy is."""
    heldout, chain = vars(config.evaluation), vars(config.policy)
    found = {
        name: next((own[name] for own in (heldout, chain) if own.get(name) is not None), default)
        for name, default in SETTINGS.items()
    }
    if found["temperature"] == 0:
        return {"max_new_tokens": found["max_new_tokens"], "do_sample": False}
    return {**found, "do_sample": True}
