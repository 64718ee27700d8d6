"""MobileNetV1: what its paper says, counted and computed in other ways."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from ppcls.arch import create_model
from ppcls.arch.backbone.mobilenet_v1 import DepthwiseSeparable
from ppcls.arch.layers import ConvBNAct
from ppcls.arch.summary import network_costs
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import reference_names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"),
    # Tables 4 and 6 of the paper.
    [
        ("MobileNetV1", 569),
        ("MobileNetV1_x0_75", 325),
        ("MobileNetV1_x0_5", 149),
        ("MobileNetV1_x0_25", 41),
    ],
)
def test_multiply_adds_are_the_papers(name: str, millions: int) -> None:
    assert round(network_costs(name).macs / 1e6) == millions


def test_a_block_is_a_full_convolution_in_two_factors() -> None:
    paddle.seed(0)
    block = DepthwiseSeparable(4, 6, 2, partial(ConvBNAct, act=None, eps=0.0))
    block.eval()
    depthwise, pointwise = block.depthwise.conv.weight, block.pointwise.conv.weight
    assert depthwise.shape == [4, 1, 3, 3] and pointwise.shape == [6, 4, 1, 1]
    x = paddle.randn([2, 4, 9, 9])
    full = F.conv2d(x, pointwise * depthwise.transpose([1, 0, 2, 3]), stride=2, padding=1)
    np.testing.assert_allclose(block(x).numpy(), full.numpy(), atol=1e-5)


def test_both_convolutions_are_normalised_and_activated() -> None:
    for name, expected in (("MobileNetV1_x0_25", "ReLU"), ("MobileNetV1_timm", "ReLU6")):
        block = create_model(name, scale=0.25, class_num=2).stage2[0]
        for part in (block.depthwise, block.pointwise):
            assert [type(layer).__name__ for layer in part.children()][1:] == [
                "BatchNorm2D",
                expected,
            ]


@pytest.mark.parametrize(
    ("arguments", "side", "expected"),
    [
        ({}, 64, [16, 32, 64, 128, 256]),
        ({"scale": 0.3}, 64, [24, 40, 80, 152, 304]),
        ({"scale": 0.3, "divisor": 1}, 64, [19, 38, 77, 154, 307]),
    ],
)
def test_the_width_multiplier_scales_every_stage(
    arguments: Dict[str, Any], side: int, expected: List[int]
) -> None:
    network = create_model("MobileNetV1_x0_25", features_only=True, **{"scale": 0.25, **arguments})
    maps = network(paddle.zeros([1, 3, side, side]))
    assert [found.shape[1] for found in maps] == network.channels == expected
    assert [side // found.shape[2] for found in maps] == network.strides == [2, 4, 8, 16, 32]


def test_small_images_keep_four_pixels() -> None:
    network = create_model("MobileNetV1_x0_25", stem="cifar", class_num=10)
    network.eval()
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, 256, 4, 4]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]


def test_a_head_may_have_a_convolution_of_its_own() -> None:
    network = create_model("MobileNetV1_h_timm", scale=0.25, head_width=48, class_num=3)
    assert network.head.conv.conv.weight.shape == [48, 256, 1, 1]
    assert network(paddle.zeros([2, 3, 32, 32])).shape == [2, 3]


def test_names_elsewhere() -> None:
    network = create_model("MobileNetV1_h_timm", scale=0.25, class_num=2)
    paddleclas, timm = (reference_names(source, network) for source in ("paddleclas", "timm"))
    assert paddleclas["stage4.1.depthwise.bn._mean"] == "blocks.6.depthwise_conv.bn._mean"
    assert timm["stage4.1.depthwise.bn._mean"] == "blocks.3.1.bn1.running_mean"
    assert timm["head.conv.conv.weight"] == "conv_head.weight"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scale": 0.0}, "scale: must be greater than 0"),
        ({"act": "swish"}, "'relu' or 'relu6'"),
        ({"divisor": 0}, "divisor"),
        ({"stem": "small"}, "'imagenet' or 'cifar'"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("MobileNetV1", **arguments)
    assert words in str(caught.value)
