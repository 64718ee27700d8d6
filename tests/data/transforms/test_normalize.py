"""Normalisation against the formula in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.transforms.base import Shape, parse_number
from ppcls.data.transforms.normalize import NormalizeImage, ToCHWImage
from ppcls.errors import ConfigError

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def test_is_the_formula_in_both_layouts(photo: np.ndarray, rng: np.random.Generator) -> None:
    expected = (photo / 255 - MEAN) / STD
    result = NormalizeImage(scale="1.0/255.0", order="")(photo, rng)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_array_equal(NormalizeImage(order="hwc")(photo, rng), result)
    first = NormalizeImage(order="chw")(photo.transpose(2, 0, 1), rng)
    np.testing.assert_allclose(first, expected.transpose(2, 0, 1), atol=1e-6)


def test_takes_floating_point_images(photo: np.ndarray, rng: np.random.Generator) -> None:
    op = NormalizeImage(order="")
    np.testing.assert_allclose(op(photo.astype(np.float64), rng), op(photo, rng), atol=1e-6)


def test_one_channel(photo: np.ndarray, rng: np.random.Generator) -> None:
    result = NormalizeImage(mean=[0.5], std=[0.25], order="")(photo[:, :, :1], rng)
    assert result.shape == (24, 32, 1)
    np.testing.assert_allclose(result, (photo[:, :, :1] / 255 - 0.5) / 0.25, atol=1e-6)


def test_half_precision_rounds(photo: np.ndarray, rng: np.random.Generator) -> None:
    result = NormalizeImage(order="", output_fp16=True)(photo, rng)
    np.testing.assert_array_equal(result, result.astype(np.float16))


@pytest.mark.parametrize("order, axis", [("", 2), ("chw", 0)])
def test_fourth_channel_is_zero(
    order: str, axis: int, photo: np.ndarray, rng: np.random.Generator
) -> None:
    op = NormalizeImage(order=order, channel_num=4)
    result = op(photo if axis == 2 else photo.transpose(2, 0, 1), rng)
    assert result.shape[axis] == 4
    assert not result.take(3, axis).any() and result.take(2, axis).any()
    assert op.shape_after(Shape(layout=order or "hwc")).channels == 4


@pytest.mark.parametrize(
    "arguments, shape, message",
    [
        ({}, Shape(), "images are hwc there; write order: ''"),
        ({"order": ""}, Shape(layout="chw"), "write order: chw"),
        ({"order": ""}, Shape(channels=1), r"1 channel; .*mean: \[0.5\], std: \[0.5\]"),
        ({"order": "", "mean": [0.5], "std": [0.5]}, Shape(), "3 channels"),
    ],
)
def test_refuses_images_that_do_not_fit(arguments: Any, shape: Shape, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NormalizeImage(**arguments).shape_after(shape)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"std": [0.0, 1.0, 1.0]}, "no std 0"),
        ({"mean": [0.5]}, "equally long"),
        ({"order": "cwh"}, "Accepted: chw, hwc"),
        ({"scale": "__import__('os')"}, "not a number"),
        ({"scale": "1/0"}, "not a number"),
    ],
)
def test_refuses_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NormalizeImage(**arguments)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1.0/255.0", 1 / 255),
        ("1./255", 1 / 255),
        (" 1 / 255. ", 1 / 255),
        ("1e-3", 1e-3),
        (2, 2.0),
    ],
)
def test_reads_fractions(text: Any, value: float) -> None:
    assert parse_number(text, "scale") == value


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_reads_what_python_writes(numerator: float, denominator: float) -> None:
    assert parse_number(f"{numerator!r}/{denominator!r}", "x") == numerator / denominator


@given(st.text(max_size=12))
def test_refuses_other_text(text: str) -> None:
    try:
        value = parse_number(text, "x")
    except ConfigError:
        return
    assert isinstance(value, float)


def test_channels_first(photo: np.ndarray, rng: np.random.Generator) -> None:
    np.testing.assert_array_equal(ToCHWImage()(photo, rng), np.moveaxis(photo, 2, 0))
    assert ToCHWImage().shape_after(Shape()).layout == "chw"
    with pytest.raises(ConfigError, match="channels stand first"):
        ToCHWImage().shape_after(Shape(layout="chw"))
