"""Requests with a deadline, and when to ask again."""

import random
import socket
import time

import pytest
import tenacity

from rewards.web import circuit, retrying
from rewards.web.circuit import Circuit
from rewards.web.request import TimedOut, Unreachable, request


def test_the_back_off_grows_and_leaves_the_global_generator_alone():
    state = random.getstate()
    for attempt, longest in ((1, 0.2), (3, 0.8), (40, 5.0), (10_000, 5.0)):
        call = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        call.attempt_number = attempt
        waits = [retrying._wait(call) for _ in range(50)]
        assert longest / 2 < max(waits) <= longest
    assert random.getstate() == state


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
