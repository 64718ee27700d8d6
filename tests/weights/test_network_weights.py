"""Weights go where they belong, or the user is told what does not fit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.engine.checkpoint import Checkpoint, TrainState, save_checkpoint
from ppcls.errors import CheckpointError, ConfigError
from ppcls.weights import LoadReport, WeightFile, load, read, save_weights
from ppcls.weights.names.toolkits import reference_names


def _arrays(network: paddle.nn.Layer) -> Dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _equal(first: Dict[str, np.ndarray], second: Dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)


def test_saved_weights_come_back_exactly(tmp_path: Path) -> None:
    source, target = create_model("SqueezeNet1_1"), create_model("SqueezeNet1_1")
    save_weights(source, tmp_path / "net.safetensors", {"arch": source.model_name})
    file = read(tmp_path / "net")
    report = load(target, file)
    assert file.metadata["arch"] == "SqueezeNet1_1" and report.path == tmp_path / "net"
    assert report.complete and report.toolkit == "ppcls"
    assert report.describe() == "52 of the network's 52 arrays match"
    assert _equal(_arrays(source), _arrays(target))


@pytest.mark.slow
def test_running_statistics_belong_to_the_weights() -> None:
    source = create_model("ResNet18", class_num=2, stem="cifar")
    source(paddle.randn([4, 3, 16, 16]))
    target = create_model("ResNet18", class_num=2, stem="cifar")
    load(target, _arrays(source))
    assert abs(target.stem.bn._mean.numpy()).sum() > 0
    assert _equal(_arrays(source), _arrays(target))


def test_official_files_written_by_paddle_load(tmp_path: Path) -> None:
    source, target = create_model("LeNet"), create_model("LeNet")
    paddle.save(source.state_dict(), str(tmp_path / "LeNet_pretrained.pdparams"))
    file = read(tmp_path / "LeNet_pretrained")
    load(target, file)
    assert file.metadata == {} and _equal(_arrays(source), _arrays(target))


def test_another_number_of_classes_is_recognised_and_partial_keeps_the_rest() -> None:
    arrays = _arrays(create_model("LeNet", class_num=26))
    network = create_model("LeNet")
    before = _arrays(network)
    with pytest.raises(CheckpointError) as caught:
        load(network, arrays)
    message = str(caught.value)
    assert "8 of the network's 10 arrays match; 2 of another shape" in message
    assert "head.fc.weight [84, 26] instead of [84, 10]" in message
    assert "The file holds 26 classes, the network 10" in message and "partial: true" in message
    assert _equal(_arrays(network), before)
    report = load(network, arrays, fit="partial")
    assert [item.name for item in report.mismatched] == ["head.fc.weight", "head.fc.bias"]
    after = _arrays(network)
    assert (after["c1.conv.weight"] == arrays["c1.conv.weight"]).all()
    assert (after["head.fc.weight"] == before["head.fc.weight"]).all()


def test_other_input_channels_are_recognised() -> None:
    with pytest.raises(CheckpointError, match="images of 3 channels, the network for 1"):
        load(create_model("LeNet"), _arrays(create_model("LeNet", in_channels=3)))


def test_missing_and_unexpected_names_are_counted_and_named() -> None:
    arrays = _arrays(create_model("LeNet"))
    del arrays["c1.conv.weight"]
    arrays.update({f"extra{n}": np.zeros(1) for n in range(5)})
    with pytest.raises(CheckpointError) as caught:
        load(create_model("LeNet"), arrays)
    assert "1 missing from the file (c1.conv.weight)" in str(caught.value)
    assert "5 not in the network (extra0, extra1, extra2 and 2 more)" in str(caught.value)
    assert len(load(create_model("LeNet"), arrays, fit="partial").matched) == 9


@pytest.mark.parametrize("fit", ["partial", "exact"])
def test_another_architecture_is_an_error_even_when_partial(fit: str) -> None:
    arrays = _arrays(create_model("SqueezeNet1_1"))
    with pytest.raises(CheckpointError, match="another network: 0 of the network's 10 arrays"):
        load(create_model("LeNet"), arrays, fit=fit)


def test_paddleclas_names_are_recognised_whatever_the_number_of_classes() -> None:
    network = create_model("ResNet18", class_num=4, stem="cifar")
    theirs = {
        "stem.0.conv.weight": np.full([64, 3, 3, 3], 0.5, np.float32),
        "blocks.3.conv0.conv.weight": np.full([128, 128, 3, 3], 0.25, np.float32),
        "fc.weight": np.zeros([512, 1000], np.float32),
    }
    report = load(network, theirs, fit="partial")
    assert report.toolkit == "paddleclas"
    assert report.matched == ["stem.conv.weight", "stage2.1.conv1.conv.weight"]
    assert "The file holds 1000 classes, the network 4" in report.describe()
    assert (network.stage2[1].conv1.conv.weight.numpy() == 0.25).all()


def test_other_floating_point_types_are_converted() -> None:
    source = _arrays(create_model("LeNet"))
    network = create_model("LeNet")
    load(network, {name: array.astype(np.float16) for name, array in source.items()})
    loaded = _arrays(network)["c1.conv.weight"]
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, source["c1.conv.weight"], atol=1e-3)


def _torchvision_names(name: str) -> Dict[str, np.ndarray]:
    network = create_model(name, class_num=3)
    values = network.state_dict()
    return {
        theirs: values[own].numpy().T if values[own].ndim == 2 else values[own].numpy()
        for own, theirs in reference_names("torchvision", network).items()
    }


def test_weights_of_a_network_that_computes_otherwise_get_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrays = _torchvision_names("SqueezeNet1_1_tv")
    with caplog.at_level(logging.WARNING, logger="ppcls"):
        load(create_model("SqueezeNet1_1_tv", class_num=3), arrays)
        assert caplog.text == ""
        load(create_model("SqueezeNet1_1", class_num=3), arrays)
    assert "torchvision's names, and its network is SqueezeNet1_1_tv" in caplog.text


@pytest.mark.slow
def test_the_network_of_another_toolkit_is_named_where_its_weights_do_not_fit() -> None:
    with pytest.raises(CheckpointError, match="use Arch.name=ResNet18_tv"):
        load(create_model("ResNet18", class_num=3), _torchvision_names("ResNet18_tv"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda array: array.astype(np.int8), r"1 whole numbers \(c1\.conv\.weight \(int8\)\)"),
        (lambda array: array * np.nan, r"NaN or infinity: 1 arrays \(c1\.conv\.weight\)"),
        (lambda array: array.astype(np.float64) + 1e300, "NaN or infinity"),
        (lambda array: array + np.inf, r"NaN or infinity: 1 arrays \(c1\.conv\.weight\)"),
    ],
)
def test_numbers_that_are_no_weights_are_refused_and_nothing_is_changed(
    spoil: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    network, arrays = create_model("LeNet"), _arrays(create_model("LeNet"))
    arrays["c1.conv.weight"] = spoil(arrays["c1.conv.weight"])
    before = _arrays(network)
    with pytest.raises(CheckpointError, match=words):
        load(network, arrays)
    assert _equal(_arrays(network), before)


def test_bfloat16_of_other_libraries_is_a_number() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    network, arrays = create_model("LeNet"), _arrays(create_model("LeNet"))
    halved = {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
    load(network, halved)
    expected = {name: array.astype(np.float32) for name, array in halved.items()}
    assert _equal(_arrays(network), expected)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[bool], Path]:
    """A function that writes a checkpoint of training, with or without a moving average."""

    def write(averaged: bool) -> Path:
        arrays = _arrays(create_model("LeNet", class_num=4))
        ema = {name: array + 1 for name, array in arrays.items()} if averaged else {}
        path = tmp_path / "step_00000460.safetensors"
        about = {"arch": "LeNet", "class_num": 4}
        save_checkpoint(path, Checkpoint(TrainState(step=460), about, arrays, ema=ema))
        return path

    return write


@pytest.mark.parametrize("averaged", [False, True])
def test_a_network_is_created_with_the_weights_of_a_checkpoint_of_training(
    checkpoint: Callable[[bool], Path], averaged: bool
) -> None:
    path = checkpoint(averaged)
    network = create_model("LeNet", class_num=4, pretrained=str(path))
    assert _equal(_arrays(network), read(path).group("ema" if averaged else "model"))


@pytest.mark.parametrize("given", ["path", "text", "file", "mapping"])
def test_every_source_gives_the_same(checkpoint: Callable[[bool], Path], given: str) -> None:
    path = checkpoint(True)
    sources = {"path": path, "text": str(path), "file": read(path)}
    network = create_model("LeNet", class_num=4)
    load(network, sources.get(given, read(path).network_arrays()))
    assert _equal(_arrays(network), read(path).group("ema"))


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["exact", "adapt"])
def test_weights_of_another_network_are_refused_where_all_shapes_agree(
    tmp_path: Path, fit: str
) -> None:
    path = tmp_path / "best_model.safetensors"
    save_weights(create_model("MobileNetV1"), path, {"arch": "MobileNetV1", "class_num": 1000})
    network = create_model("MobileNetV1_timm")
    before = _arrays(network)
    with pytest.raises(CheckpointError) as caught:
        load(network, path, fit=fit)
    assert str(caught.value) == (
        f"{path} holds the weights of MobileNetV1, the configuration asks for MobileNetV1_timm. "
        "Use -o Arch.name=MobileNetV1, or another file"
    )
    assert _equal(_arrays(network), before)
    with pytest.raises(CheckpointError, match="holds the weights of MobileNetV1, the"):
        create_model("MobileNetV1_timm", pretrained=path)
    assert load(network, path, fit="partial").complete


def test_arguments_that_make_another_network_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "tanh.safetensors"
    metadata = {"arch": "LeNet", "arguments": {"act": "tanh"}}
    save_weights(create_model("LeNet"), path, metadata)
    with pytest.raises(CheckpointError, match='with act: "tanh", the .* act: "relu". Use -o'):
        create_model("LeNet", pretrained=path)
    create_model("LeNet", act="tanh", pretrained=path)


def test_noted_classes_must_be_those_of_the_network_unless_they_are_adapted(tmp_path: Path) -> None:
    path = tmp_path / "ten.safetensors"
    save_weights(create_model("LeNet"), path, {"arch": "LeNet", "class_num": 10})
    network = create_model("LeNet", class_num=4)
    with pytest.raises(CheckpointError, match="trained for 10 classes, the network has 4. To load"):
        load(network, path)
    assert load(network, path, fit="adapt").adapted[0].endswith("starts fresh, for 4 classes")


def test_the_file_stands_once_in_front_of_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(create_model("SqueezeNet1_1"), path)
    for source in (path, read(path)):
        with pytest.raises(CheckpointError) as caught:
            load(create_model("LeNet"), source)
        assert str(caught.value).startswith(f"{path}: the weights are of another network: 0 of")
        assert str(caught.value).count(str(path)) == 1


def test_an_unknown_fit_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown fit 'exat'. Did you mean 'exact'"):
        load(create_model("LeNet"), {}, fit="exat")


def test_layers_without_a_registered_name_take_what_fits() -> None:
    source, target = paddle.nn.Linear(3, 2), paddle.nn.Linear(3, 2)
    report = load(target, WeightFile(_arrays(source), {"arch": "LeNet"}))
    assert isinstance(report, LoadReport) and report.complete and report.path is None
    assert _equal(_arrays(source), _arrays(target))
