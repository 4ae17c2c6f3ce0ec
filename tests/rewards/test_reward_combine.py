import math

import pytest

from rewards import RewardError, combine, make, reward

TEXTS = ["aa", "bbbb", ""]
PROMPTS = ["p", "q", "r"]


@pytest.fixture(autouse=True)
def _two_rewards():
    @reward("letters", modality="text")
    def letters(texts, prompts, *, minus: int = 0):
        return [len(text) - minus for text in texts]

    @reward("fullness", modality="text", columns=("size",))
    def fullness(texts, prompts, size):
        return [len(t) / s if t else math.nan for t, s in zip(texts, size, strict=True)]


def test_the_total_is_the_weighted_sum_and_the_parts_are_kept():
    both = combine.from_spec({"letters": {"weight": "2.0", "minus": "1"}, "fullness": -4})
    scores = both(TEXTS[:2], PROMPTS[:2], {"size": [4, 8]})
    assert scores.parts["letters"].tolist() == [1.0, 3.0]
    assert scores.parts["fullness"].tolist() == [0.5, 0.5]
    assert scores.total.tolist() == [2 * 1 - 4 * 0.5, 2 * 3 - 4 * 0.5]
    assert (both.names, both.columns) == (["letters", "fullness"], {"size"})


def test_a_missing_part_makes_the_total_missing():
    scores = combine.from_spec(["letters", "fullness"])(TEXTS, PROMPTS, {"size": [4, 8, 8]})
    assert scores.total.isnan().tolist() == [False, False, True]
    assert scores.parts["letters"].tolist() == [2.0, 4.0, 0.0]
    assert [(failure.reward, failure.row) for failure in scores.failures] == [("fullness", 2)]


def test_without_rewards_the_total_is_missing():
    scores = combine.from_spec({})(TEXTS, PROMPTS)
    assert scores.total.isnan().tolist() == [True, True, True]
    assert scores.parts == {}


def test_all_that_is_wrong_is_reported_together():
    spec = {"leters": 1, "letters": {"weight": "much", "minis": 1}, "fullness": math.inf}
    with pytest.raises(RewardError) as caught:
        combine.from_spec(spec)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("unknown reward 'leters'; did you mean 'letters'?")
    assert lines[1] == "reward 'letters': weight='much' is not a finite number"
    assert lines[2].startswith("reward 'letters': unknown option 'minis'; did you mean 'minus'?")
    assert lines[3] == "reward 'fullness': weight=inf is not a finite number"


def test_what_cannot_be_made_is_reported_together():
    for name in ("first", "second"):

        @reward(name, modality="text")
        class Fails:
            def __init__(self):
                raise OSError("no weights")

            def __call__(self, texts, prompts):
                return []

    assert len(combine.parse(["first", "second"])) == 2  # nothing is built to check
    with pytest.raises(RewardError, match=r"'first' cannot be made.*\n.*'second' cannot be made"):
        combine.from_spec(["first", "second"])


@pytest.mark.parametrize("weight", [True, None, "", [1]])
def test_a_weight_is_a_number(weight):
    with pytest.raises(RewardError, match="is not a finite number"):
        combine.from_spec({"letters": weight})


@pytest.mark.parametrize("spec", ["letters", 3])
def test_a_specification_is_a_mapping_or_a_list(spec):
    with pytest.raises(RewardError, match="mapping of names to weights, or a list of names"):
        combine.from_spec(spec)


def test_a_reward_is_listed_once():
    with pytest.raises(RewardError, match="'letters' is listed twice"):
        combine.from_spec(["letters", "letters"])
    with pytest.raises(RewardError, match="combined with itself"):
        combine.Combination([make("letters"), make("letters")])
    with pytest.raises(RewardError, match="1 rewards have 2 weights"):
        combine.Combination([make("letters")], [1.0, 2.0])
