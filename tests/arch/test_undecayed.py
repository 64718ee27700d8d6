"""Which parameters of which networks weight decay leaves alone, by what a step does to them."""

from __future__ import annotations

from typing import Set

import paddle
import pytest

from ppcls.arch import create_model
from ppcls.registry import create


def decayed(name: str) -> Set[str]:
    """The parameters that a step with gradients of 0 makes smaller."""
    network = create_model(name, class_num=3)
    for parameter in network.parameters():
        parameter.set_value(paddle.ones_like(parameter))
    decay = {"name": "L2", "coeff": 0.1}
    arguments = {"lr": 0.1, "regularizer": decay}
    optimizer = create("optimizer", "Momentum", arguments, model=network)
    for parameter in network.parameters():
        if not parameter.stop_gradient:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    named = network.named_parameters()
    values = {name: float(parameter.flatten()[0]) for name, parameter in named}
    assert {round(value, 6) for value in values.values()} <= {1.0, 0.99}
    return {name for name, value in values.items() if value < 1}


def test_batch_normalisation_of_mobilenet_v3() -> None:
    """PaddleClas gives it a regulariser of 0; biases elsewhere decay."""
    found = decayed("MobileNetV3_small_x0_35")
    assert not [name for name in found if ".bn." in name]
    assert [name for name in found if name.endswith(".bias") and ".se." in name]
    assert "head.fc.bias" in found and "stem.conv.weight" in found


@pytest.mark.slow
def test_one_dimensional_parameters_of_efficientnet_v2() -> None:
    found = decayed("EfficientNetV2_B0")
    assert found and all(name.endswith(".weight") and ".bn." not in name for name in found)


def test_all_else_decays() -> None:
    found = decayed("MobileNetV2_x0_25")
    assert {"stem.bn.weight", "stem.bn.bias", "stem.conv.weight"} <= found
