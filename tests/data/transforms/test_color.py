"""Colour changes against Pillow's enhancers and colorsys."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.color import (
    ColorJitter,
    PCALighting,
    change_brightness,
    change_contrast,
    change_hue,
    change_saturation,
)
from ppcls.errors import ConfigError


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    "change, enhancer",
    [
        (change_brightness, ImageEnhance.Brightness),
        (change_contrast, ImageEnhance.Contrast),
        (change_saturation, ImageEnhance.Color),
    ],
)
def test_changes_like_pillow(change: Any, enhancer: Any, factor: float, photo: np.ndarray) -> None:
    expected = np.asarray(enhancer(Image.fromarray(photo)).enhance(factor)).astype(int)
    difference = np.abs(change(photo, factor).astype(int) - expected)
    assert difference.max() <= 2 and difference.mean() < 0.7


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.25, 0.5])
def test_turns_the_hue(turn: float, photo: np.ndarray) -> None:
    turned = change_hue(photo, turn)
    for y, x in [(0, 0), (5, 20), (12, 3), (23, 31)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*(photo[y, x] / 255))
        expected = np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)) * 255
        assert np.abs(turned[y, x] - expected).max() <= 6  # hue has 8 bits on the way


AMOUNT = st.one_of(
    st.floats(0, 3), st.tuples(st.floats(0, 3), st.floats(0, 3)).map(lambda pair: sorted(pair))
)


@given(AMOUNT, AMOUNT, AMOUNT, st.floats(0, 0.5), st.integers(0, 99), st.sampled_from([1, 3]))
def test_keeps_shape_and_type(
    brightness: Any, contrast: Any, saturation: Any, hue: float, seed: int, channels: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (7, 5, channels), dtype=np.uint8)
    before = image.copy()
    result = ColorJitter(brightness, contrast, saturation, hue)(image, rng)
    assert result.shape == image.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_draws_factors_from_the_range(rng: np.random.Generator) -> None:
    image = np.full((2, 2, 3), 100, dtype=np.uint8)
    op = ColorJitter(brightness=0.4)
    levels = [int(op(image, rng)[0, 0, 0]) for _ in range(2000)]
    assert 59 <= min(levels) <= 62 and 137 <= max(levels) <= 140
    assert abs(np.mean(levels) - 99.5) < 2


def test_order_is_random(photo: np.ndarray) -> None:
    op = ColorJitter([1.8, 1.8], [0.3, 0.3])
    results = {op(photo, np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(results) == 2


def test_probability(photo: np.ndarray, rng: np.random.Generator) -> None:
    op = ColorJitter(brightness=[0.5, 0.5], p=0.25)
    changed = sum(op(photo, rng) is not photo for _ in range(1000))
    assert 190 < changed < 310
    assert ColorJitter(brightness=[0.5, 0.5], prob=0)(photo, rng) is photo
    always = ColorJitter(brightness=[0.5, 0.5], prob=2)
    assert all(always(photo, rng) is not photo for _ in range(20))


def test_does_nothing_by_default(photo: np.ndarray, rng: np.random.Generator) -> None:
    np.testing.assert_array_equal(ColorJitter()(photo, rng), photo)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hue": 0.6}, "hue.* within -0.5 to 0.5"),
        ({"brightness": [1.2, 0.8]}, "brightness.*in order"),
        ({"contrast": -0.5}, "contrast"),
        ({"saturation": [0.5]}, "saturation.*not a range"),
    ],
)
def test_refuses_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ColorJitter(**arguments)


def test_lighting_adds_one_colour_along_the_components() -> None:
    image, op = np.full((2, 3, 3), 128, np.uint8), PCALighting()
    found = np.array([op(image, np.random.default_rng(seed))[0, 0] for seed in range(4000)], float)
    spreads = np.array([0.2175, 0.0188, 0.0045]) * 0.1 * 255
    values, vectors = np.linalg.eigh(np.cov(found.T))
    # Rounding adds a variance of 1/12.
    assert values[::-1][:2] - 1 / 12 == pytest.approx(spreads[:2] ** 2, rel=0.1)
    # The first component is nearly grey, the second is the colour of light from blue to yellow.
    assert np.abs(vectors[:, 2]) == pytest.approx([0.5675, 0.5808, 0.5836], abs=0.01)
    assert np.abs(found.mean(axis=0) - 128).max() < 0.3
    assert (op(image, np.random.default_rng(0)) == found[0]).all()
    assert np.array_equal(PCALighting(0.0)(image, np.random.default_rng(0)), image)


def test_lighting_is_for_colour_images(parts: Any) -> None:
    for before in ({"DecodeImage": {"channel_num": 1}}, {"NormalizeImage": {"order": ""}}):
        with pytest.raises(ConfigError, match="PCALighting works on the levels of colour images"):
            Pipeline(parts(before, "PCALighting"))
