"""Load a server of rewards with many clients at once, and say how it held.

    python -m benchmarks.reward_server --clients 200 --images 50 --rounds 2

It starts a server in a process of its own with a reward that
reads a number out of the pixels, so that an answer which is lost or mixed up shows. It prints
requests and images a second, the slowest request, and the server's memory after each round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil
import torch

import rewards
from rewards import reward
from rewards.remote import wire
from rewards.remote.serving import serve
from rewards.web.request import RequestError, request

SIDE = 8


@reward("encoded_number", modality="image")
def encoded_number(images: torch.Tensor, prompts: list[str]) -> torch.Tensor:
    """The number that the first pixel encodes, below 2^24."""
    red, green, blue = (images[:, :, 0, 0].float() * 255).round().unbind(dim=1)
    return (red * 256 + green) * 256 + blue


def main() -> None:
    """Start the server, load it, print the figures."""
    options = _options()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=_serve, args=(port, options.max_batch), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port}"
    _wait(url)
    process = psutil.Process(server.pid)
    for turn in range(options.rounds):
        figures = load(url, options.clients, options.images)
        memory = process.memory_info().rss / 2**20
        print(f"round {turn}: {figures}; server {memory:.1f} MiB", flush=True)
    server.terminate()
    server.join()


def load(url: str, clients: int, images: int) -> str:
    """All clients at once, one request each; raises when an answer is not the client's own."""
    bodies = [_body(client * images, images) for client in range(clients)]
    ask = partial(_ask, url)
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as executor:
        answers = list(executor.map(ask, bodies))
    seconds = time.perf_counter() - start
    numbers = [number for answer, _ in answers for number in answer.rewards]
    if numbers != list(range(clients * images)):
        raise RuntimeError("an answer was lost or mixed up")
    slowest = max(duration for _, duration in answers)
    rate = f"{clients / seconds:.0f} requests and {clients * images / seconds:.0f} images a second"
    return f"{rate}, slowest request {slowest:.2f} s"


def _ask(url: str, body: tuple[bytes, str, int]) -> tuple[wire.Answer, float]:
    data, kind, count = body
    start = time.perf_counter()
    headers = {"Content-Type": kind}
    path = f"{url}/rewards/encoded_number"
    answer = request("POST", path, timeout=120, body=data, headers=headers)
    return wire.decode_answer(answer, count), time.perf_counter() - start


def _body(first: int, count: int) -> tuple[bytes, str, int]:
    numbers = torch.arange(first, first + count)
    colours = torch.stack([numbers // 65536, numbers // 256 % 256, numbers % 256], dim=1) / 255
    images = colours[:, :, None, None].expand(-1, -1, SIDE, SIDE).contiguous()
    body, kind = wire.encode_request(images, [""] * count, {}, "npy")
    return body, kind, count


def _serve(port: int, max_batch: int) -> None:
    serve([rewards.make("encoded_number")], port=port, max_batch=max_batch)


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            request("GET", f"{url}/health", timeout=5)
            return
        except RequestError:
            time.sleep(0.1)
    raise RuntimeError("the server does not start")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=200, help="requests at the same time")
    parser.add_argument("--images", type=int, default=50, help="of one request")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--max-batch", type=int, default=256, help="samples of a merged batch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
