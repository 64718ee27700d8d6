"""Crops stay inside, and follow their distributions."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.transforms.base import Shape
from ppcls.data.transforms.crop import CropImage, CropImageAtRatio, RandCropImage
from ppcls.errors import BadImageError, ConfigError

SIDE = st.integers(1, 400)


@given(SIDE, SIDE, SIDE, SIDE)
def test_crops_the_middle(width: int, height: int, crop_width: int, crop_height: int) -> None:
    image = np.arange(height * width).reshape(height, width, 1)
    op = CropImage([crop_width, crop_height])
    if crop_width > width or crop_height > height:
        with pytest.raises(BadImageError, match=f"{width} x {height} pixels"):
            op(image, np.random.default_rng(0))
        return
    crop = op(image, np.random.default_rng(0))
    assert crop.shape == (crop_height, crop_width, 1)
    top, left = divmod(int(crop[0, 0, 0]), width)
    assert 0 <= height - crop_height - 2 * top <= 1
    assert 0 <= width - crop_width - 2 * left <= 1


RANGE = st.tuples(st.floats(0.01, 4), st.floats(0.01, 4)).map(sorted)


@given(SIDE, SIDE, RANGE, RANGE, st.booleans(), st.integers(0, 2**32))
def test_window_stays_inside(
    width: int, height: int, scale: list, ratio: list, use_log_aspect: bool, seed: int
) -> None:
    op = RandCropImage(8, scale, ratio, use_log_aspect=use_log_aspect)
    left, top, w, h = op.window(width, height, np.random.default_rng(seed))
    assert w >= 1 and h >= 1
    assert 0 <= left <= width - w
    assert 0 <= top <= height - h


def test_area_and_proportions_are_as_asked(rng: np.random.Generator) -> None:
    op = RandCropImage(224)
    windows = np.array([op.window(500, 400, rng) for _ in range(4000)])
    width, height = windows[:, 2], windows[:, 3]
    area, ratio = width * height / (500 * 400), width / height
    assert 0.075 < area.min() < 0.1 and area.max() > 0.9
    assert ratio.min() > 0.74 and ratio.max() < 1.35
    # Uniform between the bounds, but for crops that would not fit.
    assert abs(np.median(ratio) - (3 / 4 + 4 / 3) / 2) < 0.03
    assert windows[:, 0].min() == 0 and windows[:, 1].min() == 0
    assert (windows[:, 0] + width).max() == 500 and (windows[:, 1] + height).max() == 400


def test_logarithmic_proportions_are_symmetric(rng: np.random.Generator) -> None:
    op = RandCropImage(8, [0.1, 0.1], [1 / 4, 4], use_log_aspect=True)
    windows = np.array([op.window(10000, 10000, rng) for _ in range(4000)])
    logs = np.log(windows[:, 2] / windows[:, 3])
    assert abs(logs.mean()) < 0.05
    assert abs(logs.std() - 2 * math.log(4) / math.sqrt(12)) < 0.03


def test_result_has_the_size(photo: np.ndarray, rng: np.random.Generator) -> None:
    assert RandCropImage([20, 10])(photo, rng).shape == (10, 20, 3)
    assert RandCropImage(16, backend="pil")(photo[:, :, :1], rng).shape == (16, 16, 1)


def test_whole_image_at_scale_one(photo: np.ndarray, rng: np.random.Generator) -> None:
    op = RandCropImage([32, 24], [1.0, 1.0], [32 / 24, 32 / 24])
    np.testing.assert_array_equal(op(photo, rng), photo)


def test_ranges_may_be_fractions() -> None:
    op = RandCropImage(8, ["1/4", 1.0], ["3./4.", "4./3."])
    assert op.scale == [0.25, 1.0] and op.ratio == [0.75, 4 / 3]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 8, "scale": [1.0, 0.08]}, "scale.*not a range"),
        ({"size": 8, "ratio": [0.5]}, "ratio.*not a range"),
        ({"size": 8, "scale": [0.0, 1.0]}, "above 0"),
        ({"size": 8, "ratio": ["a", 1.0]}, "'a' is not a number"),
        ({"size": -8}, "not a size"),
        ({"size": 8, "interpolation": "cubic"}, "Accepted: nearest"),
    ],
)
def test_refuses_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RandCropImage(**arguments)


def test_crop_knows_what_it_gets() -> None:
    assert CropImage(224).shape_after(Shape(short=256)).height == 224
    assert CropImage(224).shape_after(Shape()).width == 224
    for shape in (Shape(short=200), Shape().sized(300, 200), Shape().sized(200, 300)):
        with pytest.raises(ConfigError, match="make the crop smaller"):
            CropImage(224).shape_after(shape)
    with pytest.raises(ConfigError, match="before ToCHWImage"):
        CropImage(8).shape_after(Shape(layout="chw"))


@pytest.mark.parametrize("width, height", [(500, 400), (400, 401), (97, 300)])
def test_crop_at_ratio_is_the_middle_of_the_shorter_side(width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = CropImageAtRatio(384, pad=32)(image, rng)
    side = int(min(height, width) * 384 / 416)
    top, left = (height - side) // 2, (width - side) // 2
    expected = cv2.resize(image[top : top + side, left : left + side], (384, 384))
    assert np.array_equal(found, expected)
    assert CropImageAtRatio(384, 32).shape_after(Shape()) == Shape().sized(384, 384)


def test_crop_at_ratio_of_one_pixel() -> None:
    one = np.full((1, 1, 3), 7, np.uint8)
    assert (CropImageAtRatio(8, pad=8)(one, np.random.default_rng(0)) == 7).all()


def test_sizes_of_the_stages() -> None:
    image, op = np.zeros((50, 60, 3), np.uint8), RandCropImage(8, progress_size=[8, [12, 10], 16])
    for epochs in (3, 7, 30, 350):
        shapes = [
            op.at(epoch / epochs)(image, np.random.default_rng(0)).shape[:2]
            for epoch in range(epochs)
        ]
        stages = [(8, 8), (10, 12), (16, 16)]
        assert shapes == [stages[epoch * 3 // epochs] for epoch in range(epochs)]
    assert op.at(0.5).shape_after(Shape()).width == 12
    assert RandCropImage(8).at(0.5).shape_after(Shape()).width == 8
    with pytest.raises(ConfigError, match="RandCropImage.progress_size is empty"):
        RandCropImage(8, progress_size=[])
