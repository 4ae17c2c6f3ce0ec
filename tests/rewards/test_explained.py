"""What a reward tells of samples beside their numbers: kept on the way, checked, and bounded."""

import json
import math

import pytest
import torch

import rewards
from rewards import Explained, RewardError, reward
from rewards.cache import Cache
from rewards.cached import Cached, fingerprint
from rewards.combine import from_spec
from rewards.explained import MOST_BYTES
from rewards.pool import Pooled
from rewards.remote import wire
from rewards.remote.batcher import _part
from rewards.scoring import Failure, Scored
from rewards.testing import examine
from rewards.timed import Timed
from tests.support.reward_server import remote, serving

TELLING = """
    from rewards import Explained, reward

    @reward("telling", modality="text", cpu_bound=True)
    def telling(texts, prompts):
        told = {row: {"read": text} for row, text in enumerate(texts) if text}
        missing = {row: "empty" for row, text in enumerate(texts) if not text}
        return Explained([len(t) or float("nan") for t in texts], missing, told)

    @reward("telling_group", modality="text", group=True)
    def telling_group(texts, prompts):
        return Explained([float(len(texts))] * len(texts), details={0: "together"})
"""
TEXTS = ["a", "", "ccc", "dd", "e"]
TOLD = {0: {"read": "a"}, 2: {"read": "ccc"}, 3: {"read": "dd"}, 4: {"read": "e"}}


@pytest.fixture
def telling(install):
    """A reward that tells what it read of each text that is not empty."""
    install("telling_module", TELLING, {})
    return rewards.make("telling_module:telling")


def test_details_have_the_rows_of_the_batch(telling):
    scored = telling.score(TEXTS, TEXTS)
    assert scored.details == TOLD
    assert [(failure.row, failure.reason) for failure in scored.failures] == [(1, "empty")]
    assert rewards.make("length", target=3).score(TEXTS, TEXTS).details == {}


def test_rows_that_are_left_out_or_scored_in_parts_keep_their_numbers():
    @reward("dark", modality="image")
    def dark(images, prompts):
        if len(images) > 1:
            raise MemoryError
        return Explained(images.mean(dim=(1, 2, 3)), details={0: prompts[0]})

    images = torch.zeros(4, 3, 2, 2)
    images[1] = math.nan
    scored = rewards.make("dark").score(images, ["p", "q", "r", "s"])
    assert scored.details == {0: "p", 2: "r", 3: "s"}


def test_a_limit_of_time_and_a_pool_pass_details_on(telling):
    assert Timed(telling, 30.0).score(TEXTS, TEXTS).details == TOLD
    pool = Pooled(telling, 2)
    assert pool.score(TEXTS, TEXTS).details == TOLD
    pool.close()


def test_a_number_that_the_cache_knows_has_no_details(telling, tmp_path):
    kept = Cached(telling, Cache(tmp_path / "numbers"), fingerprint(telling))
    assert kept.score(TEXTS[2:4], TEXTS[2:4]).details == {0: TOLD[2], 1: TOLD[3]}
    scored = kept.score(TEXTS, TEXTS)
    assert scored.details == {0: TOLD[0], 4: TOLD[4]}
    assert scored.values[[0, 2, 3, 4]].tolist() == [1.0, 3.0, 2.0, 1.0]


def test_a_combination_has_details_by_label(telling):
    spec = {"telling_module:telling": 1.0, "length": {"weight": 1.0, "target": 3}}
    assert from_spec(spec)(TEXTS, TEXTS).details == {"telling": TOLD}
    together = from_spec({"telling_module:telling_group": 1.0})
    assert together(TEXTS, TEXTS).details == {"telling_group": {0: "together"}}


def test_a_server_passes_details_on(telling):
    with serving(telling) as url:
        far = remote(url, "telling", batch_size=2)
        assert far.score(TEXTS, TEXTS).details == TOLD


def test_an_answer_has_details_only_where_there_are_any():
    values = torch.tensor([1.0, 2.0])
    plain = json.loads(wire.encode_answer(Scored(values, ())))
    assert plain == {"rewards": [1.0, 2.0], "failures": {}}
    told = wire.decode_answer(wire.encode_answer(Scored(values, (), {1: ["é", None]})), 2)
    assert told.details == {1: ["é", None]}
    assert wire.decode_answer(b'{"rewards": [1.0, 2.0]}', 2).details == {}  # of an older server


def test_each_request_of_a_merged_batch_gets_its_own_details():
    scored = Scored(torch.arange(4.0), (Failure("r", 1, "p", "why"),), {0: "a", 2: "c", 3: "d"})
    assert _part(scored, 2, 2).details == {0: "c", 1: "d"}


TOO_LONG = "x" * (MOST_BYTES - 1)


@pytest.mark.parametrize(
    ("details", "complaint"),
    [
        ({2: "x"}, "a detail for row 2, which is none of its 2"),
        ({-1: "x"}, "a detail for row -1, which is none of its 2"),
        ({0: {1, 2}}, r"a detail for row 0 that is not JSON: \{1, 2\}"),
        ({0: [math.nan]}, r"a detail for row 0 that is not JSON: \[nan\]"),
        ({0: "\ud800"}, "a detail for row 0 that is not JSON: "),
        ({0: TOO_LONG}, "a detail for row 0 that has 100,001 bytes as JSON, more than 100,000: "),
        ({0: "é" * (MOST_BYTES // 2)}, "a detail for row 0 that has 100,002 bytes"),
    ],
)
def test_malformed_details_are_an_error_of_the_reward(details, complaint):
    reward("odd", modality="text")(lambda texts, prompts: Explained([1.0, 2.0], {}, details))
    with pytest.raises(RewardError, match=f"^reward 'odd' .first prompt 'p'. returned {complaint}"):
        rewards.make("odd").score(["a", "b"], ["p", "q"])


def test_the_largest_detail_is_taken():
    largest = {0: TOO_LONG[1:]}
    reward("large", modality="text")(lambda texts, prompts: Explained([1.0], details=largest))
    assert rewards.make("large").score(["a"], ["p"]).details == largest


def test_the_conformance_test_takes_what_is_well_formed():
    reward("fine", modality="text")(
        lambda texts, prompts: Explained([1.0] * len(texts), details=dict(enumerate(texts)))
    )
    assert {one.property: one.status for one in examine("fine")}["explained"] == "ok"
