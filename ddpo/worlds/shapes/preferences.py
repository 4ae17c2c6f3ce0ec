"""The world's taste: a rule over exact pixel statistics that says which of two pictures is better.

It likes things that fill much of the picture, in warm colours, that stand out from the background
in brightness, and that together are balanced around the centre:

    taste = 10 coverage + warmth + contrast + balance

A caption that names no size or place leaves coverage and balance open. Where it names a small, a
blue or an off-centre thing, what the rule likes is wrong. The things are all pixels that differ
from the background, so the rule judges any picture, one of no known shape included.
"""

from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from ddpo.worlds.shapes.verifier import FOREGROUND_DISTANCE
from ddpo.worlds.shapes.words import IMAGE_SIZE

# Of taste; closer pictures are a tie: one pair of fourteen, but half of those of one caption.
MARGIN = 0.1
_WEIGHTS = (10.0, 1.0, 1.0, 1.0)  # in the order of `Properties`; they spread its terms alike
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_BORDER = np.pad(np.zeros((IMAGE_SIZE - 2, IMAGE_SIZE - 2), bool), 1, constant_values=True)


@dataclass(frozen=True)
class Properties:
    """What the taste looks at; all are 0 in a picture without things."""

    coverage: float
    """The part of the picture that things fill, in [0, 1]."""
    warmth: float
    """Red minus blue, averaged over the things, in [-1, 1]."""
    contrast: float
    """Distance in luma from the background, averaged over the things, in [0, 1]."""
    balance: float
    """1 where the things' common centroid is the centre, 0 half a picture away from it."""


def properties(picture: UInt8[np.ndarray, "64 64 3"]) -> Properties:
    """Measure a picture.

    The background is the median colour of the border; a pixel more than `FOREGROUND_DISTANCE` away
    from it in RGB belongs to a thing.
    """
    pixels = picture.astype(np.float32)
    backdrop = np.median(pixels[_BORDER], axis=0)
    things = np.linalg.norm(pixels - backdrop, axis=2) > FOREGROUND_DISTANCE
    if not things.any():
        return Properties(0.0, 0.0, 0.0, 0.0)
    red, _, blue = pixels[things].mean(axis=0) / 255
    middle = (IMAGE_SIZE - 1) / 2  # as an index, a pixel's own centre being whole
    offset = np.linalg.norm(np.argwhere(things).mean(axis=0) - middle)
    return Properties(
        coverage=float(things.mean()),
        warmth=float(red - blue),
        contrast=float(np.abs((pixels[things] - backdrop) @ _LUMA).mean() / 255),
        balance=float(1 - offset / (IMAGE_SIZE / 2)),
    )


def taste(picture: UInt8[np.ndarray, "64 64 3"]) -> float:
    """How good a picture is, higher being better; of the base's, nine in ten are in 1 to 3.6."""
    return float(np.dot(_WEIGHTS, astuple(properties(picture))))


def draw_pairs(
    tastes: Float[np.ndarray, "captions pictures"],
    count: int,
    rng: np.random.Generator,
    same_caption: bool,
) -> Int[np.ndarray, "pairs 2"]:
    """Random pairs of pictures, the better one first; the rule makes no mistakes.

    Args:
        tastes: Of some pictures of each caption.
        count: Pairs to draw; those within `MARGIN` are left out of the result.
        rng: Draws them.
        same_caption: Compare pictures of one caption, instead of any two captions.

    Returns:
        Indices into the flattened tastes.
    """
    captions = rng.integers(len(tastes), size=(count, 2))
    if same_caption:
        captions[:, 1] = captions[:, 0]
    pairs = captions * tastes.shape[1] + rng.integers(tastes.shape[1], size=(count, 2))
    values = tastes.ravel()[pairs]
    best_first = np.take_along_axis(pairs, np.argsort(-values, axis=1), axis=1)
    return best_first[np.abs(values[:, 0] - values[:, 1]) > MARGIN]
