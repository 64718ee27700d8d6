"""Training, evaluation and prediction from published weights, and from files that do not quite
fit.

What is published is made here: fresh weights under PaddleClas' names, where the cache keeps them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.data.imagenet_classes import imagenet_classes
from ppcls.inference import read_bundle
from ppcls.weights import read, save_weights
from ppcls.weights.names.toolkits import reference_names

Recipe = Dict[str, Any]
Run = Callable[..., int]
NAME = "SqueezeNet1_1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the published weights of one network."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "weights").mkdir()
    paddle.seed(5)
    network = create_model(NAME)
    names = reference_names("paddleclas", network)
    arrays = {names[key]: value for key, value in network.state_dict().items()}
    paddle.save(arrays, str(folder / "weights" / f"{NAME}.pdparams"))
    return folder


@pytest.fixture(autouse=True)
def cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for published weights there, and nowhere else."""
    monkeypatch.setenv("PPCLS_HOME", str(home))
    monkeypatch.setenv("PPCLS_MIRRORS", "https://paddle-imagenet-models-name.bj.bcebos.com/=/gone/")


@pytest.fixture
def squeezed(recipe: Recipe) -> Recipe:
    """A short run of the network that has published weights; four classes, grey images."""
    recipe["Arch"] = {"name": NAME, "pretrained": True}
    recipe["Global"]["epochs"] = 1
    recipe["Optimizer"]["lr"]["learning_rate"] = 1e-9
    return recipe


def in_colour(recipe: Recipe) -> Recipe:
    """The same recipe for images of three channels."""
    for split in recipe["DataLoader"].values():
        ops = split["dataset"]["transform_ops"]
        ops[0] = {"DecodeImage": {}}
        ops[-1] = {"NormalizeImage": {"order": ""}}
    return recipe


def result(recipe: Recipe) -> Dict[str, np.ndarray]:
    """The weights that a run ended with."""
    return read(Path(recipe["Global"]["output_dir"]) / "best_model.safetensors").arrays


@pytest.mark.slow
def test_training_starts_from_published_weights(
    ppcls: Run, squeezed: Recipe, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", squeezed) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "started from" in line)
    assert f"started from {home / 'weights' / NAME}.pdparams: " in line
    assert "adapted to images of 1 channel(s)" in line and "starts fresh, for 4 classes" in line
    found, published = result(squeezed), create_model(NAME, pretrained=True).state_dict()
    alike = [key for key in found if found[key].shape == tuple(published[key].shape)]
    assert len(alike) == len(found) - 3
    for key in alike:
        assert np.allclose(found[key], published[key].numpy(), atol=1e-5), key
    first = next(key for key in found if found[key].shape[1:2] == (1,))
    summed = published[first].numpy().sum(axis=1, keepdims=True)
    assert np.allclose(found[first], summed, atol=1e-5)


@pytest.mark.slow
def test_a_file_of_ones_own_is_adapted_too(
    ppcls: Run, squeezed: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(create_model(NAME, class_num=10), path, {"arch": NAME, "class_num": 10})
    squeezed["Arch"]["pretrained"] = str(path)
    assert ppcls("train", squeezed) == 0
    assert "starts fresh, for 4 classes" in capsys.readouterr().out
    squeezed["Arch"]["name"] = "SqueezeNet1_0"
    assert ppcls("train", squeezed, "--overwrite") == 1
    assert f"holds the weights of {NAME}" in capsys.readouterr().err


def test_a_named_start_must_fit(
    ppcls: Run, squeezed: Recipe, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squeezed["Global"]["pretrained_model"] = str(home / "weights" / NAME)
    assert ppcls("train", squeezed) == 1
    assert "the weights do not fit the network" in capsys.readouterr().err
    assert ppcls("train", squeezed, "--dry-run", "-o", "Global.partial=True") == 0
    assert "3 of another shape" in capsys.readouterr().out
    # What the command line alone names wins.
    assert ppcls("train", squeezed, "--dry-run", "-o", "Arch.pretrained=True") == 0


def test_networks_without_published_weights_are_told(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Arch"]["pretrained"] = True
    assert ppcls("train", recipe) == 2
    error = capsys.readouterr().err
    assert "Arch.pretrained: no weights of LeNet are published" in error
    assert "ppcls weights list" in error
    assert not Path(recipe["Global"]["output_dir"]).exists()


def test_evaluation_takes_published_weights_as_they_are(
    ppcls: Run, squeezed: Recipe, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("eval", squeezed) == 1
    assert "the weights do not fit" in capsys.readouterr().err, "the images are grey"
    assert ppcls("eval", in_colour(squeezed)) == 0
    assert f"weights: {home / 'weights' / NAME}.pdparams" in capsys.readouterr().out
    assert ppcls("eval", squeezed, "-o", "Arch.class_num=4") == 1
    error = capsys.readouterr().err
    assert "know the 1000 classes of ImageNet, but the configuration has 4. Train first" in error


def test_prediction_names_the_classes_of_imagenet(
    ppcls: Run, squeezed: Recipe, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "val" / "d2" / "3.png"
    assert ppcls("infer", in_colour(squeezed), "-o", f"Infer.infer_imgs={image}") == 0
    _, *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and last == "1 image, 0 errors"
    for line in lines:
        name, _, number = line.split("%  ")[1].rpartition(" (class ")
        assert imagenet_classes().names[int(number.rstrip(")"))] == name


@pytest.mark.slow
def test_a_bundle_of_published_weights_names_the_classes_of_imagenet(
    ppcls: Run, squeezed: Recipe, tmp_path: Path
) -> None:
    target = tmp_path / "bundle"
    assert ppcls("export", in_colour(squeezed), "--output_dir", str(target)) == 0
    bundle = read_bundle(target)
    assert bundle.labels == imagenet_classes().names
    assert bundle.provenance["weights"] == f"{NAME}.pdparams"


@pytest.mark.slow
def test_the_weights_of_a_run_go_first(
    ppcls: Run, squeezed: Recipe, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_colour(squeezed)
    assert ppcls("train", squeezed) == 0
    assert ppcls("eval", squeezed) == 0
    printed = capsys.readouterr().out
    assert "the weights of this run are used" in printed and "-o Arch.pretrained=True" in printed
    assert ppcls("eval", squeezed, "-o", "Arch.pretrained=True") == 0
    assert f"weights: {home / 'weights' / NAME}.pdparams" in capsys.readouterr().out


def test_arguments_that_make_another_network_are_refused(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tanh.safetensors"
    metadata = {"arch": "LeNet", "arguments": {"act": "tanh"}}
    save_weights(create_model("LeNet", class_num=4), path, metadata)
    weights = f"Global.pretrained_model={path}"
    for verb in ("train", "eval"):
        assert ppcls(verb, recipe, "-o", weights) == 1
        error = capsys.readouterr().err
        assert 'with act: "tanh", the configuration builds it with act: "relu"' in error
    assert ppcls("eval", recipe, "-o", weights, "Arch.act=tanh") == 0
