import functools
import hashlib
import pickle
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from safetensors.torch import save_file

from rewards import RewardError, weights
from rewards.definition import Weights
from rewards.weights import find_weights, load_state

CONTENT = b"four weights and a bias" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()

find = functools.partial(find_weights, reward="mine")
load = functools.partial(load_state, reward="mine")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "ddpo" / "weights"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/slow"):
            time.sleep(0.5)
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path.startswith("/cut") else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def complaint(call, *args, **options):
    with pytest.raises(RewardError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message.startswith("reward 'mine': ")
    assert "\n" not in message
    return message


def test_a_url_is_downloaded_once_and_kept_by_content(server, cache):
    path = find(f"{server.url}/head%2Bbody.pth", sha256=SHA256.upper())
    assert path == cache / f"{SHA256}.pth"
    assert path.read_bytes() == CONTENT
    assert find(f"{server.url}/head%2Bbody.pth", sha256=SHA256) == path
    assert server.asked == ["/head%2Bbody.pth"]
    assert [*cache.iterdir()] == [path]


def test_a_kept_file_that_was_damaged_is_fetched_again(server):
    path = find(f"{server.url}/head.pth", sha256=SHA256)
    path.write_bytes(CONTENT[:50])
    assert find(f"{server.url}/head.pth", sha256=SHA256).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_no_file_behind(server, cache):
    message = complaint(find, f"{server.url}/head.pth", sha256="0" * 64)
    assert f"have the checksum {SHA256}, not {'0' * 64}" in message
    assert server.asked
    assert [*cache.iterdir()] == []


@pytest.mark.parametrize("name", ["cut", "missing", "slow"])
def test_a_failed_download_is_one_line_and_leaves_no_file_behind(server, cache, monkeypatch, name):
    monkeypatch.setattr(weights, "TIMEOUT_SECONDS", 0.2)
    url = f"{server.url}/{name}.pth"
    message = complaint(find, url, sha256=SHA256)
    assert f"'{url}' cannot be downloaded" in message
    assert "give the path of a local copy" in message
    assert server.asked
    assert [*cache.iterdir()] == []


def test_a_url_needs_a_checksum(server):
    assert "give sha256" in complaint(find, f"{server.url}/head.pth")
    assert not server.asked


def test_a_path_is_itself_and_its_checksum_is_verified_if_given(tmp_path, monkeypatch):
    file = tmp_path / "head.pth"
    file.write_bytes(CONTENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find(str(file)) == find("~/head.pth") == find(str(file), sha256=SHA256) == file
    assert "correct sha256" in complaint(find, str(file), sha256="1" * 64)
    assert "are not a file; give a path" in complaint(find, str(tmp_path / "other"))
    assert "are not a file" in complaint(find, str(tmp_path))


def test_the_checksum_of_published_weights_is_known(tmp_path):
    file, wrong = tmp_path / "head.pth", "1" * 64
    file.write_bytes(CONTENT)
    assert find(str(file), published=Weights(str(file), SHA256)) == file
    assert f"not {wrong}" in complaint(find, str(file), published=Weights(str(file), wrong))
    assert find(str(file), sha256=SHA256, published=Weights(str(file), wrong)) == file
    assert find(str(file), published=Weights("another source", wrong)) == file


def test_a_file_on_the_hub_is_found_and_verified(tmp_path, monkeypatch):
    file = tmp_path / "head.pth"
    file.write_bytes(CONTENT)
    asked = []
    monkeypatch.setattr(weights, "hf_hub_download", lambda *a: asked.append(a) or str(file))
    assert find("hf-hub:owner/name/folder/head.pth", sha256=SHA256) == file
    assert asked == [("owner/name", "folder/head.pth")]
    assert "have the checksum" in complaint(find, "hf-hub:owner/name/head.pth", sha256="1" * 64)
    assert "write hf-hub:owner/name/file" in complaint(find, "hf-hub:owner/name")
    assert "write hf-hub:owner/name/file" in complaint(find, "hf-hub:owner//file")


def test_an_unreachable_hub_is_one_line():
    message = complaint(find, "hf-hub:nobody/nothing/head.pth")
    assert "cannot be had (not on this machine, and the hub cannot be reached); give" in message


def test_of_a_long_url_a_message_has_the_host_and_the_file(cache):
    url = f"http://localhost:1/{'long/' * 20}head.pth"
    message = complaint(find, url, sha256=SHA256)
    short = "'http://localhost:1/…/head.pth' cannot be downloaded (the server cannot be reached)"
    assert short in message
    assert len(message) < 200


def test_both_formats_give_the_same_tensors(tmp_path):
    state = {"a": torch.arange(3.0), "b.c": torch.ones(2, 2, dtype=torch.float16)}
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "b.pt")
    for name in ("a.safetensors", "a.pth", "b.pt"):
        read = load(tmp_path / name)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[key], state[key]) for key in state)
        assert read["b.c"].dtype == torch.float16


class Mark:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, zipped):
    ran, file = tmp_path / "ran", tmp_path / "head.pth"
    state = {"a": torch.zeros(2), "b": Mark(ran)}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    assert "hold code beside tensors; it was refused, not run" in complaint(load, file)
    assert not ran.exists()
    file.write_bytes(pickle.dumps(Mark(ran)))
    complaint(load, file)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "old.pth"])
@pytest.mark.parametrize("kept", [0, 30, 500])
def test_a_truncated_file_is_refused(tmp_path, name, kept):
    file, state = tmp_path / name, {"a": torch.arange(2000.0)}
    if name == "a.safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=name == "a.pth")
    file.write_bytes(file.read_bytes()[:kept])
    assert "cannot be read as tensors" in complaint(load, file)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"a": 1.0}, {"state_dict": {"a": "b"}}])
def test_what_is_not_a_dictionary_of_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    assert "are not a dictionary of tensors" in complaint(load, tmp_path / "a.pth")
