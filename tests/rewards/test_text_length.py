import pytest

import rewards
from rewards import RewardError


def score(text, **options):
    return rewards.make("length", **options)([text], ["p"]).item()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(0, 0), (1, 1 / 8), (4, 4 / 8), (8, 1), (10, 1), (12, 1), (13, 7 / 8), (20, 0), (99, 0)],
)
def test_it_is_one_within_the_tolerance_and_falls_to_zero(words, wanted):
    text = "word " * words
    assert score(text, target=10, tolerance=2) == pytest.approx(wanted)


def test_words_are_what_whitespace_separates():
    assert score("  one\ttwo,three\n\nfour ", target=3) == 1
    assert score("猫在垫子上", target=1) == 1


def test_characters_are_code_points():
    assert score("été 猫", target=5, unit="characters") == 1
    assert score("e\u0301", target=2, unit="characters") == 1
    assert score("🐈", target=2, unit="characters") == pytest.approx(1 / 2)


def test_an_empty_text_may_be_wanted():
    assert [score("", target=0), score("a", target=0)] == [1, 0]
    assert [score("", target=2, tolerance=3), score("a " * 6, target=2, tolerance=3)] == [1, 0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "option 'target' is required"),
        ({"target": -1}, "target=-1: .*greater than or equal to 0"),
        ({"target": 1, "tolerance": -1}, "tolerance=-1: "),
        ({"target": 1, "unit": "tokens"}, "unit='tokens': Input should be 'words' or 'characters'"),
    ],
)
def test_impossible_lengths_are_refused(options, complaint):
    with pytest.raises(RewardError, match=f"'length': {complaint}"):
        rewards.make("length", **options)
