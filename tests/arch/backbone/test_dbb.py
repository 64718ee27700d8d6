"""The diverse branch block and networks that are built of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import yaml

from ppcls.arch import create_model
from ppcls.arch.acceleration import accelerate
from ppcls.arch.backbone.dbb import DiverseBranchConvBNAct, IdentityPlusConv
from ppcls.arch.layers import ConvAct, ConvBNAct
from ppcls.arch.reparam import reparameterise
from ppcls.arch.summary import count_parameters, network_costs
from ppcls.config import load_config
from ppcls.errors import ConfigError
from tests.arch.test_reparam import _difference, _images, _kinds, _trained

SMALL = {"depths": [1, 1, 1, 1], "class_num": 4}


def test_a_block_has_four_branches() -> None:
    block = DiverseBranchConvBNAct(4, 6, 3, stride=2)
    kernels = 6 * 4 * 9 + 6 * 4 + 6 * 4 + 4 * 4 + 6 * 4 * 9
    norms = 2 * (6 + 6 + 6 + 6 + 4 + 6)
    assert count_parameters(block) == kernels + norms
    block.eval()
    with paddle.no_grad():
        assert block(paddle.randn([2, 4, 11, 8])).shape == [2, 6, 6, 4]


@pytest.mark.parametrize("name", ["ResNet18", "ResNet18_tv"])
def test_in_a_network_deep_branches_start_as_the_identity(name: str) -> None:
    network = create_model(name, conv="dbb", **SMALL)
    found = [one for one in network.sublayers() if isinstance(one, IdentityPlusConv)]
    assert len(found) == 8
    for one in found:
        assert not one.weight.numpy().any(), "what decays"
    x = paddle.randn([1, 64, 5, 5])
    np.testing.assert_allclose(found[0](x).numpy(), x.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(found[0].kernel().numpy()[:, :, 0, 0], np.eye(64))


def test_blocks_that_start_silent_still_learn() -> None:
    network = create_model(
        "ResNet18", conv="dbb", zero_init=True, **{**SMALL, "depths": [2, 1, 1, 1]}
    )
    last = network.stage1[1].conv2
    x = paddle.rand([2, 64, 4, 4])
    network.eval()
    np.testing.assert_array_equal(network.stage1[1](x).numpy(), x.numpy())
    assert last.deep.first.bn.weight.numpy().all() and last.pooled.first.bn.weight.numpy().all()
    network.train()
    (network.stage1[1](x) * paddle.randn(x.shape)).sum().backward()
    assert all(float(one.weight.grad.abs().sum()) > 0 for one in last.last_normalisations())


def test_its_costs_are_counted() -> None:
    plain, costs = network_costs("ResNet18"), network_costs("ResNet18", conv="dbb")
    assert costs.parameters == count_parameters(create_model("ResNet18", conv="dbb"))
    assert costs.macs > 2 * plain.macs


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_branches_become_one_convolution(kernel: int, stride: int) -> None:
    block = _trained(DiverseBranchConvBNAct(4, 8, kernel, stride))
    weight = block.deep.first.conv.weight
    weight.set_value(paddle.randn(weight.shape) * 0.3)
    folded = block.folded()
    assert folded.conv.weight.shape == [8, 4, kernel, kernel]
    assert _difference(block, folded, _images(4, side=17)) < 1e-5


def test_borders_are_those_of_images_that_were_padded() -> None:
    """The average branch of a 1x1 that is 0: the normalisation's value is everywhere, up to the
    border; padding with zeros would give less there.
    """
    block = _trained(DiverseBranchConvBNAct(2, 3, 3, act=None))
    block.eval()
    weight = block.pooled.first.conv.weight
    weight.set_value(paddle.zeros_like(weight))
    with paddle.no_grad():
        found = block._pooled(paddle.randn([1, 2, 6, 6])).numpy()
    np.testing.assert_allclose(
        found, np.broadcast_to(found[:, :, 2:3, 2:3], found.shape), rtol=1e-5
    )


def test_training_reaches_every_branch() -> None:
    block = DiverseBranchConvBNAct(3, 4, 3, act=None)
    block.train()
    block(paddle.randn([4, 3, 8, 8])).square().mean().backward()
    learnt = [one for one in block.parameters() if not one.stop_gradient]
    assert len(learnt) == 5 + 2 * 6
    assert all(float(one.grad.abs().sum()) > 0 for one in learnt)


def test_a_resnet_of_them_keeps_its_large_stem_and_shortcuts() -> None:
    with paddle.LazyGuard():
        network = create_model("ResNet18", conv="dbb")
    blocks = [one for one in network.sublayers() if isinstance(one, DiverseBranchConvBNAct)]
    assert len(blocks) == 16 and type(network.stem) is ConvBNAct


@pytest.mark.parametrize("arguments", [SMALL, {**SMALL, "block": "bottleneck"}])
def test_it_computes_the_same_when_deployed_and_by_other_operators(arguments: Any) -> None:
    network = _trained(create_model("ResNet18", conv="dbb", **arguments))
    deployed = reparameterise(network, batch_norm=False)
    assert _difference(network, deployed, _images()) < 1e-5
    assert DiverseBranchConvBNAct not in _kinds(deployed)
    fused = create_model("ResNet18", conv="fused", **arguments)
    shared = {name: value.shape for name, value in fused.state_dict().items()}
    state = deployed.state_dict()
    assert all(state[name].shape == shape for name, shape in shared.items() if "stem" not in name)
    assert ConvAct in _kinds(deployed)
    expected = copy_of(network, arguments)
    accelerate(network)
    assert _difference(expected, network, _images()) < 1e-4


def copy_of(network: paddle.nn.Layer, arguments: Any) -> paddle.nn.Layer:
    again = create_model("ResNet18", conv="dbb", **arguments)
    again.set_state_dict(network.state_dict())
    return again


def load(folder: Path, arch: Any) -> Any:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump({"Arch": arch}))
    return load_config(str(path))


def test_a_file_of_paddleclas_builds_one(tmp_path: Path) -> None:
    arch = {
        "name": "ResNet18",
        "class_num": 5,
        "layer_type": "DiverseBranchBlock",
        "use_first_short_conv": False,
    }
    arguments = load(tmp_path, arch).Arch.part.arguments
    assert (arguments["conv"], arguments["first_projection"]) == ("dbb", False)
    plain = load(tmp_path, {"name": "ResNet18", "layer_type": "ConvBNLayer"})
    assert plain.Arch.part.arguments["conv"] == "plain"


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ({"layer_type": ["X"]}, "Arch.layer_type.*none of ConvBNLayer, DiverseBranch"),
        (
            {"layer_type": "ConvBNLayer", "conv": "dbb"},
            "layer_type is conv here, which Arch has as",
        ),
        ({"use_first_short_conv": 3}, r"c.yaml:\d: Arch.first_projection"),
        ({"name": "ResNet50_vd", "layer_type": "DiverseBranchBlock"}, "unknown key 'layer_type'"),
    ],
)
def test_what_makes_no_sense_is_refused(arch: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, {"name": "ResNet18", **arch})
