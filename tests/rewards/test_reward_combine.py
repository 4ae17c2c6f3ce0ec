import math

import numpy as np
import pytest

from rewards import RewardError, combine, reward, rule, specification

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
    assert np.isnan(scores.total).tolist() == [False, False, True]
    assert scores.parts["letters"].tolist() == [2.0, 4.0, 0.0]
    assert [(failure.reward, failure.row) for failure in scores.failures] == [("fullness", 2)]


def test_without_rewards_the_total_is_missing():
    scores = combine.from_spec({})(TEXTS, PROMPTS)
    assert np.isnan(scores.total).tolist() == [True, True, True]
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

    assert len(specification.parse(["first", "second"])) == 2  # nothing is built to check
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
        rule.Rule((rule.Role("letters"), rule.Role("letters")))


def test_one_reward_under_two_labels():
    both = combine.from_spec(
        {"letters": 1.0, "fewer": {"reward": "letters", "weight": 2.0, "minus": 3}}
    )
    scores = both(TEXTS, PROMPTS)
    assert scores.parts["fewer"].tolist() == [-1.0, 1.0, -3.0]
    assert scores.total.tolist() == [2 - 2.0, 4 + 2.0, 0 - 6.0]


def test_a_gate_is_not_summed_and_stops_what_is_below_it():
    spec = {"letters": {"gate": 2}, "fullness": {"weight": 10}}
    columns = {"size": [4, 2, 8]}
    scores = combine.from_spec(spec)(["aa", "bbbb", "c"], PROMPTS, columns)
    assert scores.parts["letters"].tolist() == [2.0, 4.0, 1.0]
    assert scores.total.tolist() == [5.0, 20.0, 1.25]  # the lowest of the batch is its own
    spec["letters"]["otherwise"] = "-7"
    scores = combine.from_spec(spec)(["aa", "bbbb", "c"], PROMPTS, columns)
    assert scores.total.tolist() == [5.0, 20.0, -7.0]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"gate": "high"}, "gate='high' is not a finite number"),
        ({"gate": 1, "weight": 2}, "a gate has no weight"),
        ({"otherwise": 1}, "otherwise=1 needs a gate"),
        ({"gate": 1}, "all of them are gates"),
    ],
)
def test_a_gate_that_says_nothing_is_refused(value, complaint):
    with pytest.raises(RewardError, match=complaint):
        combine.from_spec({"letters": value})


def test_the_order_of_gates_changes_no_total():
    gates = {"even": {"reward": "letters", "gate": 2, "otherwise": -7}, "fullness": {"gate": 1}}
    texts, columns = ["a", "aaaa", "aaa"], {"size": [1, 4, 8]}
    found = {}
    for names in (["letters", "even", "fullness"], ["fullness", "even", "letters"]):
        spec = {name: gates.get(name, 1.0) for name in names}
        found[names[0]] = combine.from_spec(spec)(texts, PROMPTS, columns).total.tolist()
    # The third is stopped by `fullness` alone, and gets the lowest total, 1, and not -7.
    assert found == {"letters": [-7.0, 4.0, 1.0], "fullness": [-7.0, 4.0, 1.0]}


def test_a_negative_weight_is_no_exponent():
    made = []

    @reward("costly", modality="text", range=(0.0, 1.0))
    class Costly:
        def __init__(self):
            made.append(1)

        def __call__(self, texts, prompts):
            return [0.5] * len(texts)

    complaint = r"'costly': weight=-0\.5 is an exponent in a product.*; give 0 or more"
    with pytest.raises(RewardError, match=complaint):
        combine.from_spec({"costly": -0.5}, "product")
    assert made == []  # told before any model is loaded
    assert combine.from_spec({"costly": -0.5})(["a"], ["p"]).total.tolist() == [-0.25]
    assert combine.from_spec({"costly": 0}, "product")(["a"], ["p"]).total.tolist() == [1.0]


@pytest.fixture
def optimised():
    @reward("share", modality="text")
    def share(texts, prompts):
        return [0.5] * len(texts)

    few, plain = {"reward": "letters", "minus": 3}, {"reward": "letters"}
    return specification.parse({"few": few, "plain": plain, "share": {"reward": "fullness"}})


@pytest.mark.parametrize(
    ("watch", "complaint"),
    [
        (["letters"], "'letters' is the optimised reward 'plain' with the same options"),
        ({"letters": {"minus": "0"}}, "'letters' is the optimised reward 'plain' with the same"),
        ({"letters": {"minus": 3}}, "'letters' is the optimised reward 'few' with the same"),
        ({"few": {"reward": "letters", "minus": 4}}, "'few' is the name of an optimised reward"),
        (["share"], "its own, such as share_watched: {reward: share, …}"),
    ],
    ids=["default", "default said", "option", "name", "name of another"],
)
def test_a_watch_reward_that_is_optimised_is_refused(watch, complaint, optimised):
    with pytest.raises(RewardError, match=complaint):
        specification.refuse_overlap(optimised, specification.parse(watch))


def test_a_reward_may_be_watched_with_other_options(optimised):
    watch = specification.parse({"letters": {"minus": 4}})
    specification.refuse_overlap(optimised, watch)


def test_rewards_are_standardised_first_within_the_batch_or_each_prompt():
    spec = {"letters": 1.0, "hundreds": {"reward": "letters", "weight": 2.0, "minus": 100}}
    texts, prompts = ["a", "aaa", "aa", "aaaaaa"], ["p", "p", "q", "q"]
    batch = combine.from_spec(spec, "normalised_sum")(texts, prompts).total
    spread = math.sqrt(((1 - 3) ** 2 + 0 + (2 - 3) ** 2 + (6 - 3) ** 2) / 4)
    assert batch.tolist() == pytest.approx([3 * (n - 3) / spread for n in (1, 3, 2, 6)])
    group = combine.from_spec(spec, "normalised_sum", "group")(texts, prompts).total
    assert group.tolist() == pytest.approx([-3, 3, -3, 3])


def test_a_product_needs_rewards_that_are_not_negative():
    @reward("share", modality="text", range=(0.0, 1.0))
    def share(texts, prompts):
        return [len(text) / 4 for text in texts]

    with pytest.raises(RewardError, match="'letters' can be negative"):
        combine.from_spec({"share": 1, "letters": 1}, "product")
    twice = {"share": 1, "again": {"reward": "share", "weight": 2}}
    scores = combine.from_spec(twice, "product")(TEXTS, PROMPTS)
    assert scores.total.tolist() == [0.5**3, 1.0, 0.0]
