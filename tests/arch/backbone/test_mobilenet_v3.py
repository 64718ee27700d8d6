"""MobileNetV3: what its paper says, counted and computed in other ways."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.layers import InvertedResidual, SqueezeExcitation
from ppcls.arch.network import Network
from ppcls.arch.summary import network_costs
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import reference_names

# Tables 1 and 2 of the paper as printed: kernel, inner channels, channels, SE, h-swish, stride.
_LARGE = """
    3 16 16 - RE 1
    3 64 24 - RE 2
    3 72 24 - RE 1
    5 72 40 SE RE 2
    5 120 40 SE RE 1
    5 120 40 SE RE 1
    3 240 80 - HS 2
    3 200 80 - HS 1
    3 184 80 - HS 1
    3 184 80 - HS 1
    3 480 112 SE HS 1
    3 672 112 SE HS 1
    5 672 160 SE HS 2
    5 960 160 SE HS 1
    5 960 160 SE HS 1
"""
_SMALL = """
    3 16 16 SE RE 2
    3 72 24 - RE 2
    3 88 24 - RE 1
    5 96 40 SE HS 2
    5 240 40 SE HS 1
    5 240 40 SE HS 1
    5 120 48 SE HS 1
    5 144 48 SE HS 1
    5 288 96 SE HS 2
    5 576 96 SE HS 1
    5 576 96 SE HS 1
"""


def _blocks(network: Network) -> List[InvertedResidual]:
    return [block for name in network.stages[1:] for block in getattr(network, name)]


def _printed(block: InvertedResidual) -> str:
    conv = block.depthwise.conv
    kernel, stride = conv._kernel_size[0], conv._stride[0]
    squeeze = "SE" if isinstance(block.se, SqueezeExcitation) else "-"
    act = {"ReLU": "RE", "Hardswish": "HS"}[type(block.depthwise.act).__name__]
    channels = block.project.conv._out_channels
    return f"{kernel} {conv._out_channels} {channels} {squeeze} {act} {stride}"


def _lines(table: str) -> List[str]:
    return [line.strip() for line in table.strip().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "table"), [("large", _LARGE), ("small", _SMALL)])
@pytest.mark.parametrize("form", ["", "_tv", "_timm", "_tf"])
def test_blocks_are_the_papers_tables(size: str, table: str, form: str) -> None:
    network = create_model(f"MobileNetV3_{size}_x1_0{form}", class_num=2)
    assert [_printed(block) for block in _blocks(network)] == _lines(table)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"),
    # Tables 3 and 4 of the paper.
    [
        ("MobileNetV3_large_x1_0_tv", 219),
        ("MobileNetV3_large_x0_75_tf", 155),
        ("MobileNetV3_small_x1_0_tv", 56),
        ("MobileNetV3_small_x0_75_tf", 44),
    ],
)
def test_multiply_adds_are_the_papers(name: str, millions: int) -> None:
    assert network_costs(name).macs / 1e6 == pytest.approx(millions, rel=0.015)


def test_the_levels_are_the_last_maps_of_each_resolution() -> None:
    large, small = (
        [tuple(level) for level in create_model(f"MobileNetV3_{size}_x1_0", class_num=2).levels]
        for size in ("large", "small")
    )
    assert large == [
        ("stage1", 16, 2),
        ("stage2", 24, 4),
        ("stage3", 40, 8),
        ("stage5", 112, 16),
        ("stage6", 160, 32),
    ]
    assert small == [
        ("stem", 16, 2),
        ("stage1", 16, 4),
        ("stage2", 24, 8),
        ("stage4", 48, 16),
        ("stage5", 96, 32),
    ]


def _squeezed(name: str) -> List[int]:
    blocks = _blocks(create_model(name, class_num=2))
    return [
        block.se.reduce.conv._out_channels
        for block in blocks
        if isinstance(block.se, SqueezeExcitation)
    ]


def test_squeezing_leaves_a_quarter_rounded_where_torchvision_rounds_it() -> None:
    assert _squeezed("MobileNetV3_large_x1_0") == [18, 30, 30, 120, 168, 168, 240, 240]
    assert _squeezed("MobileNetV3_large_x1_0_tv") == [24, 32, 32, 120, 168, 168, 240, 240]


@pytest.mark.parametrize(
    ("name", "slope"),
    [("MobileNetV3_small_x0_35", 0.2), ("MobileNetV3_small_x1_0_tv", 1 / 6)],
)
def test_the_gates_slope(name: str, slope: float) -> None:
    gate = create_model(name, scale=0.35, class_num=2).stage1[0].se.expand.act
    x = paddle.linspace(-4.0, 4.0, 33)
    expected = paddle.clip(slope * x + 0.5, 0.0, 1.0)
    assert paddle.allclose(gate(x), expected, atol=1e-6).item()


def test_inner_channels_follow_the_table_or_the_rounded_channels() -> None:
    found = {}
    for name in ("MobileNetV3_large_x0_75", "MobileNetV3_large_x0_75_timm"):
        blocks = _blocks(create_model(name, class_num=2))
        found[name] = [block.depthwise.conv._out_channels for block in blocks[1:5]]
    assert found == {
        "MobileNetV3_large_x0_75": [48, 56, 56, 88],
        "MobileNetV3_large_x0_75_timm": [64, 72, 72, 96],
    }


def test_the_minimal_form_has_nothing_that_small_devices_lack() -> None:
    network = create_model("MobileNetV3_small_minimal_tf", scale=0.35, class_num=2)
    kinds = {type(layer).__name__ for layer in network.sublayers()}
    assert "ReLU" in kinds
    assert not kinds & {"Hardswish", "HardSigmoid", "SqueezeExcitation"}
    assert {block.depthwise.conv._kernel_size[0] for block in _blocks(network)} == {3}


def test_the_head_convolves_the_average_and_drops_as_paddleclas_does() -> None:
    paddle.seed(0)
    network = create_model("MobileNetV3_small_x0_35", class_num=4)
    network.eval()
    head, x = network.head, paddle.randn([2, 32, 3, 3])
    hidden = head.hidden(head.pool(head.conv1(x)))
    assert hidden.shape == [2, 1280, 1, 1] and head.hidden.conv.bias is None
    expected = 0.8 * hidden.flatten(1) @ head.fc.weight + head.fc.bias
    assert paddle.allclose(head(x), expected, atol=1e-5).item()


def test_drop_path_grows_from_the_first_block_to_the_last() -> None:
    network = create_model("MobileNetV3_small_x0_35", class_num=2, drop_path=0.22)
    rates = [block.drop.rate for block in _blocks(network)]
    assert rates == pytest.approx([0.02 * index for index in range(11)])


@pytest.mark.parametrize(("size", "channels"), [("large", 56), ("small", 32)])
def test_small_images_keep_four_pixels(size: str, channels: int) -> None:
    network = create_model(f"MobileNetV3_{size}_x0_35", stem="cifar", class_num=10)
    network.eval()
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, channels, 4, 4]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]


def _named(source: str, name: str) -> Tuple[str, ...]:
    names = reference_names(source, create_model(name, class_num=2))
    ours = ("stage1.0.se.reduce.conv.bias", "stage3.1.project.bn._mean", "head.conv1.conv.weight")
    return tuple(names[key] for key in ours)


def test_names_elsewhere() -> None:
    assert _named("paddleclas", "MobileNetV3_small_x0_35") == (
        "blocks.0.mid_se.conv1.bias",
        "blocks.4.linear_conv.bn._mean",
        "last_second_conv.conv.weight",
    )
    assert _named("torchvision", "MobileNetV3_small_x1_0_tv") == (
        "features.1.block.1.fc1.bias",
        "features.5.block.3.1.running_mean",
        "features.12.0.weight",
    )
    assert _named("timm", "MobileNetV3_small_x0_5_timm") == (
        "blocks.0.0.se.conv_reduce.bias",
        "blocks.2.1.bn3.running_mean",
        "blocks.5.0.conv.weight",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"depths": [1] * 8},
            "depths must have 9 numbers, one for each row of MobileNetV3 large's",
        ),
        ({"depths": [1] * 6}, "depths"),
        ({"scale": 0.0}, "scale: must be greater than 0"),
        ({"size": "medium"}, "'large' or 'small'"),
        ({"gate": "relu"}, "'hardsigmoid'"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("MobileNetV3_large_x1_0", **arguments)
    assert words in str(caught.value)
