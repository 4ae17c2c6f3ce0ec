"""Servers of rewards for tests: in a thread, or in a process that can be killed and started again.

python -m tests.support.reward_server PORT REWARD…
"""

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import requests
import torch
import uvicorn

import rewards
from rewards import reward
from rewards.remote.server import create_app
from rewards.remote.serving import serve

ROOT = Path(__file__).parents[2]


def pixels_of(number):
    """An 8×8 image that encodes a number below 65,536."""
    image = torch.zeros(3, 8, 8)
    image[0], image[1] = number // 256 / 255, number % 256 / 255
    return image


@reward("encoded_number", modality="image", range=(0.0, 65535.0), unit="as encoded")
def encoded_number(images, prompts):
    """The number that the pixels encode."""
    high, low = (images[:, channel, 0, 0].float() * 255 for channel in (0, 1))
    return high.round() * 256 + low.round()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(*made, token=None, **options):
    """The URL of a server in a thread of this program."""
    port = free_port()
    app = create_app(made, token=token, **options)
    with running(app, port) as url:
        yield url


def remote(url, name, **options):
    """The reward that asks such a server."""
    return rewards.make("remote", url=url, name=name, **options)


@contextmanager
def running(app, port):
    """The URL of any web application in a thread of this program."""
    config = uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


class ServerProcess:
    """A server in a process of its own, always on the same port."""

    def __init__(self, *names):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.names = names
        self.process = None

    def start(self):
        """Start it, without waiting until it is ready."""
        command = [sys.executable, "-m", "tests.support.reward_server", str(self.port), *self.names]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        return self

    def wait(self, seconds=60.0):
        """Wait until it is ready."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server has ended"
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return self
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError("the server does not start")

    def kill(self):
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self.start().wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


if __name__ == "__main__":
    # As `module:attribute`, a reward of this very file is found under its importable name.
    importlib.import_module("tests.support.reward_server")
    serve([rewards.make(name) for name in sys.argv[2:]], port=int(sys.argv[1]), device="cpu")
