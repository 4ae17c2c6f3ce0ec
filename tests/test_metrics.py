"""The rows of metrics.jsonl, also where the last line was cut short."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ddpo.metrics import MetricsLog, Row, read_metrics

ROWS: list[Row] = [
    {"iteration": 0, "evaluation/reward": 0.1},
    {"iteration": 1, "reward/mean": 1 / 3, "samples_seen": 2**53 + 1},
    {"iteration": 2, "reward/mean": None},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for row in ROWS:
        log.append(row)
    return tmp_path / "metrics.jsonl"


def test_a_row_is_a_line_and_is_read_back_exactly(path: Path) -> None:
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROWS
    assert path.read_text().endswith("\n")
    assert read_metrics(path) == ROWS


def test_where_there_is_no_file_there_are_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("cut", [2, 10, 20])
def test_a_line_that_was_cut_short_is_left_out(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_metrics(path) == ROWS[:2]


def test_a_row_whose_line_end_was_lost_still_counts(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    assert read_metrics(path) == ROWS


def test_zeros_after_a_power_cut_are_left_out(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 40)
    assert read_metrics(path) == ROWS


@pytest.mark.parametrize(("iteration", "kept"), [(-1, 0), (0, 1), (1, 2), (2, 3), (9, 3)])
def test_rows_after_an_iteration_are_forgotten(path: Path, iteration: int, kept: int) -> None:
    MetricsLog(path).keep_until(iteration)
    assert read_metrics(path) == ROWS[:kept]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("cut", [1, 10])
def test_after_a_cut_rows_are_appended_on_a_line_of_their_own(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    log = MetricsLog(path)
    log.keep_until(1)
    log.append(ROWS[2])
    assert read_metrics(path) == ROWS
    assert len(path.read_text().splitlines()) == 3


def test_keeping_without_a_file_makes_an_empty_one(tmp_path: Path) -> None:
    MetricsLog(tmp_path / "metrics.jsonl").keep_until(3)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_null_in_json(tmp_path: Path, number: float) -> None:
    MetricsLog(tmp_path / "metrics.jsonl").append({"iteration": 1, "loss": number})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"iteration": 1, "loss": None}]
