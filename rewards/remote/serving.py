"""Running the server of rewards until it is told to stop."""

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress

from rewards.errors import RewardError
from rewards.remote import server
from rewards.scoring import Reward

GRACE_SECONDS = 10
"""Requests in hand have this long to be answered when the server is told to stop."""
CONNECTIONS = 1000


def serve(
    rewards: Sequence[Reward],
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    token: str | None = None,
    max_samples: int = server.MAX_SAMPLES,
    max_bytes: int = server.MAX_BYTES,
    max_batch: int = server.MAX_BATCH,
    device: str = "auto",
) -> None:
    """Serve `rewards` until SIGINT or SIGTERM; prints one line when it listens.

    Args:
        rewards: as made by `rewards.make`.
        host: address to listen on; any but this machine's own needs a token.
        port: 0 takes a free one, which the printed line names.
        token: see `create_app`, as for `max_samples`, `max_bytes` and `max_batch`.
        max_samples: of one request.
        max_bytes: of the body of one request.
        max_batch: samples of a batch of merged requests.
        device: where images are scored; "auto" is a GPU where there is one.

    Raises:
        RewardError: there is no token and the host can be reached by others, the port is taken, or
            the extra `serve` is not installed.
    """
    import uvicorn  # `server`, above, has said what is missing

    if token is None and not _loopback(host):
        raise RewardError(
            f"serving on '{host}' lets others in: give a token, or serve on 127.0.0.1"
        )
    app = server.create_app(
        rewards,
        token=token,
        max_samples=max_samples,
        max_bytes=max_bytes,
        max_batch=max_batch,
        device=_device(rewards, device),
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS,
    )
    # Ctrl-C is how it is stopped, and not an error.
    with _listening(host, port) as listener, suppress(KeyboardInterrupt):
        names = ", ".join(reward.name for reward in rewards)
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {names} on http://{shown}:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # uvicorn takes the waiting connections as soon as it runs.
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise RewardError(f"cannot listen on {host}, port {port}: {error}") from error


def _device(rewards: Sequence[Reward], device: str) -> str:
    if device != "auto":
        return device
    if all(reward.definition.modality == "text" for reward in rewards):
        return "cpu"
    # Texts are served without a tensor library.
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
