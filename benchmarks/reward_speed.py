"""How fast rewards are: JPEG sizes on several cores, cached scores, the pool, the listing.

    python -m benchmarks.reward_speed --out benchmarks/results/reward_speed.json

Each figure is a ratio of two ways to do the same work, measured alternately in one run, with the
lowest and highest of `--repeats` beside the median. The CLIP has random weights of ViT-B-32's true
shape: its speed does not depend on what it has learned.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

import rewards
from benchmarks.report import timed, write_result
from rewards.cache import Cache
from rewards.cached import Cached, fingerprint
from rewards.pool import Pooled

IMAGES, SIZE = 64, 512


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    images = smooth_images(IMAGES)
    jpeg = rewards.make("jpeg_compressibility")
    figures = {
        "jpeg_compressibility, all at once against one after another": against(
            lambda: [jpeg(image[None], [""]) for image in images],
            lambda: jpeg(images, [""] * IMAGES),
            options.repeats,
        ),
        "clip_alignment ViT-B-32, cached against computed": cached(images, options.repeats),
        "bleu on 20,000 sentences, pool of all cores against one process": pooled(options.repeats),
        "listing, seconds of a new process": listing(options.repeats),
    }
    print(json.dumps(figures, indent=1))
    report = {"cores": os.cpu_count(), "images": f"{IMAGES} of {SIZE}x{SIZE}", "figures": figures}
    write_result(options.out, report)


def smooth_images(count: int) -> torch.Tensor:
    """Images with the detail of photographs, more or less: smoothed noise and a little grain."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 48, 48, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic")
    grain = 0.03 * torch.randn(count, 3, SIZE, SIZE, generator=generator)
    return (smooth + grain).clamp(0, 1)


def against(slow: Callable[[], object], fast: Callable[[], object], repeats: int) -> dict:
    """How many times faster the second is, alternating; both are warmed up first."""
    slow(), fast()
    ratios, seconds = [], []
    for _ in range(repeats):
        times = [timed(slow), timed(fast)]
        ratios.append(times[0] / times[1])
        seconds.append(times)
    return {
        "times faster": summary(ratios),
        "seconds": [round(statistics.median(column), 4) for column in zip(*seconds, strict=True)],
    }


def cached(images: torch.Tensor, repeats: int) -> dict:
    """The same images and prompts again, from a cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        reward = rewards.make("clip_alignment", model=str(random_clip(Path(folder) / "clip")))
        prompts = [f"a photograph of thing {number}" for number in range(len(images))]
        kept = Cached(reward, Cache(Path(folder) / "numbers"), fingerprint(reward))
        kept.score(images, prompts)
        return against(
            lambda: reward.score(images, prompts), lambda: kept.score(images, prompts), repeats
        )


def random_clip(folder: Path) -> Path:
    """A CLIP of ViT-B-32's true shape in open_clip's own files, with random weights."""
    import open_clip

    folder.mkdir()
    config = open_clip.get_model_config("ViT-B-32")
    model = open_clip.CLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    whole = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.3] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    return folder


def pooled(repeats: int) -> dict:
    """Sentences in worker processes that have been started before."""
    bleu = rewards.make("bleu")
    pool = Pooled(bleu, os.cpu_count() or 1)
    texts = [f"sentence number {n} of a long and tedious text about {n % 7}" for n in range(20_000)]
    columns = {"reference": [text.replace("long", "short") for text in texts]}
    return against(
        lambda: bleu.score(texts, texts, columns),
        lambda: pool.score(texts, texts, columns),
        repeats,
    )


def listing(repeats: int) -> dict:
    """`python -m rewards list` from start to end, and an empty Python program."""
    command = [sys.executable, "-m", "rewards", "list"]
    empty = [sys.executable, "-c", ""]
    return {
        "seconds": summary([timed(lambda: run(command)) for _ in range(repeats)]),
        "of an empty program": summary([timed(lambda: run(empty)) for _ in range(repeats)]),
    }


def run(command: list[str]) -> None:
    """Run a program without its output."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def summary(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    numbers = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in numbers.items()}


if __name__ == "__main__":
    main()
