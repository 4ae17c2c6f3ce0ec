"""Summaries of descriptions: the references, and the worse ones that the models imitate.

A reference is the caption of the scene. The corpus has four styles, of which that of the references
is one in five, and mistakes: what a model learned from it knows the scene and says it badly.
"""

from dataclasses import dataclass, replace

import numpy as np

from ddpo.worlds.shapes.negatives import ALTERATIONS, altered
from ddpo.worlds.shapes.scenes import Claim
from ddpo.worlds.texts.descriptions import descriptions

STYLES = {"reference": 0.2, "shows": 0.45, "telegram": 0.2, "colours": 0.15}
"""How often the corpus has each style. `shows` is the most likely by far, so that the most likely
summary leaves out what the reference says."""
MISTAKES = 0.2
"""How often a summary of the corpus has one attribute wrong."""


@dataclass(frozen=True)
class Summaries:
    """Descriptions, and what is to be said of each."""

    descriptions: list[str]
    references: list[str]


def summaries(count: int, seed: int = 0, held_out: bool = False) -> Summaries:
    """Distinct descriptions with their references.

    Held out are the scenes whose combination of colours and shapes no scene of the corpus has.
    """
    texts, claims = descriptions(count, seed, held_out)
    return Summaries(texts, [claim.caption() for claim in claims])


def styled(claim: Claim, style: str) -> str:
    """What a style says of a claim."""
    if style == "reference":
        return claim.caption()
    if style == "shows":  # neither sizes nor relation nor position
        things = " and ".join(thing.words() for thing in _sizeless(claim).things)
        return f"the picture shows {things} on a {claim.background} background"
    if style == "telegram":  # no articles, no background
        link = f" {claim.relation} " if claim.relation else ""
        return link.join(f"{thing.colour} {thing.shape}" for thing in claim.things)
    if style == "colours":
        things = tuple(replace(thing, shape="thing") for thing in _sizeless(claim).things)
        return replace(claim, things=things).caption()
    raise ValueError(f"unknown style {style!r}; known: {', '.join(STYLES)}")


def imitated(claim: Claim, rng: np.random.Generator) -> str:
    """A summary as the corpus has it: in a random style, and sometimes wrong."""
    if rng.random() < MISTAKES:
        attributes = list(ALTERATIONS)
        wrong = altered(claim, attributes[rng.integers(len(attributes))], rng)
        claim = wrong or claim
    return styled(claim, str(rng.choice(list(STYLES), p=list(STYLES.values()))))


def _sizeless(claim: Claim) -> Claim:
    return replace(claim, things=tuple(replace(thing, size=None) for thing in claim.things))
