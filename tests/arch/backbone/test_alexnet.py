"""What makes each AlexNet what it is."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.layers import ConvAct, LocalResponseNorm
from ppcls.arch.network import Network
from ppcls.arch.summary import count_parameters
from ppcls.errors import ConfigError


def _structure(name: str, **arguments: Any) -> Network:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def _convolutions(network: Network) -> List[nn.Conv2D]:
    return [layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D)]


def test_hidden_layers_can_be_narrower() -> None:
    head = _structure("AlexNet", class_num=7, head_width=64).head
    shapes = [layer.weight.shape for layer in (head.fc6, head.fc7, head.fc8)]
    assert shapes == [[256 * 6 * 6, 64], [64, 64], [64, 7]]


def test_two_columns_of_2012_meet_in_the_third_convolution_only() -> None:
    assert [conv._groups for conv in _convolutions(_structure("AlexNet_2012"))] == [1, 2, 1, 2, 2]
    assert {conv._groups for conv in _convolutions(_structure("AlexNet"))} == {1}


def test_parameters_of_each_layer_of_2012() -> None:
    """Kernels from section 3.5 of the paper: 96 of 11x11x3, 256 of 5x5x48, 384 of 3x3x256, ..."""
    kernels = (96 * 11 * 11 * 3, 256 * 25 * 48, 384 * 9 * 256, 384 * 9 * 192, 256 * 9 * 192)
    biases = (96, 256, 384, 384, 256)
    network = _structure("AlexNet_2012")
    assert [count_parameters(conv) for conv in _convolutions(network)] == [
        kernel + bias for kernel, bias in zip(kernels, biases)
    ]


@pytest.mark.parametrize(("padding", "side"), [(0, 227), (2, 224)])
def test_the_first_map_has_55_pixels(padding: int, side: int) -> None:
    network = _structure("AlexNet", padding=padding)
    assert network.input_size == side
    conv = ConvAct(3, 1, 11, stride=4, padding=padding)
    assert network.stage1.conv1.conv._padding == conv.conv._padding
    assert conv(paddle.zeros([1, 3, side, side])).shape == [1, 1, 55, 55]


def test_normalisation_follows_the_first_two_activations() -> None:
    for name, expected in (("AlexNet_2012", True), ("AlexNet", False)):
        network = _structure(name)
        norms = [network.stage1.norm, network.stage2.norm]
        assert [isinstance(norm, LocalResponseNorm) for norm in norms] == [expected] * 2
        assert list(network.stage1._sub_layers) == ["conv1", "norm", "pool"]


def test_local_response_normalisation_is_the_papers_formula() -> None:
    x = np.random.default_rng(0).normal(0, 100, (2, 9, 3, 4))
    expected = np.empty_like(x)
    for i in range(9):
        neighbours = x[:, max(0, i - 2) : i + 3]
        expected[:, i] = x[:, i] / (2 + 1e-4 * (neighbours**2).sum(1)) ** 0.75
    got = LocalResponseNorm()(paddle.to_tensor(x.astype("float32"))).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_biases_start_as_in_the_paper() -> None:
    network = create_model("AlexNet_2012", class_num=2, widths=[2] * 5)
    layers = [*_convolutions(network), network.head.fc6, network.head.fc7, network.head.fc8]
    assert [layer.bias.numpy().mean() for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_dropout_rescales_where_the_weights_were_trained_so() -> None:
    modes = {name: _structure(name).head.drop6.mode for name in ("AlexNet", "AlexNet_tv")}
    assert modes == {"AlexNet": "downscale_in_infer", "AlexNet_tv": "upscale_in_train"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"widths": [64, 192, 384]}, "widths"),
        ({"columns": 5}, "must be multiples of columns \\(5\\), got \\[64, 192"),
        ({"padding": -1}, "padding"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _structure("AlexNet", **arguments)
