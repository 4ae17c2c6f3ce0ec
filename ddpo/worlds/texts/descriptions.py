"""Long descriptions of scenes: what a claim says, among sentences that say nothing of it.

    claim = parse("a large red circle left of a blue square on a gray background")
    describe(claim, numpy.random.default_rng(0))

A description has 60 to 120 words, and states each part of its claim once, in an order of its own.
"""

from collections.abc import Sequence

import numpy as np

from ddpo.worlds.shapes.scenes import Claim, ThingClaim, claims
from ddpo.worlds.shapes.words import COLOURS, SHAPES

SHORTEST, LONGEST = 60, 120
"""Words in a description."""
_SPREAD = 12

_THING = (
    "There is {thing} in it.",
    "One can see {thing} here.",
    "The painter has put {thing} into it.",
    "It holds {thing}.",
    "Somebody has drawn {thing} with great care.",
    "What catches the eye is {thing}.",
)
_COLOUR_APART = (
    "One of the forms is a {shape}, and it is painted {colour}.",
    "A {shape} is part of it, and its colour is {colour}.",
    "Among other things it has a {shape} that was filled in {colour}.",
)
_SIZE = (
    "The {name} is {size}.",
    "It was decided early that the {name} should be {size}.",
    "Next to a coin the {name} would look {size}.",
)
_RELATION = {
    "left of": (
        "The {first} is to the left of the {second}.",
        "The {second} is to the right of the {first}.",
        "To the right of the {first} stands the {second}.",
        "To the left of the {second} stands the {first}.",
        "Read from left to right, the {first} comes first and the {second} after it.",
    ),
    "above": (
        "The {first} is above the {second}.",
        "The {second} is below the {first}.",
        "Below the {first} stands the {second}.",
        "Over the {second} hangs the {first}.",
        "Read from top to bottom, the {first} comes first and the {second} after it.",
    ),
}
_POSITION = {
    "at the left": (
        "The {name} stands near the left edge.",
        "The {name} keeps to the left-hand side.",
    ),
    "at the right": (
        "The {name} stands near the right edge.",
        "The {name} keeps to the right-hand side.",
    ),
    "at the top": (
        "The {name} hangs near the upper edge.",
        "The {name} keeps to the upper end.",
    ),
    "at the bottom": (
        "The {name} rests near the lower edge.",
        "The {name} keeps to the lower end.",
    ),
    "in the center": (
        "The {name} stands right in the middle.",
        "It keeps clear of all edges.",
    ),
}
_BACKGROUND = (
    "The background is {background}.",
    "Everything else is plain {background}.",
    "The ground behind it was left {background}.",
    "All around there is nothing but {background}.",
)
# These name colours and shapes that are not in the scene, so that finding a colour is not enough.
_MISLEADING = (
    "An earlier sketch had a {colour} {shape}, which is gone.",
    "The wall of the room is {colour}.",
    "A {colour} {shape} was planned and never drawn.",
    "The frame is {colour}.",
)
_NEUTRAL = (
    "This is a description of a small picture.",
    "The picture hangs in a quiet room on the second floor.",
    "Nobody remembers who made it.",
    "It was made on a rainy afternoon.",
    "The lines are clean and the edges are sharp.",
    "Visitors often stop in front of it for a while.",
    "There is no text and no signature.",
    "The paper is a little worn at the corners.",
    "It took less than an hour to finish.",
    "A label beside it gives the year and nothing else.",
    "Children like it more than their parents do.",
    "The light in the room changes during the day.",
    "A copy of it was sold last year.",
    "It has been shown in two other towns.",
    "The guard says that it is his favourite.",
    "It looks different from far away.",
)


def describe(claim: Claim, rng: np.random.Generator, shortest: int = SHORTEST) -> str:
    """A description from which the claim can be told, of `shortest` words and up to 25 more.

    Args:
        claim: what it states; a size that the claim leaves out is not mentioned.
        rng: draws the wording, the order and the sentences between.
        shortest: words; training begins with shorter ones.
    """
    sentences = _facts(claim, rng)
    words, wanted = sum(len(sentence.split()) for sentence in sentences), shortest
    wanted += int(rng.integers(_SPREAD))
    between = [_NEUTRAL[i] for i in rng.permutation(len(_NEUTRAL))]
    between.insert(int(rng.integers(4)), _misleading(claim, rng))
    for sentence in between:
        if words >= wanted:
            break
        sentences.append(sentence)
        words += len(sentence.split())
    return " ".join(sentences[i] for i in rng.permutation(len(sentences)))


def descriptions(
    count: int, seed: int = 0, held_out: bool = False
) -> tuple[list[str], list[Claim]]:
    """`count` distinct descriptions and their claims, from one side of the split of scenes."""
    rng = np.random.default_rng([seed, held_out, 7])
    found: dict[str, Claim] = {}
    for claim in claims(seed, held_out):
        found.setdefault(describe(claim, rng), claim)
        if len(found) == count:
            break
    return list(found), list(found.values())


def _facts(claim: Claim, rng: np.random.Generator) -> list[str]:
    """One sentence for each part of the claim."""
    names = _names(claim, rng)
    facts = [_introduced(thing, rng) for thing in claim.things]
    for thing, name in zip(claim.things, names, strict=True):
        if thing.size:
            facts.append(_pick(rng, _SIZE).format(name=name, size=thing.size))
    if claim.relation:
        sentence = _pick(rng, _RELATION[claim.relation])
        facts.append(sentence.format(first=names[0], second=names[1]))
    if claim.position:
        facts.append(_pick(rng, _POSITION[claim.position]).format(name=names[0]))
    facts.append(_pick(rng, _BACKGROUND).format(background=claim.background))
    return facts


def _names(claim: Claim, rng: np.random.Generator) -> list[str]:
    """What the sentences call each thing: its shape, where that tells it from the other."""
    alike = len({thing.shape for thing in claim.things}) < len(claim.things)
    if alike or rng.random() < 0.3:
        return [f"{thing.colour} {thing.shape}" for thing in claim.things]
    return [thing.shape for thing in claim.things]


def _introduced(thing: ThingClaim, rng: np.random.Generator) -> str:
    if rng.random() < 0.3:
        return _pick(rng, _COLOUR_APART).format(shape=thing.shape, colour=thing.colour)
    words = ThingClaim(thing.shape, thing.colour).words()
    return _pick(rng, _THING).format(thing=words)


def _misleading(claim: Claim, rng: np.random.Generator) -> str:
    """A sentence about a colour and a shape that the scene does not have."""
    colours = [colour for colour in COLOURS if all(colour != t.colour for t in claim.things)]
    shapes = [shape for shape in SHAPES if all(shape != t.shape for t in claim.things)]
    sentence = _pick(rng, _MISLEADING)
    return (
        sentence.format(colour=_pick(rng, colours), shape=_pick(rng, shapes))
        .replace("a orange", "an orange")
        .replace("A orange", "An orange")
    )


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
