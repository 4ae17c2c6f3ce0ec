"""Claims that differ from another in one attribute: the hard negatives of the CLIP."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from ddpo.worlds.shapes.scenes import Claim
from ddpo.worlds.shapes.words import BACKGROUNDS, COLOURS, POSITIONS, RADII, RELATIONS, SHAPES


def altered(claim: Claim, attribute: str, rng: np.random.Generator) -> Claim | None:
    """The claim with one attribute changed; None where it says nothing of that attribute.

    Args:
        claim: What to alter.
        attribute: A key of `ALTERATIONS`.
        rng: Chooses the thing and the new value.
    """
    changed = ALTERATIONS[attribute](claim, rng)
    return changed if changed != claim else None


def _other(value: str, options: Iterable[str], rng: np.random.Generator) -> str:
    return str(rng.choice([option for option in options if option != value]))


def _with_thing(field: str, options: Iterable[str]) -> Callable[..., Claim]:
    """An alteration that gives one thing, of those that mention a field, another value."""

    def alter(claim: Claim, rng: np.random.Generator) -> Claim:
        mentioned = [i for i, thing in enumerate(claim.things) if getattr(thing, field)]
        if not mentioned:
            return claim
        index, things = rng.choice(mentioned), list(claim.things)
        value = _other(getattr(things[index], field), options, rng)
        things[index] = replace(things[index], **{field: value})
        return replace(claim, things=tuple(things))

    return alter


def _background(claim: Claim, rng: np.random.Generator) -> Claim:
    return replace(claim, background=_other(claim.background, BACKGROUNDS, rng))


def _relation(claim: Claim, rng: np.random.Generator) -> Claim:
    """The other axis; see `_order` for the other direction."""
    if claim.relation is None:
        return claim
    return replace(claim, relation=_other(claim.relation, RELATIONS, rng))


def _order(claim: Claim, rng: np.random.Generator) -> Claim:
    return replace(claim, things=claim.things[::-1])


def _binding(claim: Claim, rng: np.random.Generator) -> Claim:
    """Two things exchange their colours."""
    if len(claim.things) == 1:
        return claim
    first, second = claim.things
    swapped = replace(first, colour=second.colour), replace(second, colour=first.colour)
    return replace(claim, things=swapped)


def _position(claim: Claim, rng: np.random.Generator) -> Claim:
    if claim.position is None:
        return claim
    return replace(claim, position=_other(claim.position, POSITIONS, rng))


ALTERATIONS: dict[str, Callable[[Claim, np.random.Generator], Claim]] = {
    "shape": _with_thing("shape", SHAPES),
    "colour": _with_thing("colour", COLOURS),
    "size": _with_thing("size", RADII),
    "background": _background,
    "relation": _relation,
    "order": _order,
    "binding": _binding,
    "position": _position,
}
