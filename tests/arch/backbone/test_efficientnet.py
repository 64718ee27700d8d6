"""What makes EfficientNet and EfficientNet-Lite: compound scaling, padding, other names."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle
import pytest

from ppcls import registry
from ppcls.arch import create_model
from ppcls.arch.backbone.efficientnet import MBConv, conv_for
from ppcls.arch.layers import DropPath
from ppcls.arch.network import Network
from ppcls.arch.summary import count_parameters
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import find_reference, reference_names

_SLIM: Dict[str, Any] = {"width": 0.25, "class_num": 4}


def _shapes(network: Network, stage: str) -> List[int]:
    """The output channels of the blocks of a stage."""
    return [block.project.conv.weight.shape[0] for block in getattr(network, stage)]


def test_b0_is_the_papers_first_table() -> None:
    network = create_model("EfficientNetB0", class_num=2)
    stages = [_shapes(network, f"stage{i}") for i in range(1, 8)]
    assert stages == [[16], [24] * 2, [40] * 2, [80] * 3, [112] * 3, [192] * 4, [320]]
    kernels = [getattr(network, f"stage{i}")[0].depthwise.conv.weight.shape[2] for i in range(1, 8)]
    assert kernels == [3, 3, 5, 3, 5, 5, 3]
    assert isinstance(network.stage1[0].expand, paddle.nn.Identity)
    assert network.stage2[0].expand.conv.weight.shape == [96, 16, 1, 1]


def test_squeeze_takes_a_quarter_of_the_channels_that_come_in() -> None:
    block = MBConv(conv_for(8, "same", act="swish"), 24, 40, 5, 2, expand=6)
    assert block.se.reduce.conv.weight.shape == [6, 144, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "dropout", "head"),
    [
        ("EfficientNetB1", 240, 0.2, 1280),
        ("EfficientNetB2", 260, 0.3, 1408),
        ("EfficientNetB3", 300, 0.3, 1536),
        ("EfficientNetLite2", 260, 0.3, 1280),
    ],
)
def test_compound_scaling(name: str, side: int, dropout: float, head: int) -> None:
    network = create_model(name, class_num=2)
    assert (network.input_size, network.head.drop.p) == (side, dropout)
    assert network.head.conv.conv.weight.shape[0] == head


def test_lite_keeps_both_ends_and_has_neither_swish_nor_squeeze() -> None:
    network = create_model("EfficientNetLite3", class_num=2)
    assert network.stem.conv.weight.shape[0] == 32
    assert [len(getattr(network, f"stage{i}")) for i in (1, 2, 7)] == [1, 3, 1]
    kinds = {type(layer).__name__ for layer in network.sublayers()}
    assert "ReLU6" in kinds and not kinds & {"Swish", "SqueezeExcitation"}


@pytest.mark.parametrize(
    ("name", "count"),
    [("EfficientNetLite0", 4_652_008), ("EfficientNetB0_small", 4_652_008)],
)
def test_published_sizes(name: str, count: int) -> None:
    assert count_parameters(create_model(name)) == count


def test_the_levels_end_each_resolution() -> None:
    network = create_model("EfficientNetB0", **_SLIM)
    assert [level.stage for level in network.levels] == [
        "stage1",
        "stage2",
        "stage3",
        "stage5",
        "stage7",
    ]
    assert [level.stride for level in network.levels] == [2, 4, 8, 16, 32]


def _same_by_hand(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A 1-channel convolution with stride 2 and TensorFlow's padding, as its manual defines it."""
    side, size = x.shape[0], kernel.shape[0]
    out = -(-side // 2)
    total = max((out - 1) * 2 + size - side, 0)
    padded = np.pad(x, (total // 2, total - total // 2))
    windows = [
        [padded[2 * i : 2 * i + size, 2 * j : 2 * j + size] for j in range(out)] for i in range(out)
    ]
    return np.array([[(window * kernel).sum() for window in row] for row in windows])


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [6, 7, 12, 13])
@pytest.mark.parametrize("padding", ["same", "fixed"])
def test_padding_at_the_designed_side_is_tensorflows(padding: Any, side: int, kernel: int) -> None:
    layer = conv_for(side, padding)(1, 1, kernel, 2).conv
    image = np.random.default_rng(0).standard_normal((side, side)).astype("float32")
    got = layer(paddle.to_tensor(image[None, None])).numpy()[0, 0]
    expected = _same_by_hand(image, layer.weight.numpy()[0, 0])
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_fixed_padding_gives_half_of_any_side(side: int) -> None:
    for designed in (8, 9):
        layer = conv_for(designed, "fixed")(1, 1, 5, 2)
        assert layer(paddle.zeros([1, 1, side, side])).shape[2] == -(-side // 2)


def test_drop_path_grows_by_block_and_cifar_keeps_the_pixels() -> None:
    network = create_model("EfficientNetB0", drop_path=0.16, stem="cifar", **_SLIM)
    rates = [layer.rate for layer in network.sublayers() if isinstance(layer, DropPath)]
    np.testing.assert_allclose(rates, [0.16 * i / 16 for i in range(16)])
    assert network.input_size == 32
    network.eval()
    assert network.features(paddle.zeros([1, 3, 32, 32])).shape[2:] == [2, 2]


def test_weights_start_as_in_the_authors_code_but_for_the_last_layer() -> None:
    paddle.seed(0)
    network = create_model("EfficientNetB0_tv", class_num=25)
    expand = network.stage6[1].expand.conv.weight.numpy()
    assert expand.std() == pytest.approx((2 / 1152) ** 0.5, rel=0.02)
    depthwise = network.stage6[1].depthwise.conv.weight.numpy()
    assert depthwise.std() == pytest.approx((2 / 25) ** 0.5, rel=0.02)
    assert network.head.fc.weight.numpy().std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        (
            "paddleclas",
            {
                "stage2.0.expand.bn.bias": "_ef._blocks.1.._ecn._conv._bn.bias",
                "stage2.1.se.reduce.conv.bias": "_ef.block.2.._se._conv1._conv.bias",
                "head.conv.conv.weight": "_conv._conv._conv.weight",
            },
        ),
        (
            "torchvision",
            {
                "stage1.0.project.conv.weight": "features.1.0.block.2.0.weight",
                "stage2.0.project.bn._mean": "features.2.0.block.3.1.running_mean",
            },
        ),
        (
            "timm",
            {
                "stage1.0.project.conv.weight": "blocks.0.0.conv_pw.weight",
                "stage2.0.project.bn._variance": "blocks.1.0.bn3.running_var",
            },
        ),
        (
            "efficientnet_pytorch",
            {
                "stage3.0.se.expand.conv.bias": "_blocks.3._se_expand.bias",
                "head.conv.bn.weight": "_bn1.weight",
            },
        ),
    ],
)
def test_names_elsewhere(source: str, pairs: Dict[str, str]) -> None:
    names = reference_names(source, create_model("EfficientNetB0", **_SLIM))
    assert {own: names[own] for own in pairs} == pairs
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    ("source", "theirs", "ours", "arguments"),
    [
        ("paddleclas", "EfficientNetB4", "EfficientNetB4", {}),
        ("torchvision", "efficientnet_b7", "EfficientNetB7_tv", {}),
        ("timm", "tf_efficientnet_b5", "EfficientNetB5", {"padding": "same"}),
        ("timm", "efficientnet_b5", "EfficientNetB5_tv", {"eps": 1e-5, "momentum": 0.9}),
        ("efficientnet_pytorch", "efficientnet-lite0", "EfficientNetLite0", {}),
    ],
)
def test_models_elsewhere(source: str, theirs: str, ours: str, arguments: Dict[str, Any]) -> None:
    assert find_reference(source, theirs)[0] == (ours, arguments)


def test_torchvisions_normalisation_differs_between_b4_and_b5() -> None:
    eps = [registry.lookup("arch", f"EfficientNetB{i}_tv").preset["eps"] for i in range(8)]
    assert eps == [1e-5] * 5 + [1e-3] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"padding": "valid"}, "'fixed', 'same' or 'symmetric'"),
        ({"width": 0.0}, "width"),
        ({"act": "relu"}, "'swish' or 'relu6'"),
    ],
)
def test_wrong_arguments_are_explained(arguments: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_model("EfficientNetB0", **arguments)
    assert words in str(caught.value)
