"""First weights against those of PaddleClas' networks, measured by running PaddleClas 2.6's code.

The fixture has the standard deviation and the largest value of each array, as PaddleClas d178931fc
draws them with seed 1 and Paddle 3.3.1.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Dict, Tuple

import numpy as np
import paddle
import pytest

from ppcls import registry
from ppcls.arch import create_model
from ppcls.arch.initial_weights import STARTS, start_as_published
from ppcls.arch.network import Network

FILE = Path(__file__).resolve().parents[1] / "fixtures" / "starts_of_paddleclas.json.gz"
MEASURED: Dict[str, Dict[str, Tuple[float, float]]] = json.loads(gzip.decompress(FILE.read_bytes()))
QUICK = {"MobileNetV1_x0_25", "MobileNetV2_x0_25", "MobileNetV3_small_x0_35", "SqueezeNet1_1"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.exhaustive] if n == "VGG11" else [pytest.mark.slow])
        if n not in QUICK
        else n
        for n in MEASURED
    ],
)
def test_networks_start_as_those_of_paddleclas(name: str) -> None:
    paddle.seed(7)
    arrays = dict(create_model(name).named_parameters())
    for key, (spread, largest) in MEASURED[name].items():
        values = arrays[key].numpy().astype(np.float64)
        # Six standard errors of a standard deviation.
        assert values.std() == pytest.approx(spread, rel=6 / np.sqrt(2 * values.size)), key
        assert abs(values.mean()) < 8 * spread / np.sqrt(values.size), key
        if values.size > 2000:
            # A uniform distribution ends at 1.7 deviations, a normal one goes on beyond 3.
            is_uniform = np.abs(values).max() / values.std() < 2
            assert is_uniform == (largest / spread < 2), key


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.names)
def test_each_row_is_measured(start: object) -> None:
    import re

    names = [name for name in registry.names("arch") if re.fullmatch(start.names, name)]
    assert set(names) & set(MEASURED)
    assert not [name for name in names if name.endswith(("_tv", "_timm", "_tf"))]


def test_other_networks_are_left_alone() -> None:
    network = create_model("LeNet")
    before = {name: array.numpy() for name, array in network.state_dict().items()}
    start_as_published(network, "LeNet")
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array.numpy(), before[name])


@pytest.mark.usefixtures("own_parts")
def test_networks_of_ones_own_are_left_alone() -> None:
    @registry.register("arch")
    class ResNet20(Network):
        stages = ("conv",)

        def __init__(self, class_num: int = 10, in_channels: int = 3) -> None:
            super().__init__(class_num, in_channels)
            self.conv = paddle.nn.Conv2D(in_channels, 6, 3, groups=3)
            self.head = paddle.nn.Linear(6, class_num)
            for parameter in self.parameters():
                parameter.set_value(paddle.full_like(parameter, 0.5))

    network = create_model("ResNet20")
    assert all((parameter.numpy() == 0.5).all() for parameter in network.parameters())
