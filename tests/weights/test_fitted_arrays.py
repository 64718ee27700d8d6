"""Pretrained weights for other classes and other images than they were trained for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import CheckpointError
from ppcls.weights import WeightFile, load, save_weights
from ppcls.weights.fitted_arrays import sizes_of, with_channels
from ppcls.weights.names.toolkits import reference_names


def _arrays(**arguments: Any) -> Dict[str, np.ndarray]:
    paddle.seed(1)
    network = create_model("ResNet18", **{"stem": "cifar", "class_num": 6, **arguments})
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _network(**arguments: Any) -> Any:
    paddle.seed(2)
    return create_model("ResNet18", **{"stem": "cifar", "class_num": 6, **arguments})


@pytest.mark.slow
def test_what_fits_is_loaded_without_a_word() -> None:
    network, arrays = _network(), _arrays()
    assert load(network, arrays, fit="adapt").adapted == ()
    assert (network.stem.conv.weight.numpy() == arrays["stem.conv.weight"]).all()


@pytest.mark.slow
def test_another_number_of_classes_keeps_all_but_the_last_layer() -> None:
    network, arrays = _network(class_num=4), _arrays()
    fresh = network.head.fc.weight.numpy()
    report = load(network, arrays, fit="adapt")
    assert report.adapted == (
        "head.fc.weight starts fresh, for 4 classes",
        "head.fc.bias starts fresh, for 4 classes",
    )
    assert (network.head.fc.weight.numpy() == fresh).all()
    assert (network.stage4[1].conv2.conv.weight.numpy()).sum() == pytest.approx(
        arrays["stage4.1.conv2.conv.weight"].sum()
    )


@pytest.mark.slow
def test_a_grey_network_answers_to_grey_images_as_the_colour_one_did() -> None:
    colour, arrays = _network(), _arrays()
    load(colour, arrays, fit="adapt")
    grey = _network(in_channels=1)
    assert load(grey, arrays, fit="adapt").adapted == (
        "stem.conv.weight was adapted to images of 1 channel(s)",
    )
    image = paddle.randn([2, 1, 32, 32])
    colour.eval(), grey.eval()
    with paddle.no_grad():
        expected, got = colour(image.tile([1, 3, 1, 1])).numpy(), grey(image).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
def test_equal_channels_give_the_same_sum_however_many_there_are(channels: int) -> None:
    kernels = np.broadcast_to(np.random.default_rng(0).standard_normal((5, 1, 2, 2)), (5, 3, 2, 2))
    adapted = with_channels(kernels, channels)
    assert adapted.shape == (5, channels, 2, 2)
    np.testing.assert_allclose(adapted.sum(axis=1), kernels.sum(axis=1))


@pytest.mark.slow
def test_anything_else_is_refused_and_changes_nothing() -> None:
    network = _network(class_num=4)
    before = network.stem.conv.weight.numpy()
    arrays = _arrays()
    arrays["stage1.0.conv1.conv.weight"] = np.zeros((2, 2, 3, 3), np.float32)
    with pytest.raises(CheckpointError, match=r"stage1\.0\.conv1"):
        load(network, arrays, fit="adapt")
    assert (network.stem.conv.weight.numpy() == before).all()


@pytest.mark.slow
def test_sizes_of_the_file() -> None:
    arrays = _arrays(class_num=9, in_channels=1)
    assert sizes_of(_network(), arrays) == {"in_channels": 1, "class_num": 9}
    assert sizes_of(_network(class_num=9, in_channels=1), arrays) == {}


def test_create_model_takes_a_file_and_says_what_it_adapted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_weights(create_model("LeNet"), tmp_path / "digits.safetensors")
    with caplog.at_level(logging.WARNING, logger="ppcls"):
        network = create_model("LeNet", class_num=4, pretrained=tmp_path / "digits.safetensors")
    assert network.class_num == 4
    assert "head.fc.weight starts fresh, for 4 classes" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("source", ["ppcls", "paddleclas"])
def test_auxiliary_heads_may_be_in_the_file_only_or_in_the_network_only(source: str) -> None:
    plain, full = (create_model("GoogLeNet", class_num=3, aux=aux) for aux in (False, True))
    names = {} if source == "ppcls" else reference_names(source, full)
    arrays = {names.get(name, name): value.numpy() for name, value in full.state_dict().items()}
    words = "auxiliary heads of the file are left out, the network has none"
    assert load(plain, arrays, fit="adapt").adapted == (words,)
    own = plain.state_dict()
    assert all((value == full.state_dict()[name]).all().item() for name, value in own.items())
    bare = {names.get(name, name): value.numpy() for name, value in own.items()}
    fresh = "auxiliary heads start fresh, the file has none"
    assert load(full, bare, fit="adapt", toolkit=source).adapted == (fresh,)
    noted = {"arch": "GoogLeNet", "arguments": {"aux": True}}
    assert load(plain, WeightFile(arrays, noted), fit="adapt").adapted == (words,)
    with pytest.raises(CheckpointError, match="with aux: true, the configuration builds it with"):
        load(plain, WeightFile(arrays, noted))


@pytest.mark.slow
def test_names_like_those_of_auxiliary_heads_are_not_forgiven_elsewhere() -> None:
    with pytest.raises(CheckpointError, match="1 not in the network"):
        load(_network(), {**_arrays(), "auxiliary": np.zeros(1)}, fit="adapt")
