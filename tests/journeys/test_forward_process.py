"""Runs of AWM and DiffusionNFT, which the loop does not tell from others."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.journey import Journey, differences, metrics
from tests.journeys.moments import at, forgetting, sent
from tests.journeys.test_families import of_family
from tests.support.processes import fork

Models = Callable[[str], Path]

KINDS = {
    "awm": "algorithm={kind: awm, group_size: 4, kl_coef: 0.1}",
    "nft": "algorithm={kind: nft, group_size: 4, old_decay: 0.9, old_decay_growth: 0.3}",
}
WHOLE = Division(micro_batch=8, actions=4)
DIVISIONS = [WHOLE, Division(micro_batch=3, actions=1)]


def journey_of(kind: str, config: Path, models: Models, folder: Path) -> Journey:
    """A run of sd3 without guidance in which each sample is noised to three of four levels."""
    overrides = (*of_family(models, "sd3"), KINDS[kind], "policy.trained_share=0.75")
    folder.mkdir(exist_ok=True)
    return Journey(folder, config, (*overrides, "policy.guidance_scale=1"))


def test_awm_resumes_to_the_bit(config_file: Path, models: Models, tmp_path: Path) -> None:
    whole = journey_of("awm", config_file, models, tmp_path / "whole")
    whole.finish()
    resumed = whole.copy(tmp_path / "resumed", after=1)
    resumed.finish(resume=True)
    assert differences(resumed, whole) == []
    rows = metrics(whole.run)[1:]
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    assert all(row["policy/ratio_residual"] <= 1e-6 for row in rows)
    # 8 samples: 4 steps, 3 levels, and as many in the updates with and without adapters
    assert rows[0]["network_passes"] == 8 * (4 + 3 + 3 + 3)


def test_nft_that_was_stopped_while_it_sampled_resumes_to_the_bit(
    config_file: Path, models: Models, tmp_path: Path
) -> None:
    """Its old policy has moved for the third iteration by then, and must not move again."""
    whole = journey_of("nft", config_file, models, tmp_path / "whole")
    whole.finish()
    rows = metrics(whole.run)[1:]
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    assert rows[0]["policy/ratio_residual"] <= 1e-6
    assert rows[2]["policy/ratio_residual"] > 1e-6  # by then another policy samples
    seldom = ("checkpoint.every=9",)
    stopped = replace(whole, folder=tmp_path / "stopped", overrides=(*whole.overrides, *seldom))
    stopped.folder.mkdir()
    with stopped.start(hooks=[at("sampling", 7, sent(signal.SIGTERM))]) as started:
        assert started.wait() == [128 + signal.SIGTERM], started.output
    assert stopped.checkpoints == ["000002"]
    forgetful = replace(stopped, folder=tmp_path / "forgetful")
    shutil.copytree(stopped.folder, forgetful.folder)
    stopped.finish(resume=True)
    assert differences(stopped, whole) == []
    forgetful.finish(resume=True, hooks=[forgetting("tensors/weights/old_entered")])
    assert differences(forgetful, whole)


def test_the_gradient_depends_on_neither_passes_nor_processes(
    config_file: Path, models: Models, tmp_path: Path
) -> None:
    journey = journey_of("nft", config_file, models, tmp_path)
    overrides = [*journey.overrides, "train.updates_per_iteration=1"]
    read = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        arguments = (config_file, overrides, out, DIVISIONS, torch.float64)
        with fork(write_gradients, *arguments, cwd=out, count=processes) as started:
            assert started.wait() == [0] * processes, started.output
        read[processes] = [read_gradients(out, rank) for rank in range(processes)]
    whole = read[1][0](f"all/{WHOLE}")
    assert whole.norm() > 0
    for gradients in (*read[1], *read[2]):
        for division in DIVISIONS:
            assert (gradients(f"all/{division}") - whole).norm() / whole.norm() < 1e-9
