"""What makes each column of VGG's table 1, and each published variant, what it is."""

from __future__ import annotations

from typing import Any, Dict, List

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.vgg import VGGStage
from ppcls.arch.layers import ConvAct, LocalResponseNorm
from ppcls.arch.network import Network
from ppcls.errors import ConfigError


def _structure(name: str, **arguments: Any) -> Network:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def _convolutions(network: Network) -> List[nn.Conv2D]:
    return [layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D)]


@pytest.mark.parametrize(
    ("name", "layers"),
    [("VGG11", 11), ("VGG13", 13), ("VGG16", 16), ("VGG16_C", 16), ("VGG19", 19)],
)
def test_names_count_the_layers_with_weights(name: str, layers: int) -> None:
    assert len(_convolutions(_structure(name))) + 3 == layers


def test_hidden_layers_can_be_narrower() -> None:
    head = _structure("VGG11", class_num=7, head_width=64).head
    shapes = [layer.weight.shape for layer in (head.fc1, head.fc2, head.fc3)]
    assert shapes == [[512 * 7 * 7, 64], [64, 64], [64, 7]]


def test_only_network_c_has_1x1_convolutions_and_each_is_the_third_of_its_stage() -> None:
    kernels: Dict[str, List[int]] = {}
    for name in ("VGG16_C", "VGG16"):
        network = _structure(name)
        kernels[name] = [conv._kernel_size[0] for conv in _convolutions(network)]
    assert kernels["VGG16"] == [3] * 13
    assert kernels["VGG16_C"] == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]
    assert [conv._kernel_size[0] for conv in _convolutions(_structure("VGG19"))] == [3] * 16


def test_a_lrn_normalises_the_first_maps_before_they_are_pooled() -> None:
    network = _structure("VGG11_LRN")
    norms = [layer for layer in network.sublayers() if isinstance(layer, LocalResponseNorm)]
    assert len(norms) == 1
    assert network.stage1.pool[0] is norms[0]
    assert isinstance(network.stage1.pool[1], nn.MaxPool2D)


@pytest.mark.parametrize(
    ("name", "bias", "norms"),
    [("VGG11", False, 0), ("VGG11_tv", True, 0), ("VGG11_bn", True, 8), ("VGG16_C", True, 0)],
)
def test_biases_and_normalisations(name: str, bias: bool, norms: int) -> None:
    network = _structure(name)
    assert all((conv.bias is not None) == bias for conv in _convolutions(network))
    assert sum(isinstance(layer, nn.BatchNorm2D) for layer in network.sublayers()) == norms


def test_dropout_rescales_where_the_weights_were_trained_so() -> None:
    modes = {name: _structure(name).head.drop1.mode for name in ("VGG11", "VGG11_tv", "VGG11_bn")}
    assert modes == {
        "VGG11": "downscale_in_infer",
        "VGG11_tv": "upscale_in_train",
        "VGG11_bn": "upscale_in_train",
    }


def test_a_stage_widens_and_halves_its_maps() -> None:
    stage = VGGStage(3, 4, [3, 3, 1], ConvAct)
    assert list(stage._sub_layers) == ["conv1", "conv2", "conv3", "pool"]
    assert stage(paddle.zeros([2, 3, 9, 8])).shape == [2, 4, 4, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"third_kernel": 5}, "third_kernel"), ({"depths": [1, 1, 2, 2]}, "depths")],
)
def test_wrong_arguments_are_explained(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _structure("VGG11", **arguments)
