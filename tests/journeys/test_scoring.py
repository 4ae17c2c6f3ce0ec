"""Rewards in a run: in the background, from a cache, in groups over processes, combined."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.journey import Journey, differences, metrics
from tests.support.processes import run_command

SHORT = ("train.iterations=2", "checkpoint.every=9", "evaluation.every=9")
JPEG = "jpeg_compressibility: 1.0"
DIVERSE = "diversity: {weight: 1.0, embedding: pixels}"
GROUPS = ("algorithm.advantages=group", "algorithm.group_size=8", "train.updates_per_iteration=1")


def trained(folder: Path, config: Path, overrides: Sequence[str], processes: int = 1) -> Journey:
    journey = Journey(folder, config, (*SHORT, *overrides), processes)
    journey.finish()
    return journey


@pytest.mark.parametrize(
    "overrides",
    [
        ("scoring.overlap=true",),
        ("scoring.cache=numbers",),
        ("scoring.timeout=null",),
        ("scoring.overlap=true", "scoring.cache=numbers", "train.sample_batch_size=3"),
    ],
    ids=["overlap", "cache", "no timeout", "everything"],
)
def test_conditions_change_no_number(
    overrides: tuple[str, ...], config_file: Path, tmp_path: Path
) -> None:
    rewards = (f"rewards={{{JPEG}}}", "watch=[jpeg_incompressibility]")
    plain = trained(tmp_path / "plain", config_file, (*rewards, "scoring.overlap=false"))
    other = trained(tmp_path / "other", config_file, (*rewards, *overrides))
    assert differences(plain, other) == []


def test_a_reward_of_groups_sees_all_samples_of_a_prompt_on_whichever_process(
    config_file: Path, tmp_path: Path
) -> None:
    """The eight samples of a prompt are spread over two processes."""
    overrides = (f"rewards={{{DIVERSE}}}", *GROUPS, "evaluation.samples=9", f"watch=[{JPEG[:20]}]")
    alone = trained(tmp_path / "one", config_file, overrides)
    together = trained(tmp_path / "two", config_file, overrides, processes=2)
    for row, other in zip(metrics(alone.run), metrics(together.run), strict=True):
        for name in row.keys() & {"reward/mean", "reward/diversity", "evaluation/diversity"}:
            assert row[name] == pytest.approx(other[name], rel=1e-4)
            assert row[name] > 0
    assert "evaluation/diversity" in metrics(alone.run)[0]


def test_held_out_samples_share_prompts_where_a_reward_compares_them(
    config_file: Path, tmp_path: Path
) -> None:
    """Four samples of three prompts, but of two where pairs are compared; shared ones are equal."""
    pairs = (f"rewards={{{JPEG}}}", "algorithm.group_size=2", "evaluation.samples=4")
    plain = trained(tmp_path / "plain", config_file, pairs)
    compared = trained(tmp_path / "compared", config_file, (*pairs, f"watch={{{DIVERSE}}}"))
    circle, square, cat = "a red circle", "a blue square", "a cat"
    assert [one["prompt"] for one in index(plain, "000000")] == [circle, square, cat, circle]
    samples = index(compared, "000000")
    assert [one["prompt"] for one in samples] == [circle, square, circle, square]
    assert all(one["watch"]["diversity"] > 0 for one in samples)
    assert [row["evaluation/diversity"] > 0 for row in metrics(compared.run)[::2]] == [True, True]
    for file in ("0000.png", "0001.png"):
        one, other = (j.run / "samples" / "000000" / file for j in (plain, compared))
        assert one.read_bytes() == other.read_bytes()


def index(journey: Journey, iteration: str) -> list[dict[str, Any]]:
    file = journey.run / "samples" / iteration / "index.json"
    return json.loads(file.read_text())["samples"]


def test_standardised_rewards_have_no_total_to_compare_and_their_parts_are_kept(
    config_file: Path, tmp_path: Path
) -> None:
    rewards = f"rewards={{{JPEG}, small: {{reward: jpeg_incompressibility, quality: 10}}}}"
    normal = ("combine.kind=normalised_sum", rewards)
    journey = trained(tmp_path, config_file, normal)
    row = metrics(journey.run)[1]
    assert "reward/mean" not in row
    assert row["reward/jpeg_compressibility"] < 0 < row["reward/small"]
    (sample, *_) = index(journey, "000000")
    assert sample["total"] is None
    assert sample["rewards"].keys() == {"jpeg_compressibility", "small"}
    page = (journey.run / "gallery" / "index.html").read_text()
    assert "normalised sum, within each batch" in page
    assert "weighted sum" not in page
    assert '<div class="total">' not in page


def test_the_rule_of_a_combination_decides_what_is_learned(
    config_file: Path, tmp_path: Path
) -> None:
    small = "small: {{reward: jpeg_incompressibility, quality: 9, weight: {}}}"
    norms = set()
    for kind, weight in [("sum", 1), ("sum", 1000), ("normalised_sum", 1)]:
        rewards = f"rewards={{{JPEG}, {small.format(weight)}}}"
        folder = tmp_path / f"{kind}-{weight}"
        journey = trained(folder, config_file, (rewards, f"combine.kind={kind}"))
        norms.add(metrics(journey.run)[1]["policy/grad_norm"])
    assert len(norms) == 3


def test_a_gate_that_nobody_passes_leaves_nothing_to_learn(
    config_file: Path, tmp_path: Path
) -> None:
    rewards = f"rewards={{{JPEG}, bright: {{reward: jpeg_incompressibility, gate: 1e6}}}}"
    journey = trained(tmp_path, config_file, (rewards,))
    row = metrics(journey.run)[1]
    assert row["reward/std"] == 0
    assert row["policy/grad_norm"] == pytest.approx(0, abs=1e-6)
    assert row["reward/bright"] > 0


def test_a_reward_that_hangs_stops_the_run_with_its_name(config_file: Path, tmp_path: Path) -> None:
    journey = Journey(tmp_path, config_file, (*SHORT, "scoring.timeout=0.5"))
    with journey.start(FAULT="hang", FAULT_CALL="2") as started:
        assert started.wait() == [1], started.output
        assert "reward 'noisy', sample 0" in started.output
        assert "no answer within 0.5 s (scoring.timeout)" in started.output
        assert "saved after iteration 0" in started.output


def test_a_reward_that_hangs_inside_torch_leaves_the_exit_code_alone(
    config_file: Path, tmp_path: Path
) -> None:
    """Its thread still runs when the run is over; only a true command line ends as a program."""
    overrides = (*SHORT, "scoring.timeout=5", "watch=['tests.journeys.spinning:Spinning']")
    journey = Journey(tmp_path, config_file, overrides)
    command = [sys.executable, "-m", "ddpo", "train", config_file, *overrides]
    with run_command(command, cwd=tmp_path) as started:
        assert started.wait() == [0], started.output
        assert "watch rewards failed, such as reward 'spinning', sample 0" in started.output
        assert "gallery/index.html" in started.output
    assert [row["iteration"] for row in metrics(journey.run)] == [0, 1, 2]
    assert metrics(journey.run)[2]["watch/spinning"] == 0
