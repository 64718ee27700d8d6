"""Sizes against a hand formula, pixels against Pillow and simple cases."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ppcls.data.transforms.base import Shape
from ppcls.data.transforms.resize import ResizeImage, proportional_size
from ppcls.errors import ConfigError

SIDE = st.integers(1, 5000)


@given(SIDE, SIDE, st.integers(1, 600))
def test_shorter_side_is_exact_and_proportions_stay(width: int, height: int, short: int) -> None:
    new_width, new_height = proportional_size(width, height, short)
    assert min(new_width, new_height) == short
    longer = Decimal(max(width, height)) * short / min(width, height)
    exact = int(longer.to_integral_value(ROUND_HALF_EVEN))
    # Where the exact result ends in .5, floating-point division may fall on either side.
    tolerance = 1 if longer % 1 == Decimal("0.5") else 0
    assert abs(max(new_width, new_height) - max(exact, short)) <= tolerance
    assert (new_width >= new_height) == (width >= height) or new_width == new_height


@pytest.mark.parametrize(
    "size, expected",
    [((500, 375), (341, 256)), ((375, 500), (256, 341)), ((256, 256), (256, 256))],
)
def test_known_sizes(size: tuple, expected: tuple) -> None:
    assert proportional_size(*size, 256) == expected


def test_resizes_the_shorter_side(photo: np.ndarray, rng: np.random.Generator) -> None:
    assert ResizeImage(resize_short=48)(photo, rng).shape == (48, 64, 3)
    assert ResizeImage(resize_short=12)(photo[:, :, :1], rng).shape == (12, 16, 1)


def test_size_is_width_then_height(photo: np.ndarray, rng: np.random.Generator) -> None:
    assert ResizeImage(size=[20, 10])(photo, rng).shape == (10, 20, 3)
    assert ResizeImage(size=10)(photo, rng).shape == (10, 10, 3)


def test_resize_short_wins_and_zero_means_none(photo: np.ndarray, rng: np.random.Generator) -> None:
    assert ResizeImage(size=10, resize_short=12)(photo, rng).shape == (12, 16, 3)
    assert ResizeImage(size=10, resize_short=-1)(photo, rng).shape == (10, 10, 3)


def test_nearest_doubling_repeats_pixels(photo: np.ndarray, rng: np.random.Generator) -> None:
    doubled = ResizeImage(size=[64, 48], interpolation="nearest")(photo, rng)
    np.testing.assert_array_equal(doubled, photo.repeat(2, axis=0).repeat(2, axis=1))


def test_area_halving_averages(photo: np.ndarray, rng: np.random.Generator) -> None:
    halved = ResizeImage(size=[16, 12], interpolation="area")(photo, rng)
    means = photo.reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - means).max() <= 0.75


@pytest.mark.parametrize("word", ["nearest", "bilinear", "bicubic", "box", "lanczos", "hamming"])
def test_pillow_backend_is_pillow(word: str, photo: np.ndarray, rng: np.random.Generator) -> None:
    filters = getattr(Image, "Resampling", Image)
    expected = Image.fromarray(photo).resize((20, 11), getattr(filters, word.upper()))
    resized = ResizeImage(size=[20, 11], interpolation=word.upper(), backend="PIL")(photo, rng)
    np.testing.assert_array_equal(resized, np.asarray(expected))


@pytest.mark.parametrize("backend", ["cv2", "pil"])
def test_defaults_of_the_backends(
    backend: str, photo: np.ndarray, rng: np.random.Generator
) -> None:
    word = {"cv2": "bilinear", "pil": "bicubic"}[backend]
    plain = ResizeImage(size=20, backend=backend)
    assert plain.interpolation == word
    named = ResizeImage(size=20, backend=backend, interpolation=word)
    np.testing.assert_array_equal(plain(photo, rng), named(photo, rng))


def test_random_interpolation_is_one_of_two(photo: np.ndarray, rng: np.random.Generator) -> None:
    op = ResizeImage(size=50, interpolation="random")
    assert op.is_random and not ResizeImage(size=50).is_random
    results = {op(photo, rng).tobytes() for _ in range(20)}
    words = ("bilinear", "bicubic")
    assert results == {
        ResizeImage(size=50, interpolation=word)(photo, rng).tobytes() for word in words
    }


def test_keeps_grey_three_dimensional(photo: np.ndarray, rng: np.random.Generator) -> None:
    for backend in ("cv2", "pil"):
        assert ResizeImage(size=9, backend=backend)(photo[:, :, :1], rng).shape == (9, 9, 1)


def test_shape_after() -> None:
    assert ResizeImage(resize_short=256).shape_after(Shape()) == Shape(short=256)
    known = ResizeImage(resize_short=256).shape_after(Shape().sized(500, 375))
    assert (known.width, known.height) == (341, 256)
    fixed = ResizeImage(size=[20, 10]).shape_after(Shape(channels=1))
    assert (fixed.width, fixed.height, fixed.channels) == (20, 10, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "resize_short .* or size"),
        ({"size": 0}, "not a size"),
        ({"size": [1, 2, 3]}, "not a size"),
        ({"size": 8, "interpolation": "bicubik"}, "Did you mean 'bicubic'"),
        ({"size": 8, "interpolation": "area", "backend": "pil"}, "area.* Accepted: nearest"),
        ({"size": 8, "backend": "pillow"}, "Accepted: cv2, pil"),
    ],
)
def test_refuses_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ResizeImage(**arguments)
