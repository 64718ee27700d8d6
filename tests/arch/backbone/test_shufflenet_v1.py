"""ShuffleNetV1: what its paper says, counted and computed in other ways."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls.arch import create_model
from ppcls.arch.backbone.shufflenet_v1 import ShuffleUnit
from ppcls.arch.summary import network_costs
from ppcls.errors import ConfigError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("groups", "millions", "channels"),
    # Table 1 of the paper.
    [
        (1, 143, [144, 288, 576]),
        (2, 140, [200, 400, 800]),
        (3, 137, [240, 480, 960]),
        (4, 133, [272, 544, 1088]),
        (8, 137, [384, 768, 1536]),
    ],
)
def test_groups_cost_and_give_what_table_1_says(
    groups: int, millions: int, channels: List[int]
) -> None:
    name = f"ShuffleNetV1_g{groups}"
    assert network_costs(name).macs / 1e6 == pytest.approx(millions, abs=1.5)
    network = create_model(name, class_num=2)
    assert [level.channels for level in network.levels] == [24, 24, *channels]
    assert [level.stride for level in network.levels] == [2, 4, 8, 16, 32]
    assert [len(getattr(network, f"stage{number}")) for number in (2, 3, 4)] == [4, 8, 4]


def test_only_the_very_first_1x1_is_not_in_groups() -> None:
    network = create_model("ShuffleNetV1_g8", scale=0.25, class_num=2)
    units = [unit for name in network.stages[2:] for unit in getattr(network, name)]
    assert [unit.conv1.conv._groups for unit in units] == [1] + 15 * [8]
    assert {unit.conv3.conv._groups for unit in units} == {8}


def test_inner_channels_are_a_quarter_and_keep_no_activation_after_the_depthwise() -> None:
    unit = ShuffleUnit(24, 24, 1, 3, 3)
    assert unit.conv2.conv.weight.shape == [6, 1, 3, 3]
    assert isinstance(unit.conv2.act, paddle.nn.Identity)


def test_drop_path_grows_over_the_units_that_add() -> None:
    network = create_model("ShuffleNetV1_g3", class_num=2, scale=0.25, drop_path=0.32)
    rates = [unit.drop.rate for name in network.stages[2:] for unit in getattr(network, name)]
    expected = [0.0 if index in (0, 4, 12) else 0.02 * index for index in range(16)]
    assert rates == pytest.approx(expected)
    network.train()
    assert network(paddle.zeros([2, 3, 64, 64])).shape == [2, 2]


def test_the_shuffle_deals_each_groups_channels_to_all_groups() -> None:
    """The first convolution passes channels 0 to 11 on; what arrives is read off the depthwise."""
    unit = ShuffleUnit(12, 48, 1, 3, 3)
    unit.eval()
    seen = []
    unit.conv2.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    unit.conv1 = paddle.nn.Identity()
    unit.conv3 = paddle.nn.Identity()
    channels = np.arange(12, dtype="float32")
    unit(paddle.to_tensor(channels.reshape(1, 12, 1, 1)))
    expected = channels.reshape(3, 4).T.ravel()
    assert seen[0].numpy().ravel().tolist() == expected.tolist()
    assert expected.tolist()[:4] == [0, 4, 8, 1]


def test_the_shortcut_of_a_stride_is_averages_beside_the_branch() -> None:
    paddle.seed(0)
    unit = ShuffleUnit(6, 24, 2, 3, 3)
    unit.eval()
    x = paddle.randn([1, 6, 8, 8])
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    found = unit(x)
    assert found.shape == [1, 24, 4, 4]
    expected = np.maximum(windows.mean(axis=(4, 5)), 0)
    np.testing.assert_allclose(found[:, :6].numpy(), expected, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=12)
@given(groups=st.sampled_from([1, 2, 3, 4, 8]), scale=st.floats(0.05, 0.6))
def test_any_scale_gives_channels_that_groups_divide(groups: int, scale: float) -> None:
    with paddle.LazyGuard():
        network = create_model("ShuffleNetV1_g1", groups=groups, scale=scale, class_num=2)
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            assert layer._in_channels % layer._groups == layer._out_channels % layer._groups == 0


def test_small_images_keep_four_pixels() -> None:
    network = create_model("ShuffleNetV1_x0_5_g3", stem="cifar", class_num=10)
    network.eval()
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, 480, 4, 4]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"groups": 5}, "groups"), ({"scale": 0.0}, "scale: must be greater than 0")],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("ShuffleNetV1_g3", **arguments)
    assert words in str(caught.value)
