"""The verifier, on pictures drawn here with PIL and not by the world's own renderer."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ddpo.worlds.shapes.evaluate import full_caption, random_scenes
from ddpo.worlds.shapes.scenes import render
from ddpo.worlds.shapes.verifier import matches, read, score

GRAY, RED, BLUE, YELLOW = (128, 128, 128), (225, 20, 30), (40, 90, 255), (255, 230, 30)
PAIR = "a large red circle left of a small blue square on a gray background"


def pair(circle=RED, square=BLUE, background=GRAY, flip=False) -> np.ndarray:
    canvas = Image.new("RGB", (64, 64), background)
    draw = ImageDraw.Draw(canvas)
    draw.ellipse([5, 20, 28, 43], fill=circle)
    draw.rectangle([40, 24, 54, 38], fill=square)
    picture = np.asarray(canvas)
    return np.ascontiguousarray(picture[:, ::-1]) if flip else picture


def test_a_picture_drawn_by_hand_is_read_back():
    reading = read(pair())
    assert reading.background == "gray"
    found = sorted((t.x, t.shape, t.colour, t.size) for t in reading.things)
    assert [entry[1:] for entry in found] == [
        ("circle", "red", "large"),
        ("square", "blue", "small"),
    ]
    assert found[0][0] == pytest.approx(17.0, abs=0.5)
    assert found[1][0] == pytest.approx(47.5, abs=0.5)


@pytest.mark.parametrize(
    ("polygon", "shape"),
    [
        ([(32, 18), (20, 39), (44, 39)], "triangle"),
        ([(32, 18), (18, 32), (32, 46), (46, 32)], "diamond"),
        ([(28, 20), (36, 20), (36, 28), (44, 28), (44, 36), (36, 36), (36, 44), (28, 44)]
         + [(28, 36), (20, 36), (20, 28), (28, 28)], "cross"),
        ([(32, 18), (35, 28), (46, 28), (37, 34), (40, 44), (32, 38), (24, 44), (27, 34)]
         + [(18, 28), (29, 28)], "star"),
    ],
)  # fmt: skip
def test_each_polygon_drawn_by_hand_is_known(polygon: list[tuple[int, int]], shape: str):
    canvas = Image.new("RGB", (64, 64), (0, 0, 0))
    ImageDraw.Draw(canvas).polygon(polygon, fill=YELLOW)
    assert matches(np.asarray(canvas), f"a yellow {shape} in the center on a black background")


def test_a_blotch_whose_median_is_the_backdrop_is_a_thing_of_no_shape():
    """Stripes, each of which differs from gray in a channel of its own."""
    picture = np.full((64, 64, 3), 128, np.uint8)
    for row in range(24, 36):
        picture[row, 24:36, row % 3] = 255
    reading = read(picture)
    assert reading.background == "gray"
    assert all(thing.shape is None for thing in reading.things)


def test_the_full_caption_matches():
    assert matches(pair(), PAIR)
    assert score(pair(), PAIR) == 1.0


@pytest.mark.parametrize(
    ("wrong", "statements_held"),
    [
        (PAIR.replace("red", "green"), 8),
        (PAIR.replace("circle", "star"), 8),
        (PAIR.replace("large", "small"), 8),
        (PAIR.replace("gray", "white"), 8),
        (PAIR.replace("left of", "above"), 8),
        ("a small blue square left of a large red circle on a gray background", 8),
    ],
)
def test_a_caption_with_one_wrong_statement_does_not_match(wrong: str, statements_held: int):
    assert not matches(pair(), wrong)
    assert score(pair(), wrong) == pytest.approx(statements_held / 9)


@pytest.mark.parametrize(
    "picture",
    [pair(circle=YELLOW), pair(background=(255, 255, 255)), pair(flip=True), pair(square=GRAY)],
    ids=["wrong colour", "wrong background", "wrong order", "one thing missing"],
)
def test_a_picture_with_one_fault_does_not_match(picture: np.ndarray):
    assert not matches(picture, PAIR)


def test_a_third_thing_does_not_match():
    picture = pair().copy()
    picture[50:60, 28:38] = YELLOW
    assert len(read(picture).things) == 3
    assert not matches(picture, PAIR)


def test_a_lone_thing_in_the_wrong_place_does_not_match():
    canvas = Image.new("RGB", (64, 64), (0, 0, 0))
    ImageDraw.Draw(canvas).ellipse([5, 20, 28, 43], fill=RED)
    picture = np.asarray(canvas)
    assert matches(picture, "a red circle at the left on a black background")
    assert not matches(picture, "a red circle at the right on a black background")


def test_things_that_touch_are_split_by_colour():
    canvas = Image.new("RGB", (64, 64), (0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle([11, 22, 31, 42], fill=RED)
    draw.rectangle([32, 22, 52, 42], fill=BLUE)
    assert matches(np.asarray(canvas), "a red square left of a blue square on a black background")


@pytest.mark.parametrize("colour", [(0, 0, 0), GRAY, RED])
def test_a_blank_picture_shows_nothing(colour: tuple[int, int, int]):
    picture = np.full((64, 64, 3), colour, dtype=np.uint8)
    assert read(picture).things == ()
    assert not matches(picture, "a red circle on a gray background")


def test_noise_matches_nothing():
    rng = np.random.default_rng(0)
    for scene in random_scenes(50, seed=1):
        noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        assert not matches(noise, full_caption(scene))


def test_clean_scenes_are_read_right():
    scenes = random_scenes(400, seed=2)
    right = [matches(render(scene), full_caption(scene)) for scene in scenes]
    assert np.mean(right) >= 0.995


def test_another_scene_s_caption_does_not_match():
    scenes = random_scenes(100, seed=2)
    captions = [full_caption(scene) for scene in scenes]
    rotated = zip(scenes, captions[1:] + captions[:1], strict=True)
    assert not any(matches(render(scene), text) for scene, text in rotated)


def test_an_array_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"reads uint8 \[64, 64, 3\], not float64 \[32, 32, 3\]"):
        read(np.zeros((32, 32, 3)))
