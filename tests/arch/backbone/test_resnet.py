"""What makes each variant of ResNet what it is."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.resnet import BasicBlock, Bottleneck, ResNet, Style
from ppcls.arch.layers import ConvBNAct, DropPath
from ppcls.arch.network import Network
from ppcls.errors import ConfigError

_SHALLOW: Dict[str, Any] = {"block": "basic", "depths": [1, 1, 1, 1], "class_num": 2}


def _structure(name: str, **arguments: Any) -> Network:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def _shapes(*blocks: ConvBNAct) -> List[List[int]]:
    return [list(block.conv.weight.shape) for block in blocks]


def test_only_paddleclas_projects_the_first_shortcut() -> None:
    ours, theirs = _structure("ResNet18"), _structure("ResNet18_tv")
    assert isinstance(ours.stage1[0].shortcut, ConvBNAct)
    assert isinstance(theirs.stage1[0].shortcut, nn.Identity)
    assert isinstance(theirs.stage2[0].shortcut, ConvBNAct)
    for network in (ours, theirs):
        assert isinstance(network.stage1[1].shortcut, nn.Identity)


def test_a_bottleneck_halves_the_map_in_its_3x3_convolution() -> None:
    block = Bottleneck(8, 4, 2, True, Style(), 0.0)
    strides = [conv.conv._stride for conv in (block.conv1, block.conv2, block.conv3)]
    assert strides == [[1, 1], [2, 2], [1, 1]]
    early = Bottleneck(8, 4, 2, True, Style(early_stride=True), 0.0)
    assert (early.conv1.conv._stride, early.conv2.conv._stride) == ([2, 2], [1, 1])


def test_vd_has_three_small_convolutions_in_front_and_pools_in_its_shortcuts() -> None:
    network = _structure("ResNet18_vd")
    assert _shapes(*network.stem) == [[32, 3, 3, 3], [32, 32, 3, 3], [64, 32, 3, 3]]
    assert [conv.conv._stride for conv in network.stem] == [[2, 2], [1, 1], [1, 1]]
    first, second = network.stage1[0].shortcut, network.stage2[0].shortcut
    assert isinstance(first.pool, nn.Identity)
    assert isinstance(second.pool, nn.AvgPool2D)
    assert second.conv.conv._stride == [1, 1]


def test_pooled_shortcuts_average_what_there_is_at_an_odd_border() -> None:
    shortcut = Style(pooled_shortcut=True).shortcut(1, 2, 2, True)
    x = np.arange(15, dtype="float32").reshape(1, 1, 3, 5)
    found = shortcut.pool(paddle.to_tensor(x)).numpy()[0, 0]
    np.testing.assert_allclose(found, [[3, 5, 6.5], [10.5, 12.5, 14]])


@pytest.mark.parametrize("side", [33, 64, 75])
def test_vd_takes_images_of_any_side(side: int) -> None:
    network = ResNet(stem="deep", pooled_shortcut=True, **_SHALLOW)
    network.eval()
    with paddle.no_grad():
        assert network.features(paddle.zeros([1, 3, side, side])).shape[2:] == [-(-side // 32)] * 2


def test_resnext_has_grouped_convolutions_of_the_papers_table() -> None:
    network = _structure("ResNeXt50_32x4d")
    block = network.stage1[0]
    expected = [[128, 64, 1, 1], [128, 4, 3, 3], [256, 128, 1, 1]]
    assert _shapes(block.conv1, block.conv2, block.conv3) == expected
    assert network.stage4[0].conv2.conv.weight.shape == [1024, 32, 3, 3]


def test_wide_resnet_has_twice_the_inner_channels() -> None:
    block = _structure("WideResNet50_2").stage3[0]
    expected = [[512, 512, 1, 1], [512, 512, 3, 3], [1024, 512, 1, 1]]
    assert _shapes(block.conv1, block.conv2, block.conv3) == expected


def test_the_vd_of_200_layers_is_paddleclas_own() -> None:
    network = _structure("ResNet200_vd")
    assert [len(getattr(network, f"stage{i}")) for i in range(1, 5)] == [3, 12, 48, 3]


def test_drop_path_rises_from_the_first_block() -> None:
    network = _structure("ResNet18", drop_path=0.4, depths=[2, 1, 1, 1])
    rates = [layer.rate for layer in network.sublayers() if isinstance(layer, DropPath)]
    assert rates[0] == 0.0 and rates == sorted(rates) and len(rates) == 5
    assert rates[-1] <= 0.4


def test_a_dropped_branch_leaves_the_shortcut() -> None:
    paddle.seed(0)
    block = BasicBlock(4, 4, 1, False, Style(), 0.999999)
    block.train()
    x = paddle.rand([3, 4, 5, 5])
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("conv", ["plain", "acb"])
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_zero_init_makes_blocks_start_as_their_shortcut(block: type, conv: Any) -> None:
    name = "basic" if block is BasicBlock else "bottleneck"
    network = ResNet(
        zero_init=True, conv=conv, **{**_SHALLOW, "block": name, "depths": [2, 1, 1, 1]}
    )
    network.eval()
    x = paddle.rand([2, 64 * block.expansion, 4, 4])  # type: ignore[attr-defined]
    with paddle.no_grad():
        np.testing.assert_array_equal(network.stage1[1](x).numpy(), x.numpy())


def test_small_images_start_with_3x3_and_no_pooling() -> None:
    network = _structure("ResNet18", stem="cifar")
    assert _shapes(network.stem) == [[64, 3, 3, 3]]
    assert network.input_size == 32
    assert [level.stride for level in network.levels] == [1, 1, 2, 4, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"stem": "small"}, "'imagenet', 'deep' or 'cifar'"),
        ({"conv": "acnet"}, "'plain', 'acb', 'dbb' or 'fused'"),
        ({"conv": "dbb", "block": "bottleneck", "groups": 2}, "have no groups"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"groups": 0}, "groups"),
        ({"groups": 2}, "basic blocks have neither"),
        ({"bottleneck_width": 128}, "basic blocks have neither"),
        ({"block": "bottleneck", "groups": 3}, "bottleneck_width: 64 channels cannot be divided"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("ResNet18", **arguments)
    assert words in str(caught.value)
