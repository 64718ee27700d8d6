"""What makes DetNet DetNet."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.resnet import Bottleneck
from ppcls.arch.network import Network
from ppcls.arch.summary import count_parameters, summarise
from ppcls.errors import ConfigError


@pytest.fixture(scope="module")
def network() -> Network:
    """The whole network, with weights that nobody has filled: its structure is what counts."""
    with paddle.LazyGuard():
        return create_model("DetNet59")


@pytest.mark.slow
def test_it_costs_what_the_paper_says() -> None:
    network = create_model("DetNet59")
    assert count_parameters(network) == 18_372_648
    assert round(sum(row.macs for row in summarise(network)) / 1e9, 2) == 4.85


def test_it_has_59_layers(network: Network) -> None:
    layers = [layer for layer in network.sublayers() if isinstance(layer, (nn.Conv2D, nn.Linear))]
    projections = 5
    assert len(layers) - projections == 59


def test_the_last_stages_keep_stride_16_by_dilation(network: Network) -> None:
    assert [level.stride for level in network.levels] == [2, 4, 8, 16, 16, 16]
    for stage in (network.stage4, network.stage5):
        for block in stage:
            conv = block.conv2.conv
            assert (conv._dilation, conv._stride, conv._padding) == ([2, 2], [1, 1], 2)
            assert conv.weight.shape == [256, 256, 3, 3]


def test_maps_have_the_size_of_their_levels() -> None:
    extractor = create_model("DetNet59", depths=[1, 1, 1, 1, 1], class_num=2, features_only=True)
    extractor.eval()
    with paddle.no_grad():
        maps = extractor(paddle.zeros([1, 3, 64, 32]))
    assert [found.shape[1:] for found in maps] == [
        [level.channels, 64 // level.stride, 32 // level.stride] for level in extractor.levels
    ]


def test_dilated_stages_are_blocks_b_a_a(network: Network) -> None:
    for stage in (network.stage4, network.stage5):
        kinds = [isinstance(block.shortcut, nn.Identity) for block in stage]
        assert kinds == [False, True, True]
        assert all(isinstance(block, Bottleneck) for block in stage)


def test_earlier_stages_halve_the_map_in_their_first_convolution(network: Network) -> None:
    for stage in (network.stage2, network.stage3):
        assert stage[0].conv1.conv._stride == [2, 2]
        assert stage[0].conv2.conv._stride == [1, 1]


def test_depths_are_five() -> None:
    with pytest.raises(ConfigError, match="depths"):
        create_model("DetNet59", depths=[3, 4, 6, 3])
