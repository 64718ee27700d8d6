"""MobileNetV2: what its paper says, counted and computed in other ways."""

from __future__ import annotations

from typing import Any, Dict, List

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.summary import count_parameters, network_costs
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import reference_names


def _small(**arguments: Any) -> paddle.nn.Layer:
    network = create_model("MobileNetV2_x0_25", class_num=10, **arguments)
    network.eval()
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"),
    # Table 4 of the paper, and the table of the authors' repository.
    [("MobileNetV2_tv", 300), ("MobileNetV2_x1_4_tv", 582), ("MobileNetV2_x0_75_tv", 209)],
)
def test_multiply_adds_are_the_papers(name: str, millions: int) -> None:
    assert network_costs(name).macs / 1e6 == pytest.approx(millions, rel=0.005)


def test_stages_are_table_2_of_the_paper() -> None:
    network = create_model("MobileNetV2_tv", class_num=2)
    network.eval()
    x, found = paddle.zeros([1, 3, 224, 224]), []
    for name in network.stages:
        x = getattr(network, name)(x)
        found.append((x.shape[1], x.shape[2]))
    assert found == [
        (32, 112),
        (16, 112),
        (24, 56),
        (32, 28),
        (64, 14),
        (96, 14),
        (160, 7),
        (320, 7),
    ]
    assert [len(getattr(network, name)) for name in network.stages[1:]] == [1, 2, 3, 4, 3, 3, 1]
    assert network.head.conv(x).shape == [1, 1280, 7, 7]
    assert [(level.stage, level.stride) for level in network.levels] == [
        ("stage1", 2),
        ("stage2", 4),
        ("stage3", 8),
        ("stage5", 16),
        ("stage7", 32),
    ]


def test_bottlenecks_are_linear_and_the_layers_inside_are_capped_at_six() -> None:
    paddle.seed(0)
    block = _small().stage2[1]
    block.depthwise.bn.weight.set_value(paddle.full([36], 10.0))
    x = paddle.randn([1, 6, 8, 8])
    inside = block.depthwise(block.expand(x))
    assert inside.shape[1] == 36
    assert inside.min().item() >= 0.0 and inside.max().item() == 6.0
    assert block.project(inside).min().item() < 0.0


def test_shortcuts_are_between_bottlenecks_of_one_shape() -> None:
    network = _small()
    blocks = [block for name in network.stages[1:] for block in getattr(network, name)]
    positions = [index for index, block in enumerate(blocks) if block.residual]
    assert positions == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    x = paddle.randn([1, 6, 8, 8])
    block = blocks[2]
    branch = block.project(block.depthwise(block.expand(x)))
    assert paddle.allclose(block(x), x + branch).item()


def test_paddleclas_expands_the_first_block_too() -> None:
    extra = 32 * 32 + 2 * 32
    both = [create_model("MobileNetV2", always_expand=choice) for choice in (True, False)]
    assert count_parameters(both[0]) - count_parameters(both[1]) == extra


@pytest.mark.parametrize(
    ("arguments", "channels", "last"),
    [
        ({"scale": 0.75}, [12, 18, 24, 72, 240], 1280),
        ({"scale": 0.75, "divisor": 8}, [16, 24, 24, 72, 240], 1280),
        ({"scale": 0.1, "divisor": 8}, [8, 8, 8, 16, 32], 1280),
        ({"scale": 1.5}, [24, 36, 48, 144, 480], 1920),
        ({"scale": 1.5, "head_width": 40}, [24, 36, 48, 144, 480], 40),
    ],
)
def test_the_width_multiplier_scales_all_but_a_smaller_last_convolution(
    arguments: Dict[str, Any], channels: List[int], last: int
) -> None:
    network = _small(**arguments)
    assert [level.channels for level in network.levels] == channels
    assert network.head.conv.conv.weight.shape[0] == network.head.fc.weight.shape[0] == last


def test_drop_path_grows_from_the_first_block_to_the_last() -> None:
    network = _small(drop_path=0.34)
    rates = [block.drop.rate for name in network.stages[1:] for block in getattr(network, name)]
    assert rates == pytest.approx([0.02 * index for index in range(17)])


def test_small_images_keep_four_pixels() -> None:
    network = _small(stem="cifar")
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, 80, 4, 4]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]


def test_names_elsewhere() -> None:
    network = create_model("MobileNetV2_tv", scale=0.25, class_num=2)
    ours = ["stage1.0.project.bn._mean", "stage4.2.expand.conv.weight", "head.conv.bn.bias"]
    found = {
        source: [reference_names(source, network)[name] for name in ours]
        for source in ("torchvision", "timm")
    }
    assert found["torchvision"] == [
        "features.1.conv.2.running_mean",
        "features.9.conv.0.0.weight",
        "features.18.1.bias",
    ]
    assert found["timm"] == ["blocks.0.0.bn2.running_mean", "blocks.3.2.conv_pw.weight", "bn2.bias"]
    paddleclas = reference_names("paddleclas", network)
    assert paddleclas["stage1.0.project.bn._mean"] == (
        "conv2._first_block._linear_conv._batch_norm._mean"
    )
    assert paddleclas["stage4.2.expand.conv.weight"] == "conv5.conv5_3._expand_conv._conv.weight"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scale": -1.0}, "scale: must be greater than 0"),
        ({"depths": [1, 2, 3]}, "depths"),
        ({"depths": [1, 2, 3, 4, 3, 3, 0]}, "depths"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"act": "relu"}, "act"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("MobileNetV2", **arguments)
    assert words in str(caught.value)
