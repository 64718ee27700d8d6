"""Plain layers as networks: what they are given, and what is said where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest
from paddle import nn

import ppcls
from ppcls import weights
from ppcls.errors import ConfigError
from ppcls.registry import register


class Plain(nn.Layer):
    """No `class_num`, no `in_channels`, none of our base class."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2D(1, width, 3)
        self.fc = nn.Linear(width, 4)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        return self.fc(self.conv(images).mean([2, 3]))


class Sized(Plain):
    def __init__(self, class_num: int = 7, in_channels: int = 2, width: int = 4) -> None:
        super().__init__(width)
        self.conv, self.fc = nn.Conv2D(in_channels, width, 3), nn.Linear(width, class_num)


class Failing(Plain):
    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        raise IndexError("no such thing")


@pytest.fixture(autouse=True)
def registered(own_parts: None) -> None:
    register("arch", "Plain")(Plain)
    register("arch", "Sized")(Sized)
    register("arch", "Sized_wide", width=16)(Sized)
    register("arch", "Failing")(Failing)
    register("arch", "NoLayer")(make_no_layer)


def make_no_layer() -> int:
    return 3


def test_a_layer_is_built_with_the_sizes_that_it_takes() -> None:
    network: Any = ppcls.create_model("Sized_wide", class_num=3)
    assert (network.model_name, network.class_num, network.in_channels) == ("Sized_wide", 3, 2)
    assert network.fc.weight.shape == [16, 3]
    assert network.conv.weight.shape == [16, 2, 3, 3]
    with pytest.raises(ConfigError, match="unknown key 'class_num'. Accepted here: width"):
        ppcls.create_model("Plain", class_num=3)
    with pytest.raises(ConfigError, match="NoLayer must be a paddle.nn.Layer, but int was made"):
        ppcls.create_model("NoLayer")


def test_feature_maps_are_for_those_that_list_their_stages() -> None:
    with pytest.raises(ConfigError, match=r"^Plain offers no feature maps; .* extends ppcls\.arch"):
        ppcls.create_model("Plain", features_only=True)


def test_weights_are_written_and_adapted(tmp_path: Path) -> None:
    network: Any = ppcls.create_model("Sized", class_num=3)
    weights.save_weights(network, tmp_path / "a.safetensors")
    other: Any = ppcls.create_model("Sized", class_num=5, pretrained=tmp_path / "a.safetensors")
    np.testing.assert_array_equal(other.conv.weight.numpy(), network.conv.weight.numpy())
    assert other.fc.weight.shape == [4, 5]


@pytest.mark.parametrize("freezing", [{"freeze": 1}, {"freeze_statistics": True}])
def test_nothing_of_a_plain_layer_can_be_frozen(
    freezing: Dict[str, Any],
    ppcls: Callable[..., int],
    recipe: Dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe["Arch"] = {"name": "Plain", **freezing}
    (line,) = said(ppcls, recipe, capsys)
    assert f"Arch.{next(iter(freezing))}: Plain is a plain layer, of which nothing can" in line


def said(
    ppcls: Callable[..., int], data: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> List[str]:
    assert ppcls("train", data, "--dry-run") == 2
    return capsys.readouterr().err.splitlines()


def test_a_network_without_sizes_must_fit_the_data(
    ppcls: Callable[..., int], recipe: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Arch"] = {"name": "Plain"}
    assert ppcls("train", recipe, "--dry-run") == 0
    assert "Plain, 4 classes" in capsys.readouterr().out
    recipe["Arch"] = {"name": "Failing", "width": 2}
    found = said(ppcls, recipe, capsys)
    assert "the network Failing fails with two images, [2, 1, 32, 32]:" in found[1]
    assert found[-1].strip() == "IndexError: no such thing"
    assert all("/ppcls/" not in line and "/paddle/" not in line for line in found)


def test_other_numbers_of_classes_are_told(
    ppcls: Callable[..., int],
    recipe: Dict[str, Any],
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = (digits / "train.txt").read_text().splitlines()
    few = tmp_path / "few.txt"
    few.write_text("\n".join(line for line in lines if line.endswith((" 0", " 1"))))
    recipe["Arch"] = {"name": "Plain"}
    recipe["DataLoader"]["Train"]["dataset"]["cls_label_path"] = str(few)
    recipe["DataLoader"].pop("Eval")
    (line,) = said(ppcls, recipe, capsys)
    assert "Arch: the network Plain returns [2, 4] for two images, [2, 1, 32, 32]; in " in line
    assert "[2, 2] for the 2 classes of the data" in line
