"""What makes Inception v3 what it is: factorised kernels and one auxiliary head."""

from __future__ import annotations

from functools import partial
from typing import Any, List

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.inception_v3 import (
    AuxiliaryHead,
    InceptionA,
    InceptionB,
    InceptionC,
    ReductionA,
    ReductionB,
)
from ppcls.arch.layers import ConvAct
from ppcls.arch.network import Network
from ppcls.errors import ConfigError


def _structure(name: str = "InceptionV3", **arguments: Any) -> Network:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def _kernels(layer: nn.Layer) -> List[str]:
    convolutions = [item for item in layer.sublayers() if isinstance(item, nn.Conv2D)]
    return ["x".join(map(str, conv._kernel_size)) for conv in convolutions]


def test_the_middle_modules_have_1x7_and_7x1_in_alternation() -> None:
    module = InceptionB(ConvAct, 2)
    assert _kernels(module.seven) == ["1x1", "1x7", "7x1"]
    assert _kernels(module.long) == ["1x1", "7x1", "1x7", "7x1", "1x7"]


def test_the_last_modules_fork_into_1x3_and_3x1() -> None:
    module = InceptionC(ConvAct, 4)
    assert _kernels(module.three) == ["1x1", "1x3", "3x1"]
    assert _kernels(module.long) == ["1x1", "3x3", "1x3", "3x1"]


@pytest.mark.parametrize(
    ("module", "channels", "expected"),
    [
        (partial(InceptionA, ConvAct, 192, 32), 192, (256, 17)),
        (partial(InceptionA, ConvAct, 256, 64), 256, (288, 17)),
        (partial(ReductionA, ConvAct, 288), 288, (768, 8)),
        (partial(InceptionB, ConvAct, 128), 768, (768, 17)),
        (partial(ReductionB, ConvAct), 768, (1280, 8)),
        (partial(InceptionC, ConvAct, 1280), 1280, (2048, 17)),
    ],
)
def test_modules_have_the_channels_of_table_1(module: Any, channels: int, expected: Any) -> None:
    with paddle.no_grad():
        maps = module()(paddle.zeros([1, channels, 17, 17]))
    assert tuple(maps.shape[1:3]) == expected


@pytest.mark.slow
def test_the_auxiliary_head_hangs_on_the_last_17x17_maps_in_training_only() -> None:
    assert dict(_structure("InceptionV3_aux").aux_heads) == {"mixed_6e": "aux"}
    assert not _structure().aux_heads
    head = AuxiliaryHead(ConvAct, 7)
    assert _kernels(head) == ["1x1", "5x5"]
    assert head(paddle.zeros([1, 768, 17, 17])).shape == [1, 7]


def test_the_auxiliary_head_takes_the_maps_of_small_images() -> None:
    assert AuxiliaryHead(ConvAct, 7)(paddle.zeros([1, 768, 3, 3])).shape == [1, 7]


def test_all_activations_are_normalised_with_the_epsilon_of_the_weights() -> None:
    for name, epsilon in (("InceptionV3", 1e-5), ("InceptionV3_tv", 1e-3)):
        norms = [x for x in _structure(name).sublayers() if isinstance(x, nn.BatchNorm2D)]
        assert {norm._epsilon for norm in norms} == {epsilon}
        assert len(norms) == 94


@pytest.mark.parametrize("eps", [0.0, -1.0, 2.0])
def test_nonsense_is_refused(eps: float) -> None:
    with pytest.raises(ConfigError, match="eps"):
        _structure(eps=eps)
