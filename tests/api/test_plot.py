"""Pictures of the learning rate and of augmentation, and the numbers in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls.api.plot import denormalised, plot_augmentation, plot_learning_rate
from ppcls.cli import main
from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, DataError
from ppcls.registry import checked


def test_the_rate_is_that_of_the_run(recipe: Dict[str, Any], tmp_path: Path) -> None:
    recipe["Optimizer"]["lr"]["warmup_epoch"] = 1
    schedule = plot_learning_rate(recipe, tmp_path / "lr.png")
    assert (schedule.epochs, schedule.steps_per_epoch) == (2, 5)  # 80 images in batches of 16
    by_hand = [0.01 * step for step in range(5)]
    by_hand += [0.025 * (1 + math.cos(math.pi * step / 5)) for step in range(5)]
    assert [schedule.at(step) for step in range(10)] == pytest.approx(by_hand)
    assert Image.open(tmp_path / "lr.png").size[0] > 800


@pytest.mark.slow
def test_updates_of_several_batches(recipe: Dict[str, Any], tmp_path: Path) -> None:
    recipe["Global"]["update_freq"] = 2
    assert plot_learning_rate(recipe, tmp_path / "lr.png").steps_per_epoch == 3


def test_without_the_data_the_number_of_batches_is_asked_for(
    recipe: Dict[str, Any],
    write_recipe: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe["DataLoader"]["Train"]["dataset"]["cls_label_path"] = str(tmp_path / "none.txt")
    with pytest.raises(DataError, match="none.txt"):
        plot_learning_rate(recipe, tmp_path / "lr.png")
    monkeypatch.chdir(tmp_path)
    path = write_recipe(recipe)
    assert main(["plot", "lr", "-c", str(path), "--batches", "100"]) == 0
    out = capsys.readouterr().out
    assert "Cosine: 2 epochs of 100 updates, begins at 0.05, at most 0.05, ends at 3.08e-06" in out
    assert "written to recipe_lr.png" in out
    assert (tmp_path / "recipe_lr.png").exists()


def colour_ops(**normal: Any) -> List[Any]:
    return [
        checked("transform", "ResizeImage", {"size": 16}),
        checked("transform", "NormalizeImage", {"order": "", **normal}),
        checked("transform", "ToCHWImage", {}),
    ]


@pytest.mark.parametrize("to_rgb", [True, False])
def test_normalisation_is_undone_exactly(to_rgb: bool) -> None:
    decode = checked("transform", "DecodeImage", {"to_rgb": to_rgb})
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    data = cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
    pipeline = Pipeline([decode, *colour_ops(channel_num=4)])
    np.testing.assert_array_equal(denormalised(pipeline(data), pipeline.spec()), pixels)


def test_a_photo_and_what_the_network_sees_of_it(
    recipe: Dict[str, Any], digits: Path, tmp_path: Path
) -> None:
    photo = next(digits.glob("train/d0/*.png"))
    names = plot_augmentation(recipe, photo, tmp_path / "a.png", count=3)
    assert names == ["DecodeImage", "RandCropImage", "NormalizeImage", "ToCHWImage"]
    first = (tmp_path / "a.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size[0] > 1000
    plot_augmentation(recipe, photo, tmp_path / "a.png", count=3)
    assert (tmp_path / "a.png").read_bytes() == first


def test_no_photo_is_said_by_name(recipe: Dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="none.jpg: the file does not exist"):
        plot_augmentation(recipe, tmp_path / "none.jpg", tmp_path / "a.png")
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(BadImageError, match="text.jpg: "):
        plot_augmentation(recipe, tmp_path / "text.jpg", tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_the_command_draws_what_training_makes_of_a_photo(
    recipe: Dict[str, Any],
    write_recipe: Callable[..., Path],
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["plot", "augment", str(digits / "val/d1/0.png"), "-c", str(write_recipe(recipe))]
    assert main([*command, "-n", "2"]) == 0
    assert "written to recipe_augment.png" in capsys.readouterr().out
    assert (tmp_path / "recipe_augment.png").is_file()
    for count, says in (("0", "no whole number above 0"), ("two", "'two'"), ("100", "at most 99")):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "-n", count])
        assert says in capsys.readouterr().err
