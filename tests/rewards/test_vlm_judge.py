"""The judge against an endpoint of ours that answers, garbles, refuses, is busy, hangs and dies."""

import base64
import http.server
import json
import math
import pickle
import threading
import time
from io import BytesIO

import pytest
import torch
from PIL import Image

import rewards
from rewards import RewardError
from rewards.image import vlm_judge

IMAGES = torch.stack([torch.full((3, 4, 6), value / 255) for value in (0.0, 51.0, 255.0)])
PROMPTS = ["a {low} dog", "a cat", "a red circle"]


def chat(text, **message):
    return 200, {}, {"choices": [{"message": {"role": "assistant", "content": text, **message}}]}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Asks `server.answer(request, times_asked)` for status, headers and JSON."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
            self.server.times.append(time.monotonic())
            count = len(self.server.requests)
        status, headers, content = self.server.answer(json.loads(body), count)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(data)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads, server.block_on_close = True, False
    server.lock, server.requests, server.times = threading.Lock(), [], []
    server.answer = lambda request, count: chat("7")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def judge(endpoint, **options):
    url = f"http://127.0.0.1:{endpoint.server_port}/v1/"
    return rewards.make("vlm_judge", model="tiny", base_url=url, **options)


def question_of(request):
    return request["messages"][0]["content"][0]["text"]


def pixel_of(request):
    url = request["messages"][0]["content"][1]["image_url"]["url"]
    picture = Image.open(BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert (picture.format, picture.size) == ("PNG", (6, 4))
    return picture.getpixel((0, 0))[0]


def test_each_sample_is_one_request_with_its_own_picture_and_prompt(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    endpoint.answer = lambda request, count: chat(f"{pixel_of(request) / 51}")
    assert judge(endpoint)(IMAGES, PROMPTS).tolist() == [0.0, 1.0, 5.0]
    path, headers, _ = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sesame"
    for _, _, body in endpoint.requests:
        assert {k: body[k] for k in ("model", "temperature", "max_tokens")} == {
            "model": "tiny",
            "temperature": 0.0,
            "max_tokens": 64,
        }
        prompt = {0: "a {low} dog", 51: "a cat", 255: "a red circle"}[pixel_of(body)]
        assert f"following? {prompt}\n" in question_of(body)
        assert "from 0 (not at all) to 10 (perfectly)" in question_of(body)


def test_it_declares_its_scale_and_an_empty_batch_asks_nothing(endpoint):
    made = judge(endpoint, scale=(1, 5), temperature=None)
    assert made.definition.range == (1.0, 5.0)
    assert made.definition.deterministic is False
    assert made(IMAGES[:0], []).shape == (0,)
    assert endpoint.requests == []
    assert pickle.loads(pickle.dumps(made)).function.read("4") == 4.0
    assert "temperature" not in made.function.fields


@pytest.mark.parametrize(
    ("answer", "options", "number"),
    [
        ("7", {}, 7.0),
        ("Rating: 8.5/10.", {}, 8.5),
        ("**3**", {}, 3.0),
        ("I saw 3 cats. Score 9", {"take": "last"}, 9.0),
        ("score: 4 of 5", {"pattern": r"score: (\d)"}, 4.0),
        ("-2", {"scale": (-5, 5)}, -2.0),
        ("GPT-4 gives the 2nd 6", {}, 6.0),
    ],
)
def test_a_number_is_found(endpoint, answer, options, number):
    assert judge(endpoint, **options).function.read(answer) == number


@pytest.mark.parametrize(
    ("answer", "options", "complaint"),
    [
        ("I cannot say.", {}, "no number in the answer 'I cannot say.'"),
        ("", {}, "no number in the answer ''"),
        ("11", {}, "11 is outside 0 to 10"),
        ("-1", {}, "-1 is outside 0 to 10"),
        ("nan", {"pattern": "nan"}, "nan is outside"),
        ("abc", {"pattern": "(x)?abc"}, "could not convert"),
    ],
)
def test_no_number_is_invented(endpoint, answer, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        judge(endpoint, **options).function.read(answer)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (chat("no idea"), "no number in the answer 'no idea'"),
        (chat(None, refusal="I will not"), "the model refused: I will not"),
        (chat(None), "the answer has no text"),
        (chat([{"type": "text"}]), "the answer has no text"),
        ((200, {}, b"<html>"), "the answer is not one of a chat"),
        ((200, {}, {"choices": []}), "the answer is not one of a chat"),
        ((200, {}, [1]), "the answer is not one of a chat"),
        ((400, {}, {"error": {"message": "bad picture"}}), "bad picture (status 400)"),
    ],
)
def test_a_bad_answer_costs_its_own_sample_only(endpoint, bad, complaint):
    endpoint.answer = lambda request, count: bad if "cat" in question_of(request) else chat("7")
    scored = judge(endpoint).score(IMAGES, PROMPTS)
    assert scored.values[[0, 2]].tolist() == [7.0, 7.0]
    assert math.isnan(scored.values[1])
    (failure,) = scored.failures
    assert (failure.row, failure.prompt) == (1, "a cat")
    assert complaint in failure.reason
    assert len(endpoint.requests) == 3


def test_busy_is_asked_again_after_the_time_it_says(endpoint):
    busy = (429, {"Retry-After": "1"}, {"error": {"message": "slow down"}})
    endpoint.answer = lambda request, count: busy if count == 1 else chat("7")
    assert judge(endpoint)(IMAGES[:1], PROMPTS[:1]).tolist() == [7.0]
    assert endpoint.times[1] - endpoint.times[0] >= 1.0


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_passing_fault_is_asked_again(endpoint, status):
    fault = (status, {}, {"error": {"message": "oops"}})
    endpoint.answer = lambda request, count: fault if count <= 2 else chat("7")
    assert judge(endpoint)(IMAGES[:1], PROMPTS[:1]).tolist() == [7.0]
    assert len(endpoint.requests) == 3


def test_an_endpoint_that_hangs_is_given_up_soon(endpoint):
    endpoint.answer = lambda request, count: time.sleep(3) or chat("7")
    start = time.monotonic()
    made = judge(endpoint, timeout=0.3, retries=1, concurrency=2)
    scored = made.score(IMAGES.repeat(8, 1, 1, 1), PROMPTS * 8)
    # Two at a time, twice each, and no more after three samples without an answer.
    assert time.monotonic() - start < 3
    assert len(endpoint.requests) <= 8
    assert scored.values.isnan().all()
    assert "no whole answer within 0.3 s; check base_url and model" in scored.failures[20].reason


def test_a_wrong_key_is_not_asked_with_again(endpoint, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    endpoint.answer = lambda request, count: (401, {}, {"error": {"message": "no key"}})
    made = judge(endpoint, api_key_env="JUDGE_KEY", concurrency=1)
    with pytest.raises(RewardError, match=r"no key.*set the variable JUDGE_KEY"):
        made(IMAGES[:1], PROMPTS[:1])
    assert len(endpoint.requests) <= 2
    assert "Authorization" not in endpoint.requests[0][1]


def test_requests_keep_their_pace(endpoint):
    judge(endpoint, requests_per_minute=300)(IMAGES, PROMPTS)
    assert endpoint.times[2] - endpoint.times[0] >= 0.35


def test_the_circuit_is_closed_again_after_its_rest(endpoint, monkeypatch):
    monkeypatch.setattr(vlm_judge, "REST_SECONDS", 0.3)
    endpoint.answer = lambda request, count: (404, {}, {"error": {"message": "no such model"}})
    made = judge(endpoint, concurrency=1)
    assert made.score(IMAGES, PROMPTS).values.isnan().all()
    assert len(endpoint.requests) == 3
    endpoint.answer = lambda request, count: chat("7")
    time.sleep(0.4)
    assert made(IMAGES, PROMPTS).tolist() == [7.0] * 3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": "localhost:8000"}, "base_url='localhost:8000' does not begin with http"),
        ({"question": "How good?"}, r"does not contain \{prompt\}"),
        ({"scale": (5, 1)}, r"scale=\(5.0, 1.0\) is not a lowest and a highest"),
        ({"pattern": "("}, r"pattern='\(': "),
        ({"concurrency": 0}, "concurrency=0"),
        ({"take": "middle"}, "take='middle'"),
    ],
)
def test_a_mistake_is_told_when_it_is_made(options, complaint):
    with pytest.raises(RewardError, match=f"vlm_judge.*{complaint}"):
        rewards.make("vlm_judge", **{"model": "m", **options})


def test_refused_samples_do_not_make_the_endpoint_rest(endpoint):
    refused = (400, {}, {"error": {"message": "bad picture"}})
    endpoint.answer = lambda request, count: refused if count <= 5 else chat("7")
    scored = judge(endpoint, concurrency=1).score(IMAGES.repeat(2, 1, 1, 1), PROMPTS * 2)
    assert scored.values.isnan().tolist() == [True] * 5 + [False]
    assert len(endpoint.requests) == 6
