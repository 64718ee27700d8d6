"""Batch normalisation and pooling by oneDNN against Paddle's own."""

from __future__ import annotations

import copy
from typing import Any, Optional

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.kernels.activation import ACTIVATIONS
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.layers import (
    activated,
    as_map,
    can_convolve,
    convolved,
    folded,
    normalised,
    pooled,
)
from ppcls.kernels.layout import Layout
from tests.kernels.processor import needs_bfloat16


def maps(channels: int = 24) -> paddle.Tensor:
    paddle.seed(0)
    x = paddle.randn([4, channels, 9, 10]) * 3 + 1
    x.stop_gradient = False
    return x


def normalisation(training: bool, channels: int = 24) -> nn.BatchNorm2D:
    bn = nn.BatchNorm2D(channels, momentum=0.8)
    ramp = paddle.linspace(0.5, 2, channels)
    for index, array in enumerate((bn.weight, bn.bias, bn._mean, bn._variance), 1):
        array.set_value(ramp * index)
    bn.train() if training else bn.eval()
    return bn


def check(found: Any, expected: Any, at: float = 1e-5) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= at * np.abs(expected).max()


def check_gradients(found: Any, expected: Any, mine: Any, theirs: Any) -> None:
    weight = paddle.randn(expected.shape)
    pairs = zip(paddle.grad(found, mine, weight), paddle.grad(expected, theirs, weight))
    for one, other in pairs:
        check(one, other)


@pytest.mark.parametrize("order", ["NCHW", "NCHW16c", "NCHW8c", "NHWC"])
@pytest.mark.parametrize("act", [None, "relu", "relu6"])
@pytest.mark.parametrize("training", [True, False])
def test_normalisation_is_paddles(training: bool, act: Optional[str], order: str) -> None:
    x, own = maps(), normalisation(training)
    bn = copy.deepcopy(own)
    expected = own(x)
    expected = getattr(nn.functional, act)(expected) if act else expected
    given = FeatureMap(FeatureMap.of(x).laid(order), Layout((4, 24, 9, 10), order))
    found = normalised(bn, given, act).plain()
    check(found, expected)
    check(bn._mean, own._mean)
    check(bn._variance, own._variance)
    check_gradients(found, expected, [x, bn.weight, bn.bias], [x, own.weight, own.bias])


def test_fixed_statistics_become_part_of_the_convolution() -> None:
    x, bn = maps(), normalisation(training=False, channels=32)
    conv = nn.Conv2D(24, 32, 3, padding=1)
    expected = nn.functional.relu6(bn(conv(x)))
    found = convolved(conv, FeatureMap.of(x), *folded(conv, bn), "relu6").plain()
    inputs = [x, conv.weight, conv.bias, bn.weight, bn.bias]
    check(found, expected)
    check_gradients(found, expected, inputs, inputs)


@pytest.mark.parametrize("order", ["NCHW", "NCHW16c", "NHWC"])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_activations_are_paddles(act: str, order: str) -> None:
    x = maps()
    given = FeatureMap(FeatureMap.of(x).laid(order), Layout((4, 24, 9, 10), order))
    slope = {"leaky_relu": 0.1, "leaky_relu_0.01": 0.01}.get(act)
    expected = nn.functional.leaky_relu(x, slope) if slope else getattr(nn.functional, act)(x)
    found = activated(act, given).plain()
    check(found, expected)
    check_gradients(found, expected, [x], [x])


@needs_bfloat16
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_activations_in_bfloat16_are_rounded(act: str) -> None:
    x = maps()
    layout = Layout((4, 24, 9, 10), "NHWC", "bfloat16")
    found = activated(act, FeatureMap(FeatureMap.of(x).laid("NHWC", "bfloat16"), layout))
    exact = activated(act, FeatureMap.of(x))
    assert found.layout == layout
    check(found.plain(), exact.plain(), at=2**-7)


@needs_bfloat16
@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("training", [True, False])
def test_normalisation_in_bfloat16_is_rounded(training: bool, act: Optional[str]) -> None:
    x, exact = maps(), normalisation(training)
    bn = copy.deepcopy(exact)
    layout = Layout((4, 24, 9, 10), "NHWC", "bfloat16")
    found = normalised(bn, FeatureMap(FeatureMap.of(x).laid("NHWC", "bfloat16"), layout), act)
    expected = normalised(exact, FeatureMap.of(x), act)
    assert found.layout == layout
    check(found.plain(), expected.plain(), at=2**-6)
    check(bn._mean, exact._mean, at=2**-8)
    assert bn._mean.dtype == paddle.float32


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2D(3, 2, 1),
        nn.MaxPool2D(3, 2),
        nn.MaxPool2D(2),
        nn.MaxPool2D(3, 2, ceil_mode=True),
        nn.MaxPool2D(2, 2, ceil_mode=True),
        nn.AvgPool2D(2, 2),
        nn.AvgPool2D(2, 2, ceil_mode=True),
        nn.AvgPool2D(3, 1, 1),
        nn.AvgPool2D(3, 1, 1, exclusive=False),
        nn.AvgPool2D((5, 1), 1, (2, 0), exclusive=False),
        nn.AdaptiveAvgPool2D(1),
    ],
    ids=repr,
)
def test_pooling_is_paddles(layer: nn.Layer) -> None:
    for x in (maps(), maps()[:, :, :8, :9].contiguous()):
        found = pooled(layer, FeatureMap.of(x))
        assert found is not None
        check(found.plain(), layer(x))
        check_gradients(found.plain(), layer(x), [x], [x])


@pytest.mark.parametrize(
    "layer",
    [
        nn.AdaptiveAvgPool2D(2),
        nn.MaxPool2D(2, return_mask=True),
        nn.AvgPool2D(2, divisor_override=3),
        nn.AvgPool2D(3, 2, ceil_mode=True, exclusive=False),
        nn.MaxPool2D(3, 2, padding="SAME"),
    ],
    ids=repr,
)
def test_other_poolings_are_left_to_paddle(layer: nn.Layer) -> None:
    assert pooled(layer, FeatureMap.of(maps())) is None


def test_other_convolutions_are_left_to_paddle() -> None:
    assert can_convolve(nn.Conv2D(3, 8, 3))
    assert not can_convolve(nn.Conv2D(3, 8, 3, padding=1, padding_mode="reflect"))
    assert not can_convolve(nn.Conv2D(3, 8, 3, data_format="NHWC"))
    assert not can_convolve(nn.Conv2D(3, 8, 3, padding="SAME", dilation=2))
    double = nn.Conv2D(3, 8, 3)
    double.to(dtype="float64")
    assert not can_convolve(double)


def test_other_tensors_are_no_maps() -> None:
    assert as_map(paddle.zeros([2, 3, 4, 4])) is not None
    assert as_map(paddle.zeros([2, 3, 4, 4], "float64")) is None
    assert as_map(paddle.zeros([2, 3, 4])) is None
    assert as_map(paddle.zeros([0, 3, 4, 4])) is None
    assert as_map(np.zeros([2, 3, 4, 4], "float32")) is None
