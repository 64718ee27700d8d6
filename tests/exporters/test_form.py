"""Levels of uint8 that a network normalises itself."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError
from ppcls.exporters.form import (
    PLAIN,
    ExportOptions,
    Form,
    Levels,
    levels_of_pipeline,
    without_normalisation,
)

Build = Callable[[List[Dict[str, Any]]], Pipeline]
_RESIZE: Dict[str, Any] = {"ResizeImage": {"size": 8}}


@pytest.mark.parametrize("layout", ["hwc", "chw"])
def test_levels_are_normalised_as_the_pipeline_does(pipeline: Build, layout: Any) -> None:
    transform = pipeline([_RESIZE, {"NormalizeImage": {"order": ""}}])
    levels = levels_of_pipeline(transform, layout)
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    taken = photo[None] if layout == "hwc" else photo.transpose(2, 0, 1)[None]
    np.testing.assert_array_equal(levels.normalised(taken)[0], transform(photo))
    np.testing.assert_array_equal(levels.levels_of(transform(photo)[None]), taken)
    factor, shift = levels.factor_and_shift()
    found = taken.transpose(0, 3, 1, 2) if layout == "hwc" else taken
    np.testing.assert_allclose(found * factor + shift, transform(photo)[None], atol=1e-6)


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.05, 10), min_size=3, max_size=3),
    st.sampled_from([1 / 255, 1.0, 0.5]),
)
def test_levels_come_back_whatever_the_normalisation(
    mean: List[float], std: List[float], scale: float
) -> None:
    levels = Levels("chw", scale, tuple(mean), tuple(std))
    every = np.tile(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (1, 3, 1, 1))
    np.testing.assert_array_equal(levels.levels_of(levels.normalised(every)), every)


def test_numbers_that_no_levels_give_are_refused() -> None:
    levels = Levels("chw", 1 / 255, (0.5,), (0.5,))
    with pytest.raises(ExportError, match="not what the Eval transforms give"):
        levels.levels_of(np.full((1, 1, 2, 2), 0.123, np.float32))


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([_RESIZE], "do not end with one NormalizeImage: DecodeImage > ResizeImage > ToCHWImage"),
        ([_RESIZE, {"NormalizeImage": {"order": "", "output_fp16": True}}], "rounds to float16"),
        ([_RESIZE, {"NormalizeImage": {"order": "", "channel_num": 4}}], "adds a channel"),
    ],
)
def test_preprocessing_that_a_network_cannot_take_over(
    pipeline: Build, ops: List[Dict[str, Any]], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        ExportOptions(uint8="hwc").form(pipeline(ops))


def test_what_is_left_of_the_preprocessing(pipeline: Build) -> None:
    chw = {"DecodeImage": {"channel_first": False}}
    spec = pipeline([chw, _RESIZE, {"ToCHWImage": None}, {"NormalizeImage": None}]).spec()
    assert [next(iter(op)) for op in without_normalisation(spec)] == ["DecodeImage", "ResizeImage"]


def test_shape_and_type_of_the_input() -> None:
    levels = Levels("hwc", 1.0, (0.0,) * 3, (1.0,) * 3)
    assert PLAIN.shape((3, 4, 5)) == (3, 4, 5) and PLAIN.dtype == "float32"
    assert (
        Form(levels=levels).shape((3, 4, 5)) == (4, 5, 3) and Form(levels=levels).dtype == "uint8"
    )
