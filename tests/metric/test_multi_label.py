"""Metrics of images with any number of classes, against scikit-learn."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ppcls.engine.world import World
from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import F1, AccuracyScore, CombinedMetric, HammingDistance, MultiLabelMAP

RNG = np.random.default_rng(0)
SCORES = RNG.normal(0, 1, [40, 5]).astype("float32")
TRUE = RNG.integers(0, 2, [40, 5]).astype("float32")


def seen(metric: Any, scores: Any = SCORES, true: Any = TRUE, cuts: Sequence[int] = ()) -> Any:
    for part in np.split(np.arange(len(scores)), cuts):
        labels = Labels(LabelKind.MULTI_HOT, paddle.to_tensor(true[part]))
        metric.update(paddle.to_tensor(scores[part]), labels)
    return metric


@settings(max_examples=20)
@given(
    classes=st.integers(1, 9),
    cuts=st.lists(st.integers(0, 30), max_size=3).map(sorted),
    seed=st.integers(0, 10**6),
)
def test_any_batching_gives_scikit_learns_numbers(classes: int, cuts: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, [30, classes]).astype("float32").round(1)
    true = rng.integers(0, 2, [30, classes]).astype("float32")
    taken = scores >= 0
    expected = {
        MultiLabelMAP: sk.average_precision_score(true, scores, average="macro"),
        HammingDistance: sk.hamming_loss(true, taken),
        AccuracyScore: 1 - sk.hamming_loss(true, taken),
        F1: np.mean(
            [sk.f1_score(true[:, i], taken[:, i], zero_division=0) for i in range(classes)]
        ),
    }
    for kind, number in expected.items():
        (found,) = seen(kind(), scores, true, cuts).compute().values()
        assert found == pytest.approx(number), kind
    (exact,) = seen(AccuracyScore("sample"), scores, true, cuts).compute().values()
    assert exact == pytest.approx(np.mean((taken == true).all(axis=1)))


def test_names_and_directions() -> None:
    combined = CombinedMetric(["MultiLabelMAP", "HammingDistance", "AccuracyScore", "F1"])
    assert combined.names == ["map", "hamming_distance", "accuracy_score", "f1"]
    assert [combined.higher_is_better(name) for name in combined.names] == [True, False, True, True]


def test_classes_that_no_image_has_are_left_out() -> None:
    true = TRUE.copy()
    true[:, 2] = 0
    others = [0, 1, 3, 4]
    expected = sk.average_precision_score(true[:, others], SCORES[:, others], average="macro")
    assert seen(MultiLabelMAP(), true=true).compute()["map"] == pytest.approx(expected)


@pytest.mark.parametrize("kind", [MultiLabelMAP, HammingDistance, AccuracyScore])
def test_nothing_seen_is_nan_and_no_numbers_are_wrong(kind: Any) -> None:
    metric = kind()
    (empty,) = metric.compute().values()
    assert math.isnan(empty)
    (found,) = seen(metric, np.full_like(SCORES, np.nan)).compute().values()
    assert found == (1 if kind is HammingDistance else 0)


@pytest.mark.parametrize("kind", [MultiLabelMAP, HammingDistance, AccuracyScore])
def test_processes_add_up_to_one(kind: Any) -> None:
    halves = [seen(kind(), SCORES[part], TRUE[part]) for part in (slice(25), slice(25, 40))]

    class Two(World):
        """The first of two processes; the other one's states are at hand."""

        def gather(self, value: Any) -> Any:
            return [value, next(others)]

    others = iter(halves[1].state().values())
    whole = seen(kind()).compute()
    assert Two().compute(halves[0]) == pytest.approx(whole)
    # It has its own part again.
    again = seen(kind(), SCORES[:25], TRUE[:25])
    assert halves[0].compute() == again.compute()
    restored = kind()
    restored.load_state(again.state())
    assert restored.compute() == again.compute()
    with pytest.raises(CheckpointError, match=kind.__name__):
        restored.load_state({"top1": 3.0})
    empty = kind()
    empty.load_state(kind().state())
    assert seen(empty).compute() == pytest.approx(whole)


def test_infinite_scores_stand_before_all_others() -> None:
    scores = np.array([[np.inf], [1.0], [-np.inf], [0.5]], np.float32)
    true = np.array([[1], [0], [1], [0]], np.float32)
    expected = sk.average_precision_score(true, np.array([[9.0], [1.0], [-9.0], [0.5]]))
    assert seen(MultiLabelMAP(), scores, true).compute()["map"] == pytest.approx(expected)
