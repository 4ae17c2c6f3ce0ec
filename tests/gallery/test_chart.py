"""Charts at coordinates worked out by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from ddpo.gallery.chart import BOTTOM, LEFT, RIGHT, TOP, Frame, Series, line_chart, spread_out
from ddpo.gallery.scale import Scale, tick_decimals, ticks, widened
from ddpo.gallery.spacing import evenly_spaced

LINE = Series("mean", ((1, 0.0), (2, 5.0), (3, 10.0)), "reward")


def test_the_drawing_area_is_the_one_the_coordinates_below_assume():
    assert (LEFT, RIGHT, TOP, BOTTOM) == (52, 388, 26, 200)


def test_points_lie_at_hand_computed_coordinates():
    # x: 52..388 for 1..3. y: 0..10 with 5 % of air is -0.5..10.5 over 200..26, 174 / 11 a unit:
    # 200 - 0.5 * 15.8182 = 192.1, the middle 113.0, 26 + 7.9 = 33.9.
    drawing = line_chart("c", "reward", [LINE])
    assert 'points="52.0,192.1 220.0,113.0 388.0,33.9"' in drawing


def test_the_band_lies_one_spread_above_and_below():
    # Edges 4..6 and 3..7: the range 3..7 widened to 2.8..7.2, 174 / 4.4 = 39.545 a unit.
    # 6 -> 200 - 3.2 * 39.545 = 73.5; 7 -> 33.9; 3 -> 192.1; 4 -> 152.5.
    line = Series("mean", ((1, 5.0), (2, 5.0)), "reward", spread=(1.0, 2.0))
    expected = "52.0,73.5 388.0,33.9 388.0,192.1 52.0,152.5"
    assert f'<polygon class="band reward" points="{expected}"/>' in line_chart("c", "r", [line])


def test_evaluations_are_separate_marks_in_the_same_frame():
    marks = Series("evaluation", ((2, 10.0),), "reward", marks=True)
    # The diamond's top stands 4.5 above the point at (220, 33.9): 33.909 - 4.5 = 29.4.
    assert 'd="M220.0 29.4l' in line_chart("c", "reward", [marks, LINE])


def test_a_single_point_is_drawn_in_the_middle():
    drawing = line_chart("c", "reward", [Series("mean", ((7, -2.0),), "reward")])
    assert 'cx="220.0" cy="113.0"' in drawing


def test_nothing_to_draw_is_empty_text():
    assert line_chart("c", "reward", [Series("mean", (), "reward")]) == ""


def test_titles_units_and_labels_are_readable_and_inert():
    drawing = line_chart("c", '<script>"x"', [LINE], unit="kB & more")
    root = ElementTree.fromstring(drawing)
    assert root.attrib["aria-labelledby"] == "c-title c-desc"
    assert root.findtext("title") == '<script>"x" (kB & more) by iteration'
    description = "mean: from 0.00 at iteration 1 to 10.00 at iteration 3."
    assert root.findtext("desc") == description
    assert not root.findall(".//script")


def test_each_iteration_has_a_readout_and_long_runs_have_few():
    texts = re.findall(r"<text[^>]*>(iteration \d[^<]*)<", line_chart("c", "reward", [LINE]))
    assert texts == [
        "iteration 1: mean 0.000",
        "iteration 2: mean 5.000",
        "iteration 3: mean 10.00",
    ]
    long = Series("mean", tuple((i, float(i)) for i in range(1000)), "reward")
    assert line_chart("c", "reward", [long]).count('class="readout"') == 200


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0.0, 10.0, False, [0, 2, 4, 6, 8, 10]),
        (-1.18, -0.64, False, [-1.1, -1.0, -0.9, -0.8, -0.7]),
        (1.0, 3.0, True, [1, 2, 3]),
        (1.0, 40.0, True, [10, 20, 30, 40]),
        (0.0, 1.2e-5, False, [0, 2e-6, 4e-6, 6e-6, 8e-6, 1e-5, 1.2e-5]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, whole: bool, expected: list[float]):
    assert ticks(low, high, whole=whole) == pytest.approx(expected, abs=1e-12)


def test_tick_labels_tell_neighbours_apart():
    assert tick_decimals([0.0, 0.05, 0.1]) == 2
    assert tick_decimals([-1.1, -1.0]) == 1
    assert tick_decimals([0.0, 200.0]) == 0


def test_a_scale_is_linear_and_a_flat_range_gets_room():
    assert Scale(0, 4, 100, 20).at(1) == 80
    assert widened(2.0, 2.0, share=0.05, alone=0.5) == (1.5, 2.5)
    assert widened(0.0, 10.0, share=0.05, alone=0.5) == (-0.5, 10.5)
    assert Frame.around([Series("m", ((1, 3.0), (2, 3.0)), "reward")]).y.at(3.0) == 113.0


def test_evenly_spaced_keeps_both_ends():
    assert evenly_spaced(range(10), 4) == [0, 3, 6, 9]
    assert evenly_spaced([1, 2], 4) == [1, 2]


def test_numbers_at_the_ends_of_lines_make_way_for_each_other():
    assert spread_out([50.0]) == [50.0]
    assert spread_out([50.0, 150.0]) == [50.0, 150.0]
    # 12 apart, in their order; from the bottom, 200, they go up, and from the top, 26, down.
    assert spread_out([55.0, 50.0, 52.0]) == [74.0, 50.0, 62.0]
    assert spread_out([198.0, 199.0]) == [188.0, 200.0]
    assert spread_out([27.0, 27.0, 20.0]) == [38.0, 50.0, 26.0]


def test_a_short_name_stands_before_the_numbers_of_its_line():
    lines = [
        Series("the first", ((1, 0.0), (2, 1.0)), "run-1", short="1"),
        Series("the second", ((1, 0.0), (2, 1.0)), "run-2", short="2"),
    ]
    root = ElementTree.fromstring(line_chart("c", "reward", lines))
    texts = ["".join(text.itertext()) for text in root.iter("text")]
    assert "iteration 2: 1: 1.000, 2: 1.000" in texts
    ends = [text for text in root.iter("text") if (text.get("class") or "").startswith("end")]
    assert [end.text for end in ends] == ["1: 1.000", "2: 1.000"]
    assert float(ends[1].get("y", 0)) - float(ends[0].get("y", 0)) == 12
    assert "the second: from" in (root.findtext("desc") or "")
