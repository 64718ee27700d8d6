"""``ppcls convert``: checkpoints of other toolkits become files that name their network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.cli import main
from ppcls.weights import read
from ppcls.weights.formats.safetensors import write_safetensors
from ppcls.weights.names.toolkits import find_reference, reference_models, reference_names


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of torchvision's resnet18 with 7 classes for grey images, as safetensors."""
    (name, fixed), _ = find_reference("torchvision", "resnet18")
    network = create_model(name, **fixed, class_num=7, in_channels=1)
    names = reference_names("torchvision", network)
    arrays = {names[key]: in_torch_layout(value) for key, value in network.state_dict().items()}
    arrays["bn1.num_batches_tracked"] = np.array(3)
    path = tmp_path_factory.mktemp("theirs") / "resnet18.safetensors"
    write_safetensors(path, arrays)
    return path


def in_torch_layout(value: paddle.Tensor) -> np.ndarray:
    """PyTorch keeps the weights of a fully connected layer as [out, in]."""
    array = value.numpy()
    return array.T if array.ndim == 2 else array


def convert(source: Path, target: Path, *more: str, name: str = "resnet18") -> int:
    given = ["--source", "torchvision", "--name", name, "--input", str(source)]
    return main(["convert", *given, "--output", str(target), *more])


@pytest.mark.slow
def test_says_what_it_was_and_where_it_is(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "mine.safetensors"
    assert convert(theirs, target) == 0
    # 11,689,512 at 1000 classes of RGB: the last layer loses 993 classes, the first two channels.
    count = 11_689_512 - 993 * 513 - 2 * 64 * 49
    assert capsys.readouterr().out == (
        f"resnet18 of torchvision is ResNet18_tv ({count:,} parameters, 7 classes): "
        f"102 arrays written to {target}\n"
    )
    file = read(target)
    assert len(file.arrays) == 102 and file.arrays["head.fc.weight"].shape == (512, 7)
    known = {key: file.metadata[key] for key in ("arch", "class_num", "in_channels", "from")}
    assert known == {
        "arch": "ResNet18_tv",
        "class_num": 7,
        "in_channels": 1,
        "from": "resnet18 of torchvision",
    }


@pytest.mark.slow
def test_the_file_is_what_evaluation_takes(
    theirs: Path,
    tmp_path: Path,
    recipe: Dict[str, Any],
    ppcls: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "mine.safetensors"
    assert convert(theirs, target) == 0
    weights = f"Global.pretrained_model={target}"
    recipe["Arch"] = {"name": "ResNet18_tv", "class_num": 7}
    assert ppcls("eval", recipe, "-o", weights) == 0
    assert "40 images in" in capsys.readouterr().out
    assert ppcls("eval", recipe, "-o", weights, "Arch.name=ResNet34_tv") == 1
    assert "holds the weights of ResNet18_tv" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_is_not_replaced_unasked(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_bytes(b"precious")
    assert convert(theirs, target) == 2
    assert "--overwrite" in capsys.readouterr().err and target.read_bytes() == b"precious"
    assert convert(theirs, target, "--overwrite") == 0
    assert read(target).metadata["arch"] == "ResNet18_tv"


MISTAKES = {
    "unknown toolkit": (["--source", "torchvison"], 2, "Did you mean 'torchvision'?"),
    "unknown network": (["--name", "resnet81"], 2, "Did you mean 'resnet18'?"),
    "another network": (
        ["--name", "squeezenet1_1"],
        1,
        "squeezenet1_1: the weights are of another",
    ),
    "no such file": (["--input", "gone.pth"], 1, "no weight file found"),
    "another ending": (["--output", "mine.pdparams"], 2, "ends in .safetensors"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_and_write_nothing(
    mistake: str, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, status, words = MISTAKES[mistake]
    assert convert(theirs, tmp_path / "mine.safetensors", *given) == status
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_files_of_ones_own_need_no_conversion(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(theirs, tmp_path / "mine.safetensors") == 0
    assert convert(tmp_path / "mine.safetensors", tmp_path / "again.safetensors") == 2
    error = capsys.readouterr().err
    assert "needs no conversion: it holds weights of ResNet18_tv" in error
    assert not (tmp_path / "again.safetensors").exists()


@pytest.mark.parametrize("left_out", ["--name", "--input", "--output"])
def test_all_three_are_needed(left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"--name": "resnet18", "--input": "a.pth", "--output": "b.safetensors"}
    rest: List[str] = [word for pair in given.items() if pair[0] != left_out for word in pair]
    assert main(["convert", "--source", "torchvision", *rest]) == 2
    assert f"needs {left_out}, or --list" in capsys.readouterr().err


def test_lists_what_a_toolkit_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--source", "torchvision", "--list"]) == 0
    assert capsys.readouterr().out.split() == reference_models("torchvision")
    assert main(["convert", "--source", "timm", "--list", "resnet1?"]) == 0
    assert capsys.readouterr().out.split() == ["resnet18"]
    assert main(["convert", "--source", "timm", "--list", "nothing*"]) == 1
