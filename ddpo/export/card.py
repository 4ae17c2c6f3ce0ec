"""The model card: `README.md`, as the hub shows it, and its pictures.

All that comes from data (names, prompts, settings) is shown as text and never becomes Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from ddpo.config.schema import Config
from ddpo.config.writing import dump_config
from ddpo.export.card_pictures import PICTURES, curves, pairs
from ddpo.export.card_subjects import Pairs, Subject, subject_of
from ddpo.export.markdown import fenced, literal, table
from ddpo.gallery.run_folder import read_run

CARD = "README.md"
TRAINING, HELD_OUT = ("reward/", "watch/"), ("evaluation/",)

Metrics = Sequence[Mapping[str, int | float]]


def write_card(target: Path, run_path: Path, config: Config, *, merged: bool = False) -> Path:
    """Write the card of a run into the folder of its model, with its pictures in `card/`.

    Args:
        target: the folder.
        run_path: the run folder.
        config: of the run.
        merged: whether the folder holds the LoRA inside the weights.

    Raises:
        UserError: the base model's files are gone.
    """
    adapter = config.lora is not None and not merged
    subject, run = subject_of(config, target, adapter=adapter), read_run(run_path)
    (target / PICTURES).mkdir(exist_ok=True)
    compared = pairs(run)
    code = subject.usage([before.prompt for before, _ in compared])
    parts = [
        f"---\n{_front_matter(config, subject, adapter).to_yaml().strip()}\n---",
        f"# {literal(config.name)}",
        _summary(config, subject, adapter),
        f"## Use\n\n{fenced(code, 'python')}",
        _rewards(run.metrics, config),
        _curves(run.metrics, target),
        _before_and_after(subject, compared, target),
        f"## Configuration\n\n{fenced(dump_config(config), 'yaml')}",
    ]
    path = target / CARD
    text = "\n\n".join(part for part in parts if part) + "\n"
    path.write_bytes(text.encode("utf-8", errors="replace"))
    return path


def _front_matter(config: Config, subject: Subject, adapter: bool) -> ModelCardData:
    tags = [subject.task, "reinforcement-learning", config.algorithm.kind]
    related: Any = {"base_model_relation": "adapter" if adapter else "finetune"}
    return ModelCardData(
        base_model=subject.hub_id,
        library_name=subject.library,
        pipeline_tag=subject.task,
        tags=[*tags, "lora"] if adapter else tags,
        **(related if subject.hub_id else {}),
    )


def _summary(config: Config, subject: Subject, adapter: bool) -> str:
    what = "A LoRA for" if adapter else "A version of"
    rewards = ", ".join(f"**{literal(name)}**" for name in config.rewards)
    train, base = config.train, literal(config.policy.model)
    facts = [
        f"base model: {base} ({literal(subject.described)})",
        f"algorithm: {literal(config.algorithm.kind.upper())}, {train.iterations:,} iterations of "
        f"{train.samples_per_iteration:,} samples, {train.updates_per_iteration:,} updates each",
        f"seed: {config.seed}",
    ]
    if config.lora is not None:
        alpha = config.lora.rank if config.lora.alpha is None else config.lora.alpha
        facts.append(f"LoRA: rank {config.lora.rank}, alpha {alpha:g}")
    return "\n".join(
        [
            f"{what} {base}, fine-tuned by reinforcement learning with ddpo towards {rewards}.\n",
            *(f"- {fact}" for fact in facts),
        ]
    )


def _rewards(metrics: Metrics, config: Config) -> str:
    """First and last of every held-out mean; of training means where nothing was held out."""
    keys = dict.fromkeys(key for row in metrics for key in row)
    kinds = HELD_OUT if any(key.startswith(HELD_OUT) for key in keys) else TRAINING
    rows = []
    for key in (key for key in keys if key.startswith(kinds) and key != "reward/std"):
        measured = [(int(row["iteration"]), row[key]) for row in metrics if key in row]
        (first, before), (last, after) = measured[0], measured[-1]
        name = key.partition("/")[2]
        watched = f"{literal(name)}, watched only" if name in config.watch else literal(name)
        rows.append((watched, f"{before:.4g} ({first})", f"{after:.4g} ({last})"))
    if not rows:
        return ""
    source = "held-out samples" if kinds == HELD_OUT else "each iteration's samples"
    header = ("mean reward", "before (iteration)", "after (iteration)")
    return f"## Rewards\n\nMeans over {source}; higher is better.\n\n{table(header, rows)}"


def _curves(metrics: Metrics, target: Path) -> str:
    images = []
    for number, (name, svg) in enumerate(curves(metrics).items()):
        file = f"{PICTURES}/curve-{number}.svg"
        (target / file).write_bytes(svg.encode("utf-8", errors="replace"))
        images.append(f"![{literal(name)} by iteration]({file})")
    return "\n\n".join(images)


def _before_and_after(subject: Subject, compared: Pairs, target: Path) -> str:
    if not compared:
        return ""
    grid = subject.table(compared, target)
    return f"## Before and after\n\nThe same prompts and the same noise.\n\n{grid}"
