"""A server in a process of its own under load, and killed and started again while it is asked."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
import torch

import rewards
from rewards.remote import wire
from rewards.web import circuit
from tests.support.reward_server import ServerProcess, pixels_of

REQUESTS, IMAGES = 200, 50


@pytest.fixture(scope="module")
def server():
    with ServerProcess("tests.support.reward_server:encoded_number") as server:
        yield server


def remote(server, **options):
    return rewards.make("remote", url=server.url, name="encoded_number", **options)


def test_200_clients_at_once_each_get_their_own_10_000_numbers(server):
    process = psutil.Process(server.process.pid)
    bodies = [_body(request) for request in range(REQUESTS)]

    def ask(request):
        body, kind = bodies[request]
        url = f"{server.url}/rewards/encoded_number"
        return requests.post(url, data=body, headers={"Content-Type": kind}, timeout=60).json()

    memory = []
    with ThreadPoolExecutor(REQUESTS) as executor:
        for _ in range(2):
            answers = list(executor.map(ask, range(REQUESTS)))
            memory.append(process.memory_info().rss / 2**20)
            numbers = [number for answer in answers for number in answer["rewards"]]
            assert numbers == list(range(REQUESTS * IMAGES))
    counts = requests.get(f"{server.url}/health", timeout=10).json()["rewards"]["encoded_number"]
    assert counts["samples"] == 2 * REQUESTS * IMAGES
    assert (counts["waiting"], counts["failed"]) == (0, 0)
    print(f"memory after each half: {memory} MiB; {counts['batches']} batches")
    assert memory[1] - memory[0] < 20


def test_a_server_that_is_killed_and_restarted_is_waited_for(server, monkeypatch):
    monkeypatch.setattr(circuit.Circuit.__init__, "__defaults__", (0.5,))
    count = 150
    images = torch.stack([pixels_of(number) for number in range(count)])
    far, numbers = remote(server, batch_size=1), []
    scoring = threading.Thread(target=lambda: numbers.append(far(images, ["p"] * count)))
    scoring.start()
    server.kill()
    assert scoring.is_alive(), "the batch was scored before the server was killed"
    server.start()
    scoring.join(60)
    assert numbers[0].tolist() == list(range(count))


def _body(request):
    first = request * IMAGES
    images = torch.stack([pixels_of(number) for number in range(first, first + IMAGES)])
    return wire.encode_request(images, ["p"] * IMAGES, {}, "npy")
