"""Speed and memory of sampling and training at the true sizes of SD 1.5 and SDXL, with random
weights: made for a GPU.

    python -m benchmarks.gpu --out benchmarks/results/gpu.json
    python -m benchmarks.gpu --tiny --models sd15      # anywhere, to see that it runs

A LoRA of rank 16 is trained with guidance. Rows are those of the network: guidance makes two of
each sample. The share is of the rate of floating-point operations at which the same device
multiplies large matrices of the same dtype, measured in the same run; the operations are those of
convolutions, matrix products and attention, a backward pass as torch counts it.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pipelines import TRUE_SIZES, make_pipeline
from benchmarks.report import spread, timed, write_result
from benchmarks.resident import resident_most, resident_now
from ddpo.config.reading import decode_config
from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.run import Run, prepare_run

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BATCHES = {"sd15": 8, "sdxl": 2}
STEPS, ACTIONS = 4, 3


@dataclass(frozen=True)
class Setting:
    """What is measured of a model."""

    dtype: str = "bf16"
    attention: str | None = None
    channels_last: bool = False
    compile: bool = False


SETTINGS = (
    Setting(),
    Setting("fp16"),
    Setting(attention="xformers"),
    Setting(attention="eager"),
    Setting(channels_last=True),
    Setting(compile=True),
    Setting(channels_last=True, compile=True),
)


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    rows: list[dict[str, Any]] = []
    rates = {dtype: matrix_rate(DTYPES[dtype], 256 if options.tiny else 8192) for dtype in DTYPES}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            model = make_pipeline(name, Path(folder), {} if options.tiny else TRUE_SIZES[name])
            for setting in (Setting("fp32"),) if options.tiny else SETTINGS:
                row = {"model": name, **asdict(setting)}
                row |= measure(model, setting, options, BATCHES[name], rates[setting.dtype])
                rows.append(row)
                print(line(row), flush=True)
                write_result(options.out, {"matrix_flops_per_second": rates, "rows": rows})
            if name == "sd15" and importlib.util.find_spec("trl"):
                rows.append({"model": name, **against_trl(model, options)})
                print(rows[-1], flush=True)
                write_result(options.out, {"matrix_flops_per_second": rates, "rows": rows})


def measure(
    model: Path, setting: Setting, options: argparse.Namespace, batch: int, rate: float
) -> dict[str, Any]:
    """Rows a second, peak memory and share of the matrix rate, of sampling and of training; or why
    there are none.
    """
    before = resident_now()
    try:
        run = prepare_run(configured(model, setting, batch, tiny=options.tiny), resume=False)
        figures = {
            stage: stage_of(run, stage, batch, options, rate, before)
            for stage in ("sampling", "training")
        }
    except (UserError, torch.OutOfMemoryError) as error:
        return {"refused": str(error).splitlines()[0]}
    run.scorer.close()
    return figures


def stage_of(
    run: Run, stage: str, batch: int, options: argparse.Namespace, rate: float, before: int
) -> dict[str, float]:
    """Figures of one pass after another."""
    prompts = [run.prompts.texts[0]] * batch
    generator = RowGenerator(0, 1, tuple((0, row) for row in range(batch)))
    trajectory = run.policy.sample(prompts, generator)

    def sample() -> None:
        run.policy.sample(prompts, generator)

    def train() -> None:
        for columns in torch.arange(ACTIONS, device=run.accelerator.device).split(1):
            evaluation = run.policy.evaluate(trajectory, columns)
            run.accelerator.backward(evaluation.log_probs.sum())
        run.state.optimizer.zero_grad(set_to_none=True)

    work, steps = (sample, STEPS) if stage == "sampling" else (train, ACTIONS)
    timed(work)  # warms up, and compiles
    with FlopCounterMode(display=False) as counter:
        work()
    resident_now()
    seconds = [timed(work) for _ in range(options.repeats)]
    rows = 2 * batch * steps
    median = spread(seconds)["median"]
    return {
        **{f"seconds_{key}": value for key, value in spread(seconds).items()},
        "rows_per_second": rows / median,
        "peak_memory": resident_most() - before,
        "flops": counter.get_total_flops(),
        "share_of_matrix_rate": counter.get_total_flops() / median / rate,
    }


def matrix_rate(dtype: torch.dtype, side: int) -> float:
    """Floating-point operations a second of products of large matrices."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.randn(side, side, device=device, dtype=dtype)
    timed(lambda: matrix @ matrix)
    best = min(timed(lambda: [matrix @ matrix for _ in range(10)]) for _ in range(3))
    return 10 * 2 * side**3 / best


def against_trl(model: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Iterations of both trainers, alternating, in fp32."""
    from benchmarks.trl_trainer import Geometry
    from benchmarks.vs_trl import speed

    batch = BATCHES["sd15"]
    geometry = Geometry(samples=2 * batch, batch=batch, num_steps=STEPS, lora=16)
    return {"against_trl": speed(model, geometry, options.repeats)}


def configured(model: Path, setting: Setting, batch: int, *, tiny: bool) -> Config:
    """A LoRA, passes of one batch."""
    tree: dict[str, Any] = {
        "name": f"run-{time.time_ns()}",
        "output_dir": str(model.parent),
        "policy": {
            "kind": "diffusion",
            "model": str(model),
            "num_steps": STEPS,
            "guidance_scale": 5.0,
            "precision": {"network": setting.dtype, "text_encoder": setting.dtype},
            "channels_last": setting.channels_last,
            "compile": setting.compile,
            **({"attention": setting.attention} if setting.attention else {}),
            **({"resolution": 16} if tiny else {}),
        },
        "lora": {"rank": 16},
        "prompts": {"set": "animals"},
        "rewards": {"jpeg_compressibility": 1},
        "algorithm": {"kind": "ddpo", "clip_range": 1.0},
        "train": {
            "iterations": 1,
            "samples_per_iteration": batch,
            "mixed_precision": "fp16" if setting.dtype == "fp16" else "no",
        },
        "evaluation": {"samples": 0},
    }
    return decode_config(tree)


def line(row: dict[str, Any]) -> str:
    """A row in Markdown."""
    named = [row["model"], row["dtype"], row["attention"] or "native"]
    named += ["yes" if row[key] else "no" for key in ("channels_last", "compile")]
    if "refused" in row:
        return f"| {' | '.join(named)} | {row['refused']} |"
    figures = [
        f"{row[stage]['rows_per_second']:.1f} | {row[stage]['peak_memory'] / 1e9:.2f} "
        f"| {100 * row[stage]['share_of_matrix_rate']:.0f} %"
        for stage in ("sampling", "training")
    ]
    return f"| {' | '.join([*named, *figures])} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*TRUE_SIZES], choices=[*TRUE_SIZES])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="tiny networks in fp32, anywhere")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
