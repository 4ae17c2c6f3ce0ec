"""Merging the requests of many clients, and giving each its own rows back."""

import threading

import pytest
import torch

import rewards
from rewards import RewardError, reward
from rewards.remote.batcher import Batcher, Full

EMPTY = {}


class Gate:
    """A reward that notes its batches, and waits at the first until it is let go."""

    def __init__(self):
        self.sizes = []
        self.open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, samples, prompts):
        self.sizes.append(len(samples))
        self.reached.set()
        assert self.open.wait(10)
        return self.score(samples)

    def score(self, samples):
        if isinstance(samples, torch.Tensor):
            return samples.mean(dim=(1, 2, 3))
        if "bad" in samples:
            raise ValueError("cannot read this")
        return [float(len(text)) for text in samples] if "crooked" not in samples else [0.0]


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def batcher(gate):
    reward("gate", modality="any")(lambda samples, prompts: None)
    made = rewards.make("gate")
    made.function = gate
    batcher = Batcher(made, max_batch=4, max_waiting=6, device="cpu")
    batcher.start()
    yield batcher
    gate.open.set()
    batcher.stop()


def submit(batcher, samples):
    return batcher.submit(batcher.reward.checked(samples, ["p"] * len(samples), EMPTY))


def held(batcher, gate):
    """A request that keeps the worker busy."""
    first = submit(batcher, ["first"])
    assert gate.reached.wait(5)
    return first


def test_waiting_requests_of_one_kind_are_merged_up_to_the_limit(batcher, gate):
    held(batcher, gate)
    small, large = torch.full((2, 3, 2, 2), 0.25), torch.full((1, 3, 4, 4), 0.5)
    futures = [submit(batcher, part) for part in (small, ["aa"], small, large, small, ["b"] * 3)]
    gate.open.set()
    values = [future.result(5).values.tolist() for future in futures]
    assert values == [[0.25] * 2, [2.0], [0.25] * 2, [0.5], [0.25] * 2, [1.0] * 3]
    # The first small pair takes the second one along, not the third; then come the texts.
    assert gate.sizes == [1, 4, 4, 1, 2]


def test_a_request_larger_than_a_batch_comes_alone(batcher, gate):
    held(batcher, gate)
    future = submit(batcher, ["a"] * 9)
    gate.open.set()
    assert future.result(5).values.tolist() == [1.0] * 9
    assert gate.sizes == [1, 9]


def test_a_failure_stays_with_its_own_request_and_row(batcher, gate):
    held(batcher, gate)
    fine, broken = submit(batcher, ["aa"]), submit(batcher, ["a", "bad"])
    gate.open.set()
    assert fine.result(5).failures == ()
    (failure,) = broken.result(5).failures
    assert (failure.row, failure.reason) == (1, "ValueError: cannot read this")


def test_a_result_of_the_wrong_shape_fails_its_own_request_only(batcher, gate):
    held(batcher, gate)
    fine, crooked = submit(batcher, ["aa", "b"]), submit(batcher, ["crooked", "b"])
    gate.open.set()
    assert fine.result(5).values.tolist() == [2.0, 1.0]
    with pytest.raises(RewardError, match=r"shape \[1\] for 2 samples"):
        crooked.result(5)
    assert submit(batcher, ["again"]).result(5).values.tolist() == [5.0]


def test_the_queue_has_an_end_and_what_is_cancelled_makes_room(batcher, gate):
    held(batcher, gate)
    futures = [submit(batcher, [text]) for text in "abcdef"]
    with pytest.raises(Full):
        submit(batcher, ["g"])
    futures[0].cancel()
    last = submit(batcher, ["gg"])
    gate.open.set()
    assert last.result(5).values.tolist() == [2.0]
    assert gate.sizes == [1, 4, 2]


def test_what_waits_when_it_stops_is_cancelled(batcher, gate):
    first = held(batcher, gate)
    waiting = submit(batcher, ["a"])
    batcher.stop()
    assert waiting.cancelled()
    gate.open.set()
    assert first.result(5).values.tolist() == [5.0]
    with pytest.raises(Full):
        submit(batcher, ["late"])
