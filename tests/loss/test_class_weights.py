"""Weights of classes against PyTorch's formula by hand, and scikit-learn's "balanced"."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import CombinedLoss, TrainClasses
from ppcls.loss.class_weights import class_weights_of, describe_class_weights
from ppcls.registry import create, parse

CLASSES = TrainClasses(["cat", "dog", "ship"], np.array([8, 4, 4]), 16)


def measured(logits: np.ndarray, labels: Labels, classes: TrainClasses, **given: Any) -> float:
    loss = create("loss", "CELoss", given, classes=classes)
    return float(loss(paddle.to_tensor(logits), labels).item())


def hard(numbers: Any) -> Labels:
    return Labels(LabelKind.HARD, paddle.to_tensor(np.array(numbers, "int64")))


def by_hand(logits: np.ndarray, labels: np.ndarray, weights: Any, epsilon: float) -> float:
    """The documented formula of torch.nn.CrossEntropyLoss(weight, label_smoothing), in loops."""
    total, divisor = 0.0, 0.0
    count = logits.shape[1]
    for row, label in zip(log_softmax(logits, axis=1), labels):
        total += (1 - epsilon) * weights[label] * -row[label]
        for c in range(count):
            total += epsilon / count * weights[c] * -row[c]
        divisor += weights[label]
    return total / divisor


def test_two_images_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]]))
    given_weights = {"cat": 2.0, "dog": 6.0}
    got = measured(logits, hard([0, 1]), CLASSES, class_weights=given_weights)
    assert got == pytest.approx((2 * np.log(2) + 6 * -np.log(0.6)) / 8)
    # Smoothing takes 0.3 of each label and gives 0.1 to each class, times the class's weight.
    first = 0.7 * 2 * np.log(2) + 0.1 * (2 * np.log(2) + 6 * np.log(4) + 1 * np.log(4))
    second = 0.7 * 6 * -np.log(0.6) + 0.1 * -(2 * np.log(0.2) + 6 * np.log(0.6) + np.log(0.2))
    got = measured(logits, hard([0, 1]), CLASSES, class_weights=given_weights, epsilon=0.3)
    assert got == pytest.approx((first + second) / 8)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(2, 6)),
    epsilon=st.floats(0, 0.99),
    seed=st.integers(0, 10**6),
)
def test_any_size(size: Any, epsilon: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 5, size), rng.integers(0, size[1], size[0])
    weights = rng.uniform(0.01, 9, size[1]).tolist()
    classes = TrainClasses([str(i) for i in range(size[1])], np.ones(size[1]), size[1])
    got = measured(logits, hard(labels), classes, class_weights=weights, epsilon=epsilon)
    assert got == pytest.approx(by_hand(logits, labels, weights, epsilon), rel=1e-6)
    one_hot = Labels(LabelKind.SOFT, paddle.to_tensor(np.eye(size[1], dtype="float32")[labels]))
    again = measured(logits, one_hot, classes, class_weights=weights, epsilon=epsilon)
    assert again == pytest.approx(got, rel=1e-6)


def test_equal_weights_change_nothing() -> None:
    logits = np.random.default_rng(0).normal(0, 3, [6, 3])
    for epsilon in (0.0, 0.1):
        plain = measured(logits, hard([0, 1, 2, 2, 1, 0]), CLASSES, epsilon=epsilon)
        weighted = measured(
            logits, hard([0, 1, 2, 2, 1, 0]), CLASSES, epsilon=epsilon, class_weights=[3, 3, 3]
        )
        assert weighted == pytest.approx(plain)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 99), min_size=2, max_size=9))
def test_auto_is_balanced(counts: Any) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    classes = TrainClasses.of([str(i) for i in range(len(counts))], Labels(LabelKind.HARD, labels))
    got = class_weights_of("auto", classes)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(got, expected)
    assert np.mean(got[labels]) == pytest.approx(1)


def test_classes_without_images_weigh_one() -> None:
    classes = TrainClasses(["a", "b", "c"], np.array([3, 0, 1]), 4)
    np.testing.assert_allclose(class_weights_of("auto", classes), [2 / 3, 1, 2])


def test_soft_labels_count_in_their_shares() -> None:
    values = np.array([[0.5, 0.5], [1, 0]], "float32")
    found = TrainClasses.of(["a", "b"], Labels(LabelKind.SOFT, values))
    np.testing.assert_allclose(found.counts, [1.5, 0.5])


def test_the_start_of_a_run_says_weights_and_counts() -> None:
    part = parse("loss", {"CELoss": {"class_weights": "auto"}})
    (line,) = CombinedLoss([part], classes=CLASSES).notes
    assert line == (
        "CELoss: weights of the classes: cat 0.667 (8 images), dog 1.33 (4 images), ship 1.33 "
        "(4 images)"
    )
    assert CombinedLoss([parse("loss", "CELoss")], classes=CLASSES).notes == []
    many = TrainClasses([f"c{i}" for i in range(50)], np.arange(1, 51), 1275)
    line = describe_class_weights(class_weights_of("auto", many), many)
    assert line.count("images") == 10 and "c0 25.5 (1 images)" in line and "c49 0.51 " in line


@pytest.mark.parametrize(
    ("given_weights", "expected"),
    [
        ({"cta": 2.0}, r"there is no class 'cta'\. Did you mean 'cat'\? The 3 classes: cat, dog"),
        ([1.0, 2.0], "has 2 numbers for 3 classes: cat, dog, ship; give one for each"),
        ([1.0, 0.0, 1.0], "class_weights.*greater than 0"),
        ({"cat": -1}, "class_weights.*greater than 0"),
        ("balanced", "class_weights.*'auto'"),
    ],
)
def test_what_does_not_fit_is_refused(given_weights: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        create("loss", "CELoss", {"class_weights": given_weights}, classes=CLASSES)


def test_evaluation_takes_none() -> None:
    with pytest.raises(ConfigError, match="class_weights are for Loss.Train"):
        CombinedLoss([parse("loss", {"CELoss": {"class_weights": "auto"}})])


def test_names_that_yaml_takes_for_numbers() -> None:
    classes = TrainClasses(["7", "8"], np.array([1, 1]), 2)
    given_weights: Dict[Any, float] = {7: 2.0}
    assert class_weights_of(given_weights, classes).tolist() == [2.0, 1.0]
    create("loss", "CELoss", {"class_weights": given_weights}, classes=classes)
