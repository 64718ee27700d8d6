"""What is said of images that no model could judge, and of sets without any."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import numpy as np
import paddle
import pytest

from ppcls import weights
from ppcls.arch import build, create_model
from ppcls.config import as_config
from ppcls.data.dataset import ClassMap, ImageNetDataset
from ppcls.engine.scoring import Scored
from ppcls.engine.trained import Trained
from ppcls.errors import ConfigError, DataError
from ppcls.registry import Part
from ppcls.report.gather import _judged_train
from ppcls.report.judged import Judged, judge, train_set
from tests.conftest import TrainedRun


def judged(probabilities: np.ndarray) -> Judged:
    """Two images of the class 1, of which the network takes the second for one of 0."""
    logits = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32))
    labels, none = np.array([1, 1]), np.empty((2, 0), np.float32)
    scored = Scored(
        ["a", "b"], ["a", "b"], np.array([3, 8]), labels, logits, none, [], ClassMap(["x", "y"])
    )
    dataset: Any = SimpleNamespace()
    return Judged("train", dataset, scored, probabilities, np.zeros((2, 2), np.uint64))


def test_the_network_speaks_for_images_that_nothing_else_judges() -> None:
    found = judged(np.array([[0.6, 0.4], [np.nan, np.nan]], np.float32))
    first, second = found.example(0), found.example(1)
    assert (first.predicted, first.label_probability) == (0, pytest.approx(0.4))
    assert (second.index, second.predicted) == (8, 0)
    assert (second.probability, second.margin) == (pytest.approx(0.9), pytest.approx(0.8))
    assert found.agreement == 0.0, "of the one that was judged"
    nothing = judged(np.full((2, 2), np.nan, np.float32))
    assert nothing.agreement == 0.0 and nothing.example(0).predicted == 1


def test_a_set_of_which_no_image_can_be_read_is_said(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "list.txt").write_text("a.png 0\nb.png 1\n")
    ops = [{"DecodeImage": {"channel_num": 1}}, {"ResizeImage": {"size": 32}}]
    ops += [{"ToCHWImage": None}]
    images = ImageNetDataset(str(tmp_path), str(tmp_path / "list.txt"), ops)
    network = build(Part("arch", "LeNet", {"class_num": 2}))
    with pytest.raises(DataError, match="none of the 2 images can be read"):
        judge("val", images, network, most=10)


def test_without_a_training_set_there_is_none(recipe: Dict[str, Any]) -> None:
    recipe["DataLoader"]["Train"] = None
    with pytest.raises(ConfigError, match="the configuration has no DataLoader.Train"):
        train_set(as_config(recipe), ClassMap(["0", "1", "2", "3"]))


@pytest.mark.parametrize("has_start", [True, False])
def test_labels_are_judged_by_the_weights_that_a_run_began_with(
    has_start: bool, recipe: Dict[str, Any], trained: TrainedRun, tmp_path: Path
) -> None:
    """Wherever there are some: those in the end lie where the labels say, right or wrong."""
    weights_file = trained.folder / "best_model.safetensors"
    recipe["Global"]["pretrained_model"] = str(weights_file) if has_start else None
    config = as_config(recipe)
    paddle.seed(5)
    network = create_model("LeNet", class_num=4)
    network.eval()
    classes = ClassMap(["0", "1", "2", "3"])
    given = Trained(network, classes, tmp_path / "x", {})
    found = _judged_train(config, given, most=80)
    begun = create_model("LeNet", class_num=4)
    weights.load(begun, weights_file)
    begun.eval()
    start = begun if has_start else None
    expected = judge("train", train_set(config, classes), network, 80, start)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    other = judge("train", train_set(config, classes), network if has_start else begun, 80)
    assert np.abs(found.probabilities - other.probabilities).max() > 0.05
    recipe["Global"]["pretrained_model"] = str(tmp_path / "gone.safetensors")
    without = _judged_train(as_config(recipe), given, most=80)
    assert np.isfinite(without.probabilities).all(), "by the network itself"
