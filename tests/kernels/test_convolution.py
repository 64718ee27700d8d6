"""Convolutions by oneDNN against Paddle's own."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.layers import compute_in, convolved
from ppcls.kernels.layout import Layout
from tests.kernels.processor import needs_bfloat16

GRID = {
    # what: input channels, output channels, kernel, further arguments of nn.Conv2D, height, width
    "stem": (3, 32, 3, {"stride": 2, "padding": 1}, 17, 16),
    "pointwise": (24, 40, 1, {}, 7, 9),
    "strided pointwise": (16, 32, 1, {"stride": 2}, 8, 8),
    "square": (16, 16, 3, {"padding": 1}, 9, 9),
    "bias": (20, 12, 3, {"padding": 1}, 6, 6),
    "depthwise": (24, 24, 3, {"padding": 1, "groups": 24}, 10, 8),
    "strided depthwise": (32, 32, 3, {"stride": 2, "padding": "SAME", "groups": 32}, 11, 12),
    "wide depthwise": (32, 32, 5, {"padding": 2, "groups": 32}, 9, 9),
    "strided wide depthwise": (48, 48, 5, {"stride": 2, "padding": "SAME", "groups": 48}, 12, 11),
    "widest depthwise": (16, 16, 7, {"padding": 3, "groups": 16}, 7, 8),
    "depthwise of small maps": (16, 16, 5, {"padding": 2, "groups": 16}, 4, 3),
    "depthwise of tiny maps": (32, 32, 7, {"stride": 2, "padding": 3, "groups": 32}, 2, 2),
    "biased wide depthwise": (16, 16, 5, {"padding": 2, "groups": 16}, 8, 8),
    "depthwise of a few": (6, 6, 5, {"padding": 2, "groups": 6}, 8, 8),
    "groups": (32, 64, 3, {"padding": 1, "groups": 4}, 8, 8),
    "dilation": (16, 16, 3, {"padding": 2, "dilation": 2}, 9, 9),
    "dilated depthwise": (16, 16, 5, {"padding": 4, "dilation": 2, "groups": 16}, 12, 12),
    "asymmetric": (16, 24, 3, {"padding": [0, 1, 2, 0]}, 8, 8),
    "nested": (8, 8, 3, {"padding": [[0, 0], [0, 0], [1, 0], [0, 1]]}, 8, 8),
    "valid": (8, 8, (1, 7), {"padding": "VALID"}, 8, 8),
    "tall": (8, 16, (7, 1), {"padding": [3, 0]}, 8, 8),
    "grey": (1, 6, 5, {"padding": 2}, 28, 28),
}


def relative(found: Any, expected: Any) -> float:
    """The largest difference over the largest value."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def gradients(y: paddle.Tensor, inputs: List[paddle.Tensor]) -> List[np.ndarray]:
    paddle.seed(3)
    return [grad.numpy() for grad in paddle.grad(y, inputs, paddle.randn(y.shape))]


@pytest.mark.parametrize("act", [None, "relu", "relu6"])
@pytest.mark.parametrize("what", GRID)
def test_results_and_gradients_are_paddles(what: str, act: Any) -> None:
    channels, out, kernel, arguments, height, width = GRID[what]
    paddle.seed(0)
    layer = nn.Conv2D(
        channels, out, kernel, bias_attr=None if "bias" in what else False, **arguments
    )
    x = 3 * paddle.randn([4, channels, height, width])
    x.stop_gradient = False
    inputs = [x, *layer.parameters()]
    expected = layer(x)
    expected = getattr(nn.functional, act)(expected) if act else expected
    found = convolved(layer, FeatureMap.of(x), layer.weight, layer.bias, act).plain()
    assert relative(found, expected) < 1e-5
    for mine, own in zip(gradients(found, inputs), gradients(expected, inputs)):
        assert relative(mine, own) < 1e-5


def rounded(x: paddle.Tensor) -> paddle.Tensor:
    """The values as bfloat16 has them."""
    found = x.detach().astype("bfloat16").astype("float32")
    found.stop_gradient = x.stop_gradient
    return found


@needs_bfloat16
@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("what", GRID)
def test_bfloat16_is_paddles_but_for_rounding(what: str, act: Any) -> None:
    channels, out, kernel, arguments, height, width = GRID[what]
    paddle.seed(0)
    layer = nn.Conv2D(
        channels, out, kernel, bias_attr=None if "bias" in what else False, **arguments
    )
    layer.weight.set_value(rounded(layer.weight))
    x = rounded(3 * paddle.randn([4, channels, height, width]))
    x.stop_gradient = False
    inputs = [x, *layer.parameters()]
    expected = layer(x)
    expected = getattr(nn.functional, act)(expected) if act else expected
    compute_in(layer, "bfloat16")
    layer.eval()
    exact = convolved(layer, FeatureMap.of(x), layer.weight, layer.bias, act)
    assert exact.layout.dtype == "float32"
    assert relative(exact.plain(), expected) < 1e-5
    layer.train()
    given = FeatureMap(FeatureMap.of(x).laid("NHWC"), Layout(tuple(x.shape), "NHWC"))
    found = convolved(layer, given, layer.weight, layer.bias, act)
    slow = "depthwise" in what and arguments.get("stride", 1) > 1
    assert found.layout.dtype == ("float32" if slow else "bfloat16")
    assert relative(found.plain(), expected) < 2**-8
    mine = gradients(found.plain(), inputs)
    for one, own in zip(mine, gradients(expected, inputs)):
        assert relative(one, own) < 2**-6
    assert (mine[1].view(np.uint32) & 0xFFFF).any(), "that of the weight is not rounded"
