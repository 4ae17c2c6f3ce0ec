"""A served gallery: what it answers, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from ddpo.__main__ import main
from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.live_page import LIVE_POLICY
from ddpo.gallery.site import file_at
from ddpo.gallery.visitors import Visitors
from tests.gallery import made_up
from tests.gallery.served import Served, served
from tests.journeys.moments import ddpo_command
from tests.support.processes import fork

SECRET = b"nobody's to read"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gallery with a secret beside it, and one that a link in its folder leads to."""
    run = tmp_path_factory.mktemp("runs") / "run"
    made_up.write_samples(run, 0, [made_up.sample("a"), made_up.sample("b")])
    with served(run) as started:
        (run / "secret.js").write_bytes(SECRET)
        gallery = run / "gallery"
        (gallery / "notes.txt").write_bytes(SECRET)
        (gallery / "data" / "000007.js").symlink_to(run / "secret.js")
        (run / "elsewhere").mkdir()
        (run / "elsewhere" / "0000.webp").write_bytes(SECRET)
        (gallery / "thumbs" / "000007").symlink_to(run / "elsewhere")
        os.mkfifo(gallery / "data" / "000008.js")
        (gallery / "data" / "000009.js").mkdir()
        yield started


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/gallery.css", "text/css; charset=utf-8"),
        ("/gallery.js", "text/javascript; charset=utf-8"),
        ("/live.js", "text/javascript; charset=utf-8"),
        ("/live", "application/json"),
        ("/data/summary.js", "text/javascript; charset=utf-8"),
        ("/data/000000.js?v=1", "text/javascript; charset=utf-8"),
        ("/thumbs/000000/0001.webp", "image/webp"),
        ("/pictures/000000/0000.png", "image/png"),
    ],
)
def test_the_gallery_s_own_files_are_served(site: Served, address: str, kind: str) -> None:
    reply = site.ask(address)
    assert (reply.status, reply.headers["content-type"]) == (200, kind)
    assert reply.headers["content-length"] == str(len(reply.content))
    head = site.ask(address, method="HEAD")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-length"] == reply.headers["content-length"]


@pytest.mark.parametrize(
    "address",
    [
        "/secret.js",
        "/../secret.js",
        "/data/../../secret.js",
        "/data/../index.html",
        "/%2e%2e/secret.js",
        "/data/%2e%2e%2f%2e%2e%2fsecret.js",
        "/data/..%2f..%2fsecret.js",
        "/data/%252e%252e/secret.js",
        "/data/..\\..\\secret.js",
        "/data/%5c..%5c..%5csecret.js",
        "/data/summary.js%00",
        "/data/summary.js\x00.js",
        "/data/.%00./summary.js",
        "//etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/index.html",
        "index.html",
        "*",
        "/%69ndex.html",
        "/notes.txt",
        "/data",
        "/data/",
        "/thumbs/000000/",
        "/thumbs/000000",
        "/thumbs/000000/0001.png",
        "/pictures/000000/0000.webp",
        "/thumbs/0000000/0001.webp",
        "/thumbs/000000/00001.webp",
        "/thumbs/000000/9999.webp",
        "/thumbs/٠٠٠٠٠٠/0001.webp",
        f"/data/{'9' * 5000}.js",
        "/data/000000.JS",
        "/data/.summary.js.1",
        "/data/000000.js/",
        "/data/000007.js",
        "/thumbs/000007/0000.webp",
        "/data/000008.js",
        "/data/000009.js",
        "/live/",
    ],
    ids=lambda address: ascii(address[:40]),
)
def test_nothing_else_is_served(site: Served, address: str) -> None:
    reply = site.ask(address.encode())
    # What cannot be read as a request at all is a bad one.
    assert reply.status == (404 if address.isascii() else 400)
    assert SECRET not in reply.sent


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Host: evil.example"],
        ["Host: evil.example:{port}"],
        ["Host: 127.0.0.1.evil.example:{port}"],
        ["Host: 127.0.0.1"],
        ["Host: 127.0.0.1:1"],
        ["Host: 127.0.0.2:{port}"],
        ["Host: evil@127.0.0.1:{port}"],
        ["Host: "],
        ["Host: 127.0.0.1:{port}", "Host: evil.example"],
        ["Host: 127.0.0.1:{port}", "Origin: http://evil.example"],
        ["Host: 127.0.0.1:{port}", "Origin: null"],
        ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:1"],
        ["Host: 127.0.0.1:{port}", "Origin: https://127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}", "Origin: http://localhost:{port}"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-site"],
    ],
    ids=lambda headers: ", ".join(headers) or "none",
)
@pytest.mark.parametrize("address", ["/", "/live"])
def test_requests_of_other_sites_are_refused(
    site: Served, headers: list[str], address: str
) -> None:
    lines = [header.format(port=site.server.port) for header in headers] or ["Accept: */*"]
    reply = site.ask(address, *lines)
    assert reply.status == 403
    assert b"evil" not in reply.sent


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: localhost:{port}"],
        ["Host: LOCALHOST:{port}", "Origin: http://localhost:{port}"],
        ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:{port}"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"],
        ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: none"],
    ],
    ids=lambda headers: ", ".join(headers),
)
def test_its_own_pages_are_answered(site: Served, headers: list[str]) -> None:
    assert site.ask("/", *[line.format(port=site.server.port) for line in headers]).status == 200


@pytest.mark.parametrize(
    ("bound", "port", "own", "others"),
    [
        (
            "0.0.0.0",
            8000,
            ["192.168.1.7:8000", "[fe80::1]:8000", "localhost:8000"],
            ["evil.example:8000", "192.168.1.7", "192.168.1.7.evil.example:8000"],
        ),
        ("192.168.1.8", 8000, ["192.168.1.8:8000"], ["192.168.1.7:8000", "localhost:8000"]),
        ("::1", 8000, ["[::1]:8000", "localhost:8000"], ["::1:8000", "127.0.0.1:8000"]),
        ("127.0.0.1", 80, ["127.0.0.1", "localhost", "localhost:80"], ["evil.example"]),
    ],
)
def test_which_names_are_its_own(bound: str, port: int, own: list[str], others: list[str]) -> None:
    visitors = Visitors(bound, bound, port)
    admitted = []
    for host in (*own, *others):
        headers = Message()
        headers["Host"] = host
        admitted += [host] if visitors.admit(headers) else []
    assert admitted == own


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "<script>"])
def test_it_can_only_be_read(site: Served, method: str) -> None:
    reply = site.ask("/", method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert b"script" not in reply.content


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1 <evil>\r\n",
        b"<evil>\r\n",
        b"GET /" + b"<evil>" * 20_000 + b" HTTP/1.1\r\n",
        b"GET / HTTP/9.9<evil>\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: <evil>\r\n" * 200,
        b"GET /<evil>\r\n",
        b"GET  HTTP/1.1<evil>\r\n",
    ],
    ids=["words", "word", "long", "version", "headers", "old", "empty"],
)
def test_nothing_of_a_request_comes_back(
    site: Served, head: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    reply = site.send(head)
    assert reply.sent
    assert b"evil" not in reply.sent
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["/", "/live", "/thumbs/000000/0000.webp", "/nothing"])
def test_every_answer_bears_the_headers_that_protect_it(site: Served, address: str) -> None:
    headers = site.ask(address).headers
    assert headers["content-security-policy"] == "; ".join((*LIVE_POLICY, "frame-ancestors 'none'"))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "Python" not in headers["server"]


def test_the_served_page_may_ask_its_server_and_the_one_on_disk_nobody(site: Served) -> None:
    page = site.ask("/").content.decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1] == "; ".join(LIVE_POLICY)
    assert "connect-src 'self'" in policy[1]
    assert re.findall(r"<script.*?>", page) == [
        f'<script src="live.js" data-version="{site.watch.edition.version}">'
    ]
    on_disk = site.watch.edition.gallery.page.read_text()
    assert "connect-src" not in on_disk
    assert "live.js" not in on_disk


def test_a_file_is_kept_by_its_stamp_and_asked_for_again_without(site: Served) -> None:
    data = json.loads(site.ask("/live").content)["data"]
    kept = site.ask(f"/data/summary.js?v={data['summary']}")
    assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"
    for query in ("", "?v=1"):
        other = site.ask(f"/data/summary.js{query}")
        assert other.headers["cache-control"] == "private, no-cache"
    tag = other.headers["etag"]
    again = site.ask("/data/summary.js", f"Host: {site.host}", f"If-None-Match: {tag}")
    assert (again.status, again.content) == (304, b"")
    assert site.ask("/").headers["cache-control"] == "no-store"
    assert site.ask("/live").headers["cache-control"] == "no-store"


def test_addresses_are_names_that_the_gallery_writes(tmp_path: Path) -> None:
    gallery = GalleryFolder(tmp_path)
    for file in (
        gallery.thumb(7, 12),
        gallery.picture(1_000_000, 10_000),
        gallery.data_file("000010"),
    ):
        assert file_at(gallery, f"/{file.relative_to(tmp_path).as_posix()}") == file


def test_before_there_is_a_run_a_page_says_so_and_asks_again(tmp_path: Path) -> None:
    with served(tmp_path / "<b>later") as site:
        reply = site.ask("/")
        assert b"Waiting for the run" in reply.content
        assert b"<b>" not in reply.content
        assert reply.headers["refresh"] == "2"
        assert site.ask("/gallery.css").status == 200
        assert site.ask("/live").status == site.ask("/data/summary.js").status == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, number: int) -> None:
    with fork(ddpo_command, ["gallery", "run", "--serve"], cwd=tmp_path) as started:
        started.wait_for(lambda: "\n" in started.output)
        address, said = started.output.split(" ", 1)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        assert said == "shows run live, until Ctrl-C\n"
        made_up.write_samples(tmp_path / "run", 0, [made_up.sample()])
        started.wait_for((tmp_path / "run" / "gallery" / "index.html").is_file)
        started.send(number)
        assert started.wait() == [0]
        assert started.output == f"{address} {said}"


def test_another_address_is_warned_of(tmp_path: Path) -> None:
    command = ["gallery", "run", "--serve", "--host", "0.0.0.0"]
    with fork(ddpo_command, command, cwd=tmp_path) as started:
        started.wait_for(lambda: "shows run live" in started.output)
        warning = started.output.splitlines()[0]
        assert warning.startswith("ddpo: --host 0.0.0.0: anybody on that network can read the run")
        started.send(signal.SIGTERM)
        assert started.wait() == [0]


def refused(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a command refuses with."""
    assert main(["gallery", *map(str, arguments)]) == 2
    out, said = capfd.readouterr()
    assert (out, said.count("\n")) == ("", 1)
    return said


def test_what_cannot_be_served_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    made_up.write_config(run)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capfd, run, "--serve", "--port", str(port))
        assert said.startswith(f"ddpo: --port: {port} is taken on 127.0.0.1: name another one")
    assert not (run / "gallery").exists()
    for host in ("198.51.100.1", "no.such.host.invalid", "a..b"):
        assert f"--host: {host}, port 0 cannot be" in refused(capfd, run, "--serve", "--host", host)
    assert "--port: only with --serve" in refused(capfd, run, "--port", "0")
    (tmp_path / "notes.txt").touch()
    assert "is not a run folder" in refused(capfd, tmp_path, "--serve")
    assert "there is no such folder" in refused(capfd, tmp_path / "a" / "b", "--serve")
    assert "is not a folder" in refused(capfd, run, "--serve", "--out", tmp_path / "notes.txt")
