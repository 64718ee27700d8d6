"""What makes SqueezeNet what it is: fires, late downsampling, no fully connected layer."""

from __future__ import annotations

from typing import Dict, List

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.squeezenet import Fire
from ppcls.arch.network import Network
from ppcls.errors import ConfigError


def _structure(name: str) -> Network:
    with paddle.LazyGuard():
        return create_model(name)


def _fires(network: Network) -> Dict[str, Fire]:
    return {
        name.split(".")[-1]: layer
        for name, layer in network.named_sublayers()
        if isinstance(layer, Fire)
    }


def test_fires_have_the_widths_of_table_1() -> None:
    fires = _fires(_structure("SqueezeNet1_0"))
    assert list(fires) == [f"fire{number}" for number in range(2, 10)]
    squeezed = [fire.squeeze.conv.weight.shape[0] for fire in fires.values()]
    assert squeezed == [16, 16, 32, 32, 48, 48, 64, 64]
    for fire in fires.values():
        small, large = fire.expand1x1.conv.weight.shape, fire.expand3x3.conv.weight.shape
        assert (small[0], small[2], large[2]) == (large[0], 1, 3)
        # The squeeze ratio of section 4.1.1: 0.125 of what is expanded to.
        assert small[1] == 0.125 * (small[0] + large[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SqueezeNet1_0", [["fire2", "fire3", "fire4"], ["fire5", "fire6", "fire7", "fire8"]]),
        ("SqueezeNet1_1", [["fire2", "fire3"], ["fire4", "fire5"]]),
    ],
)
def test_poolings_stand_late_in_1_0_and_early_in_1_1(name: str, expected: List[List[str]]) -> None:
    network = _structure(name)
    stages = [list(getattr(network, stage)._sub_layers) for stage in ("stage1", "stage2")]
    assert stages == [["pool", *fires] for fires in expected]


def test_there_is_no_fully_connected_layer() -> None:
    layers = _structure("SqueezeNet1_1").sublayers()
    assert not [layer for layer in layers if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(("name", "side"), [("SqueezeNet1_0", 12), ("SqueezeNet1_0_tv", 13)])
def test_incomplete_windows_count_where_they_do_in_published_networks(name: str, side: int) -> None:
    network = create_model(name, class_num=2)
    network.eval()
    with paddle.no_grad():
        assert network.features(paddle.zeros([1, 3, 224, 224])).shape[2:] == [side, side]


def test_other_versions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'1.0' or '1.1'"):
        create_model("SqueezeNet1_1", version="1.2")
