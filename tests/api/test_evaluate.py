"""Evaluation with test-time augmentation: all that comes out of it is of the averaged answers."""

from __future__ import annotations

import copy
import csv
import json
import logging
from pathlib import Path
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

import ppcls
from ppcls.api.evaluate import evaluate
from ppcls.api.report import report_on_evaluation
from ppcls.cli import main

Recipe = Dict[str, Any]

TEN = {"crops": 5, "flip": True}


@pytest.fixture(scope="module")
def larger(trained: Any) -> Recipe:
    """The recipe of the trained network, whose images are cut out of larger ones."""
    recipe: Recipe = copy.deepcopy(trained.recipe)
    ops = recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    ops[1:2] = [{"ResizeImage": {"resize_short": 38}}, {"CropImage": {"size": 32}}]
    return recipe


def pixels(digits: Path) -> Tuple[np.ndarray, np.ndarray]:
    """The 40 images of evaluation, 38 x 38, and their labels, without the data package."""
    images, labels = [], []
    for line in (digits / "val.txt").read_text().splitlines():
        name, label = line.split()
        image = cv2.resize(cv2.imread(str(digits / name), cv2.IMREAD_GRAYSCALE), (38, 38))
        images.append((image.astype(np.float32) / 255 - 0.5) / 0.5)
        labels.append(int(label))
    return np.stack(images)[:, None], np.array(labels)


@pytest.fixture(scope="module")
def ten(trained: Any, digits: Path) -> Tuple[np.ndarray, np.ndarray]:
    """The mean probabilities over ten crops, one by one, and the labels."""
    network: Any = ppcls.create_model("LeNet", class_num=4, in_channels=1)
    network.set_state_dict(load_file(trained.folder / "best_model.safetensors"))
    network.eval()
    images, labels = pixels(digits)
    total = np.zeros((40, 4))
    for top, left in ((0, 0), (0, 6), (6, 0), (6, 6), (3, 3)):
        crop = images[:, :, top : top + 32, left : left + 32]
        for view in (crop, crop[..., ::-1]):
            with paddle.no_grad():
                logits = network(paddle.to_tensor(view.copy())).numpy()
            total += softmax(logits.astype(np.float64), axis=1)
    return total / 10, labels


def test_metrics_and_scores_are_those_of_the_mean(
    larger: Recipe, ten: Tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    mean, labels = ten
    with caplog.at_level(logging.INFO, "ppcls"):
        found = evaluate({**larger, "TTA": TEN}, keep_scores=True)
    assert found.scored is not None and found.confusion is not None
    np.testing.assert_allclose(found.scored.probabilities, mean, rtol=1e-3, atol=1e-6)
    classes = list(range(4))
    assert found.metrics == pytest.approx(
        {
            "loss": log_loss(labels, mean, labels=classes),
            "top1": top_k_accuracy_score(labels, mean, k=1, labels=classes),
            "top2": top_k_accuracy_score(labels, mean, k=2, labels=classes),
        },
        rel=1e-5,
    )
    expected = confusion_matrix(labels, mean.argmax(axis=1), labels=classes)
    np.testing.assert_array_equal(found.confusion[:, :4], expected)
    said = "averaged views of each image: 10 (flip: True, crops: 5, scales: [1.0])"
    assert found.views == 10 and said in caplog.text
    plain = evaluate(larger, keep_scores=True)
    assert plain.scored is not None and plain.views == 1
    assert plain.metrics["loss"] != pytest.approx(found.metrics["loss"], rel=1e-2)
    assert np.abs(plain.scored.probabilities - mean).max() > 0.05


def test_defaults_change_nothing(larger: Recipe, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ppcls"):
        written = {"flip": False, "crops": 1, "scales": [1.0]}
        cases = [larger, {**larger, "TTA": None}, {**larger, "TTA": written}]
        first, *others = [evaluate(case, keep_scores=True) for case in cases]
    for other in others:
        assert other.metrics == first.metrics and other.views == 1
        assert other.scored is not None and first.scored is not None
        np.testing.assert_array_equal(other.scored.logits, first.scored.logits)
    assert "test-time augmentation" not in caplog.text


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_and_threads_change_nothing(workers: int, larger: Recipe) -> None:
    recipe = {**copy.deepcopy(larger), "TTA": {**TEN, "scales": [1.0, 1.25]}}
    one = evaluate(recipe, keep_scores=True)
    recipe["DataLoader"]["Eval"]["sampler"]["batch_size"] = 7
    recipe["DataLoader"]["Eval"]["loader"]["num_workers"] = workers
    other = evaluate(recipe, keep_scores=True)
    assert one.scored is not None and other.scored is not None and one.views == 20
    np.testing.assert_allclose(other.scored.logits, one.scored.logits, atol=1e-5)


def test_what_the_command_writes(trained: Any, tmp_path: Path) -> None:
    table, report = tmp_path / "rows.csv", tmp_path / "eval.json"
    given = ["eval", "-c", str(trained.config), "--save-predictions", str(table)]
    assert main([*given, "--json", str(report), "-o", "TTA.flip=True"]) == 0
    with table.open(encoding="utf-8", newline="") as file:
        rows: List[Dict[str, str]] = list(csv.DictReader(file))
    recipe = {**trained.recipe, "TTA": {"flip": True}}
    averaged, plain = (evaluate(one, keep_scores=True).scored for one in (recipe, trained.recipe))
    assert averaged is not None and plain is not None
    written = np.array([float(row["probability"]) for row in rows])
    np.testing.assert_allclose(written, averaged.probabilities.max(axis=1), atol=1e-6)
    assert np.abs(written - plain.probabilities.max(axis=1)).max() > 0.05
    assert [int(row["predicted"]) for row in rows] == averaged.predicted.tolist()
    found = json.loads(report.read_text())
    assert found["views"] == 2 and found["images"] == 40


@pytest.mark.slow
def test_the_report_is_on_the_averaged_answers(
    larger: Recipe, ten: Tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    mean, labels = ten
    made = report_on_evaluation({**larger, "TTA": TEN}, tmp_path / "eval.html", language="en")
    found = made.findings
    assert found.confusion is not None
    np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, mean.argmax(axis=1)))
    wrong = mean[mean.argmax(axis=1) != labels].max(axis=1)
    certain = [one.probability for one in found.mistakes]
    np.testing.assert_allclose(certain, np.sort(wrong)[::-1][:24], rtol=1e-3)
    assert len(certain) > 0 and "attention" not in found.empty
    assert found.summary["views"] == "10 (flip: True, crops: 5, scales: [1.0])"
    assert "Averaged views of each image" in made.page.read_text("utf-8")


@pytest.mark.slow
def test_evaluation_while_training_looks_at_the_image_as_it_is(recipe: Recipe) -> None:
    recipe["Global"]["epochs"] = 1
    recipe["TTA"] = {"flip": True}
    lines = ppcls.train(recipe).folder.records.read_text().splitlines()
    (logged,) = (one["metrics"] for one in map(json.loads, lines) if one["event"] == "eval")
    averaged = evaluate(recipe).metrics
    plain = evaluate({**recipe, "TTA": {}}).metrics
    assert logged == pytest.approx(plain, rel=1e-6)
    assert logged["loss"] != pytest.approx(averaged["loss"], rel=1e-3)
