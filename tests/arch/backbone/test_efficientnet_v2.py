"""What makes EfficientNetV2: fused blocks first, squeeze-and-excitation later, its own rounding."""

from __future__ import annotations

from typing import Any, Dict

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.backbone.efficientnet import MBConv, conv_for
from ppcls.arch.backbone.efficientnet_v2 import FusedMBConv
from ppcls.arch.layers import SqueezeExcitation
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import find_reference, reference_names

_SLIM: Dict[str, Any] = {"width": 0.25, "depth": 0.2, "class_num": 4}


def test_the_first_three_stages_are_fused_and_do_not_squeeze() -> None:
    network = create_model("EfficientNetV2_S", **_SLIM)
    kinds = [type(getattr(network, f"stage{i}")[0]) for i in range(1, 7)]
    assert kinds == [FusedMBConv] * 3 + [MBConv] * 3
    for index in range(1, 7):
        layers = getattr(network, f"stage{index}").sublayers()
        assert any(isinstance(layer, SqueezeExcitation) for layer in layers) == (index > 3)


def test_a_fused_block_without_expansion_is_one_convolution() -> None:
    conv = conv_for(8, "same", act="swish")
    alone, wide = FusedMBConv(conv, 8, 8, 1, 1), FusedMBConv(conv, 8, 16, 2, 4)
    assert isinstance(alone.project, paddle.nn.Identity) and alone.residual
    assert wide.fused.conv.weight.shape == [32, 8, 3, 3] and not wide.residual
    assert wide.project.conv.weight.shape == [16, 32, 1, 1]
    assert isinstance(wide.project.act, paddle.nn.Identity)
    assert wide(paddle.zeros([1, 8, 6, 6])).shape == [1, 16, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "stem", "head"),
    [
        ("EfficientNetV2_B0", 224, 32, 1280),
        ("EfficientNetV2_B2", 260, 32, 1408),
        ("EfficientNetV2_B3", 300, 40, 1536),
    ],
)
def test_the_base_is_scaled(name: str, side: int, stem: int, head: int) -> None:
    network = create_model(name, class_num=2)
    assert network.input_size == side
    assert network.stem.conv.weight.shape[0] == stem
    assert network.head.conv.conv.weight.shape[0] == head


@pytest.mark.slow
def test_rounding_may_lose_more_than_a_tenth() -> None:
    # 1.2 * 16 = 19.2 becomes 16 here, and 24 in the networks of 2019.
    assert create_model("EfficientNetV2_B3", class_num=2).levels[0].channels == 16


@pytest.mark.parametrize(("size", "stages", "side"), [("S", 6, 384), ("M", 7, 480), ("L", 7, 480)])
def test_sizes(size: str, stages: int, side: int) -> None:
    network = create_model(f"EfficientNetV2_{size}", **_SLIM)
    assert (len(network.stages), network.input_size) == (stages + 1, side)
    assert [level.stride for level in network.levels] == [2, 4, 8, 16, 32]
    assert network.levels[-1].stage == f"stage{stages}"


def test_the_cifar_stem_keeps_the_pixels() -> None:
    network = create_model("EfficientNetV2_S", stem="cifar", **_SLIM)
    network.eval()
    assert network.input_size == 32
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape[2:] == [2, 2]


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        (
            "paddleclas",
            {
                "stem.bn.weight": "_stem._norm.weight",
                "stage1.0.fused.conv.weight": "_blocks.0._project_conv._conv.weight",
                "stage2.0.fused.bn.bias": "_blocks.1._norm0.bias",
                "stage3.0.project.bn._mean": "_blocks.2._norm1._mean",
                "stage4.0.se.expand.conv.bias": "_blocks.3._se._se_expand._conv.bias",
            },
        ),
        (
            "torchvision",
            {
                "stage2.0.project.bn.bias": "features.2.0.block.1.1.bias",
                "stage4.0.se.reduce.conv.bias": "features.4.0.block.2.fc1.bias",
                "head.conv.bn.weight": "features.7.1.weight",
            },
        ),
        (
            "timm",
            {
                "stage1.0.fused.bn.weight": "blocks.0.0.bn1.weight",
                "stage2.0.fused.conv.weight": "blocks.1.0.conv_exp.weight",
                "stage2.0.project.bn.weight": "blocks.1.0.bn2.weight",
                "stage4.0.project.bn.weight": "blocks.3.0.bn3.weight",
            },
        ),
    ],
)
def test_names_elsewhere(source: str, pairs: Dict[str, str]) -> None:
    network = create_model("EfficientNetV2_S", **{**_SLIM, "depth": 0.05})
    names = reference_names(source, network)
    assert {own: names[own] for own in pairs} == pairs
    assert len(set(names.values())) == len(names)


def test_models_elsewhere() -> None:
    found = find_reference("timm", "tf_efficientnetv2_m")[0]
    assert found == ("EfficientNetV2_M", {"padding": "same"})
    assert find_reference("timm", "efficientnetv2_s")[0] == ("EfficientNetV2_S_tv", {"eps": 1e-5})


def test_wrong_sizes_are_explained() -> None:
    with pytest.raises(ConfigError, match="'B', 'S', 'M', 'L' or 'XL'"):
        create_model("EfficientNetV2_S", size="XXL")
