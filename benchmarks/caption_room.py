"""On which captions can alignment gain? How much more true drawings earn than the base's pictures.

    python -m benchmarks.caption_room --out FILE

Of 480 captions of two things, half of them combinations that no training scene shows, eight
pictures each of the base as it is evaluated (20 steps, guidance 3), and eight true drawings. The 24
with the most room of those that the base draws right at most once in four are looked at again, 64
of each. The four of these whose room is the most standard deviations of the base's pictures of all
four are the captions of `wrong_captions.txt`.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

import rewards
from benchmarks.report import write_result
from ddpo.worlds.shapes import pipeline_path
from ddpo.worlds.shapes.evaluate import generate, true_drawings
from ddpo.worlds.shapes.scenes import heldout_captions, parse, training_captions
from ddpo.worlds.shapes.stage import as_tensor

RIGHT = 0.25
"""Of the base's pictures of a caption, at most, where it has something to learn."""

CANDIDATES, CHOSEN = 24, 4

AT_ONCE = 64
"""Pictures."""


@dataclass(frozen=True)
class Look:
    """What a caption's pictures and drawings earn, and the share of the pictures drawn right."""

    caption: str
    pictures: list[float]
    drawings: list[float]
    right: float

    @property
    def room(self) -> float:
        """How much more its drawings earn."""
        return statistics.fmean(self.drawings) - statistics.fmean(self.pictures)


def main() -> None:
    """Look, choose, print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    pipeline = StableDiffusionPipeline.from_pretrained(str(pipeline_path()), safety_checker=None)
    first: list[Look] = []
    for captions in (training_captions, heldout_captions):
        asked = captions(options.captions // 2, seed=5, things=2)
        first += look(pipeline, asked, 8, noise=0, drawings=0)
    wrong = sorted((one for one in first if one.right <= RIGHT), key=lambda one: -one.room)
    asked = [one.caption for one in wrong[:CANDIDATES]]
    second = look(pipeline, asked, options.pictures, noise=1000, drawings=7)
    chosen = max(combinations(second, CHOSEN), key=room_in_sd)
    for one in chosen:
        print(f"{one.caption}: {room_in_sd([one]):.2f} sd, {one.right:.2f} right")
    together = room_in_sd(chosen)
    print(f"together: {together:.2f} sd")
    write_result(
        options.out,
        {
            "captions": len(first),
            "chosen": [one.caption for one in chosen],
            "room_in_sd": together,
            "looked_at_again": [row(one) for one in second],
        },
    )


def look(
    pipeline: Any, captions: Sequence[str], count: int, noise: int, drawings: int
) -> list[Look]:
    """So many pictures and drawings of each caption, judged; `noise` and `drawings` are seeds."""
    reward = rewards.make("clip_alignment", model="shapes")
    accuracy = rewards.make("shapes_accuracy")
    rng = np.random.default_rng(drawings)
    found: list[Look] = []
    for start in range(0, len(captions), AT_ONCE // count):
        several = captions[start : start + AT_ONCE // count]
        asked = [caption for caption in several for _ in range(count)]
        pictures = as_tensor(generate(pipeline, asked, seed=noise + start))
        drawn = true_drawings([parse(caption) for caption in asked], rng)
        earned, due, right = (
            judge.score(images, asked).values.double().view(-1, count)
            for judge, images in ((reward, pictures), (reward, drawn), (accuracy, pictures))
        )
        found += [
            Look(caption, earned[place].tolist(), due[place].tolist(), float(right[place].mean()))
            for place, caption in enumerate(several)
        ]
    return found


def room_in_sd(looks: Sequence[Look]) -> float:
    """The room of captions together, in standard deviations of all of their pictures."""
    spread = statistics.pstdev(earned for one in looks for earned in one.pictures)
    return statistics.fmean(one.room for one in looks) / spread


def row(one: Look) -> dict[str, Any]:
    """What is kept of a caption."""
    return {
        "caption": one.caption,
        "mean": statistics.fmean(one.pictures),
        "std": statistics.pstdev(one.pictures),
        "room": one.room,
        "right": one.right,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=480)
    parser.add_argument("--pictures", type=int, default=64, help="of each at the second look")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
