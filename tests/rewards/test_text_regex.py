import time

import pytest

import rewards
from rewards import RewardError
from rewards.combine import parse

ENDLESS = "a" * 60 + "b"


def score(text, pattern, **options):
    return rewards.make("regex", pattern=pattern, **options)([text], ["p"]).item()


@pytest.mark.parametrize(
    ("text", "pattern", "options", "wanted"),
    [
        ("It is 42.", r"\d+", {}, 1),
        ("It is 42.", r"\d+", {"mode": "fullmatch"}, 0),
        ("42", r"\d+", {"mode": "fullmatch"}, 1),
        ("42\n", r"\d+", {"mode": "fullmatch"}, 0),
        ("PARIS", "paris", {}, 0),
        ("PARIS", "paris", {"ignore_case": True}, 1),
        ("a\nb", "a.b", {}, 0),
        ("a\nb", "(?s)a.b", {}, 1),
        ("a\nb", "(?m)^b$", {}, 1),
        ("l'été 猫", r"^l'\w+ \w$", {}, 1),
        ("", "", {"mode": "fullmatch"}, 1),
        ("", ".", {}, 0),
    ],
)
def test_a_text_matches_or_not(text, pattern, options, wanted):
    assert score(text, pattern, **options) == wanted


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{2,1}", "(?P<n"])
def test_a_pattern_that_is_none_is_refused_before_anything_is_scored(pattern):
    with pytest.raises(RewardError) as caught:
        rewards.make("regex", pattern=pattern)
    assert f"'regex': pattern={pattern!r}: " in str(caught.value)
    assert "not a regular expression: " in str(caught.value)
    with pytest.raises(RewardError, match="not a regular expression"):
        parse({"regex": {"pattern": pattern}})


def test_a_match_without_end_is_stopped_and_is_no_zero():
    start = time.perf_counter()
    made = rewards.make("regex", pattern="(a|aa)+$", timeout=0.1)
    scored = made.score(["baaa", ENDLESS, "b"], ["p", "q", "r"], {})
    assert scored.values.tolist() == pytest.approx([1, float("nan"), 0], nan_ok=True)
    assert [(f.row, f.reason) for f in scored.failures] == [(1, "TimeoutError: regex timed out")]
    assert time.perf_counter() - start < 5


def test_a_pattern_and_a_time_above_zero_are_required():
    with pytest.raises(RewardError, match=r"option 'pattern' is required; timeout=0: "):
        rewards.make("regex", timeout=0)
