"""Pictures that the pipeline drew, with captions of what they turned out to show.

A reward meets pictures such as these, soft crosses that pass for diamonds among them, and no clean
scene teaches a CLIP to tell them apart.
"""

import json
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import UInt8
from safetensors import safe_open
from torch import Tensor

from ddpo.worlds.shapes.evaluate import generate
from ddpo.worlds.shapes.scenes import Claim
from ddpo.worlds.shapes.stage import save_whole
from ddpo.worlds.shapes.verifier import Reading, ThingReading, assertions, read

BLOCK = 64
STEPS = 5
GUIDANCE_SCALES = (1.0, 3.0)


@dataclass(frozen=True)
class Drawn:
    """Pictures, what each shows, and what it was asked to show."""

    pictures: UInt8[Tensor, "n 3 64 64"]
    shown: list[str]
    asked: list[str]


def draw_pool(pipeline: StableDiffusionPipeline, asked: list[Claim], path: Path) -> Drawn:
    """Draw each claim, keep what could be captioned, and store it in a file; or read that file.

    Blocks of claims are drawn with and without guidance by turns.
    """
    if not path.exists():
        pictures, captions = [], []
        for start in range(0, len(asked), BLOCK):
            block = asked[start : start + BLOCK]
            drawn = generate(
                pipeline,
                [claim.caption() for claim in block],
                seed=start,
                steps=STEPS,
                guidance_scale=GUIDANCE_SCALES[start // BLOCK % len(GUIDANCE_SCALES)],
            )
            for picture, claim in zip(drawn, block, strict=True):
                shown = corrected(claim, read(picture))
                if shown is not None and not shown.held_out:
                    pictures.append(picture)
                    captions.append([shown.caption(), claim.caption()])
        stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        save_whole({"pictures": stacked}, path, {"captions": json.dumps(captions)})
    with safe_open(path, "pt") as file:
        shown, asked_for = zip(*json.loads(file.metadata()["captions"]), strict=True)
        return Drawn(file.get_tensor("pictures"), list(shown), list(asked_for))


def corrected(claim: Claim, reading: Reading) -> Claim | None:
    """The claim with the shapes and sizes that the picture shows.

    None where anything else is wrong too, or a shape is none that the world knows.
    """
    if len(reading.things) != len(claim.things):
        return None
    for order in permutations(reading.things):
        shown = _in_order(claim, order)
        if shown is not None and all(assertions(reading, shown)):
            return shown
    return None


def _in_order(claim: Claim, order: tuple[ThingReading, ...]) -> Claim | None:
    things = []
    for said, seen in zip(claim.things, order, strict=True):
        if seen.shape is None or seen.colour != said.colour:
            return None
        size = seen.size if said.size else None
        things.append(replace(said, shape=seen.shape, size=size))
    return replace(claim, things=tuple(things))
