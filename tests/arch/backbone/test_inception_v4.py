"""What makes Inception v4 what it is, and how its authors' code differs from their figures."""

from __future__ import annotations

from typing import Any, List

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.inception_v4 import (
    Form,
    InceptionA,
    InceptionB,
    InceptionC,
    ReductionA,
    ReductionB,
    Stem,
)
from ppcls.arch.layers import ConvAct
from ppcls.errors import ConfigError

DRAWN, CODED = Form(ConvAct, True), Form(ConvAct, False)


def _kernels(layer: nn.Layer) -> List[str]:
    convolutions = [item for item in layer.sublayers() if isinstance(item, nn.Conv2D)]
    return ["x".join(map(str, conv._kernel_size)) for conv in convolutions]


@pytest.mark.parametrize("form", [DRAWN, CODED])
@pytest.mark.parametrize(
    ("module", "channels", "expected"),
    [
        (Stem, 160, (192, 11)),
        (InceptionA, 384, (384, 13)),
        (ReductionA, 384, (1024, 6)),
        (InceptionB, 1024, (1024, 13)),
        (ReductionB, 1024, (1536, 6)),
        (InceptionC, 1536, (1536, 13)),
    ],
)
def test_modules_have_the_channels_of_figure_9(
    module: Any, channels: int, expected: Any, form: Form
) -> None:
    with paddle.no_grad():
        maps = module(form)(paddle.zeros([1, channels, 13, 13]))
    assert tuple(maps.shape[1:3]) == expected


def test_the_figures_put_the_pooling_first_and_the_code_last() -> None:
    assert list(InceptionA(DRAWN)._sub_layers) == ["pool", "one", "short", "long"]
    assert list(InceptionA(CODED)._sub_layers) == ["one", "short", "long", "pool"]


def test_the_code_lays_the_long_branches_on_their_side() -> None:
    wide = ["1x1", "1x7", "7x1", "1x7", "7x1"]
    assert _kernels(InceptionB(DRAWN).long) == wide
    assert _kernels(InceptionB(CODED).long) == [kernel[::-1] for kernel in wide]
    assert _kernels(InceptionC(DRAWN).long) == ["1x1", "1x3", "3x1", "1x3", "3x1"]
    assert _kernels(InceptionC(CODED).long) == ["1x1", "3x1", "1x3", "1x3", "3x1"]
    assert _kernels(Stem(DRAWN).long) == ["1x1", "7x1", "1x7", "3x3"]
    for form in (DRAWN, CODED):
        assert _kernels(InceptionB(form).short) == ["1x1", "1x7", "7x1"]


def test_there_are_four_seven_and_three_modules() -> None:
    with paddle.LazyGuard():
        stages = create_model("InceptionV4").stages
    assert [sum(name[0] == kind and name[1:].isdigit() for name in stages) for kind in "abc"] == [
        4,
        7,
        3,
    ]


def test_other_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="'paper' or 'code'"):
        create_model("InceptionV4", source="timm")
