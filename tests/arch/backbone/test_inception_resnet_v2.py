"""What makes Inception-ResNet v2 what it is: scaled residual modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.inception_resnet_v2 import (
    ReductionA,
    ReductionB,
    Residual,
    block_a,
    block_b,
    block_c,
)
from ppcls.arch.inception import Branches
from ppcls.arch.layers import ConvAct


def test_a_residual_module_by_hand() -> None:
    x = np.array([[[[1.0]], [[-3.0]]]], "float32")
    module = Residual(2, 4, 0.5, Branches(("same", nn.Identity()), ("positive", nn.ReLU())))
    weight = np.arange(8, dtype="float32").reshape(2, 4, 1, 1)
    module.expand.weight.set_value(weight)
    module.expand.bias.set_value(np.array([1.0, 2.0], "float32"))
    both = np.array([1.0, -3.0, 1.0, 0.0])
    expected = x.ravel() + 0.5 * (weight.reshape(2, 4) @ both + [1.0, 2.0])
    np.testing.assert_allclose(
        module(paddle.to_tensor(x)).numpy().ravel(), np.maximum(expected, 0.0), rtol=1e-6
    )


def test_scales_are_those_of_the_published_weights() -> None:
    blocks = [block_a(ConvAct), block_b(ConvAct), block_c(ConvAct, last=False)]
    assert [block.scale for block in blocks] == [0.17, 0.1, 0.2]
    assert all(isinstance(block.act, nn.ReLU) for block in blocks)


def test_the_last_module_is_neither_scaled_nor_activated() -> None:
    last = block_c(ConvAct, last=True)
    assert last.scale == 1.0
    assert isinstance(last.act, nn.Identity)


@pytest.mark.parametrize(
    ("module", "channels", "expected"),
    [
        (ReductionA, 320, (1088, 6)),
        (ReductionB, 1088, (2080, 6)),
    ],
)
def test_reductions_have_the_channels_of_the_next_stage(
    module: Any, channels: int, expected: Any
) -> None:
    with paddle.no_grad():
        maps = module(ConvAct)(paddle.zeros([1, channels, 13, 13]))
    assert tuple(maps.shape[1:3]) == expected


def test_there_are_ten_twenty_and_ten_modules() -> None:
    with paddle.LazyGuard():
        network = create_model("InceptionResNetV2")
    blocks = [network.blocks_a, network.blocks_b, network.blocks_c]
    assert [len(stage) for stage in blocks] == [10, 20, 10]
    assert [block.scale for block in network.blocks_c] == [0.2] * 9 + [1.0]


def test_only_convolutions_in_front_of_additions_have_a_bias() -> None:
    with paddle.LazyGuard():
        network = create_model("InceptionResNetV2")
    biased = [
        name
        for name, layer in network.named_sublayers()
        if isinstance(layer, nn.Conv2D) and layer.bias is not None
    ]
    assert len(biased) == 40
    assert all(name.endswith(".expand") for name in biased)
