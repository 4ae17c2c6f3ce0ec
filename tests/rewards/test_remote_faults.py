"""The reward `remote` against real servers that refuse, hang, die and come back."""

import http.server
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest
import torch

import rewards
from rewards import RewardError
from rewards.remote import client, servers
from rewards.web import circuit
from tests.support.reward_server import free_port, pixels_of, remote, serving

IMAGES = torch.rand(5, 3, 9, 7)
PROMPTS = ["one", "two", "three", "four", "five"]


@pytest.fixture
def quick(monkeypatch):
    """Cool-downs and waits that a test can wait for."""
    monkeypatch.setattr(circuit.Circuit.__init__, "__defaults__", (0.2,))
    monkeypatch.setattr(client, "MAKING_SECONDS", 0.5)


def test_a_server_that_is_down_is_told_soon_when_the_reward_is_made(quick):
    url, start = f"http://127.0.0.1:{free_port()}", time.monotonic()
    with pytest.raises(RewardError, match=rf"{url}: no connection: .*refused; waited 0.5 s for it"):
        remote(url, "encoded_number")
    assert time.monotonic() - start < 3


def test_patience_ends_with_one_line(quick):
    with serving(rewards.make("encoded_number")) as url:
        far = remote(url, "encoded_number", patience=0.5)
    start = time.monotonic()
    scored = far.score(torch.stack([pixels_of(1)] * 8), ["p"] * 8)
    assert time.monotonic() - start < 4  # and not once more for each row
    assert scored.values.isnan().all()
    assert f"{url}: no connection" in scored.failures[7].reason
    assert "waited 0.5 s for it: start the server" in scored.failures[0].reason


class Hanging(http.server.BaseHTTPRequestHandler):
    """Takes a request and sends one byte of its answer every tenth of a second."""

    def do_POST(self):
        self.server.asked += 1
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b" " * 90:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@contextmanager
def listening(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.asked = 0
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()


def redirected(far, *urls):
    """The same reward, asking other servers from now on."""
    made = far.function
    made.urls = urls
    made._servers = servers.Servers(urls, made.timeout, made.retries)
    return far


def test_a_server_that_hangs_is_given_up_in_time(jpeg_url):
    far = remote(jpeg_url, "jpeg_compressibility", timeout=0.4, retries=1, patience=9, batch_size=1)
    with listening(Hanging) as (url, server):
        start = time.monotonic()
        scored = redirected(far, url).score(IMAGES[:2], PROMPTS[:2])
        assert 0.8 <= time.monotonic() - start < 3  # and not until patience ends
        assert server.asked <= 4
    line = f"{url}: no whole answer within 0.4 s, 2 times: the server hangs"
    assert scored.values.isnan().all()
    assert all(line in failure.reason for failure in scored.failures)
    assert "raise 'timeout' or lower 'batch_size'" in scored.failures[0].reason


def test_others_take_over_from_one_that_hangs(jpeg_url):
    far = remote(jpeg_url, "jpeg_compressibility", timeout=0.5, batch_size=1)
    local = rewards.make("jpeg_compressibility")
    with listening(Hanging) as (url, server):
        values = redirected(far, url, jpeg_url)(IMAGES, PROMPTS)
        assert server.asked >= 1
    assert torch.equal(values, local(IMAGES, PROMPTS))


def test_busy_is_waited_for_as_long_as_the_server_says(jpeg_url):
    class Busy(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.times.append(time.monotonic())
            self.rfile.read(int(self.headers["Content-Length"]))
            if len(self.server.times) <= 4:  # more than open a circuit
                self.send_response(429)
                self.send_header("Retry-After", "0" if len(self.server.times) > 1 else "1")
                body = b'{"error": "busy"}'
            else:
                self.send_response(200)
                body = b'{"rewards": [0.25]}'
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    far = remote(jpeg_url, "jpeg_compressibility")
    with listening(Busy) as (url, server):
        server.times = []
        assert redirected(far, url)(IMAGES[:1], ["p"]).tolist() == [0.25]
    waits = [after - before for before, after in pairwise(server.times)]
    assert waits[0] >= 1.0
    assert max(waits[1:]) < 4.0
