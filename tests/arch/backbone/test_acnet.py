"""The asymmetric convolution block and the networks that are built of it."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import paddle

from ppcls.arch import create_model
from ppcls.arch.backbone.acnet import AsymmetricConvBNAct
from ppcls.arch.layers import ConvAct, ConvBNAct
from ppcls.arch.summary import count_parameters


def test_a_block_is_three_normalised_convolutions_and_one_activation() -> None:
    block = AsymmetricConvBNAct(4, 6, 5, stride=2)
    shapes = [b.conv.weight.shape for b in (block.square, block.vertical, block.horizontal)]
    assert shapes == [[6, 4, 5, 5], [6, 4, 5, 1], [6, 4, 1, 5]]
    x = paddle.randn([2, 4, 11, 8])
    with paddle.no_grad():
        block.eval()
        total = sum(b(x).numpy() for b in (block.square, block.vertical, block.horizontal))
        np.testing.assert_allclose(block(x).numpy(), np.maximum(total, 0), atol=1e-6)
    assert total.shape == (2, 6, 6, 4)


def test_parameters_of_a_block_are_those_of_its_three_convolutions() -> None:
    assert count_parameters(AsymmetricConvBNAct(16, 32, 3)) == 16 * 32 * (9 + 3 + 3) + 3 * 2 * 32


def _structure(name: str, **arguments: Any) -> paddle.nn.Layer:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def _kernels(network: paddle.nn.Layer, kind: type) -> List[int]:
    blocks = [layer for layer in network.sublayers() if isinstance(layer, kind)]
    convs = [getattr(block, "square", block).conv for block in blocks]
    return [conv.weight.shape[-1] for conv in convs]


def test_every_convolution_larger_than_1x1_is_a_block() -> None:
    network = _structure("ResNet50_ACNet")
    assert _kernels(network, AsymmetricConvBNAct) == [7] + 16 * [3]
    assert count_parameters(network) == 33_119_912


def test_deployed_it_has_one_convolution_with_bias_for_each() -> None:
    network = _structure("ResNet50_ACNet_deploy")
    assert _kernels(network, ConvAct) == [7] + 16 * [3]
    assert set(_kernels(network, ConvBNAct)) == {1}
    assert count_parameters(network) == 25_553_192


def test_any_resnet_can_be_built_of_blocks() -> None:
    arguments = {"block": "basic", "depths": [1, 1, 1, 1], "class_num": 2}
    network = create_model("ResNet50_vd", conv="acb", **arguments)
    assert _kernels(network, AsymmetricConvBNAct) == 3 * [3] + 8 * [3]
    network.eval()
    with paddle.no_grad():
        assert network(paddle.zeros([1, 3, 32, 32])).shape == [1, 2]
