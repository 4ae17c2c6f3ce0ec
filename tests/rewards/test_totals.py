import itertools

import numpy as np
import pytest

from rewards import totals

PARTS = np.array([[1.0, 2.0, 3.0, np.nan], [10.0, 10.0, 40.0, 0.0]])
WEIGHTS = np.array([2.0, 0.1])


def test_the_weighted_sum_by_hand():
    assert totals.weighted_sum(PARTS, WEIGHTS)[:3].tolist() == [3.0, 5.0, 10.0]
    assert np.isnan(totals.weighted_sum(PARTS, WEIGHTS)[3])


def test_normalising_takes_mean_and_population_spread_of_what_could_be_scored():
    total = totals.normalised_sum(PARTS, WEIGHTS)
    first = np.array([-1.0, 0.0, 1.0]) / np.sqrt(2 / 3)
    second = (np.array([10.0, 10.0, 40.0]) - 15.0) / 15.0
    assert total[:3].tolist() == pytest.approx((2 * first + 0.1 * second).tolist())
    assert np.isnan(total[3])


def test_scale_and_offset_of_a_reward_do_not_decide():
    scaled = PARTS * np.array([[1000.0], [0.001]]) + np.array([[5.0], [-7.0]])
    one, other = (totals.normalised_sum(parts, WEIGHTS)[:3] for parts in (PARTS, scaled))
    assert one.tolist() == pytest.approx(other.tolist())


def test_a_reward_without_spread_contributes_nothing():
    flat = np.array([[0.1, 0.1, 0.1], [0.0, 1.0, 2.0]])
    total = totals.normalised_sum(flat, np.array([100.0, 1.0]))
    assert total.tolist() == pytest.approx([-np.sqrt(1.5), 0.0, np.sqrt(1.5)])


def test_groups_are_standardised_apart_wherever_their_samples_stand():
    parts = np.array([[0.0, 100.0, 4.0, 300.0]])
    total = totals.normalised_sum(parts, np.ones(1), ["a", "b", "a", "b"])
    assert total.tolist() == [-1.0, -1.0, 1.0, 1.0]


def test_the_product_by_hand_and_never_of_a_negative_number():
    parts = np.array([[2.0, 0.0, -1.0], [4.0, 9.0, 1.0]])
    total = totals.weighted_product(parts, np.array([1.0, 0.5]))
    assert total[:2].tolist() == [4.0, 0.0]
    assert np.isnan(total[2])


def test_a_gate_by_hand():
    total, part = np.array([5.0, 2.0, 3.0, np.nan, 1.0]), np.array([0.9, 0.5, 0.4, 0.9, np.nan])
    threshold = np.array([0.5])
    held = totals.gated(total, part[None], threshold, [None])
    assert held[:3].tolist() == [5.0, 2.0, 1.0]
    assert np.isnan(held[3:]).all()
    assert totals.gated(total, part[None], threshold, [-9.0])[:3].tolist() == [5.0, 2.0, -9.0]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_several_gates_in_any_order_by_hand(order):
    """The lowest total is that before any gate: 1, and not what another gate put there."""
    total = np.array([5.0, 1.0, 3.0, 4.0, 2.0])
    parts = np.array([[0.0, 1, 1, 0, 1], [1.0, 1, 0, 0, 1], [1.0, 1, 1, 1, np.nan]])
    otherwise = [-7.0, None, 100.0]
    rows = list(order)
    held = totals.gated(total, parts[rows], np.full(3, 0.5), [otherwise[row] for row in rows])
    assert held[:4].tolist() == [-7.0, 1.0, 1.0, -7.0]
    assert np.isnan(held[4])


def test_a_reward_exactly_at_the_threshold_of_its_gate_passes():
    part = np.array([0.9, 0.8, 1.0], np.float32).astype(np.float64)
    held = totals.gated(np.array([1.0, 2.0, 3.0]), part[None], np.array([0.9]), [-1.0])
    assert held.tolist() == [1.0, -1.0, 3.0]


def test_a_missing_factor_is_missing_whatever_its_weight():
    parts = np.array([[1.0, 2.0, 3.0], [np.nan, -1.0, 1.0]])
    total = totals.weighted_product(parts, np.array([1.0, 0.0]))
    assert np.isnan(total).tolist() == [True, True, False]
