"""ROUGE: values by hand, and those of the package rouge-score."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

import rewards
from rewards import RewardError
from rewards.text.rouge import common_subsequence

KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def sentences(count, seed):
    """Texts of few distinct words, so that they have much in common, on up to three lines."""
    chosen = random.Random(seed)
    vocabulary = ["cat", "cats", "running", "runs", "Zürich", "1,5", "the", "\n"]
    return [" ".join(chosen.choices(vocabulary, k=chosen.randint(1, 25))) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_stemmer", [False, True])
def test_the_number_is_that_of_the_package(kind, use_stemmer):
    texts = sentences(30, seed=0)
    references = [f"the {text}" for text in sentences(30, seed=1)]
    scorer = RougeScorer([kind], use_stemmer=use_stemmer)
    wanted = [
        scorer.score(reference, text)[kind].fmeasure
        for reference, text in zip(references, texts, strict=True)
    ]
    found = rewards.make("rouge", kind=kind, use_stemmer=use_stemmer)(
        texts, texts, reference=references
    )
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)
    assert len({round(value, 6) for value in wanted}) > 10


def test_values_by_hand():
    text, reference = ["the cat sat here"], ["The cat, here it sat!"]
    # Words: 4 of 4 and 4 of 5. Pairs: 1 of 3 and 1 of 4. In order: "the cat sat", 3 of 4 and of 5.
    wanted = {"rouge1": 2 * 4 / 9, "rouge2": 2 * 1 / 7, "rougeL": 2 * 3 / 9}
    for kind, value in wanted.items():
        found = rewards.make("rouge", kind=kind)(text, [""], reference=reference)
        assert found.item() == pytest.approx(value)
    # A line at a time, "here sat" adds the word that the one line in order had to skip.
    lines = rewards.make("rouge", kind="rougeLsum")(
        ["the cat sat\nhere"], [""], reference=["the cat here sat"]
    )
    assert lines.item() == pytest.approx(1)


def test_stems_of_long_words_are_equal():
    texts, reference = ["runs jumping"], ["running jumped"]
    assert rewards.make("rouge")(texts, texts, reference=reference).item() == 0
    stems = rewards.make("rouge", use_stemmer=True)(texts, texts, reference=reference)
    assert stems.item() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_of_several_references_counts(kind):
    made = rewards.make("rouge", kind=kind)
    both = made(["a b c"], [""], reference=[["x y", "a b d"]]).tolist()
    assert both == made(["a b c"], [""], reference=["a b d"]).tolist() != [0]


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ("", "", 0),
        ("abc", "", 0),
        ("", "abc", 0),
        ("abc", "abc", 3),
        ("abc", "cba", 1),
        ("abcbdab", "bdcaba", 4),
        ("x" * 200, "x" * 130, 130),
        ("ab" * 100, "b" * 300, 100),
    ],
)
def test_the_longest_common_subsequence(first, second, common):
    assert common_subsequence(first, second) == common


def test_a_reference_that_rouge_cannot_see_is_not_a_zero():
    scored = rewards.make("rouge").score(["猫", "cat"], ["p", "q"], {"reference": ["猫", "cat"]})
    assert scored.values.tolist() == pytest.approx([float("nan"), 1], nan_ok=True)
    assert "'猫', which has no letter a to z" in scored.failures[0].reason
    assert [failure.row for failure in scored.failures] == [0]


def test_an_unknown_kind_is_refused():
    with pytest.raises(RewardError, match="kind='rouge3': Input should be 'rouge1', 'rouge2'"):
        rewards.make("rouge", kind="rouge3")
