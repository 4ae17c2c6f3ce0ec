import io

import numpy as np
import pytest
import torch
from PIL import Image

import rewards
from rewards import RewardError


def kilobytes(image, quality, path):
    """The size of the file that Pillow writes, independently of the reward."""
    array = np.rint(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    Image.fromarray(array).save(path, format="jpeg", quality=quality)
    return path.stat().st_size / 1000


@pytest.mark.parametrize("quality", [95, 40])
def test_the_reward_is_the_size_of_pillows_file(quality, images, prompts, tmp_path):
    sizes = [kilobytes(image, quality, tmp_path / "image.jpg") for image in images]
    large = rewards.make("jpeg_incompressibility", quality=quality)(images, prompts)
    small = rewards.make("jpeg_compressibility", quality=quality)(images, prompts)
    assert large.tolist() == pytest.approx(sizes, rel=1e-6)
    assert torch.equal(small, -large)


def test_the_published_convention_is_quality_95_and_1000_bytes(images, prompts):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(buffer, "JPEG", quality=95)
    gray = torch.full((1, 3, 64, 64), 128 / 255)
    value = rewards.make("jpeg_compressibility")(gray, ["gray"]).item()
    assert value == pytest.approx(-len(buffer.getvalue()) / 1000)


def test_pixels_are_rounded_and_clamped(prompts):
    exact = (torch.rand(1, 3, 16, 16) * 255).round() / 255
    exact[:, :, :4], exact[:, :, 4:8] = 0.0, 1.0
    nudged = (exact + 0.4 / 255).where(exact < 1, 1.005).where(exact > 0, -0.005)
    make = rewards.make("jpeg_incompressibility")
    assert torch.equal(make(nudged, ["p"]), make(exact, ["p"]))


def test_lower_quality_is_smaller(images, prompts):
    good = rewards.make("jpeg_incompressibility", quality=95)(images, prompts)
    poor = rewards.make("jpeg_incompressibility", quality=20)(images, prompts)
    assert (poor < good).all()


@pytest.mark.parametrize("quality", [0, 101, "high", 9.5])
def test_an_impossible_quality_is_refused(quality):
    with pytest.raises(RewardError, match=rf"'jpeg_compressibility': quality={quality!r}: "):
        rewards.make("jpeg_compressibility", quality=quality)
