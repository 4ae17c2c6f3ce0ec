import pytest

import rewards
from rewards import RewardError


def score(text, **options):
    return rewards.make("repetition", **options)([text], ["p"]).item()


@pytest.mark.parametrize(
    ("text", "n", "wanted"),
    [
        ("the cat and the dog", 1, 4 / 5),
        ("the cat and the dog", 2, 1),
        ("the cat saw the cat", 2, 3 / 4),
        ("no no no no no", 2, 1 / 4),
        ("no no no no no", 3, 1 / 3),
        ("no No no.", 1, 1),
        ("one two", 2, 1),
        ("one", 2, 1),
        ("", 2, 1),
    ],
)
def test_it_is_the_share_of_distinct_ngrams(text, n, wanted):
    assert score(text, n=n) == pytest.approx(wanted)


def test_the_default_is_pairs_of_words():
    text = "the cat saw the cat"
    assert score(text) == score(text, n=2) != score(text, n=1)


def test_characters_can_be_counted():
    assert score("猫猫猫在", n=1, unit="characters") == pytest.approx(2 / 4)
    assert score("abab", n=2, unit="characters") == pytest.approx(2 / 3)


def test_a_looping_text_scores_near_zero():
    assert score("on and on " * 200) < 0.01


def test_an_ngram_has_a_word():
    with pytest.raises(RewardError, match="'repetition': n=0: "):
        rewards.make("repetition", n=0)
