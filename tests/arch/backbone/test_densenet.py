"""What makes DenseNet: every layer reads all before it, and transitions halve."""

from __future__ import annotations

import re
from typing import Any, Dict, List

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.backbone.densenet import DenseLayer, Transition
from ppcls.errors import ConfigError
from ppcls.weights import load
from ppcls.weights.names.toolkits import reference_names

_SLIM: Dict[str, Any] = {"growth": 4, "depths": [1, 2, 1, 1], "class_num": 3}


def test_a_dense_layer_puts_its_growth_behind_its_input() -> None:
    layer = DenseLayer(6, growth=4, dropout=0.0)
    x = paddle.randn([2, 6, 5, 5])
    y = layer(x)
    assert y.shape == [2, 10, 5, 5]
    assert (y[:, :6] == x).all().item()
    assert layer.bottleneck.conv.weight.shape == [16, 6, 1, 1]


def test_a_transition_halves_channels_and_sides() -> None:
    assert Transition(10)(paddle.zeros([1, 10, 7, 7])).shape == [1, 5, 3, 3]


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("DenseNet121", [64, 256, 512, 1024, 1024]),
        pytest.param("DenseNet161", [96, 384, 768, 2112, 2208], marks=pytest.mark.slow),
        pytest.param("DenseNet264", [64, 256, 512, 2304, 2688], marks=pytest.mark.slow),
    ],
)
def test_channels_follow_from_growth_and_depth(name: str, channels: List[int]) -> None:
    assert [level.channels for level in create_model(name, class_num=2).levels] == channels


def test_levels_end_before_each_transition() -> None:
    network = create_model("DenseNet121", **_SLIM)
    found = [(level.stage, level.stride) for level in network.levels]
    assert found == [("stem", 2), ("stage1", 4), ("stage2", 8), ("stage3", 16), ("norm", 32)]


def test_the_cifar_stem_keeps_the_pixels() -> None:
    network = create_model("DenseNet121", stem="cifar", **_SLIM)
    network.eval()
    assert (network.input_size, network.min_input_size) == (32, 8)
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape[2:] == [4, 4]
    assert network(paddle.zeros([1, 3, 8, 8])).shape == [1, 3]


def test_dropout_reaches_what_dense_layers_add() -> None:
    layer = create_model("DenseNet121", dense_dropout=0.2, **_SLIM).stage2.layer2
    assert layer.drop.p == 0.2


def test_files_with_torchvisions_older_names_load_too() -> None:
    trained, fresh = create_model("DenseNet121", **_SLIM), create_model("DenseNet121", **_SLIM)
    older = {}
    for own, name in reference_names("torchvision", trained).items():
        array = trained.state_dict()[own].numpy()
        name = re.sub(r"(denselayer\d+\.(norm|conv))([12])", r"\1.\3", name)
        older[name] = array.T if array.ndim == 2 else array
    assert "features.denseblock2.denselayer2.norm.1.running_mean" in older
    load(fresh, older, toolkit="torchvision")
    for own, value in trained.state_dict().items():
        assert (fresh.state_dict()[own] == value).all().item(), own


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        (
            "paddleclas",
            {
                "stem.bn._mean": "conv1_func._batch_norm._mean",
                "stage2.layer2.grow.conv.weight": "db_conv_3.conv3_2.bn_ac_func2._conv.weight",
                "transition1.squeeze.bn.bias": "tr_conv2_blk.conv_ac_func._batch_norm.bias",
                "norm.bn.weight": "batch_norm.weight",
                "head.fc.bias": "out.bias",
            },
        ),
        (
            "timm",
            {
                "stem.conv.weight": "features.conv0.weight",
                "transition3.squeeze.conv.weight": "features.transition3.conv.weight",
                "norm.bn._variance": "features.norm5.running_var",
            },
        ),
    ],
)
def test_names_elsewhere(source: str, pairs: Dict[str, str]) -> None:
    names = reference_names(source, create_model("DenseNet121", **_SLIM))
    assert {own: names[own] for own in pairs} == pairs
    assert len(set(names.values())) == len(names)


def test_wrong_depths_are_explained() -> None:
    with pytest.raises(ConfigError, match="depths"):
        create_model("DenseNet121", depths=[6, 12, 24])
