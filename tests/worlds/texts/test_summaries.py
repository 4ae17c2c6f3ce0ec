"""Descriptions say what their claims say, and summaries are in the promised styles."""

from itertools import islice

import numpy as np
import pytest

from ddpo.worlds.shapes.scenes import Claim, claims, parse
from ddpo.worlds.shapes.words import COLOURS, SHAPES
from ddpo.worlds.texts.descriptions import LONGEST, SHORTEST, describe, descriptions
from ddpo.worlds.texts.summaries import MISTAKES, STYLES, imitated, styled, summaries

PAIR = parse("a large red circle left of an orange square on a gray background")
LONE = parse("a small blue star at the top on a navy background")


def words(claim: Claim, seed: int = 0, shortest: int = SHORTEST) -> list[str]:
    text = describe(claim, np.random.default_rng(seed), shortest)
    return text.replace(".", "").replace(",", "").lower().split()


def test_a_description_without_other_sentences_states_each_part_once() -> None:
    assert describe(LONE, np.random.default_rng(3), shortest=-100) == (
        "One of the forms is a star, and it is painted blue. Next to a coin the blue star would "
        "look small. The ground behind it was left navy. The blue star keeps to the upper end."
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_description_has_what_its_claim_has(seed: int) -> None:
    found = words(PAIR, seed)
    assert {"large", "red", "circle", "orange", "square", "gray"} <= set(found)
    assert found.count("small") <= found.count("picture")  # "a small picture" says nothing of them
    assert {"left", "right"} & set(found)


def test_a_colour_and_a_shape_may_mislead() -> None:
    colours, shapes = set(), set()
    for seed in range(60):
        colours |= {word for word in words(PAIR, seed) if word in COLOURS}
        shapes |= {word for word in words(PAIR, seed) if word in SHAPES}
    assert len(colours) > 6
    assert len(shapes) > 4


def test_things_alike_are_told_apart_by_colour() -> None:
    alike = parse("a red circle above a blue circle on a white background")
    for seed in range(20):
        text = describe(alike, np.random.default_rng(seed))
        assert text.lower().count("red circle") + text.lower().count("blue circle") >= 2


def test_a_relation_is_said_from_either_side() -> None:
    texts = {describe(PAIR, np.random.default_rng(seed)) for seed in range(60)}
    assert any("circle is to the left of the" in text for text in texts)
    assert any("square is to the right of the" in text for text in texts)


def test_descriptions_are_long_distinct_and_of_their_seed() -> None:
    texts, said = descriptions(300, seed=4)
    assert len(set(texts)) == len(said) == 300
    assert all(SHORTEST <= len(text.split()) <= LONGEST for text in texts)
    assert descriptions(300, seed=4) == (texts, said)
    assert descriptions(300, seed=5)[0] != texts


def test_references_are_captions_of_the_side_asked_for() -> None:
    for held_out in (False, True):
        drawn = summaries(100, held_out=held_out)
        assert {parse(reference).held_out for reference in drawn.references} == {held_out}


@pytest.mark.parametrize(
    ("style", "pair", "lone"),
    [
        ("reference", PAIR.caption(), LONE.caption()),
        (
            "shows",
            "the picture shows a red circle and an orange square on a gray background",
            "the picture shows a blue star on a navy background",
        ),
        ("telegram", "red circle left of orange square", "blue star"),
        (
            "colours",
            "a red thing left of an orange thing on a gray background",
            "a blue thing at the top on a navy background",
        ),
    ],
)
def test_styles(style: str, pair: str, lone: str) -> None:
    assert (styled(PAIR, style), styled(LONE, style)) == (pair, lone)


def test_an_unknown_style_names_the_known() -> None:
    with pytest.raises(ValueError, match="unknown style 'haiku'; known: reference, shows"):
        styled(PAIR, "haiku")


def test_the_corpus_has_each_style_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [imitated(PAIR, rng) for _ in range(1000)]
    for style, share in STYLES.items():
        right = np.mean([summary == styled(PAIR, style) for summary in drawn])
        # What a style leaves out cannot be wrong in it: at least the rest is as promised.
        assert share * (1 - MISTAKES) - 0.05 <= right <= share + 0.03


def test_mistakes_are_of_one_attribute() -> None:
    rng = np.random.default_rng(1)
    claim = next(islice(claims(3), 1))
    captions = {imitated(claim, rng) for _ in range(300)}
    wrong = [text for text in captions if " on a " in text and text.startswith("a ")]
    assert len(wrong) > 3
