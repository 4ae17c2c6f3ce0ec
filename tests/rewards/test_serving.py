"""Servers that are not started: open to others without a token, or on a port that is taken."""

import socket

import pytest

import rewards
from rewards import RewardError
from rewards.remote.server import create_app
from rewards.remote.serving import serve
from tests.support.reward_server import free_port


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])
def test_nobody_else_is_let_in_without_a_token(host, monkeypatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: pytest.fail("is served"))
    with pytest.raises(RewardError, match="lets others in: give a token"):
        serve([], host=host)


def test_bad_servers_are_refused():
    one = rewards.make("jpeg_compressibility")
    with pytest.raises(RewardError, match="'jpeg_compressibility' is served twice"):
        create_app([one, one], token=None)
    for token in ("", " ", "gehei\u0301m", "a\nb"):
        with pytest.raises(RewardError, match="token of the server is empty, or not printable"):
            create_app([one], token=token)
    port = free_port()
    taken = pytest.raises(RewardError, match=f"cannot listen on 127.0.0.1, port {port}")
    with socket.create_server(("127.0.0.1", port)), taken:
        serve([one], port=port)
