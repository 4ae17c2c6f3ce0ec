"""The exact judge: reads a picture back into things, and compares them with a caption.

It finds the background by the border, the things as connected pixels that differ from it, their
colour by the nearest of the palette, and their shape by overlap with templates of the same centroid
and area. Reading takes about two milliseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import cast

import numpy as np
from scipy import ndimage

from ddpo.worlds.shapes.scenes import Claim, Scene, Thing, parse, position_of, relation_of, render
from ddpo.worlds.shapes.words import BACKGROUNDS, COLOURS, IMAGE_SIZE, RADII, SHAPES, SIZE_BOUNDARY

BACKGROUND_DISTANCE = 60.0  # RGB distance beyond which a border has no background's colour
COLOUR_DISTANCE = 75.0  # and a thing no object colour
FOREGROUND_DISTANCE = 45.0  # a third of the least contrast between an object and a background
SPECK_AREA = 30  # in pixels; the smallest thing, a small cross, covers 73
LEAST_OVERLAP = 0.72  # with the best template; a thing below it has no known shape
_GRID = 32  # side of the grid on which shapes are compared
_CROSS = ndimage.generate_binary_structure(2, 1)  # pixels that touch by a side
_REACH = 1.2  # half its width, in units of the square root of the thing's area


@dataclass(frozen=True)
class ThingReading:
    """A thing found in a picture; a shape or colour of None is none that the world knows."""

    shape: str | None
    colour: str | None
    size: str
    x: float
    y: float
    confidence: float
    """Overlap (intersection over union) with the template of the best shape, in [0, 1]."""


@dataclass(frozen=True)
class Reading:
    """What a picture shows; a background of None is none that the world knows."""

    things: tuple[ThingReading, ...]
    background: str | None


def read(image: np.ndarray) -> Reading:
    """Read a picture.

    Args:
        image: uint8 [64, 64, 3].

    Raises:
        ValueError: The array has another shape or type.
    """
    if image.shape != (IMAGE_SIZE, IMAGE_SIZE, 3) or image.dtype != np.uint8:
        raise ValueError(
            f"the verifier reads uint8 [{IMAGE_SIZE}, {IMAGE_SIZE}, 3], "
            f"not {image.dtype} {list(image.shape)}"
        )
    pixels = image.astype(np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    backdrop = np.median(border, axis=0)
    background = _nearest(backdrop, BACKGROUNDS, BACKGROUND_DISTANCE)
    things = tuple(_read_thing(pixels, backdrop, mask) for mask in _masks(pixels, backdrop))
    return Reading(things, background)


def assertions(reading: Reading, claim: Claim) -> list[bool]:
    """Whether each statement of a claim holds, under the most favourable pairing of things.

    In order: the background, the number of things, each thing's shape, colour and size if it is
    mentioned, then the relation or position.
    """
    scene = [reading.background == claim.background, len(reading.things) == len(claim.things)]
    found: list[ThingReading | None] = list(reading.things)
    found += [None] * (len(claim.things) - len(found))
    pairings = permutations(found, len(claim.things))
    return scene + max((_thing_assertions(pairing, claim) for pairing in pairings), key=sum)


def score(image: np.ndarray, caption: str) -> float:
    """The fraction of a caption's statements that hold in a picture, in [0, 1].

    Raises:
        ValueError: The caption is outside the grammar.
    """
    return float(np.mean(assertions(read(image), parse(caption))))


def matches(image: np.ndarray, caption: str) -> bool:
    """Whether all that a caption states holds in a picture.

    Raises:
        ValueError: The caption is outside the grammar.
    """
    return all(assertions(read(image), parse(caption)))


def _thing_assertions(pairing: tuple[ThingReading | None, ...], claim: Claim) -> list[bool]:
    held = []
    for seen, said in zip(pairing, claim.things, strict=True):
        held.append(seen is not None and seen.shape == said.shape)
        held.append(seen is not None and seen.colour == said.colour)
        if said.size:
            held.append(seen is not None and seen.size == said.size)
    present = [seen for seen in pairing if seen is not None]
    if claim.relation:
        held.append(len(present) == 2 and _relation(*present) == claim.relation)
    if claim.position:
        held.append(bool(present) and position_of(present[0].x, present[0].y) == claim.position)
    return held


def _relation(first: ThingReading, second: ThingReading) -> str | None:
    return relation_of(second.x - first.x, second.y - first.y)


def _nearest(
    colour: np.ndarray, palette: dict[str, tuple[int, int, int]], limit: float
) -> str | None:
    distances = np.linalg.norm(np.array(list(palette.values())) - colour, axis=1)
    best = int(distances.argmin())
    return list(palette)[best] if distances[best] <= limit else None


def _masks(pixels: np.ndarray, backdrop: np.ndarray) -> Iterator[np.ndarray]:
    """The pixels of each thing: connected, larger than a speck, and split where colours meet."""
    foreground = np.linalg.norm(pixels - backdrop, axis=2) > FOREGROUND_DISTANCE
    for mask in _components(foreground):
        yield from _split_by_colour(pixels, mask)


def _components(mask: np.ndarray) -> Iterator[np.ndarray]:
    labels, count = cast(tuple[np.ndarray, int], ndimage.label(mask, _CROSS))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    for label in range(1, count + 1):
        if areas[label] >= SPECK_AREA:
            yield labels == label


def _eroded(mask: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.binary_erosion(mask, _CROSS))


def _split_by_colour(pixels: np.ndarray, mask: np.ndarray) -> Iterator[np.ndarray]:
    """One mask for each colour that fills more than a speck of the mask's inside.

    The inside decides, because an edge mixes two colours into what may look like a third.
    """
    palette = np.array(list(COLOURS.values()), dtype=np.float32)
    inside = pixels[_eroded(mask)]
    nearest = np.linalg.norm(inside[:, None] - palette, axis=2).argmin(axis=1)
    present = np.flatnonzero(np.bincount(nearest, minlength=len(palette)) >= SPECK_AREA)
    if len(present) < 2:
        yield mask
        return
    owner = np.linalg.norm(pixels[:, :, None] - palette[present], axis=3).argmin(axis=2)
    for index in range(len(present)):
        yield from _components(mask & (owner == index))


def _read_thing(pixels: np.ndarray, backdrop: np.ndarray, mask: np.ndarray) -> ThingReading:
    inside = _eroded(mask)
    body = np.median(pixels[inside if inside.sum() >= 9 else mask], axis=0)
    contrast = body - backdrop
    alpha = (pixels - backdrop) @ contrast / max(float(contrast @ contrast), 1.0)
    alpha = np.clip(alpha, 0, 1) * ndimage.binary_dilation(mask, _CROSS)
    (x, y), area = _moments(alpha)
    overlaps = _overlaps(_normalised(alpha))
    shape = max(overlaps, key=lambda name: overlaps[name])
    known = overlaps[shape] >= LEAST_OVERLAP
    return ThingReading(
        shape=shape if known else None,
        colour=_nearest(body, COLOURS, COLOUR_DISTANCE),
        size="small" if (area / _unit_area(shape)) ** 0.5 < SIZE_BOUNDARY else "large",
        x=x,
        y=y,
        confidence=overlaps[shape],
    )


def _moments(alpha: np.ndarray) -> tuple[tuple[float, float], float]:
    """The centroid and the area of a soft mask, a pixel's centre being at half a pixel."""
    area = max(float(alpha.sum()), 1e-6)  # a blotch may have the backdrop's own median colour
    centres = np.arange(IMAGE_SIZE) + 0.5
    return (float(alpha.sum(0) @ centres) / area, float(alpha.sum(1) @ centres) / area), area


def _normalised(alpha: np.ndarray) -> np.ndarray:
    """A soft mask resampled around its centroid, scaled to unit area."""
    (x, y), area = _moments(alpha)
    offsets = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    steps = offsets * _REACH * area**0.5
    rows, columns = np.meshgrid(y - 0.5 + steps, x - 0.5 + steps, indexing="ij")
    return ndimage.map_coordinates(alpha, [rows, columns], order=1)


def _overlaps(mask: np.ndarray) -> dict[str, float]:
    """Intersection over union with each shape's best template."""
    templates = _templates()
    inter = np.minimum(templates, mask).sum(axis=(2, 3))
    union = np.maximum(templates, mask).sum(axis=(2, 3))
    return dict(zip(SHAPES, (inter / union).max(axis=1).tolist(), strict=True))


@cache
def _templates() -> np.ndarray:
    """Each shape as the renderer draws it in both sizes: [shapes, sizes, grid, grid]."""
    return np.stack(
        [[_normalised(_coverage(shape, radius)) for radius in RADII.values()] for shape in SHAPES]
    )


def _coverage(shape: str, radius: float) -> np.ndarray:
    middle = IMAGE_SIZE / 2
    scene = Scene((Thing(shape, "yellow", middle, middle, radius),), "black")
    red = render(scene)[:, :, 0].astype(np.float32)
    return red / COLOURS["yellow"][0]


@cache
def _unit_area(shape: str) -> float:
    """The area of a shape of radius 1."""
    x, y = SHAPES[shape].T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
