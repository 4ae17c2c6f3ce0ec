"""The reward `remote` against real servers that answer, refuse, hang, die and come back."""

import http.server
import logging
import math
import pickle
import random
import socket
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import tenacity
import torch

import rewards
from rewards import RewardError, reward
from rewards.remote import client, servers
from rewards.testing import examine
from rewards.web import circuit, retrying
from rewards.web.circuit import Circuit
from rewards.web.request import TimedOut, Unreachable, request
from tests.support.reward_server import encoded_number, free_port, pixels_of, serving

IMAGES = torch.rand(5, 3, 9, 7)
PROMPTS = ["one", "two", "three", "four", "five"]


def remote(url, name, **options):
    return rewards.make("remote", url=url, name=name, **options)


@pytest.fixture
def quick(monkeypatch):
    """Cool-downs and waits that a test can wait for."""
    monkeypatch.setattr(circuit.Circuit.__init__, "__defaults__", (0.2,))
    monkeypatch.setattr(client, "MAKING_SECONDS", 0.5)


@pytest.fixture(scope="module")
def jpeg_url():
    with serving(rewards.make("jpeg_compressibility"), max_samples=3) as url:
        yield url


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


def test_the_back_off_grows_and_leaves_the_global_generator_alone():
    state = random.getstate()
    for attempt, longest in ((1, 0.2), (3, 0.8), (40, 5.0), (10_000, 5.0)):
        call = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        call.attempt_number = attempt
        waits = [retrying._wait(call) for _ in range(50)]
        assert longest / 2 < max(waits) <= longest
    assert random.getstate() == state


def test_columns_texts_and_missing_numbers(caplog):
    def same(texts, prompts, reference):
        if "bad" in texts:
            raise ValueError("cannot read this")
        return [float(text == other) for text, other in zip(texts, reference, strict=True)]

    reward("same", modality="text", columns=("reference",), range=(0.0, 1.0))(same)
    with serving(rewards.make("same")) as url, caplog.at_level(logging.WARNING):
        far = remote(url, "same", batch_size=2)
        scored = far.score(["a", "bad", "c"], PROMPTS[:3], {"reference": ["a", "b", "x"]})
    assert isinstance(scored.values, np.ndarray)
    assert scored.values[[0, 2]].tolist() == [1.0, 0.0]
    assert math.isnan(scored.values[1])
    assert [failure.row for failure in scored.failures] == [1]
    assert "reward 'same', prompt 'two': ValueError: cannot read this" in caplog.text


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


def test_the_deadline_holds_before_the_first_byte_too():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url, start = f"http://127.0.0.1:{silent.getsockname()[1]}", time.monotonic()
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            request("POST", url, timeout=0.3, body=b"x" * 10_000_000)
        assert time.monotonic() - start < 1
    with pytest.raises(Unreachable, match="no connection"):
        request("GET", url, timeout=0.3)


def test_a_circuit_opens_after_three_failures_and_probes_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(circuit.time, "monotonic", lambda: now[0])
    breaker = Circuit(cool_down=5.0)
    for _ in range(2):
        breaker.failed("down")
        assert breaker.admits()
    breaker.failed("still down")
    assert not breaker.admits()
    now[0] = 4.9
    assert not breaker.admits()
    now[0] = 5.0
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.failed("down again")
    assert not breaker.admits()
    now[0] = 10.0
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.problem == "down again"


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
