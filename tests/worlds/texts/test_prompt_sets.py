"""The named sets: sizes, columns, and that held out is held out."""

from functools import cache
from itertools import islice
from typing import Any

import pytest

from ddpo.config.schema import PromptsConfig
from ddpo.prompts import PromptSet, load_prompts
from ddpo.worlds.shapes.scenes import parse
from ddpo.worlds.texts.corpus import program_pairs, summary_pairs
from ddpo.worlds.texts.prompt_sets import SETS


@cache
def loaded(name: str, template: str | None = None, limit: int | None = None) -> PromptSet:
    return load_prompts(PromptsConfig(set=name, template=template, limit=limit))


@pytest.mark.parametrize(
    ("name", "size", "columns"),
    [
        ("summaries", 512, ["reference"]),
        ("summaries-heldout", 192, ["reference"]),
        ("programs", 512, ["tests", "reference"]),
        ("programs-heldout", 192, ["tests", "reference"]),
        ("programs-heldout-families", 128, ["tests", "reference"]),
    ],
)
def test_sets_have_their_size_and_columns(name: str, size: int, columns: list[str]) -> None:
    prompts = loaded(name)
    assert len(set(prompts.texts)) == len(prompts) == size
    assert list(prompts.columns) == columns
    assert all(len(values) == size for values in prompts.columns.values())


def test_the_reference_of_a_task_passes_its_tests() -> None:
    columns = loaded("programs-heldout").columns
    for program, tests in zip(columns["reference"][:20], columns["tests"][:20], strict=True):
        names: dict[str, Any] = {}
        exec(program, names)
        for test in tests:
            assert names[test["call"]](*test["args"]) == test["expected"]


def test_the_sets_are_disjoint() -> None:
    every = [text for name in SETS for text in loaded(name).texts]
    assert len(every) == len(set(every))


def test_no_scene_is_in_both_halves() -> None:
    def scenes(name: str) -> set[tuple[str, ...]]:
        claims = map(parse, loaded(name).columns["reference"])
        pairs = (claim for claim in claims if claim.relation)
        return {tuple(sorted(f"{t.colour} {t.shape}" for t in claim.things)) for claim in pairs}

    assert scenes("summaries").isdisjoint(scenes("summaries-heldout"))


def test_the_corpus_has_no_held_out_prompt() -> None:
    described = {text for text, _ in islice(summary_pairs(0), 300)}
    asked = {text for text, _ in islice(program_pairs(0), 3000)}
    assert described.isdisjoint(loaded("summaries-heldout").texts)
    assert asked.isdisjoint(loaded("programs-heldout").texts)
    assert asked.isdisjoint(loaded("programs-heldout-families").texts)
    assert not asked.isdisjoint(loaded("programs").texts)  # the check can fail


def test_a_template_and_a_limit_apply_to_rows() -> None:
    asked = loaded("summaries", "{prompt}\nTL;DR:", 3)
    assert asked.texts == [f"{text}\nTL;DR:" for text in loaded("summaries").texts[:3]]
    assert asked.columns["reference"] == loaded("summaries").columns["reference"][:3]
