"""ShuffleNetV2: what its paper says, counted and computed in other ways."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.backbone.shufflenet_v2 import BasicUnit, DownUnit
from ppcls.arch.summary import network_costs
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import reference_names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"),
    # Table 5 of the paper.
    [
        ("ShuffleNetV2_x0_5", 41),
        ("ShuffleNetV2_x1_0", 146),
        ("ShuffleNetV2_x1_5", 299),
        ("ShuffleNetV2_x2_0", 591),
    ],
)
def test_multiply_adds_are_the_papers(name: str, millions: int) -> None:
    assert network_costs(name).macs / 1e6 == pytest.approx(millions, rel=0.015)


def test_stages_are_table_5_of_the_paper() -> None:
    network = create_model("ShuffleNetV2_x1_0", class_num=2)
    assert [tuple(level) for level in network.levels] == [
        ("stem", 24, 2),
        ("pool", 24, 4),
        ("stage2", 116, 8),
        ("stage3", 232, 16),
        ("stage4", 464, 32),
    ]
    assert [len(getattr(network, f"stage{number}")) for number in (2, 3, 4)] == [4, 8, 4]
    assert network.head.conv.conv.weight.shape == [1024, 464, 1, 1]


def test_half_of_the_channels_pass_a_unit_and_are_dealt_out_to_every_second_place() -> None:
    paddle.seed(0)
    unit = BasicUnit(8, "relu")
    unit.eval()
    x = paddle.randn([2, 8, 5, 5])
    found = unit(x).numpy()
    np.testing.assert_array_equal(found[:, 0::2], x[:, :4].numpy())
    np.testing.assert_array_equal(found[:, 1::2], unit.branch(x[:, 4:]).numpy())


def test_a_unit_that_halves_the_map_sends_all_channels_through_both_sides() -> None:
    paddle.seed(0)
    unit = DownUnit(6, 16, "relu")
    unit.eval()
    x = paddle.randn([2, 6, 8, 8])
    found = unit(x).numpy()
    assert found.shape == (2, 16, 4, 4)
    np.testing.assert_array_equal(found[:, 0::2], unit.shortcut(x).numpy())
    np.testing.assert_array_equal(found[:, 1::2], unit.branch(x).numpy())


def test_no_1x1_is_in_groups_and_no_depthwise_is_activated() -> None:
    network = create_model("ShuffleNetV2_x0_25", class_num=2)
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            assert layer._groups == (1 if layer._kernel_size[0] == 1 else layer._groups)
    unit = network.stage3[0]
    for depthwise in (unit.branch.depthwise, unit.shortcut.depthwise):
        assert depthwise.conv._groups == depthwise.conv._in_channels
        assert isinstance(depthwise.act, paddle.nn.Identity)


@pytest.mark.slow
def test_swish_replaces_every_activation() -> None:
    found = {}
    for act in ("relu", "swish"):
        network = create_model("ShuffleNetV2_x0_25", act=act, class_num=2)
        kinds = [type(layer).__name__ for layer in network.sublayers()]
        found[act] = (kinds.count("ReLU"), kinds.count("Swish"))
    count = 1 + 3 * 3 + 13 * 2 + 1
    assert found == {"relu": (count, 0), "swish": (0, count)}


def test_small_images_keep_four_pixels() -> None:
    network = create_model("ShuffleNetV2_x0_25", stem="cifar", class_num=10)
    network.eval()
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, 96, 4, 4]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]


def test_names_elsewhere() -> None:
    network = create_model("ShuffleNetV2_x0_25", class_num=2)
    ours = ["stage3.0.branch.depthwise.bn.bias", "stage3.2.branch.conv2.conv.weight"]
    found = {
        source: [reference_names(source, network)[name] for name in ours]
        for source in ("paddleclas", "torchvision")
    }
    assert found == {
        "paddleclas": ["3_1._conv_dw_2._batch_norm.bias", "3_3._conv_linear._conv.weight"],
        "torchvision": ["stage3.0.branch2.4.bias", "stage3.2.branch2.5.weight"],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"widths": [24, 48, 96]}, "widths"),
        ({"widths": [25, 48, 96, 512]}, "widths.0: must be a multiple of 2"),
        ({"act": "relu6"}, "'relu' or 'swish'"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("ShuffleNetV2_x1_0", **arguments)
    assert words in str(caught.value)
