"""What makes GoogLeNet what it is, and how its published forms differ."""

from __future__ import annotations

from typing import Any

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.backbone.googlenet import _FORMS, AuxiliaryHead, Inception
from ppcls.arch.network import Network
from ppcls.arch.summary import count_parameters
from ppcls.errors import ConfigError


def _structure(name: str = "GoogLeNet", **arguments: Any) -> Network:
    """Build a network whose weights nobody fills, which takes long."""
    with paddle.LazyGuard():
        return create_model(name, **arguments)


def test_modules_have_the_depths_and_weights_of_table_1() -> None:
    network = _structure()
    modules = [getattr(network, name) for name in network.stages if name.startswith("inc")]
    depths = [module.channels for module in modules]
    assert depths == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    thousands = [count_parameters(module) // 1024 for module in modules[:2]]
    assert thousands == [159, 379]


@pytest.mark.parametrize(
    ("form", "aux", "count"),
    [
        # Caffe's network of the paper, with its two heads and as it is deployed.
        ("paper", True, 13_378_280),
        ("paper", False, 6_998_552),
        ("torchvision", True, 13_004_888),
        ("torchvision", False, 6_624_904),
        ("paddleclas", True, 11_535_736),
    ],
)
def test_forms_have_their_published_parameters(form: str, aux: bool, count: int) -> None:
    assert count_parameters(_structure(form=form, aux=aux)) == count


def test_the_paper_normalises_over_channels_torchvision_over_the_batch() -> None:
    def kinds(form: str) -> int:
        names = [type(layer).__name__ for layer in _structure(form=form, aux=False).sublayers()]
        return names.count("LocalResponseNorm"), names.count("BatchNorm2D")  # type: ignore[return-value]

    assert [kinds(form) for form in ("paper", "paddleclas", "torchvision")] == [
        (2, 0),
        (0, 0),
        (0, 57),
    ]


def test_paddleclas_activates_only_concatenated_maps() -> None:
    module = Inception(192, "inception3a", _FORMS["paddleclas"])
    assert not [layer for layer in module.branches.sublayers() if isinstance(layer, nn.ReLU)]
    maps = module.branches(paddle.randn([1, 192, 4, 4]))
    assert float(maps.min()) < 0
    assert bool((module.act(maps) == nn.functional.relu(maps)).all())


def test_paddleclas_forgets_an_activation_in_its_second_auxiliary_head() -> None:
    ours, torchvision = _structure(), _structure("GoogLeNet_tv")
    assert isinstance(ours.aux1.act, nn.ReLU)
    assert isinstance(ours.aux2.act, nn.Identity)
    assert isinstance(torchvision.aux2.act, nn.ReLU)


def test_torchvision_has_3x3_in_place_of_5x5() -> None:
    for name, side in (("GoogLeNet", 5), ("GoogLeNet_tv", 3)):
        assert _structure(name).inception3a.branches.five.conv2.conv._kernel_size == [side, side]


@pytest.mark.slow
def test_auxiliary_heads_run_in_training_only() -> None:
    network = create_model("GoogLeNet_tv", class_num=3)
    images = paddle.randn([2, 3, 32, 32])
    outputs = network(images)
    assert [logits.shape for logits in outputs] == [[2, 3]] * 3
    network.eval()
    assert network(images).shape == [2, 3]
    assert network.aux_weight == 0.3


def test_without_auxiliary_heads_there_is_one_output() -> None:
    network = create_model("GoogLeNet_tv", class_num=3, aux=False)
    assert network(paddle.randn([2, 3, 32, 32])).shape == [2, 3]


def test_an_auxiliary_head_is_what_section_5_says() -> None:
    head = AuxiliaryHead(512, _FORMS["paper"], "relu", nn.Dropout(0.7), 1000)
    assert (head.pool.window.ksize, head.pool.window.stride) == (5, 3)
    assert head.pool(paddle.zeros([1, 512, 14, 14])).shape == [1, 512, 4, 4]
    assert head.fc1.weight.shape == [4 * 4 * 128, 1024]


def test_dropout_can_be_set_for_both_kinds_of_heads() -> None:
    network = _structure(dropout=0.1, aux_dropout=0.2)
    assert (network.head.drop.p, network.aux1.drop.p, network.aux2.drop.p) == (0.1, 0.2, 0.2)


def test_other_forms_are_refused() -> None:
    with pytest.raises(ConfigError, match="'paper', 'paddleclas' or 'torchvision'"):
        create_model("GoogLeNet", form="caffe")
