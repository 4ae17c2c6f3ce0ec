import pickle

import pytest
import torch

from rewards.prompt_cache import PromptCache

CPU = torch.device("cpu")


class Embed:
    """Length and number of spaces of each prompt; keeps the batches it was asked for."""

    def __init__(self):
        self.batches = []

    def __call__(self, prompts):
        self.batches.append(prompts)
        return torch.tensor([[len(p), p.count(" ")] for p in prompts], dtype=torch.float16)


@pytest.fixture
def embed():
    return Embed()


def test_each_prompt_is_embedded_once_in_batches(embed):
    cache = PromptCache(batch_size=2)
    found = cache(["a b", "c", "a b", "dd"], embed, CPU)
    assert found.tolist() == [[3, 1], [1, 0], [3, 1], [2, 0]]
    assert found.dtype == torch.float32
    assert embed.batches == [["a b", "c"], ["dd"]]
    assert cache(["dd", "eee"], embed, CPU).tolist() == [[2, 0], [3, 0]]
    assert embed.batches[2:] == [["eee"]]


def test_it_starts_anew_when_full_and_still_answers(embed):
    cache = PromptCache(batch_size=8, capacity=2)
    cache(["a", "b"], embed, CPU)
    assert cache(["a", "cc"], embed, CPU).tolist() == [[1, 0], [2, 0]]
    cache(["a"], embed, CPU)
    assert embed.batches == [["a", "b"], ["cc"], ["a"]]
    assert len(cache(["w", "x", "y", "z"], embed, CPU)) == 4


def test_a_batch_is_pickled_once_and_not_with_each_of_its_rows():
    cache = PromptCache(batch_size=100)
    prompts = [str(i) for i in range(100)]
    cache(prompts, lambda batch: torch.zeros(len(batch), 1000), CPU)
    numbers = 100 * 1000 * 4  # bytes
    assert numbers < len(pickle.dumps(cache)) < 2 * numbers


def test_what_is_kept_outlives_its_device(embed):
    """The meta device holds no numbers, so none can come back from it."""
    cache = PromptCache(batch_size=8)
    assert cache(["a b"], embed, torch.device("meta")).is_meta
    assert cache(["a b"], embed, CPU).tolist() == [[3, 1]]
    assert embed.batches == [["a b"]]


def test_no_graph_is_kept():
    weight = torch.ones(2, requires_grad=True)
    cache = PromptCache(batch_size=8)
    assert not cache(["a"], lambda prompts: weight.expand(len(prompts), 2), CPU).requires_grad
