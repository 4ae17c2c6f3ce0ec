"""Scenes of one or two coloured shapes: drawn, captioned, and split into training and held-out.

A `Scene` is what is in a picture; a `Claim` is what a caption says about one, and may say less.

    claim = parse("a large red circle left of a blue square on a gray background")
    image = render(scene_for(claim, numpy.random.default_rng(0)))
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ddpo.worlds.shapes.words import (
    BACKGROUNDS,
    COLOURS,
    IMAGE_SIZE,
    POSITIONS,
    RADII,
    RELATIONS,
    SHAPES,
    SIZE_BOUNDARY,
)

SUPERSAMPLING = 4
_PAIR_CENTRES = {
    "left of": ((16.5, 32.0), (47.5, 32.0)),
    "above": ((32.0, 16.5), (32.0, 47.5)),
}
_HELD_OUT_ONE_IN = 10


def _any_of(name: str, options: Iterable[str]) -> str:
    return f"(?P<{name}>{'|'.join(options)})"


def _thing_pattern(suffix: str = "") -> str:
    size, colour, shape = (
        _any_of(name + suffix, options)
        for name, options in (("size", RADII), ("colour", COLOURS), ("shape", SHAPES))
    )
    return f"an? (?:{size} )?{colour} {shape}"


_SECOND = f" {_any_of('relation', RELATIONS)} {_thing_pattern('2')}"
_WHERE = f" {_any_of('position', POSITIONS)}"
_BACKDROP = f" on a {_any_of('background', BACKGROUNDS)} background"
_CAPTION = re.compile(f"{_thing_pattern()}(?:{_SECOND}|{_WHERE})?{_BACKDROP}")


@dataclass(frozen=True)
class Thing:
    """A coloured shape, its centroid and radius in pixels."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float

    @property
    def size(self) -> str:
        """The word for the radius."""
        return "small" if self.radius < SIZE_BOUNDARY else "large"


@dataclass(frozen=True)
class Scene:
    """One or two things on a plain background; of two, the left or upper one comes first."""

    things: tuple[Thing, ...]
    background: str

    @property
    def relation(self) -> str | None:
        """How the first thing stands to the second; None for a lone thing."""
        if len(self.things) != 2:
            return None
        first, second = self.things
        return relation_of(second.x - first.x, second.y - first.y)

    @property
    def position(self) -> str | None:
        """Where a lone thing stands; None for two."""
        return position_of(self.things[0].x, self.things[0].y) if len(self.things) == 1 else None


@dataclass(frozen=True)
class ThingClaim:
    """What a caption says of one thing; a size of None is not mentioned."""

    shape: str
    colour: str
    size: str | None = None

    def words(self) -> str:
        """The noun phrase, such as "a small red circle"."""
        words = " ".join(filter(None, (self.size, self.colour, self.shape)))
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class Claim:
    """What a caption says: two things and their relation, or one thing and perhaps its position."""

    things: tuple[ThingClaim, ...]
    background: str
    relation: str | None = None
    position: str | None = None

    def caption(self) -> str:
        """The caption that makes this claim; `parse` is its inverse."""
        link = f" {self.relation} " if self.relation else ""
        subject = link.join(thing.words() for thing in self.things)
        where = f" {self.position}" if self.position else ""
        return f"{subject}{where} on a {self.background} background"

    @property
    def held_out(self) -> bool:
        """Whether the combination of colours and shapes is kept from training.

        Two things are kept in either order and relation; a lone one together with its background.
        """
        key = sorted(f"{thing.colour} {thing.shape}" for thing in self.things)
        if len(self.things) == 1:
            key.append(self.background)
        return zlib.crc32("|".join(key).encode()) % _HELD_OUT_ONE_IN == 0


def relation_of(across: float, down: float) -> str | None:
    """How a thing stands to one that lies so far to its right and below; None if it is reversed.

    The axis on which the two are further apart decides.
    """
    relation, distance = ("left of", across) if abs(across) > abs(down) else ("above", down)
    return relation if distance > 0 else None


def position_of(x: float, y: float) -> str:
    """The name of the position nearest to a point."""
    return min(POSITIONS, key=lambda name: np.hypot(x - POSITIONS[name][0], y - POSITIONS[name][1]))


def claim_of(scene: Scene, sizes: tuple[bool, ...] = (), position: bool = False) -> Claim:
    """What can be said of a scene: the size of each thing marked True, and the position."""
    marked = (*sizes, False, False)[: len(scene.things)]
    things = tuple(
        ThingClaim(thing.shape, thing.colour, thing.size if mentioned else None)
        for thing, mentioned in zip(scene.things, marked, strict=True)
    )
    return Claim(things, scene.background, scene.relation, scene.position if position else None)


def caption(scene: Scene, sizes: tuple[bool, ...] = (), position: bool = False) -> str:
    """The caption of a scene; by default it mentions neither sizes nor position."""
    return claim_of(scene, sizes, position).caption()


def parse(caption: str) -> Claim:
    """What a caption claims: the inverse of `Claim.caption`; case and a full stop do not matter.

    Raises:
        ValueError: The caption is not a sentence of the grammar.
    """
    found = _CAPTION.fullmatch(caption.strip().lower().removesuffix("."))
    if found is None:
        raise ValueError(
            f"{caption!r} is outside the grammar of the shapes world. A caption reads like "
            "'a red circle on a gray background', 'a large red star at the left on a white "
            "background' or 'a red circle left of a small blue square on a black background', "
            f"with the shapes {', '.join(SHAPES)}, the colours {', '.join(COLOURS)}, "
            f"and the backgrounds {', '.join(BACKGROUNDS)}."
        )
    part = found.groupdict()
    things = [ThingClaim(part["shape"], part["colour"], part["size"])]
    if part["relation"]:
        things.append(ThingClaim(part["shape2"], part["colour2"], part["size2"]))
    return Claim(tuple(things), part["background"], part["relation"], part["position"])


def render(scene: Scene) -> np.ndarray:
    """Draw a scene, anti-aliased: uint8 [64, 64, 3]."""
    side = IMAGE_SIZE * SUPERSAMPLING
    canvas = Image.new("RGB", (side, side), BACKGROUNDS[scene.background])
    draw = ImageDraw.Draw(canvas)
    for thing in scene.things:
        outline = (SHAPES[thing.shape] * thing.radius + (thing.x, thing.y)) * SUPERSAMPLING - 0.5
        draw.polygon([(x, y) for x, y in outline.tolist()], fill=COLOURS[thing.colour])
    return np.asarray(canvas.reduce(SUPERSAMPLING))


def scene_for(claim: Claim, rng: np.random.Generator) -> Scene:
    """A random scene of which the claim is true, drawing what the claim leaves open."""
    if claim.relation:
        centres, wander = _PAIR_CENTRES[claim.relation], (1.0, 4.0)
    else:
        centres, wander = (POSITIONS[claim.position or rng.choice(list(POSITIONS))],), (2.5, 2.5)
    if claim.relation == "above":
        wander = wander[::-1]
    things = []
    for said, (x, y) in zip(claim.things, centres, strict=True):
        x, y = x + wander[0] * rng.uniform(-1, 1), y + wander[1] * rng.uniform(-1, 1)
        radius = RADII[said.size or rng.choice(list(RADII))] * rng.uniform(0.97, 1.03)
        things.append(Thing(said.shape, said.colour, float(x), float(y), float(radius)))
    return Scene(tuple(things), claim.background)


def draw_claim(rng: np.random.Generator) -> Claim:
    """A random claim: one thing in three cases of ten, two otherwise."""
    background = _pick(rng, BACKGROUNDS)
    if rng.random() < 0.3:
        position = _pick(rng, POSITIONS) if rng.random() < 0.5 else None
        return Claim((_draw_thing(rng),), background, position=position)
    first, second = _draw_thing(rng), _draw_thing(rng)
    while (second.shape, second.colour) == (first.shape, first.colour):
        second = _draw_thing(rng)
    return Claim((first, second), background, relation=_pick(rng, RELATIONS))


def _draw_thing(rng: np.random.Generator) -> ThingClaim:
    size = _pick(rng, RADII) if rng.random() < 0.4 else None
    return ThingClaim(_pick(rng, SHAPES), _pick(rng, COLOURS), size)


def _pick(rng: np.random.Generator, options: Iterable[str]) -> str:
    return str(rng.choice(list(options)))


def claims(seed: int, held_out: bool = False) -> Iterator[Claim]:
    """An endless stream of random claims from one side of the split."""
    rng = np.random.default_rng([seed, held_out])
    while True:
        claim = draw_claim(rng)
        if claim.held_out == held_out:
            yield claim


def _distinct_captions(count: int, seed: int, things: int | None, held_out: bool) -> list[str]:
    captions: dict[str, None] = {}
    for claim in claims(seed, held_out):
        if things in (None, len(claim.things)):
            captions[claim.caption()] = None
        if len(captions) >= count:
            return list(captions)
    raise AssertionError("claims() never ends")


def training_captions(count: int, seed: int = 0, things: int | None = None) -> list[str]:
    """`count` distinct captions of combinations that the weights were trained on; with `things`, of
    scenes with so many (1 or 2).
    """
    return _distinct_captions(count, seed, things, held_out=False)


def heldout_captions(count: int, seed: int = 0, things: int | None = None) -> list[str]:
    """The same of combinations that no training scene shows."""
    return _distinct_captions(count, seed, things, held_out=True)
