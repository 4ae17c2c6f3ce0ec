import random
import zlib

import pytest

import rewards
from rewards import RewardError


def score(*texts, **options):
    return rewards.make("text_compressibility", **options)(texts, texts).tolist()


def test_it_is_the_share_of_utf_8_bytes_that_zlib_saves():
    text = "Für Élise, für Élise, für Élise: 猫猫猫"
    raw = text.encode("utf-8")
    assert score(text, level=4) == pytest.approx([1 - len(zlib.compress(raw, 4)) / len(raw)])
    # One letter over and over fits into 11 bytes, from 11 to 258 of them.
    assert score("a" * 11, "a" * 22) == pytest.approx([0, 1 - 11 / 22])


def test_a_text_that_repeats_itself_scores_higher():
    letters = random.Random(0).choices("abcdefghijklmnopqrstuvwxyz ", k=600)
    repeated, varied = score("the cat sat. " * 46, "".join(letters))
    assert 0 < varied < 0.5 < 0.9 < repeated < 1


def test_nothing_scores_below_an_empty_text():
    bytes_of_one = [chr(code) for code in range(128)]
    for level in range(1, 10):
        assert set(score(*bytes_of_one, level=level)) == {-8.0}
    assert score("") == [-8.0]
    assert score("é")[0] == 1 - 10 / 2


def test_a_higher_level_saves_more():
    text = "".join(random.Random(0).choices(["cat ", "mat ", "the ", "sat "], k=2000))
    assert score(text, level=1) < score(text, level=9)


@pytest.mark.parametrize("level", [0, 10])
def test_an_impossible_level_is_refused(level):
    with pytest.raises(RewardError, match=rf"'text_compressibility': level={level}: "):
        rewards.make("text_compressibility", level=level)
