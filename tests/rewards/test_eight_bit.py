"""Pixels to 8 bits: values by hand at the halves, and every place that makes files of them."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from rewards.image import png
from rewards.image.compressibility import jpeg_kilobytes
from rewards.image.eight_bit import eight_bit

HALVES = torch.tensor([0.5, 1.5, 2.5, 126.5, 127.5, 253.5, 254.5]) / 255
EVEN = [0, 2, 2, 126, 128, 254, 254]


def test_halves_go_to_the_even_value_and_the_rest_to_the_nearest():
    assert (HALVES * 255).tolist() == [0.5, 1.5, 2.5, 126.5, 127.5, 253.5, 254.5]
    for shift, expected in ((0, EVEN), (-1e-4, [0, 1, 2, 126, 127, 253, 254])):
        image = (HALVES + shift / 255).expand(3, 2, 7)
        assert eight_bit(image)[:, :, 0].tolist() == [expected] * 2
    above = (HALVES + 1e-4).expand(3, 2, 7)
    assert eight_bit(above)[0, :, 1].tolist() == [1, 2, 3, 127, 128, 254, 255]


def test_what_is_outside_is_clamped():
    image = torch.tensor([-1e9, -0.1, 0.0, 1.0, 1.003, torch.inf]).expand(3, 1, 6)
    assert eight_bit(image)[0, :, 2].tolist() == [0, 0, 0, 255, 255, 255]
    assert eight_bit(torch.full((3, 4, 5), torch.nan)).shape == (4, 5, 3)  # and no warning


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_channels_come_last_in_any_number_of_dimensions(dtype):
    values = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    array = eight_bit((values / 255).to(dtype).requires_grad_())
    assert (array.shape, array.dtype) == ((2, 4, 5, 3), np.uint8)
    assert array[1, 2, 3].tolist() == values[1, :, 2, 3].tolist()
    assert np.array_equal(eight_bit(values[1] / 255), array[1])


def test_files_have_these_pixels():
    image = HALVES.expand(3, 8, 7)
    wanted = np.broadcast_to(np.array(EVEN, np.uint8)[:, None], (8, 7, 3))
    with Image.open(BytesIO(png.encode(image))) as file:
        assert np.array_equal(np.asarray(file), wanted)
    jpeg = BytesIO()
    Image.fromarray(np.ascontiguousarray(wanted)).save(jpeg, "JPEG", quality=95)
    kilobytes = jpeg_kilobytes(image[None], 95).item()
    assert kilobytes == pytest.approx(len(jpeg.getvalue()) / 1000)
