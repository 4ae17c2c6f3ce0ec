"""The whole recipe: `python -m ddpo.worlds.shapes.build --out DIR` trains the weights from scratch.

A build that was killed goes on from its checkpoints when it is started again with the same folder.
"""

import argparse
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from ddpo.worlds.shapes import (
    evaluate,
    train_aesthetic,
    train_autoencoder,
    train_clip,
    train_unet,
)
from rewards.image.aesthetic import load_head

SIZE_LIMIT = 16_000_000  # bytes, of all the shipped files together
PUBLISHED = ("pipeline", "clip", "aesthetic")


def main(arguments: list[str] | None = None) -> None:
    """Train the four stages, publish the weights, and print the model card's figures."""
    options = parse_arguments(arguments)
    torch.set_num_threads(options.threads)
    checkpoints = options.out / "checkpoints"
    vae = train_autoencoder.train(checkpoints, options.minutes_autoencoder)
    reconstructions = evaluate.reconstruction_accuracy(vae, options.scenes)
    print(f"verifier on {options.scenes} reconstructions: {reconstructions:.4f}", flush=True)
    plan = replace(train_unet.PLAN, minutes=options.minutes_unet, stop_at=options.stop_at)
    pipeline = train_unet.train(checkpoints, vae, plan)
    publish(checkpoints / "pipeline", options.out / "pipeline")
    clip = train_clip.train(checkpoints, vae, pipeline, options.minutes_clip)
    publish(clip, options.out / "clip")
    aesthetic = train_aesthetic.train(checkpoints, clip, vae, pipeline)
    publish(aesthetic, options.out / "aesthetic")
    tasted = train_aesthetic.held_out_pictures(vae, pipeline, options.captions)
    figures = {
        "verifier, clean scenes": evaluate.clean_accuracy(options.scenes),
        "verifier, reconstructions": reconstructions,
        "pipeline, held-out captions": evaluate.heldout_accuracy(pipeline, options.captions),
        "clip, by attribute": evaluate.clip_accuracy(options.out / "clip", vae, options.scenes),
        "aesthetic head, held-out captions": aesthetic_figures(aesthetic, clip, tasted),
        "bytes": weigh(*(options.out / name for name in PUBLISHED)),
    }
    print(json.dumps(figures, indent=2))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ddpo.worlds.shapes.build", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="receives the weights, and checkpoints/")
    add("--minutes-autoencoder", type=float, default=14.0)
    unet, stop_at = train_unet.PLAN, "held-out accuracy at which the U-Net stops"
    add("--minutes-unet", type=float, default=unet.minutes, help="at most; see --stop-at")
    add("--minutes-clip", type=float, default=30.0)
    add("--stop-at", type=float, default=unet.stop_at, help=stop_at)
    add("--threads", type=int, default=torch.get_num_threads())
    add("--scenes", type=int, default=1000, help="scenes to measure the verifier and CLIP on")
    add("--captions", type=int, default=256, help="held-out captions to measure the pipeline on")
    return parser.parse_args(arguments)


def aesthetic_figures(
    folder: Path, clip: Path, tasted: dict[str, train_aesthetic.Pictures]
) -> dict[str, dict[str, float]]:
    """How a head judges each kind of pictures."""
    head = load_head(folder / "head.safetensors")
    scores = {kind: train_aesthetic.score(head, tasted[kind], clip) for kind in tasted}
    return {kind: evaluate.taste_figures(scores[kind], tasted[kind]) for kind in tasted}


def publish(source: Path, target: Path) -> None:
    """Copy a folder into place, whole or not at all.

    Raises:
        ValueError: The folder holds more than may be shipped.
    """
    if weigh(source) > SIZE_LIMIT:
        raise ValueError(f"{source} holds {weigh(source)} bytes; the limit is {SIZE_LIMIT}")
    aside = target.with_name(target.name + ".aside")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(aside, target)


def weigh(*folders: Path) -> int:
    """The bytes of all files in some folders."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    main()
