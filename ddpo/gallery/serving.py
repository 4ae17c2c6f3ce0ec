"""A run shown live: a server for its gallery, which is written again as the run goes on."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpo.errors import UserError
from ddpo.gallery.answering import GalleryServer
from ddpo.gallery.run_folder import NotARunError
from ddpo.gallery.site import Site
from ddpo.gallery.visitors import bracketed, is_private
from ddpo.gallery.watching import Watch
from rewards.command_line import show

HOST = "127.0.0.1"
PAUSE_SECONDS = 1.0
"""Between two looks at the run."""
SHARE = 0.1
"""Of the time that looking may take: the run may train on the same processor."""
REACTION_SECONDS = 0.2
"""To a signal, at most, where nothing is being written."""


def serve(run: Path, out: Path | None = None, *, host: str = HOST, port: int = 0) -> None:
    """Serve the gallery of a run until SIGINT or SIGTERM; prints its address.

    A folder that is empty, or not there yet, is waited for.

    Args:
        run: folder of the run.
        out: folder of the gallery; by default `gallery` in that of the run.
        host: address to listen on; on any but this machine's own, others can read the run.
        port: 0 takes a free one.

    Raises:
        UserError: `run` is something else, the port is taken, or the gallery cannot be written.
    """
    watch = Watch(run, out)
    with _stop_request() as stop, _listening(host, port, Site(watch)) as server:
        _begin(watch)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _warn(host, server)
        show(f"http://{bracketed(host)}:{server.port} shows {run} live, until Ctrl-C")
        while not stop.asked:
            start = time.monotonic()
            _look_again(watch)
            due = start + max(PAUSE_SECONDS, (time.monotonic() - start) / SHARE)
            while not stop.asked and time.monotonic() < due:
                time.sleep(REACTION_SECONDS)
        server.shutdown()


class _StopRequest:
    """Whether a signal has asked to stop: where nothing is half written."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *signal_and_frame: object) -> None:
        if self.asked:  # again, since it takes too long
            os._exit(0)
        self.asked = True


@contextmanager
def _stop_request() -> Iterator[_StopRequest]:
    """A request that either signal makes, inside."""
    request = _StopRequest()
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _listening(host: str, port: int, site: Site) -> Iterator[GalleryServer]:
    """A server that has its address."""
    try:
        server = GalleryServer(host, port, site)
    except (OSError, UnicodeError) as error:
        raise UserError(_why_not(host, port, error)) from error
    with server:
        yield server


def _warn(host: str, server: GalleryServer) -> None:
    if not is_private(server.address):
        warning = f"--host {host}: anybody on that network can read the run, samples included"
        print(f"ddpo: {warning}", file=sys.stderr, flush=True)


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"--port: {port} is taken on {host}: name another one, or 0 for one that is free"
    reason = error.strerror if isinstance(error, OSError) else "it is no address"
    return f"--host: {host}, port {port} cannot be listened on ({reason}): 127.0.0.1 always can"


def _begin(watch: Watch) -> None:
    try:
        watch.look()
    except NotARunError:
        if not _may_become_a_run(watch.run):
            raise
    except OSError as error:
        raise UserError(f"the gallery cannot be written: {error}") from error


def _look_again(watch: Watch) -> None:
    """Look, and go on whatever there is: of a problem, say it once."""
    try:
        watch.look()
    except NotARunError:
        return
    except (OSError, UserError) as error:
        problem = f"the gallery cannot be written, and is tried again: {error}"
    else:
        problem = ""
    if problem and problem != watch.problem:
        print(f"ddpo: {problem}", file=sys.stderr, flush=True)
    watch.problem = problem


def _may_become_a_run(path: Path) -> bool:
    """Whether a run may still begin here."""
    if path.exists():
        return path.is_dir() and not any(path.iterdir())
    return path.absolute().parent.is_dir()
