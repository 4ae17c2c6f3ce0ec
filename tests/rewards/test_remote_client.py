"""The reward `remote` against real servers: the numbers of the reward itself, wherever it is."""

import math
import pickle
import threading
import time

import numpy as np
import pytest
import torch

import rewards
from rewards import RewardError, reward
from rewards.testing import examine
from tests.support.reward_server import encoded_number, pixels_of, remote, serving

IMAGES = torch.rand(5, 3, 9, 7)


PROMPTS = ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_numbers_are_those_of_the_reward_itself(jpeg_url, dtype):
    local, far = rewards.make("jpeg_compressibility"), remote(jpeg_url, "jpeg_compressibility")
    images = IMAGES.to(dtype)
    # Five samples, of which the server takes three at once; not through `Reward`, which would mend
    # a batch that is refused by scoring each sample alone.
    assert torch.equal(far.function(images, PROMPTS), local(images, PROMPTS))
    assert far(images[:0], []).shape == (0,)


def test_png_rounds_to_8_bits(jpeg_url):
    local = rewards.make("jpeg_compressibility")
    far = remote(jpeg_url, "jpeg_compressibility", encoding="png")
    assert torch.equal(far(IMAGES, PROMPTS), local((IMAGES * 255).round() / 255, PROMPTS))


def test_it_takes_over_what_the_server_declares_and_can_be_pickled(jpeg_url):
    far = remote(jpeg_url, "jpeg_compressibility", batch_size=2)
    local = rewards.definition("jpeg_compressibility")
    assert far.definition.name == "remote"
    for fact in ("modality", "columns", "range", "unit", "direction", "deterministic", "group"):
        assert getattr(far.definition, fact) == getattr(local, fact)
    back = pickle.loads(pickle.dumps(far))
    assert torch.equal(back(IMAGES, PROMPTS), far(IMAGES, PROMPTS))


def test_a_cache_tells_apart_what_is_served_with_other_options(jpeg_url):
    with serving(rewards.make("jpeg_compressibility", quality=10)) as coarse_url:
        near, far = (remote(url, "jpeg_compressibility") for url in (jpeg_url, coarse_url))
        places = {near.definition.place, far.definition.place}
        assert len(places) == 2
        assert remote(jpeg_url, "jpeg_compressibility").definition.place in places


def test_it_keeps_the_contract_of_a_reward(jpeg_url):
    findings = examine(remote(jpeg_url, "jpeg_compressibility"))
    # Under pytest, the checks of types draw from `random` at every call of any reward.
    failed = [f for f in findings if f.status == "FAILED" and f.property != "random-state"]
    assert not failed


def test_columns_texts_and_missing_numbers():
    def same(texts, prompts, reference):
        if "bad" in texts:
            raise ValueError("cannot read this")
        return [float(text == other) for text, other in zip(texts, reference, strict=True)]

    reward("same", modality="text", columns=("reference",), range=(0.0, 1.0))(same)
    with serving(rewards.make("same")) as url:
        far = remote(url, "same", batch_size=2)
        columns = {"reference": ["a", "x", "b", "c"]}
        scored = far.score(["a", "c", "bad", "d"], PROMPTS[:4], columns)
    assert isinstance(scored.values, np.ndarray)
    assert scored.values[[0, 1, 3]].tolist() == [1.0, 0.0, 0.0]
    assert math.isnan(scored.values[2])  # the first of the second request
    assert list(map(str, scored.failures)) == [
        "reward 'remote', sample 2, prompt 'three': ValueError: cannot read this"
    ]


def test_a_group_is_sent_whole_and_never_merged():
    sizes = []

    def ranks(texts, prompts):
        sizes.append(len(texts))
        time.sleep(0.05)
        return np.argsort(np.argsort([len(text) for text in texts]))

    reward("ranks", modality="text", group=True)(ranks)
    with serving(rewards.make("ranks")) as url:
        far = remote(url, "ranks", batch_size=2)
        threads = [threading.Thread(target=far, args=(["aaa", "b", "cc"], PROMPTS[:3]))]
        threads += [threading.Thread(target=far, args=(["aaa", "b"], PROMPTS[:2])) for _ in "12"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert far(["aaa", "b", "cc"], PROMPTS[:3]).tolist() == [2.0, 0.0, 1.0]
    assert sorted(sizes) == [2, 2, 3, 3]


def test_a_large_batch_is_spread_over_the_pool():
    seen = {}

    def where(name):
        def count(images, prompts):
            seen.setdefault(name, []).append(len(images))
            time.sleep(0.1)
            return encoded_number(images, prompts)

        return count

    one, two = rewards.make("encoded_number"), rewards.make("encoded_number")
    one.function, two.function = where("one"), where("two")
    images = torch.stack([pixels_of(number) for number in range(1000, 1040)])
    with serving(one, max_batch=4) as first, serving(two, max_batch=4) as second:
        far = remote([first, second], "encoded_number", batch_size=4)
        assert far(images, ["p"] * 40).tolist() == list(range(1000, 1040))
    assert sum(seen["one"]) + sum(seen["two"]) == 40
    assert min(sum(sizes) for sizes in seen.values()) >= 12


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "jpg_compressibility"}, "did you mean 'jpeg_compressibility'.*status 404"),
        ({"url": "127.0.0.1:80"}, "url='127.0.0.1:80' is not of the form http://host:port"),
        ({"url": ()}, "url is empty"),
        ({"timeout": 0}, "timeout=0"),
        ({"encoding": "pickle"}, "encoding='pickle'"),
    ],
)
def test_a_mistake_is_told_when_it_is_made(jpeg_url, options, complaint):
    with pytest.raises(RewardError, match=complaint):
        rewards.make("remote", **{"url": jpeg_url, "name": "jpeg_compressibility", **options})


def test_the_token_comes_from_the_environment_and_stays_out_of_the_pickle(monkeypatch):
    monkeypatch.delenv("DDPO_REWARD_TOKEN", raising=False)
    with serving(rewards.make("encoded_number"), token="open-sesame") as url:
        with pytest.raises(RewardError, match=r"status 401.*set the variable that 'token_env'"):
            remote(url, "encoded_number")
        monkeypatch.setenv("DDPO_REWARD_TOKEN", "open-sesame")
        far = remote(url, "encoded_number")
        assert far(pixels_of(7)[None], ["p"]).tolist() == [7.0]
    assert b"open-sesame" not in pickle.dumps(far)
