"""chrF: values by hand, and those of sacrebleu."""

import pytest
from sacrebleu.metrics import CHRF

import rewards
from rewards import RewardError

TEXTS = ["The cat sat on the mat.", "a cat", "L'été – 猫 dort.", "猫在垫子上", "zzz"]
REFERENCES = ["The cat is on the mat.", "the cats", "L'été – 猫 mange.", "一只猫在垫子上", "abc"]


@pytest.mark.parametrize("options", [{}, {"word_order": 2}, {"char_order": 3, "beta": 1}])
def test_the_number_is_that_of_sacrebleu(options):
    metric = CHRF(**options)
    wanted = [
        metric.sentence_score(text, [reference]).score / 100
        for text, reference in zip(TEXTS, REFERENCES, strict=True)
    ]
    found = rewards.make("chrf", **options)(TEXTS, TEXTS, reference=REFERENCES)
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_value_by_hand():
    # "ab" and "abcd": precision 2/2 and 1/1, recall 2/4 and 1/3; longer n-grams are not in both.
    precision, recall = 1, (2 / 4 + 1 / 3) / 2
    value = rewards.make("chrf")(["ab"], [""], reference=["a b c d"]).item()
    assert value == pytest.approx(5 * precision * recall / (4 * precision + recall))
    even = rewards.make("chrf", beta=1)(["ab"], [""], reference=["a b c d"]).item()
    assert even == pytest.approx(2 * precision * recall / (precision + recall))
    letters = rewards.make("chrf", char_order=1, beta=1)(["ab"], [""], reference=["abcd"]).item()
    assert letters == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_words_count_in_chrf_plus_plus():
    texts, reference = ["dog bites man"], ["man bites dog"]
    assert rewards.make("chrf", char_order=1)(texts, texts, reference=reference).item() == 1
    words = rewards.make("chrf", char_order=1, word_order=2)(texts, texts, reference=reference)
    assert words.item() == pytest.approx((1 + 1 + 0) / 3)


def test_the_best_of_several_references_counts():
    make = rewards.make("chrf")
    both = make(["the cat"], [""], reference=[["zzz", "the cats"]])
    assert both.tolist() == make(["the cat"], [""], reference=["the cats"]).tolist()


@pytest.mark.parametrize("option", ["char_order", "beta"])
def test_orders_and_beta_are_at_least_one(option):
    with pytest.raises(RewardError, match=rf"'chrf': {option}=0: .*greater than or equal to 1"):
        rewards.make("chrf", **{option: 0})
