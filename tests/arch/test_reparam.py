"""Folding: the same numbers from fewer layers, for blocks of any geometry and whole networks."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.acnet import AsymmetricConvBNAct
from ppcls.arch.layers import ConvAct, ConvBNAct
from ppcls.arch.reparam import Foldable, reparameterise

_SMALL_ACNET: Dict[str, Any] = {"block": "basic", "depths": [1, 1, 1, 1], "class_num": 4}


def _trained(layer: nn.Layer) -> nn.Layer:
    """Give every normalisation statistics and weights as training would leave them."""
    rng = np.random.default_rng(0)
    for part in layer.sublayers(include_self=True):
        if isinstance(part, nn.BatchNorm2D):
            count = part._mean.shape[0]
            part._mean.set_value(rng.normal(0, 0.3, count).astype("float32"))
            part._variance.set_value(rng.uniform(0.3, 2, count).astype("float32"))
            part.weight.set_value(rng.uniform(0.3, 1, count).astype("float32"))
            part.bias.set_value(rng.normal(0, 0.3, count).astype("float32"))
    return layer


def _images(channels: int = 3, side: int = 32, count: int = 2) -> paddle.Tensor:
    drawn = np.random.default_rng(1).standard_normal((count, channels, side, side + 3))
    return paddle.to_tensor(drawn.astype("float32"))


def _run(layer: nn.Layer, images: paddle.Tensor) -> np.ndarray:
    layer.eval()
    with paddle.no_grad():
        return layer(images).numpy()


def _difference(layer: nn.Layer, other: nn.Layer, images: paddle.Tensor) -> float:
    expected, got = _run(layer, images), _run(other, images)
    assert expected.shape == got.shape
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def _kinds(layer: nn.Layer) -> set:
    return {type(part) for part in layer.sublayers(include_self=True)}


_sizes = st.integers(1, 4)
_padding = st.one_of(
    st.none(), st.just("same"), st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3))
)


@settings(max_examples=60)
@given(
    kernel=st.one_of(_sizes, st.tuples(_sizes, _sizes)),
    stride=st.integers(1, 3),
    padding=_padding,
    groups=st.sampled_from([1, 2, 6]),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    act=st.sampled_from([None, "relu", "hardswish"]),
    eps=st.sampled_from([1e-5, 1e-3]),
)
def test_convolutions_of_any_geometry_take_in_their_normalisation(
    kernel: Any,
    stride: int,
    padding: Any,
    groups: int,
    dilation: int,
    bias: bool,
    act: Optional[str],
    eps: float,
) -> None:
    block = ConvBNAct(6, 12, kernel, stride, padding, groups, dilation, bias, act, eps)
    _trained(block)
    if bias:
        block.conv.bias.set_value(paddle.randn([12]))
    folded = block.folded()
    assert isinstance(folded, ConvAct)
    assert folded.conv.weight.shape == block.conv.weight.shape
    assert _difference(block, folded, _images(6, side=14)) < 1e-5


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize(("stride", "groups", "dilation"), [(1, 1, 1), (2, 2, 1), (1, 4, 2)])
def test_asymmetric_blocks_become_one_convolution(
    kernel: int, stride: int, groups: int, dilation: int
) -> None:
    block = _trained(AsymmetricConvBNAct(4, 8, kernel, stride, groups, dilation))
    folded = block.folded()
    assert folded.conv.weight.shape == [8, 4 // groups, kernel, kernel]
    assert _difference(block, folded, _images(4, side=17)) < 1e-5


def test_kernels_are_added_along_the_middle() -> None:
    block = AsymmetricConvBNAct(1, 1, 3)
    for branch in (block.square, block.vertical, block.horizontal):
        branch.bn._epsilon = 0.0
        branch.conv.weight.set_value(paddle.ones_like(branch.conv.weight))
    kernel = block.folded().conv.weight.numpy()[0, 0]
    np.testing.assert_array_equal(kernel, [[1, 2, 1], [2, 3, 2], [1, 2, 1]])


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [True, False])
def test_acnet_computes_the_same_when_deployed(batch_norm: bool) -> None:
    network = _trained(create_model("ResNet50_ACNet", **_SMALL_ACNET))
    deployed = reparameterise(network, batch_norm)
    assert _difference(network, deployed, _images()) < 1e-5
    assert AsymmetricConvBNAct not in _kinds(deployed)
    assert (nn.BatchNorm2D in _kinds(deployed)) is not batch_norm


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_whole_acnet_computes_the_same_when_deployed(batch_norm: bool) -> None:
    network = _trained(create_model("ResNet50_ACNet"))
    assert _difference(network, reparameterise(network, batch_norm), _images(side=64)) < 1e-5


@pytest.mark.parametrize(
    "arguments", [_SMALL_ACNET, pytest.param({}, marks=pytest.mark.slow)], ids=["small", "whole"]
)
def test_merged_branches_are_the_network_that_the_paper_deploys(arguments: Dict[str, Any]) -> None:
    network = _trained(create_model("ResNet50_ACNet", **arguments))
    merged = reparameterise(network, batch_norm=False)
    deploy = create_model("ResNet50_ACNet_deploy", **arguments)
    state = merged.state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in deploy.state_dict().items()
    }
    deploy.set_state_dict(state)
    assert _difference(merged, deploy, _images()) == 0.0


def test_the_network_itself_is_left_alone() -> None:
    network = _trained(create_model("ResNet18", depths=[1, 1, 1, 1], class_num=3))
    network.stage2.eval()
    before = {name: value.numpy() for name, value in network.state_dict().items()}
    modes = [part.training for part in network.sublayers(include_self=True)]
    folded = reparameterise(network)
    assert [part.training for part in network.sublayers(include_self=True)] == modes
    assert not any(part.training for part in folded.sublayers(include_self=True))
    after = network.state_dict()
    assert list(after) == list(before)
    assert all((after[name].numpy() == before[name]).all() for name in before)
    own = {id(value) for value in network.parameters()}
    assert not own & {id(value) for value in folded.parameters()}


def test_feature_extractors_fold_too() -> None:
    extractor = _trained(create_model("ResNet18_vd", features_only=True, out_indices=[1, 2]))
    folded = reparameterise(extractor)
    assert folded.channels == [64, 128]
    assert nn.BatchNorm2D not in _kinds(folded)
    extractor.eval()
    with paddle.no_grad():
        for found, expected in zip(folded(_images()), extractor(_images())):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["MobileNetV2_x0_25", "MobileNetV3_small_x0_35", "ShuffleNetV2_x0_25"]
)
def test_families_built_of_the_shared_blocks_fold(name: str) -> None:
    network = _trained(create_model(name, class_num=4))
    folded = reparameterise(network)
    assert not _kinds(folded) & {ConvBNAct, nn.BatchNorm2D}
    assert _difference(network, folded, _images(side=64)) < 1e-5


class _Special(ConvBNAct):
    """What a family may derive from the shared block."""


def test_blocks_derived_from_a_foldable_one_fold() -> None:
    network = _trained(nn.Sequential(_Special(3, 4, 3), nn.Sequential(_Special(4, 4, 1, act=None))))
    folded = reparameterise(network)
    assert _kinds(folded) == {nn.Sequential, ConvAct, nn.Conv2D, nn.ReLU, nn.Identity}
    assert _difference(network, folded, _images()) < 1e-5


def test_normalisation_before_a_convolution_stays() -> None:
    network = _trained(nn.Sequential(nn.BatchNorm2D(3), nn.ReLU(), nn.Conv2D(3, 4, 3)))
    folded = reparameterise(network)
    assert _kinds(folded) == _kinds(network)
    assert _difference(network, folded, _images()) == 0.0


def test_a_layer_with_two_parents_stays_one_layer() -> None:
    shared = ConvBNAct(3, 3, 3)
    network = _trained(nn.Sequential(nn.Sequential(shared), nn.Sequential(shared), shared))
    folded = reparameterise(network)
    assert folded[0][0] is folded[1][0] is folded[2]
    assert _difference(network, folded, _images()) < 1e-5


def test_a_single_block_folds_as_a_network_does() -> None:
    block = _trained(ConvBNAct(3, 4, 3))
    assert isinstance(reparameterise(block), ConvAct)
    assert reparameterise(block, batch_norm=False) is not block


class _Doubled(nn.Layer):
    """A block of a user's own: x + x."""

    merges_branches = True

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x + x

    def folded(self) -> nn.Layer:
        return _Scaled()


class _Scaled(nn.Layer):
    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return 2 * x


@pytest.mark.parametrize("layer", [_Doubled(), ConvBNAct(1, 1, 1), AsymmetricConvBNAct(1, 1, 3)])
def test_any_block_may_say_how_it_folds(layer: Union[_Doubled, ConvBNAct]) -> None:
    assert isinstance(layer, Foldable)
    assert not isinstance(nn.ReLU(), Foldable)


def test_blocks_of_others_are_asked_as_well() -> None:
    network = nn.Sequential(nn.ReLU(), _Doubled())
    folded = reparameterise(network, batch_norm=False)
    assert isinstance(folded[1], _Scaled)
    assert _difference(network, folded, _images()) == 0.0
