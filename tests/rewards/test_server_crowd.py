"""More requests than a server takes, and clients that leave."""

import threading
import time

import pytest
import requests

import rewards
from rewards import reward
from tests.support.reward_server import serving


def ask(url, text="a", timeout=10):
    body = {"prompts": ["p"], "texts": [text]}
    return requests.post(f"{url}/rewards/slow", json=body, timeout=timeout)


def test_too_many_large_bodies_and_waiting_requests_are_told_to_come_again():
    entered, leave = threading.Event(), threading.Event()

    def slow(texts, prompts):
        entered.set()
        assert leave.wait(10)
        return [0.0] * len(texts)

    reward("slow", modality="text")(slow)
    with serving(rewards.make("slow"), max_waiting=1, max_bytes=1000) as url:
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(2)]
        threads[0].start()
        assert entered.wait(5)
        threads[1].start()
        until(lambda: requests.get(f"{url}/health", timeout=5).json(), "waiting", 1)
        full = ask(url)
        assert (full.status_code, full.headers["Retry-After"]) == (429, "1")
        assert full.json()["error"] == "1 requests wait for reward 'slow'"
        leave.set()
        for thread in threads:
            thread.join(10)


def until(health, count, wanted):
    deadline = time.monotonic() + 5
    while next(iter(health()["rewards"].values()))[count] != wanted:
        assert time.monotonic() < deadline, health()
        time.sleep(0.02)


def test_a_client_that_leaves_is_not_scored():
    entered, leave, scored = threading.Event(), threading.Event(), []

    def slow(texts, prompts):
        scored.extend(texts)
        entered.set()
        assert leave.wait(10)
        return [0.0] * len(texts)

    reward("slow", modality="text")(slow)
    with serving(rewards.make("slow"), max_batch=1) as url:
        first = threading.Thread(target=ask, args=(url, "first"))
        first.start()
        assert entered.wait(5)
        with pytest.raises(requests.Timeout):
            ask(url, "left", timeout=0.3)
        time.sleep(0.2)
        leave.set()
        first.join(10)
        assert ask(url, "last").status_code == 200
    assert scored == ["first", "last"]
