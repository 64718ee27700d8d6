"""The names that published checkpoints use, for variants without a numerical reference too."""

from __future__ import annotations

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.arch.summary import count_parameters
from ppcls.weights.names.toolkits import find_reference, reference_names


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        (
            "ResNet34",
            {
                "stem.bn._mean": "stem.0.bn._mean",
                "stage2.0.shortcut.conv.weight": "blocks.3.short.conv.weight",
                "stage4.2.conv2.bn.bias": "blocks.15.conv1.bn.bias",
                "head.fc.bias": "fc.bias",
            },
        ),
        (
            "SqueezeNet1_1",
            {
                "stem.conv.weight": "_conv.weight",
                "stage3.fire9.expand3x3.conv.bias": "_conv8._conv_path2._conv.bias",
                "head.conv10.conv.weight": "_conv9.weight",
            },
        ),
        pytest.param(
            "ResNet101",
            {"stage4.0.conv3.conv.weight": "blocks.30.conv2.conv.weight"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "VGG19",
            {"stage5.conv4.conv.weight": "conv_block_5.conv4.weight", "head.fc3.bias": "fc3.bias"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "AlexNet",
            {
                "stage2.conv2.conv.weight": "_conv2._conv.weight",
                "stage3.conv4.conv.bias": "_conv4.bias",
                "head.fc8.weight": "_fc8.weight",
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_paddleclas_names(name: str, pairs: dict[str, str]) -> None:
    names = reference_names("paddleclas", create_model(name, class_num=2))
    assert {own: names[own] for own in pairs} == pairs
    assert len(set(names.values())) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"),
    # As timm 1.0.31 counts them.
    [
        ("tf_efficientnet_b8", 87_413_142),
        ("tf_efficientnet_l2", 480_309_308),
        ("tf_efficientnetv2_xl", 208_119_808),
    ],
)
def test_sizes_without_a_name_here_are_made_by_arguments(name: str, parameters: int) -> None:
    ours, arguments = find_reference("timm", name)[0]
    with paddle.LazyGuard():
        assert count_parameters(create_model(ours, **arguments)) == parameters
