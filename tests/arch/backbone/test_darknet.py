"""What makes DarkNet DarkNet."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.darknet import DarkBlock, DarkNet
from ppcls.arch.network import Network
from ppcls.errors import ConfigError


@pytest.fixture(scope="module")
def network() -> Network:
    """The whole network, with weights that nobody has filled: its structure is what counts."""
    with paddle.LazyGuard():
        return create_model("DarkNet53")


def test_it_has_52_convolutions_and_one_fully_connected_layer(network: Network) -> None:
    layers = [layer for layer in network.sublayers() if isinstance(layer, (nn.Conv2D, nn.Linear))]
    assert len(layers) == 53 and isinstance(layers[-1], nn.Linear)


def test_stages_have_the_blocks_and_channels_of_the_papers_table(network: Network) -> None:
    stages = [getattr(network, f"stage{i}") for i in range(1, 6)]
    assert [len(stage) - 1 for stage in stages] == [1, 2, 8, 8, 4]
    assert [level.channels for level in network.levels] == [32, 64, 128, 256, 512, 1024]
    assert [level.stride for level in network.levels] == [1, 2, 4, 8, 16, 32]
    assert network.input_size == 256
    assert not any("Pool2D" in type(layer).__name__ for layer in list(network.children())[:-1])


def test_a_block_halves_the_channels_and_activates_before_the_sum() -> None:
    block = DarkBlock(8, "relu", 0.0)
    assert block.conv1.conv.weight.shape == [4, 8, 1, 1]
    assert block.conv2.conv.weight.shape == [8, 4, 3, 3]
    block.eval()
    block.conv2.bn.weight.set_value(paddle.zeros([8]))
    block.conv2.bn.bias.set_value(-paddle.ones([8]))
    x = paddle.randn([1, 8, 4, 4])
    with paddle.no_grad():
        np.testing.assert_array_equal(block(x).numpy(), x.numpy())


@pytest.mark.parametrize(
    ("act", "slope"), [("relu", 0.0), ("leaky_relu", 0.1), ("leaky_relu_0.01", 0.01)]
)
def test_slopes_of_the_activations(act: str, slope: float) -> None:
    with paddle.LazyGuard():
        network = DarkNet(class_num=2, depths=[1, 1, 1, 1, 1], act=act)
    found = network.stage3.block1.conv2.act(paddle.to_tensor([-2.0, 3.0])).numpy()
    np.testing.assert_allclose(found, [-2 * slope, 3], rtol=1e-6)


@pytest.mark.slow
def test_small_images_keep_their_map_for_two_stages() -> None:
    network = create_model("DarkNet53", stem="cifar", class_num=3, depths=[1, 1, 1, 1, 1])
    assert network.input_size == 32
    assert [level.stride for level in network.levels] == [1, 2, 4, 8]
    network.eval()
    with paddle.no_grad():
        assert network.features(paddle.zeros([1, 3, 32, 32])).shape == [1, 1024, 4, 4]


def test_depths_are_five() -> None:
    with pytest.raises(ConfigError, match="depths"):
        create_model("DarkNet53", depths=[1, 2, 3])
