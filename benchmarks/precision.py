"""How far the on-policy ratio is from 1, by dtype, attention back end and compilation.

    python -m benchmarks.precision --out benchmarks/results/precision.json

Samples eight chains of each model in one pass, scores them again three at a time, with one and with
two actions a pass, and compares: the largest |log-ratio|, and the share of actions beyond a clip
range of 1e-4, where both would be 0 in exact arithmetic. The models are the embedded `shapes`
and tiny networks with random weights of each family's architecture: they show which settings change
the arithmetic, not how large the error of a true model is. The adapter is moved as by an update.
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import write_result
from ddpo.diffusion.building import build_diffusion_policy
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.dtypes import AUTOCAST_DTYPES
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Trajectory
from tests.support.pipelines import PIPELINES
from tests.support.policies import configured, disturb

CLIP_RANGE = 1e-4
ROWS, MICRO_BATCH = 8, 3
PROMPTS = {"shapes": ["a red circle", "a blue square"], "": ["a dog", "a red fox"]}
MORE_BACKENDS = {
    **dict.fromkeys(("shapes", "sd15", "sd21", "sdxl"), ("eager",)),
    **dict.fromkeys(("flux-dev", "flux-schnell"), ("_native_math", "_native_flash")),
}


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    weights: str = "fp32"
    autocast: str = "no"
    attention: str = "native"
    compiled: bool = False


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["shapes", *PIPELINES])
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model, setting in chosen(options.models, compiled=not options.no_compile):
            path = Path("shapes") if model == "shapes" else Path(folder) / model
            if model != "shapes" and not path.exists():
                PIPELINES[model](path)
            rows.append({"model": model, **asdict(setting), **measure(model, path, setting)})
            print(table(rows[-1:]).splitlines()[-1], flush=True)
            write_result(options.out, {"clip_range": CLIP_RANGE, "rows": rows})
    print(table(rows))


def chosen(models: list[str], *, compiled: bool) -> Iterator[tuple[str, Setting]]:
    """What is measured of which model; what is compiled comes last, because it takes minutes."""
    for model in models:
        yield from ((model, setting) for setting in eager_settings(model))
    for weights, autocast in (("bf16", "no"), ("fp32", "no"), ("fp32", "bf16")) * compiled:
        yield from ((model, Setting(weights, autocast, compiled=True)) for model in models)


def eager_settings(model: str) -> list[Setting]:
    """All that run on a CPU. fp16 weights need fp16 autocast: see docs/precision.md."""
    dtypes = [("fp32", "no"), ("fp32", "bf16"), ("fp32", "fp16"), ("bf16", "no"), ("fp16", "fp16")]
    own = [Setting(weights, autocast) for weights, autocast in dtypes]
    others = MORE_BACKENDS.get(model, ())
    return own + [Setting(weights, "no", other) for other in others for weights in ("fp32", "bf16")]


def measure(model: str, path: Path, setting: Setting) -> dict[str, float]:
    """Residual and share clipped with one and with two actions a pass."""
    torch.manual_seed(0)
    torch._dynamo.reset()  # pyright: ignore[reportPrivateImportUsage]
    config = configured(
        path,
        num_steps=8,
        guidance_scale=None if model == "flux-schnell" else 3.0,
        resolution=None if model == "shapes" else 16,
        precision={"network": setting.weights},
        attention=setting.attention,
        compile=setting.compiled,
    )
    autocast = AUTOCAST_DTYPES[setting.autocast]
    policy = build_diffusion_policy(config, torch.device("cpu"), autocast)
    disturb(policy)
    prompts = PROMPTS.get(model, PROMPTS[""]) * (ROWS // 2)
    rows = tuple((row % 2, row // 2) for row in range(ROWS))
    trajectory = policy.sample(prompts, RowGenerator(seed=0, iteration=1, rows=rows))
    figures = {}
    for actions in (1, 2):
        errors = log_ratios(policy, trajectory, actions)
        figures[f"residual_{actions}"] = float(errors.max())
        figures[f"clipped_{actions}"] = float((errors > CLIP_RANGE).float().mean())
    return figures


def log_ratios(policy: DiffusionPolicy, trajectory: Trajectory, actions: int) -> Tensor:
    """|log-ratio| of every action that counts."""
    found = []
    for start in range(0, ROWS, MICRO_BATCH):
        part = trajectory[start : start + MICRO_BATCH]
        for columns in torch.arange(part.log_probs.shape[1]).split(actions):
            again = policy.evaluate(part, columns).log_probs.detach()
            errors = (again - part.log_probs[:, columns]).abs()
            found.append(errors[part.mask[:, columns] > 0])
    return torch.cat(found)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| model | weights | autocast | attention | compiled | residual, 1 action a pass | clipped "
        "| 2 actions | clipped |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [
            f"{row[f'residual_{n}']:.1e} | {100 * row[f'clipped_{n}']:.0f} %" for n in (1, 2)
        ]
        compiled = "yes" if row["compiled"] else "no"
        named = [row["model"], row["weights"], row["autocast"], row["attention"], compiled]
        lines.append(f"| {' | '.join([*named, *numbers])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
