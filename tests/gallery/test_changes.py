"""What the page says about a run, in numbers and in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ddpo.gallery.changes import Change, changes
from ddpo.gallery.diversity import Diversity
from ddpo.gallery.formatting import MINUS, compact, decimals_for, duration, number, signed
from ddpo.gallery.kinds import PICTURES
from ddpo.gallery.run_folder import read_run
from ddpo.gallery.verdicts import falls, rises, verdicts
from tests.gallery import made_up


def _sampled(run: Path, iteration: int, totals: list, watched: list) -> None:
    entries = [
        made_up.sample(f"prompt {index}", total, watch={"accuracy": value})
        for index, (total, value) in enumerate(zip(totals, watched, strict=True))
    ]
    made_up.write_samples(run, iteration, entries)


def test_means_are_over_images_scored_both_times(tmp_path: Path):
    _sampled(tmp_path, 0, [1.0, 3.0, 8.0], [1.0, 1.0, 0.0])
    _sampled(tmp_path, 5, [9.0, 9.0, 9.0], [0.0, 0.0, 0.0])
    _sampled(tmp_path, 10, [2.0, 5.0, None], [1.0, 0.0, 0.0])
    reward, watch = changes(read_run(tmp_path))
    # Pairs (1, 2) and (3, 5): means 2 and 3.5, deviation of the base sqrt(2), of the differences
    # 1 and 2 sqrt(.5), over sqrt(2): 0.5.
    assert (reward.name, reward.before, reward.after, reward.count) == (
        "jpeg_compressibility",
        2.0,
        3.5,
        2,
    )
    assert reward.spread == pytest.approx(2**0.5)
    assert reward.error == pytest.approx(0.5)
    assert (watch.watched, watch.before, watch.after) == (
        True,
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )


def test_several_rewards_come_after_their_total(tmp_path: Path):
    for iteration, total in ((0, 1.0), (3, 2.0)):
        entry = made_up.sample(total=total, rewards={"a": total / 2, "b": total / 2})
        made_up.write_samples(tmp_path, iteration, [entry])
    found = changes(read_run(tmp_path))
    assert [(change.name, change.before, change.after) for change in found] == [
        ("total reward", 1.0, 2.0),
        ("a", 0.5, 1.0),
        ("b", 0.5, 1.0),
    ]


def test_without_pictures_the_first_and_last_iteration_are_compared(tmp_path: Path):
    rows = [
        {"iteration": i, "reward/mean": v, "reward/std": 0.1, "reward/a": v, "watch/w": -v}
        for i, v in ((1, 0.5), (2, 0.7), (3, 0.9))
    ]
    made_up.write_metrics(tmp_path, rows)
    found = changes(read_run(tmp_path))
    assert found == (Change("a", False, 0.5, 0.9), Change("w", True, -0.5, -0.9))


def test_a_fall_beyond_chance_under_a_rising_reward_is_called_gaming():
    found = [Change("r", False, 1.0, 2.0), Change("w", True, 0.7, 0.5, 16, error=0.05)]
    (verdict,) = falls(found)
    assert verdict.startswith("w fell from 0.700 to 0.500: the reward may be being gamed.")


def test_a_fall_within_chance_is_called_chance():
    found = [Change("r", False, 1.0, 2.0), Change("w", True, 0.7, 0.6, 16, error=0.05)]
    assert falls(found) == ("w fell from 0.700 to 0.600, which is within chance for 16 images.",)


def test_a_fall_without_a_rising_reward_is_not_called_gaming():
    (verdict,) = falls([Change("r", False, 2.0, 1.0), Change("w", True, 0.7, 0.5)])
    assert "gamed" not in verdict
    assert "the reward did not rise either" in verdict


def test_a_watch_reward_that_held_or_fell_invisibly_is_not_mentioned():
    reward = Change("r", False, 1.0, 2.0)
    assert falls([reward, Change("w", True, 0.5, 0.6)]) == ()
    assert falls([reward, Change("w", True, 0.5, 0.49999)]) == ()


def test_a_rise_beyond_chance_beside_the_reward_is_called_learning():
    reward, watch = Change("r", False, 1.0, 2.0, 16, error=0.1), Change("w", True, 0.5, 0.7, 16)
    beyond, within = replace(watch, error=0.05), replace(watch, error=0.2)
    (verdict,) = rises([reward, beyond])
    assert verdict.startswith("The reward rose, and so did w, from 0.500 to 0.700, which is only")
    assert rises([reward, within]) == rises([reward, watch]) == ()
    assert rises([replace(reward, error=1.0), beyond]) == rises([beyond]) == ()


def test_what_is_well_is_said_only_where_nothing_is_wrong():
    reward, rose = (Change(name, name == "w", 1.0, 2.0, 16, error=0.1) for name in "rw")
    fell = Change("v", True, 0.5, 0.2, 16, error=0.1)
    well = verdicts([reward, rose], None, PICTURES)
    assert (well.warnings, len(well.good)) == ((), 1)
    for wrong in (
        verdicts([reward, rose, fell], None, PICTURES),
        verdicts([reward, rose], Diversity(0.4, 0.1), PICTURES),
    ):
        assert (len(wrong.warnings), wrong.good) == (1, ())


def test_numbers_are_written_to_align():
    assert [decimals_for([v]) for v in (-1.02, 0.5, 0.02, 250.0, 1e5, 0.0)] == [3, 3, 4, 1, 0, 3]
    assert number(-1234.5, 1) == f"{MINUS}1,234.5"
    assert number(-0.0004, 3) == "0.000"
    assert number(None, 3) == "not scored"
    assert (signed(0.25, 2), signed(-0.25, 2)) == ("+0.25", f"{MINUS}0.25")
    assert (compact(5120.0), compact(-2.4e-7), compact(None)) == (
        "5,120",
        f"{MINUS}2.4e{MINUS}07",
        "",
    )
    assert [duration(s) for s in (41.0, 231.0, 7500.0)] == ["41 s", "3 min 51 s", "2 h 5 min"]
