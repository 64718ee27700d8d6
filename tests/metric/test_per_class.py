"""Confusion, F1 and balanced accuracy against scikit-learn."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any, Sequence

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import F1, BalancedAccuracy, Precision, Recall
from ppcls.metric.confusion import ConfusionCounts, class_figures

CLASSES = 6
RNG = np.random.default_rng(0)
SCORES = RNG.normal(0, 1, [50, CLASSES]).astype("float32")
TRUE = RNG.integers(0, CLASSES - 1, 50)
"""The last class has no image, but is predicted."""
THEIRS = {
    F1: sk.f1_score,
    Precision: sk.precision_score,
    Recall: sk.balanced_accuracy_score,
    BalancedAccuracy: sk.balanced_accuracy_score,
}


def seen(metric: Any, scores: Any = SCORES, true: Any = TRUE, cuts: Sequence[int] = ()) -> Any:
    for part in np.split(np.arange(len(scores)), cuts):
        labels = Labels(LabelKind.HARD, paddle.to_tensor(true[part]))
        metric.update(paddle.to_tensor(scores[part]), labels)
    return metric


def scikit(kind: Any, true: np.ndarray, predicted: np.ndarray) -> float:
    options = {"average": "macro", "zero_division": 0} if kind in (F1, Precision) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted and have no image
        return float(THEIRS[kind](true, predicted, **options))


@settings(max_examples=20)
@given(
    classes=st.integers(2, 12),
    cuts=st.lists(st.integers(0, 30), max_size=3).map(sorted),
    seed=st.integers(0, 10**6),
)
def test_any_batching_gives_scikit_learns_numbers(classes: int, cuts: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, [30, classes]).astype("float32")
    true = rng.integers(0, classes, 30)
    for kind in THEIRS:
        found = seen(kind(class_num=classes), scores, true, cuts).compute()
        assert list(found.values()) == pytest.approx([scikit(kind, true, scores.argmax(1))])
    counts = seen(ConfusionCounts(classes), scores, true, cuts).read()
    np.testing.assert_array_equal(
        counts[:, :classes], sk.confusion_matrix(true, scores.argmax(1), labels=range(classes))
    )


def test_figures_of_each_class() -> None:
    confusion = seen(ConfusionCounts(CLASSES)).read()
    found = class_figures(confusion)
    theirs = sk.precision_recall_fscore_support(
        TRUE, SCORES.argmax(1), labels=range(CLASSES), zero_division=0
    )
    ours = (found.precision, found.recall, found.f1, found.support)
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("kind", THEIRS)
def test_equal_scores_and_no_numbers(kind: Any) -> None:
    ties = RNG.integers(0, 2, [40, 5]).astype("float32")
    true = RNG.integers(0, 5, 40)
    assert seen(kind(), ties, true).compute()[kind.key] == pytest.approx(
        scikit(kind, true, ties.argmax(1))
    )
    nothing = np.full([8, 5], np.nan, "float32")
    assert seen(kind(), nothing, np.zeros(8, "int64")).compute() == {kind.key: 0.0}
    assert seen(ConfusionCounts(5), nothing, np.zeros(8, "int64")).read()[0, 5] == 8


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("class_num", [None, CLASSES])
def test_state_continues_elsewhere_and_adds_up(kind: Any, class_num: Any) -> None:
    first, second = kind(class_num), kind(class_num)
    seen(first, SCORES[:20], TRUE[:20])
    second.load_state(json.loads(json.dumps(first.state())))
    seen(second, SCORES[20:], TRUE[20:], (7,))
    assert second.compute() == seen(kind()).compute()
    rest = seen(kind(class_num), SCORES[20:], TRUE[20:]).state()
    before = seen(kind(class_num), SCORES[:20], TRUE[:20]).state()
    assert second.state() == {key: before[key] + rest[key] for key in before}
    second.reset()
    assert math.isnan(second.compute()[kind.key])


def test_the_state_of_another_metric_is_refused() -> None:
    with pytest.raises(CheckpointError, match="of 3 classes, 9 numbers; it has 18"):
        F1(3).load_state(seen(F1(CLASSES)).state())
    with pytest.raises(CheckpointError, match="F1 needs hits, predicted, support"):
        F1().load_state({"count": 1.0, "top1": 1.0, "top5": 1.0})


@pytest.mark.parametrize("kind", THEIRS)
def test_an_empty_batch_and_half_precision(kind: Any) -> None:
    metric = kind(CLASSES)
    metric.update(paddle.zeros([0, CLASSES]), Labels(LabelKind.HARD, paddle.to_tensor(TRUE[:0])))
    half = paddle.to_tensor(SCORES).astype("float16")
    metric.update({"logits": half}, Labels(LabelKind.HARD, paddle.to_tensor(TRUE)))
    expected = scikit(kind, TRUE, half.numpy().argmax(1))
    assert metric.compute()[kind.key] == pytest.approx(expected)
