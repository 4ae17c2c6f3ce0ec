"""A reward's numbers are kept by content, and nothing else is taken for it."""

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from rewards import RewardError, make, reward
from rewards.cache import Cache
from rewards.cached import Cached, fingerprint

TEXTS = ["one", "three", "", "été", "five", "sixsix", "7"]


PROMPTS = [f"prompt {number}" for number in range(7)]


def cached(reward_made, tmp_path, **limit):
    return Cached(reward_made, Cache(tmp_path / "numbers", **limit), fingerprint(reward_made))


def test_what_was_scored_is_not_scored_again(counting, tmp_path):
    kept = cached(make("counting_module:counting"), tmp_path)
    columns = {"reference": ["x"] * 7}
    first = kept.score(TEXTS, PROMPTS, columns)
    assert first.values.tolist() == [len(text) + 1 for text in TEXTS]
    assert kept.score(TEXTS, PROMPTS, columns).values.tolist() == first.values.tolist()
    assert counting.calls == [7]
    longer = [*TEXTS, "new"]
    again = kept.score(longer[::-1], [*PROMPTS, "p"][::-1], {"reference": ["x"] * 8})
    assert again.values.tolist() == [4, *first.values.tolist()[::-1]]
    assert counting.calls == [7, 1]
    other = cached(make("counting_module:counting"), tmp_path)  # as in another process
    other.score(TEXTS, PROMPTS, columns)
    assert counting.calls == [7, 1]


@pytest.mark.parametrize("change", ["text", "prompt", "column", "option", "source"])
def test_another_content_is_another_number(change, counting, tmp_path):
    kept = cached(make("counting_module:counting"), tmp_path)
    kept.score(["a"], ["p"], {"reference": ["x"]})
    if change == "source":
        with open(counting.__file__, "a") as file:
            file.write("# a comment\n")
    options = {"plus": 1} if change == "option" else {}
    kept = cached(make("counting_module:counting", **options), tmp_path)
    text = "b" if change == "text" else "a"
    prompt = "q" if change == "prompt" else "p"
    kept.score([text], [prompt], {"reference": ["y" if change == "column" else "x"]})
    assert counting.calls == [1, 1]


def test_files_that_options_name_are_part_of_the_key(tmp_path):
    @reward("with_file", modality="text")
    def with_file(texts, prompts, *, file: str):
        return [0.0] * len(texts)

    path = tmp_path / "weights"
    path.write_text("one")
    before = fingerprint(make("with_file", file=str(path)))
    assert fingerprint(make("with_file", file=str(path))) == before
    path.write_text("three")
    assert fingerprint(make("with_file", file=str(path))) != before


def test_images_are_known_by_their_pixels(images, prompts, tmp_path):
    kept = cached(make("jpeg_compressibility"), tmp_path)
    first = kept.score(images, prompts).values
    assert kept.score(images.clone(), prompts).values.tolist() == first.tolist()
    assert len(kept.cache) == len(images)
    changed = images.clone()
    changed[0, 0, 0, 0] += 1e-3
    kept.score(changed, prompts)
    kept.score(images[:, :, :8], prompts)
    assert len(kept.cache) == 2 * len(images) + 1


def test_failures_are_tried_again_and_numbered_as_in_the_batch(tmp_path):
    @reward("shy", modality="text")
    def shy(texts, prompts):
        return [float("nan") if text == "no" else 1.0 for text in texts]

    kept = cached(make("shy"), tmp_path)
    kept.score(["yes"], ["p"])
    for _ in range(2):
        scored = kept.score(["yes", "maybe", "no"], ["p"] * 3)
        assert [failure.row for failure in scored.failures] == [2]
        assert np.isnan(scored.values).tolist() == [False, False, True]


def test_malformed_input_is_answered_as_without_a_cache(counting, tmp_path):
    kept = cached(make("counting_module:counting"), tmp_path)
    with pytest.raises(RewardError, match="needs the column 'reference'"):
        kept.score(["a"], ["p"])
    with pytest.raises(RewardError, match="2 samples and 1 prompts"):
        kept.score(["a", "b"], ["p"], {"reference": ["x", "y"]})


def test_a_column_that_is_no_json_is_refused_and_not_taken_for_another(tmp_path):
    @reward("summed", modality="text", columns=("grid",))
    def summed(texts, prompts, grid):
        return [float(np.sum(one)) for one in grid]

    kept = cached(make("summed"), tmp_path)
    two = [np.zeros(5000), np.zeros(5000)]
    two[1][2500] = 1.0  # their `repr` is the same
    with pytest.raises(RewardError, match=r"column 'grid' cannot be a key of the cache: .*ndarray"):
        kept.score(["a", "a"], ["p", "p"], {"grid": two})
    scored = kept.score(["a", "a"], ["p", "p"], {"grid": [[0.0, 1.0], [1.0, 1.0]]})
    assert scored.values.tolist() == [1.0, 2.0]


def test_an_option_whose_content_cannot_be_read_is_refused():
    @reward("with_table", modality="text")
    def with_table(texts, prompts, *, table: Any):
        return [float(table[0])] * len(texts)

    with pytest.raises(RewardError, match=r"'with_table' cannot be cached: option 'table' is arr"):
        fingerprint(make("with_table", table=np.zeros(5000)))
    one, other = (fingerprint(make("with_table", table=[n])) for n in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    "definition",
    ["def typed(texts, prompts): ...", "class typed:\n    def __call__(self, texts, prompts): ..."],
    ids=["function", "class"],
)
def test_a_reward_that_is_in_no_file_cannot_be_cached(definition):
    """As in a notebook: nothing could tell whether it changed."""
    code = (
        "import rewards\nfrom rewards.cached import fingerprint\n"
        f"@rewards.reward('typed', modality='text')\n{definition}\n"
        "try: fingerprint(rewards.make('typed'))\n"
        "except rewards.RewardError as error: print(error)"
    )
    run = subprocess.run([sys.executable], input=code, capture_output=True, text=True, check=True)
    assert run.stdout == (
        "reward 'typed' cannot be cached: no file defines __main__:typed, so that a change of it "
        "would not be seen; put it into a file, or set scoring.cache to null\n"
    )


def test_a_cache_keeps_its_limit_and_forgets_what_was_used_longest_ago(tmp_path):
    cache = Cache(tmp_path / "numbers", limit=1 << 17)
    keys = [number.to_bytes(32, "big") for number in range(4000)]
    for start in range(0, 4000, 500):
        cache.put(dict.fromkeys(keys[start : start + 500], 0.5))
        cache.get(keys[:10])
    assert (tmp_path / "numbers").stat().st_size <= 1 << 17
    assert 500 < len(cache) < 4000
    assert set(keys[:10]) <= set(cache.get(keys))
    assert keys[20] not in cache.get(keys)


def test_a_cache_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a data base, but long enough to be looked at" * 100)
    with pytest.raises(RewardError, match=r"reward cache .*text failed: file is not a"):
        Cache(tmp_path / "text")
    with pytest.raises(RewardError, match="65536 or more"):
        Cache(tmp_path / "small", limit=1000)


def test_threads_share_a_cache(tmp_path):
    cache = Cache(tmp_path / "numbers")
    keys = [number.to_bytes(32, "big") for number in range(200)]
    threads = [
        threading.Thread(
            target=lambda part: cache.put(dict.fromkeys(part, 1.0)), args=(keys[at::4],)
        )
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get(keys) == dict.fromkeys(keys, 1.0)
