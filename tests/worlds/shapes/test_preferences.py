"""The world's taste, on scenes whose properties can be worked out by hand."""

from dataclasses import astuple

import numpy as np
import pytest

from ddpo.worlds.shapes.preferences import MARGIN, Properties, draw_pairs, properties, taste
from ddpo.worlds.shapes.scenes import parse, render, scene_for

GRAY, ORANGE, BLUE, BLACK = (128, 128, 128), (255, 130, 0), (40, 90, 255), (0, 0, 0)


def picture(background, *things) -> np.ndarray:
    """Rectangles, each given by its colour and its first and last rows and columns."""
    canvas = np.full((64, 64, 3), background, np.uint8)
    for colour, (top, bottom, left, right) in things:
        canvas[top : bottom + 1, left : right + 1] = colour
    return canvas


def test_a_centred_orange_square_on_black():
    """32 x 32 of 64 x 64 pixels; the luma of orange is 0.299 + 0.587 * 130 / 255."""
    square = picture(BLACK, (ORANGE, (16, 47, 16, 47)))
    assert astuple(properties(square)) == pytest.approx((0.25, 1.0, 0.59826, 1.0), abs=1e-5)
    assert taste(square) == pytest.approx(2.5 + 1.0 + 0.59826 + 1.0, abs=1e-4)


def test_a_blue_square_in_a_corner_on_gray():
    """8 x 8 pixels with their centroid 20 pixels up and 20 to the left of the middle."""
    seen = properties(picture(GRAY, (BLUE, (8, 15, 8, 15))))
    contrast = (128 - 0.299 * 40 - 0.587 * 90 - 0.114 * 255) / 255
    expected = (64 / 4096, (40 - 255) / 255, contrast, 1 - 20 * 2**0.5 / 32)
    assert astuple(seen) == pytest.approx(expected, abs=1e-5)


def test_two_things_are_weighed_by_their_area_and_balance_each_other():
    """Twice as much orange as blue; contrasts of either sign add up, and equal arms balance."""
    equal = picture(GRAY, (ORANGE, (24, 39, 8, 23)), (BLUE, (24, 39, 40, 55)))
    assert properties(equal).balance == pytest.approx(1.0)
    assert properties(equal).warmth == pytest.approx((255 - 0 + 40 - 255) / 2 / 255)
    orange, blue = (
        properties(picture(GRAY, (colour, (24, 39, 8, 23)))).contrast for colour in (ORANGE, BLUE)
    )
    assert properties(equal).contrast == pytest.approx((orange + blue) / 2)
    unequal = picture(GRAY, (ORANGE, (16, 47, 8, 23)), (BLUE, (24, 39, 40, 55)))
    assert properties(unequal).warmth == pytest.approx((2 * 255 + 40 - 255) / 3 / 255)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_picture_without_things_has_no_merit(shade: int):
    assert properties(picture((shade, shade, shade))) == Properties(0.0, 0.0, 0.0, 0.0)


def test_a_shade_of_the_background_is_no_thing():
    """45 apart in RGB is the verifier's bound."""
    assert taste(picture(BLACK, ((44, 0, 0), (16, 47, 16, 47)))) == 0.0
    assert taste(picture(BLACK, ((46, 0, 0), (16, 47, 16, 47)))) > 0.0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("a large red circle on a gray background", "a small red circle on a gray background"),
        (
            "a red circle in the center on a gray background",
            "a red circle at the left on a gray background",
        ),
        ("an orange star on a gray background", "a blue star on a gray background"),
        ("a red circle on a white background", "a red circle on a brown background"),
    ],
    ids=["size", "place", "colour", "contrast"],
)
def test_the_taste_prefers_what_it_says(better: str, worse: str):
    """Whatever a caption leaves open is drawn alike for both."""
    drawn = [render(scene_for(parse(text), np.random.default_rng(4))) for text in (better, worse)]
    assert taste(drawn[0]) > taste(drawn[1]) + MARGIN


@pytest.mark.parametrize("same_caption", [False, True])
def test_pairs_put_the_better_first_and_leave_out_ties(same_caption: bool):
    tastes = np.array([[1.0, 1.05, 2.0], [1.02, 3.0, 3.05]])
    pairs = draw_pairs(tastes, 500, np.random.default_rng(0), same_caption)
    better, worse = tastes.ravel()[pairs].T
    assert (better > worse + MARGIN).all()
    kinds = {tuple(pair) for pair in pairs.tolist()}
    within = {(2, 0), (2, 1), (4, 3), (5, 3)}
    across = {(2, 3), (4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)}
    assert kinds == within if same_caption else kinds == within | across
