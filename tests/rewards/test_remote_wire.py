"""The format between client and server: exact numbers, and files that lie about themselves."""

import io
import json
import math
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import rewards
from rewards import RewardError
from rewards.image import png
from rewards.remote import card, images, npy, wire
from rewards.scoring import Failure, Scored


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def decode(*files, max_samples=8, max_pixels=1000):
    return images.decode(files, max_samples, max_pixels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_npy_keeps_every_bit(dtype):
    batch = torch.rand(2, 3, 4, 5).to(dtype)
    back = decode(npy.encode(batch))
    assert back.dtype == dtype
    assert torch.equal(back, batch)


def test_npy_sends_other_types_as_float32():
    batch = torch.rand(2, 3, 4, 5, dtype=torch.bfloat16)
    assert torch.equal(decode(npy.encode(batch)), batch.float())


def test_uint8_pixels_are_divided_by_255():
    array = np.zeros((1, 2, 2, 3), np.uint8)
    array[0, 0, 1] = [255, 51, 0]
    batch = decode(saved(array))
    assert batch.shape == (1, 3, 2, 2)
    assert batch[0, :, 0, 1].tolist() == pytest.approx([1.0, 0.2, 0.0])
    fortran = np.asfortranarray(np.random.default_rng(0).random((2, 3, 4, 5), np.float32))
    assert np.array_equal(decode(saved(fortran)).numpy(), fortran)


def header(shape, descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (saved(np.array([{}, {}], object), allow_pickle=True), "holds object"),
        (header((8, 3, 10**6, 10**6)) + b"1234", "but holds 4 bytes"),
        (header((-1, 3, -1, 4)) + b"1234" * 12, "shape"),
        (header((2, 3, 4, 4), "|O") + pickle.dumps([]), "holds object"),
        (header((1, 3, 1, 1), ">f4") + b"1234" * 3, "send float16"),
        (header("(" * 5000 + ")" * 5000), "header of the .npy cannot be read"),
        (b"\x93NUMPY\x01\x00\xff", "header of the .npy cannot be read"),
        (b"\x93NUMPY\x09\x00\x00\x00", "header of the .npy cannot be read"),
        (saved(np.zeros((2, 3, 4), np.float32)), r"shape \[2, 3, 4\]"),
        (saved(np.zeros((2, 4, 4, 3), np.float32)), r"not \[B, 3, H, W\]"),
        (saved(np.zeros((1, 3, 2, 2), np.float64)), "holds float64"),
        (pickle.dumps(np.zeros(3)), "image 0 is not a PNG"),
        (b"", "image 0 is not a PNG"),
        (png.SIGNATURE, "not a PNG"),
        (png.encode(torch.linspace(0, 1, 48).view(3, 4, 4))[:-30], "cannot be read"),
    ],
)
def test_broken_files_are_refused(file, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(file)


def bomb(width, height):
    """A PNG of a few bytes that states many pixels."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return png.SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_what_is_too_large_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(png, "decode", lambda _: pytest.fail("was decoded"))
    with pytest.raises(npy.TooLarge, match="3600000000 pixels in all; the limit of a request is"):
        decode(bomb(60000, 60000))
    small = png.encode(torch.zeros(3, 10, 20))
    with pytest.raises(npy.TooLarge, match="1200 pixels"):
        decode(*[small] * 6)
    with pytest.raises(npy.TooLarge, match="9 samples"):
        decode(*[small] * 9)
    with pytest.raises(npy.TooLarge, match="9 samples"):
        decode(npy.encode(torch.zeros(9, 3, 1, 1)))


def test_png_files_make_a_batch_of_one_size():
    batch = (torch.rand(2, 3, 4, 5) * 255).round() / 255
    assert torch.equal(decode(*map(png.encode, batch)), batch)
    with pytest.raises(ValueError, match="2 sizes"):
        decode(png.encode(batch[0]), png.encode(torch.zeros(3, 5, 4)))
    file = io.BytesIO()
    Image.new("RGBA", (2, 2)).save(file, "PNG")
    with pytest.raises(ValueError, match="mode RGBA: send 8-bit RGB"):
        decode(file.getvalue())


def test_an_answer_brings_back_every_float32_and_is_strict_json():
    values = torch.tensor([0.1, -1e-42, 3.4e38, math.nan])
    body = wire.encode_answer(Scored(values, (Failure("r", 3, "p", "broken"),)))
    json.loads(body, parse_constant=pytest.fail)
    answer = wire.decode_answer(body, 4)
    assert torch.equal(torch.tensor(answer.rewards)[:3], values[:3])
    assert math.isnan(answer.rewards[3])
    assert answer.failures == {3: "broken"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"<html>", "malformed"),
        (b'{"rewards": [1.0]}', "1 numbers for 2 samples"),
        (b'{"rewards": [1.0, "x"]}', "rewards.1: "),
    ],
)
def test_a_malformed_answer_is_refused(body, complaint):
    with pytest.raises(ValueError, match=complaint):
        wire.decode_answer(body, 2)


def test_a_card_survives_strict_json():
    declared = rewards.definition("jpeg_compressibility")
    limits = {"max_samples": 7, "max_bytes": 100}
    body = json.dumps(card.encode("small", declared, limits), allow_nan=False)
    assert json.loads(body)["range"] == ["-inf", 0.0]
    read = card.decode(body.encode())
    assert read.max_samples == 7
    assert read.declare(rewards.definition("remote")).range == (-math.inf, 0.0)
    with pytest.raises(ValueError, match="not the card of a reward: modality"):
        card.decode(b"{}")


def test_a_column_that_json_cannot_hold_is_named():
    for value in (object(), math.nan, b"bytes"):
        with pytest.raises(RewardError, match="column 'reference' cannot be sent"):
            wire.encode_request(["text"], ["prompt"], {"reference": [value]}, "npy")


def test_the_client_needs_neither_the_extra_nor_a_tensor_library():
    script = (
        "import sys, rewards.remote.client\n"
        "heavy = {'fastapi', 'uvicorn', 'starlette', 'python_multipart', 'torch', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "import threading; assert threading.active_count() == 1\n"
        "sys.modules['fastapi'] = None\n"
        "try: import rewards.remote.serving\n"
        "except rewards.RewardError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'ddpo[serve]'" in done.stdout
