"""A reward that somebody else wrote trains the shapes model: installed by pip, or only named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewards.scaffold import new
from tests.journeys.journey import metrics
from tests.support.environment import ROOT, Environment, fresh_environment

CONFIG = ROOT / "configs" / "ddpo_shapes_compressibility.yaml"
SMALL = (
    "train.iterations=1 train.samples_per_iteration=8 algorithm.group_size=2 evaluation.samples=2"
)


def trained(environment: Environment, reward: str, folder: Path) -> list[dict[str, Any]]:
    """The metrics of a short training of the shapes model, from a shell's command line."""
    rewards = f"'rewards={{\"{reward}\": {{weight: 1.0, colour: blue}}}}'"
    done = environment.run(f"python -m ddpo train {CONFIG} name=run {rewards} {SMALL}", folder)
    assert done.returncode == 0, done.stdout
    return metrics(folder / "runs" / "run")


def test_an_installed_plugin_trains_and_so_does_the_same_code_that_is_only_named(
    tmp_path: Path,
) -> None:
    environment = fresh_environment(tmp_path / "environment")
    new("glow", tmp_path)
    done = environment.install("python -m pip install --no-deps ./glow", tmp_path)
    assert done.returncode == 0, done.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    installed = trained(environment, "glow", elsewhere)
    named = trained(environment, "shine:shine", new("shine", tmp_path))
    assert 0 < installed[1]["reward/glow"] < 1
    assert installed[1]["policy/grad_norm"] > 0
    for glow, shine in zip(installed, named, strict=True):
        assert {name.replace("glow", "shine"): value for name, value in glow.items()} == shine
