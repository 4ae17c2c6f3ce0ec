"""Scenes, captions and the split."""

import subprocess
import sys

import numpy as np
import pytest

from ddpo.worlds.shapes.scenes import (
    Claim,
    Scene,
    Thing,
    ThingClaim,
    caption,
    claims,
    draw_claim,
    heldout_captions,
    parse,
    relation_of,
    render,
    scene_for,
    training_captions,
)
from ddpo.worlds.shapes.words import BACKGROUNDS, COLOURS, SHAPES

RED_CIRCLE = Thing("circle", "red", 16.0, 32.0, 8.5)
BLUE_SQUARE = Thing("square", "blue", 48.0, 32.0, 11.5)

SENTENCES = {
    "a red circle on a gray background": Claim((ThingClaim("circle", "red"),), "gray"),
    "an orange star at the left on a navy background": Claim(
        (ThingClaim("star", "orange"),), "navy", position="at the left"
    ),
    "a large red circle left of a small blue square on a gray background": Claim(
        (ThingClaim("circle", "red", "large"), ThingClaim("square", "blue", "small")),
        "gray",
        relation="left of",
    ),
    "a red star above a yellow cross on a black background": Claim(
        (ThingClaim("star", "red"), ThingClaim("cross", "yellow")), "black", relation="above"
    ),
}


def test_the_world_has_the_promised_variety():
    assert (len(SHAPES), len(COLOURS), len(BACKGROUNDS)) == (6, 8, 5)


def test_colours_of_a_kind_and_of_both_kinds_are_far_apart():
    palette = np.array([*COLOURS.values(), *BACKGROUNDS.values()], dtype=float)
    distances = np.linalg.norm(palette[:, None] - palette, axis=2)
    assert distances[np.triu_indices(len(palette), 1)].min() > 80


@pytest.mark.parametrize(("text", "claim"), SENTENCES.items())
def test_caption_and_parse_are_inverse_on_sentences_written_by_hand(text: str, claim: Claim):
    assert parse(text) == claim
    assert claim.caption() == text


def test_parse_forgives_case_space_and_a_full_stop():
    assert parse(" A red circle on a gray background. ") == parse(
        "a red circle on a gray background"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a photo of a cat",
        "a red circle",
        "a mauve circle on a gray background",
        "a red circle right of a blue square on a gray background",
        "a red circle at the left above a blue star on a gray background",
        "a red circle on a red background",
    ],
)
def test_parse_refuses_what_the_grammar_cannot_say(text: str):
    with pytest.raises(ValueError, match="outside the grammar"):
        parse(text)


def test_captions_of_a_scene_say_what_they_are_asked_to():
    pair = Scene((RED_CIRCLE, BLUE_SQUARE), "gray")
    assert caption(pair) == "a red circle left of a blue square on a gray background"
    assert caption(pair, sizes=(False, True)) == (
        "a red circle left of a large blue square on a gray background"
    )
    lone = Scene((RED_CIRCLE,), "white")
    assert caption(lone, sizes=(True,), position=True) == (
        "a small red circle at the left on a white background"
    )


def test_the_axis_further_apart_decides_the_relation():
    assert relation_of(across=30.0, down=-5.0) == "left of"
    assert relation_of(across=5.0, down=30.0) == "above"
    assert relation_of(across=-30.0, down=5.0) is None


def test_render_draws_the_palette_where_the_things_are():
    image = render(Scene((RED_CIRCLE, BLUE_SQUARE), "gray"))
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert tuple(image[32, 16]) == COLOURS["red"]
    assert tuple(image[32, 48]) == COLOURS["blue"]
    assert tuple(image[0, 0]) == BACKGROUNDS["gray"]


def test_things_keep_a_margin_from_the_border_and_from_each_other():
    rng = np.random.default_rng(0)
    stream = claims(seed=3)
    for _ in range(150):
        scene = scene_for(next(stream), rng)
        image = render(scene).astype(int)
        drawn = np.abs(image - np.array(BACKGROUNDS[scene.background])).sum(axis=2) > 0
        edges = (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1])
        assert not np.any(np.concatenate(edges))
        if scene.relation:
            gaps = ~drawn.any(axis=0 if scene.relation == "left of" else 1)
            assert gaps[20:44].any(), scene


def test_the_streams_are_deterministic_and_distinct():
    assert training_captions(50, seed=4) == training_captions(50, seed=4)
    assert training_captions(50, seed=4) != training_captions(50, seed=5)
    assert training_captions(80, seed=4)[:50] == training_captions(50, seed=4)
    assert len(set(training_captions(200))) == 200


def test_no_held_out_combination_is_trained_on():
    def things(captions: list[str]) -> set[frozenset[tuple[str, str]]]:
        parsed = [parse(text) for text in captions]
        return {frozenset((t.colour, t.shape) for t in c.things) for c in parsed if c.relation}

    trained, held_out = things(training_captions(600)), things(heldout_captions(60))
    assert held_out
    assert not trained & held_out


def test_about_a_tenth_is_held_out():
    drawn = [claim.held_out for seed in range(10) for claim in _first(seed, 100)]
    assert 0.06 < np.mean(drawn) < 0.14


def _first(seed: int, count: int) -> list[Claim]:
    rng = np.random.default_rng(seed)
    return [draw_claim(rng) for _ in range(count)]


def test_importing_the_world_loads_no_tensor_library():
    code = "import sys, ddpo.worlds.shapes; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
