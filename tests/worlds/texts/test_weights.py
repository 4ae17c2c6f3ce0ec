"""The shipped weights: they load in transformers, fit their limit, and do as the card says."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

import rewards
from ddpo.worlds.texts import MODELS, model_path
from ddpo.worlds.texts.build import LONGEST_COMPLETION, SIZE_LIMIT
from ddpo.worlds.texts.evaluate import SUMMARIES, complete, load, prompt_set
from ddpo.worlds.texts.programs.tasks import distinct_tasks


@pytest.fixture(scope="module", params=MODELS)
def loaded(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return load(model_path(request.param))


def test_all_weights_together_fit_the_limit() -> None:
    files = [path for path in model_path(MODELS[0]).parent.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {"seq2seq", "causal"}
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert SIZE_LIMIT == 16_000_000
    assert sum(path.stat().st_size for path in files) <= SIZE_LIMIT


def test_an_unknown_model_names_the_known() -> None:
    with pytest.raises(ValueError, match="unknown model 'texts'; known: texts-seq2seq, texts-caus"):
        model_path("texts")


def test_the_weights_are_of_the_two_kinds() -> None:
    seq2seq = AutoModelForSeq2SeqLM.from_pretrained(model_path("texts-seq2seq"))
    causal = AutoModelForCausalLM.from_pretrained(model_path("texts-causal"))
    assert (seq2seq.config.model_type, causal.config.model_type) == ("t5", "llama")
    assert {seq2seq.dtype, causal.dtype} == {torch.float32}
    assert seq2seq.generation_config.max_new_tokens == LONGEST_COMPLETION


def test_padding_changes_no_greedy_completion(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompts = prompt_set("summaries-heldout", model.config.is_encoder_decoder, 4).texts
    if not model.config.is_encoder_decoder:
        prompts += prompt_set("programs-heldout", False, 4).texts
    together = complete(model, tokenizer, prompts)
    assert together == [complete(model, tokenizer, [prompt])[0] for prompt in prompts]


def test_summaries_know_the_scene_and_leave_room(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompts = prompt_set(SUMMARIES[1], model.config.is_encoder_decoder, 48)
    references = prompts.columns["reference"]
    bleu = rewards.make("bleu")
    for seed in (None, 0):
        summaries = complete(model, tokenizer, prompts.texts, seed)
        assert 0.3 <= bleu(summaries, prompts.texts, reference=references).mean() <= 0.62


def test_programs_pass_now_and_then() -> None:
    model, tokenizer = load(model_path("texts-causal"))
    drawn = distinct_tasks(118, seed=100, held_out=True)
    for seed in (None, 0):
        written = complete(model, tokenizer, [task.prompt for task in drawn], seed)
        right = np.mean([text == task.right for text, task in zip(written, drawn, strict=True)])
        assert 0.25 <= right <= 0.8


def test_a_wanted_summary_is_likelier_than_one_of_another_scene(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompts = prompt_set(SUMMARIES[1], model.config.is_encoder_decoder, 24)
    references = prompts.columns["reference"]
    own, other = (
        _log_probs(model, tokenizer, prompts.texts, wanted)
        for wanted in (references, references[1:] + references[:1])
    )
    assert (own > other).float().mean() >= 0.9


@torch.no_grad()
def _log_probs(
    model: Any, tokenizer: Any, prompts: list[str], completions: list[str]
) -> torch.Tensor:
    """Of each completion and its end, given the prompt."""
    result = []
    for prompt, completion in zip(prompts, completions, strict=True):
        start = tokenizer(prompt, return_tensors="pt").input_ids
        space = "" if model.config.is_encoder_decoder else " "
        rest = tokenizer(space + completion + tokenizer.eos_token, return_tensors="pt").input_ids
        if model.config.is_encoder_decoder:
            logits = model(input_ids=start, labels=rest).logits
        else:
            logits = model(torch.cat([start, rest], 1)).logits[:, start.shape[1] - 1 : -1]
        result.append(logits.log_softmax(-1).gather(2, rest[..., None]).sum())
    return torch.stack(result)
