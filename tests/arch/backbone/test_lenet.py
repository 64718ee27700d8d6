"""What makes LeNet-5 what it is: the layers of its paper."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.summary import count_parameters
from ppcls.errors import ConfigError


@pytest.mark.parametrize(
    ("layer", "count"),
    # The paper's numbers; of C3, which it connects sparsely (1,516), those of all connections.
    [("c1", 156), ("c3", 2_416), ("c5", 48_120)],
)
def test_parameters_of_the_papers_layers(layer: str, count: int) -> None:
    assert count_parameters(getattr(create_model("LeNet"), layer)) == count


def test_maps_have_the_papers_sizes() -> None:
    network, x, sizes = create_model("LeNet"), paddle.zeros([1, 1, 32, 32]), []
    for name in network.stages:
        x = getattr(network, name)(x)
        sizes.append(tuple(x.shape[1:3]))
    assert sizes == [(6, 28), (6, 14), (16, 10), (16, 5), (120, 1)]
    assert network.head.f6.weight.shape == [120, 84]


def test_the_papers_units_by_argument() -> None:
    network = create_model("LeNet", act="tanh", pool="avg")
    kinds = {type(layer) for layer in network.sublayers()}
    assert {nn.Tanh, nn.AvgPool2D} <= kinds
    assert not {nn.ReLU, nn.MaxPool2D} & kinds


def test_other_units_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="'relu' or 'tanh'"):
        create_model("LeNet", act="swish")
