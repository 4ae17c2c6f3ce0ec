"""The server against every kind of bad request: the right status, and no call of the reward."""

import base64
import json
import pickle
import socket
import time
from io import BytesIO

import numpy as np
import pytest
import requests
import torch

import rewards
from rewards import reward
from rewards.image import png
from rewards.remote import intake, npy
from tests.support.reward_server import serving

TOKEN = "open-sesame"


HEADERS = {"Authorization": f"Bearer {TOKEN}"}


IMAGES = torch.randint(256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0)) / 255


MAX_BYTES = 20_000


class Recorder:
    """A reward that notes each call; the mean of an image."""

    def __init__(self):
        self.calls = []

    def __call__(self, images, prompts):
        self.calls.append(len(prompts))
        return images.float().mean(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


@pytest.fixture(scope="module")
def url(recorder):
    reward("mean_pixel", modality="image")(lambda images, prompts: None)
    mean = rewards.make("mean_pixel")
    mean.function = recorder
    reward("same", modality="text", columns=("reference",))(
        lambda texts, prompts, *, reference: [
            float(text == other) for text, other in zip(texts, reference, strict=True)
        ]
    )
    reward("crooked", modality="text")(lambda texts, prompts: [1.0])
    made = [mean, rewards.make("same"), rewards.make("crooked")]
    with serving(*made, token=TOKEN, max_samples=4, max_bytes=MAX_BYTES) as url:
        yield url


def post(url, name="mean_pixel", headers=HEADERS, **content):
    return requests.post(f"{url}/rewards/{name}", headers=headers, timeout=10, **content)


def form(*files, **described):
    request = json.dumps({"prompts": ["p"] * 2, **described})
    return [("request", (None, request)), *[("samples", ("f", file)) for file in files]]


def test_images_in_each_form_give_the_same_numbers(url):
    pngs = list(map(png.encode, IMAGES))
    encoded = [base64.b64encode(file).decode() for file in pngs]
    pixels = (IMAGES * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    raw = BytesIO()
    np.save(raw, pixels)
    answers = [
        post(url, files=form(npy.encode(IMAGES))),
        post(url, files=form(*pngs)),
        post(url, files=form(raw.getvalue())),
        post(url, json={"prompts": ["p", "p"], "images": encoded}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    wanted = IMAGES.mean(dim=(1, 2, 3)).tolist()
    assert all(answer.json() == {"rewards": wanted, "failures": {}} for answer in answers)


def test_an_image_that_is_not_finite_is_null_with_its_reason(url):
    broken = IMAGES.clone()
    broken[1, 0, 0, 0] = torch.nan
    answer = post(url, files=form(npy.encode(broken))).json()
    assert answer["rewards"][1] is None
    assert answer["failures"] == {"1": "the image is not finite"}


def test_texts_and_columns(url):
    body = {"prompts": ["p", "p"], "texts": ["a", "b"], "columns": {"reference": ["a", "c"]}}
    assert post(url, "same", json=body).json()["rewards"] == [1.0, 0.0]


def test_an_empty_batch_has_no_rewards(url):
    request = {"prompts": [], "texts": [], "columns": {"reference": []}}
    assert post(url, "same", json=request).json() == {"rewards": [], "failures": {}}
    empty = [("request", '{"prompts": []}'), ("samples", npy.encode(IMAGES[:0]))]
    assert post(url, files=empty).json() == {"rewards": [], "failures": {}}


FINE = npy.encode(IMAGES)


JSON = {"Content-Type": "application/json", **HEADERS}


BAD = {
    "no token": (401, "token", {"headers": {}, "files": form(FINE)}),
    "wrong token": (401, "token", {"headers": {"Authorization": "Bearer x"}, "files": form(FINE)}),
    "token, other scheme": (401, "token", {"headers": {"Authorization": TOKEN}}),
    "unknown": (404, "did you mean 'mean_pixel'", {"name": "mean_pixels", "json": {}}),
    "pickle": (415, "''", {"data": pickle.dumps({"prompts": []})}),
    "declared pickle": (
        415,
        "send application/json or",
        {"data": b"x", "headers": {"Content-Type": "application/octet-stream", **HEADERS}},
    ),
    "pickled samples": (422, "not a PNG", {"files": form(pickle.dumps(IMAGES))}),
    "pickled npy": (
        422,
        "object",
        {"files": form(FINE.replace(b"'<f4'", b"'|O' "))},
    ),
    "broken JSON": (422, "Invalid JSON", {"data": b"{", "headers": JSON}),
    "deep JSON": (422, "malformed", {"data": b"[" * 9000, "headers": JSON}),
    "a list": (422, "malformed", {"json": []}),
    "unknown key": (422, "prompt: ", {"json": {"prompt": [], "prompts": []}}),
    "a number": (422, "prompts.0: ", {"json": {"prompts": [1], "texts": ["a"]}}),
    "nothing to score": (422, "give samples once", {"json": {"prompts": ["p"]}}),
    "texts": (422, "scores images", {"json": {"prompts": ["p"], "texts": ["a"]}}),
    "too few prompts": (422, "2 samples and 1 prompts", {"files": form(FINE, prompts=["p"])}),
    "range": (422, "not in [9, 9]", {"files": form(npy.encode(torch.full((2, 3, 4, 5), 9.0)))}),
    "not base64": (422, "base64", {"json": {"prompts": ["p"], "images": ["é"]}}),
    "twice": (422, "once", {"files": form(FINE, texts=["a", "b"])}),
    "unknown part": (422, "unknown part", {"files": [*form(FINE), ("x", b"")]}),
    "no JSON part": (422, "one part 'request'", {"files": form(FINE)[1:]}),
    "no boundary": (
        422,
        "multipart",
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data", **HEADERS}},
    ),
    "column missing": (
        422,
        "needs the column 'reference'",
        {"name": "same", "json": {"prompts": ["p"], "texts": ["a"]}},
    ),
    "too many": (413, "5 samples", {"json": {"prompts": ["p"] * 5, "texts": ["a"] * 5}}),
    "many in npy": (413, "5 samples", {"files": form(npy.encode(torch.zeros(5, 3, 2, 2)))}),
    "many files": (422, "Too many files", {"files": form(*[png.encode(IMAGES[0])] * 5)}),
    "too large": (413, "limit is 20000", {"files": form(npy.encode(torch.zeros(2, 3, 50, 50)))}),
    "many pixels": (413, "pixels", {"files": form(png.encode(torch.zeros(3, 200, 200)))}),
    "chunked": (413, "limit is 20000", {"data": iter([b"x" * 9000] * 4), "headers": JSON}),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_request_is_refused_in_one_line_and_costs_no_call(fault, url, recorder):
    status, complaint, content = BAD[fault]
    before = list(recorder.calls)
    answer = post(url, **content)
    assert answer.status_code == status
    line = answer.json()["error"]
    assert complaint in line
    assert "\n" not in line
    assert "Traceback" not in answer.text
    assert recorder.calls == before


def raw_request(url, length, body, headers=b""):
    """The answer to bytes that no client library would send."""
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST /rewards/mean_pixel HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
        token = f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\r\n"
        connection.sendall(head.encode() + headers + token.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode()


def test_a_length_that_lies_is_refused(url, recorder):
    before = list(recorder.calls)
    # More than the limit is stated: refused before a byte of the body is read.
    assert "413" in raw_request(url, MAX_BYTES + 1, b"").splitlines()[0]
    # More is stated than comes: the client is gone before it has sent its request.
    assert "200" not in raw_request(url, 5000, b'{"prompts": []}')
    # Less is stated than comes: the request is cut, and the rest is not a request.
    assert "422" in raw_request(url, 5, b'{"prompts": ["p"], "texts": ["a"]}').splitlines()[0]
    assert "400" in raw_request(url, "many", b"{}").splitlines()[0]
    assert recorder.calls == before
    assert requests.get(f"{url}/health", timeout=5).json()["ready"] is True


def test_cards_need_the_token_and_health_does_not(url):
    health = requests.get(f"{url}/health", timeout=5).json()
    assert set(health["rewards"]) == {"mean_pixel", "same", "crooked"}
    assert requests.get(f"{url}/rewards", timeout=5).status_code == 401
    cards = requests.get(f"{url}/rewards", headers=HEADERS, timeout=5).json()
    one = requests.get(f"{url}/rewards/same", headers=HEADERS, timeout=5).json()
    assert cards[1] == one
    assert (one["modality"], one["columns"], one["max_samples"]) == ("text", ["reference"], 4)
    assert requests.get(f"{url}/nothing", timeout=5).json() == {"error": "Not Found"}


def test_a_reward_that_breaks_its_contract_is_named(url):
    answer = post(url, "crooked", json={"prompts": ["p", "q"], "texts": ["a", "b"]})
    assert answer.status_code == 502
    assert "'crooked'" in answer.json()["error"]
    assert "shape [1] for 2 samples" in answer.json()["error"]


def test_a_fault_of_the_server_tells_nothing(url, monkeypatch):
    monkeypatch.setattr("rewards.remote.server.encode_answer", lambda scored: 1 / 0)
    answer = post(url, files=form(FINE))
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "the server failed; its log says how"},
    )


def test_a_body_that_does_not_come_is_not_waited_for(url, monkeypatch):
    monkeypatch.setattr(intake, "RECEIVE_SECONDS", 0.2)

    def slowly():
        yield b"{"
        time.sleep(1)

    assert post(url, data=slowly(), headers=JSON).status_code == 408
