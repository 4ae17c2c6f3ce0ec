"""The tokenizer that both models have: any text comes back, and those of the world are short."""

from itertools import islice
from typing import Any

import pytest
from transformers import AutoTokenizer

from ddpo.worlds.texts import MODELS, model_path
from ddpo.worlds.texts.corpus import SUMMARY_ENDING, program_pairs, summary_pairs
from ddpo.worlds.texts.programs import families
from ddpo.worlds.texts.programs.tasks import distinct_tasks
from ddpo.worlds.texts.summaries import summaries
from ddpo.worlds.texts.tokenizer import CONTEXT_LENGTH, END, PADDING, SIZE, START

PROMPTS, SUMMARIES, PROGRAMS = 160, 24, 48  # tokens at most


@pytest.fixture(scope="module", params=MODELS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return AutoTokenizer.from_pretrained(model_path(request.param))


def lengths(tokenizer: Any, texts: list[str]) -> list[int]:
    """The tokens of each text, which must come back from them."""
    ids = tokenizer(texts).input_ids
    assert tokenizer.batch_decode(ids) == texts
    return [len(row) for row in ids]


def test_both_models_have_one_vocabulary() -> None:
    one, other = (AutoTokenizer.from_pretrained(model_path(name)) for name in MODELS)
    assert one.get_vocab() == other.get_vocab()
    assert len(one) == SIZE
    assert (one.padding_side, other.padding_side) == ("right", "left")


def test_the_special_tokens_are_these(tokenizer: Any) -> None:
    names = (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token)
    assert names == (PADDING, START, END)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.model_max_length == CONTEXT_LENGTH
    assert tokenizer("a").input_ids == [tokenizer.convert_tokens_to_ids("a")]  # nothing is added


def test_prompts_and_completions_come_back_and_are_short(tokenizer: Any) -> None:
    for held_out in (False, True):
        drawn = summaries(40, 100, held_out)
        asked = [text + SUMMARY_ENDING for text in drawn.descriptions]
        assert max(lengths(tokenizer, asked)) <= PROMPTS
        assert max(lengths(tokenizer, [f" {text}" for text in drawn.references])) < SUMMARIES
        count = 3 * len(families(held_out))
        drawn = distinct_tasks(count, 100, held_out_families=held_out)
        assert max(lengths(tokenizer, [task.prompt for task in drawn])) <= PROMPTS
        assert max(lengths(tokenizer, [task.right for task in drawn])) < PROGRAMS
    written = [text for pair in islice(program_pairs(0), 100) for text in pair]
    lengths(tokenizer, written + [text for pair in islice(summary_pairs(0), 50) for text in pair])


@pytest.mark.parametrize("text", ["Ünïcödé ☃ 日本", "\t\r\n", "x == 123_456"])
def test_any_text_comes_back(tokenizer: Any, text: str) -> None:
    lengths(tokenizer, [text])
