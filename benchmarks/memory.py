"""The memory that `ddpo config` estimates against the memory that a run takes, for every family.

    python -m benchmarks.memory --out benchmarks/results/memory.json
    python -m benchmarks.memory --iterations 200

Each case trains two iterations in a process of its own: a model with random weights, some tens of
megabytes large, with activations of some hundred. On a GPU the measure is
`torch.cuda.max_memory_allocated`; on a CPU it is the peak of the resident memory over what the
process took before the model was loaded, after a first run of a tiny model that imported and
warmed up everything. With `--iterations` the shapes world is trained for so long with few samples
and steps, and resident memory and living tensors are printed by iteration.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.pipelines import make_pipeline
from benchmarks.report import provenance, write_result
from benchmarks.resident import RETURN_MEMORY, resident_most, resident_now, status
from ddpo.batching import plan_batches
from ddpo.config.reading import decode_config, load_config
from ddpo.config.schema import Config, PromptsConfig
from ddpo.diffusion.peak_memory import estimate_peaks
from ddpo.evaluation import evaluate
from ddpo.prompts import load_prompts
from ddpo.run import prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate, train
from tests.support.pipelines import PIPELINES

LARGER: dict[str, dict[str, Any]] = {
    "UNet2DConditionModel": {
        "sample_size": 32,
        "block_out_channels": (64, 160),
        "attention_head_dim": 8,
        "norm_num_groups": 8,
    },
    "SD3Transformer2DModel": {
        "sample_size": 32,
        "num_layers": 4,
        "attention_head_dim": 64,
        "num_attention_heads": 6,
        "caption_projection_dim": 384,
        "pos_embed_max_size": 48,
    },
    "FluxTransformer2DModel": {
        "num_layers": 2,
        "num_single_layers": 4,
        "attention_head_dim": 64,
        "num_attention_heads": 6,
        "axes_dims_rope": (16, 24, 24),
    },
    "AutoencoderKL": {"block_out_channels": (32, 64), "sample_size": 64},
}
"""What the tiny models of the tests are made larger by."""

SETTINGS: dict[str, dict[str, Any]] = {
    "LoRA": {"lora": {"rank": 8}},
    "LoRA, checkpointing": {
        "lora": {"rank": 8},
        "train": {"gradient_checkpointing": True},
    },
    "LoRA, bf16 weights, offload": {
        "lora": {"rank": 8},
        "policy": {"precision": {"network": "bf16", "text_encoder": "bf16"}, "offload": True},
    },
    "LoRA, bf16 autocast": {"lora": {"rank": 8}, "train": {"mixed_precision": "bf16"}},
    "all weights": {},
    "all weights, checkpointing": {"train": {"gradient_checkpointing": True}},
    "all weights, KL, average": {
        "algorithm": {"kind": "ddpo", "kl_coef": 0.1, "clip_range": 1000.0},
        "train": {"ema_decay": 0.9},
    },
}
"""What is trained, and how."""


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*PIPELINES], choices=[*PIPELINES])
    parser.add_argument("--settings", nargs="+", default=[*SETTINGS], choices=[*SETTINGS])
    parser.add_argument("--iterations", type=int, help="train the shapes world for so long instead")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if options.case:
        print(json.dumps(measure(*options.case)))
        return
    if options.iterations:
        print(json.dumps(over_time(options.iterations), indent=1))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            make_pipeline(model, Path(folder), LARGER)
            for setting in options.settings:
                rows.append(in_a_process(folder, model, setting))
                print(line(rows[-1]), flush=True)
                write_result(options.out, {"unit": "bytes", "rows": rows})


def over_time(iterations: int) -> dict[str, Any]:
    """Resident memory and living tensors after every tenth of so many iterations of the shapes
    world; then there is an evaluation and a checkpoint, too.

    There are eight prompts, so that all are encoded before long.
    """
    folder = Path(tempfile.mkdtemp())
    captions = load_prompts(PromptsConfig(set="shapes-pairs")).texts[:8]
    (folder / "prompts.txt").write_text("\n".join(captions))
    overrides = [
        f"output_dir={folder}",
        *(f"{key}={{file: {folder / 'prompts.txt'}}}" for key in ("prompts", "evaluation.prompts")),
        *("train.samples_per_iteration=16", "train.micro_batch_size=8", "policy.num_steps=2"),
        "evaluation.samples=4",
    ]
    config = load_config(Path("configs/ddpo_shapes_compressibility.yaml"), overrides)
    run = prepare_run(config, resume=False)
    rows = []
    with StopRequest(run.accelerator) as stop:
        for iteration in range(1, iterations + 1):
            iterate(run, stop)
            if iteration % max(1, iterations // 10) == 0:
                evaluate(run)
                run.save()
                gc.collect()
                row = {"iteration": iteration, "resident": status("VmRSS")}
                rows.append({**row, "tensors": living_tensors()})
                print(rows[-1], file=sys.stderr, flush=True)
    run.scorer.close()
    return {**provenance(), "unit": "bytes", "rows": rows}


def living_tensors() -> int:
    """Tensors that Python knows of."""
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())


def in_a_process(folder: str, model: str, setting: str) -> dict[str, Any]:
    """One case, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--case", folder, model, setting]
    environment = {**os.environ, **RETURN_MEMORY, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {"model": model, "setting": setting, **json.loads(done.stdout.splitlines()[-1])}


def measure(folder: str, model: str, setting: str) -> dict[str, Any]:
    """Estimate and measured peak of two iterations, in bytes."""
    config = configured(Path(folder), model, setting)
    train(configured(Path(folder), f"tiny-{model}", setting))
    began = time.perf_counter()
    plan = plan_batches(config, 1)
    peaks = estimate_peaks(config, plan, Path(folder) / model)
    seconds = time.perf_counter() - began
    before = resident_now()
    train(config)
    measured = resident_most() - before
    highest = max(peaks, key=lambda name: peaks[name].total)
    return {
        "estimate": peaks[highest].total,
        "measured": measured,
        "stage": highest,
        "parts": dict(peaks[highest].parts),
        "seconds": round(seconds, 2),
    }


def configured(folder: Path, model: str, setting: str) -> Config:
    """Two iterations of a few samples."""
    chosen = SETTINGS[setting]
    kind = "flow" if model.startswith(("sd3", "flux")) else "unet"
    tree: dict[str, Any] = {
        "name": f"{model}-{setting}",
        "output_dir": tempfile.mkdtemp(dir=folder),
        "policy": {
            "kind": "diffusion",
            "model": str(folder / model),
            "num_steps": 2,
            "trained_share": 0.5,
            "resolution": 16 if model.startswith("tiny") else 64,
            **({"max_sequence_length": 16} if kind == "flow" else {}),
            **chosen.get("policy", {}),
        },
        "prompts": {"set": "animals"},
        "rewards": {"jpeg_compressibility": 1},
        # so wide that no precision is refused
        "algorithm": chosen.get("algorithm", {"kind": "ddpo", "clip_range": 1000.0}),
        "train": {
            "iterations": 2,
            "samples_per_iteration": 8,
            "sample_batch_size": 4,
            "micro_batch_size": 4,
            **chosen.get("train", {}),
        },
        "evaluation": {"samples": 2, "every": 2},
        **({"lora": chosen["lora"]} if "lora" in chosen else {}),
    }
    return decode_config(tree)


def line(row: dict[str, Any]) -> str:
    """A row in Markdown."""
    sizes = (f"{row[name] / 1e6:.0f}" for name in ("estimate", "measured"))
    ratio = row["estimate"] / row["measured"]
    return f"| {row['model']} | {row['setting']} | {' | '.join(sizes)} | {ratio:.2f} |"


if __name__ == "__main__":
    main()
