"""What makes BN-Inception what it is: figure 5 of its paper."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.network import Network


@pytest.fixture(scope="module")
def network() -> Network:
    """The network with few classes, in evaluation mode."""
    built = create_model("InceptionV2", class_num=2)
    built.eval()
    return built


@pytest.mark.slow
def test_maps_have_the_sizes_and_channels_of_figure_5(network: Network) -> None:
    x, found = paddle.zeros([1, 3, 64, 64]), {}
    with paddle.no_grad():
        for name in network.stages:
            x = getattr(network, name)(x)
            found[name.replace("inception", "")] = (x.shape[1], 64 // x.shape[2])
    assert found == {
        **{"conv1": (64, 2), "pool1": (64, 4), "conv2": (64, 4), "conv3": (192, 4)},
        **{"pool2": (192, 8), "3a": (256, 8), "3b": (320, 8), "3c": (576, 16)},
        # What the columns add up to, where the paper's column of depths says 576 and 1024.
        **{"4a": (576, 16), "4b": (576, 16), "4c": (608, 16), "4d": (608, 16), "4e": (1056, 32)},
        **{"5a": (1024, 32), "5b": (1024, 32)},
    }


def test_every_convolution_is_normalised_and_none_has_a_bias(network: Network) -> None:
    convolutions = [layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D)]
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    assert len(convolutions) == len(norms) == 69
    assert all(conv.bias is None for conv in convolutions)


def test_two_3x3_stand_for_the_5x5_of_googlenet(network: Network) -> None:
    double = network.inception3a.long
    kernels = [tuple(layer.conv.weight.shape) for layer in (double.conv2, double.conv3)]
    assert kernels == [(96, 64, 3, 3), (96, 96, 3, 3)]


def test_modules_that_halve_the_maps_pass_the_pooled_maps_through(network: Network) -> None:
    assert list(network.inception3c._sub_layers) == ["three", "long", "pool"]
    assert isinstance(network.inception3c.pool, nn.MaxPool2D)
    assert isinstance(network.inception5a.pool.pool, nn.AvgPool2D)
    assert isinstance(network.inception5b.pool.pool, nn.MaxPool2D)


@pytest.mark.parametrize("side", [1, 33])
def test_any_size_fits(side: int, network: Network) -> None:
    with paddle.no_grad():
        assert network(paddle.zeros([1, 3, side, side])).shape == [1, 2]
