"""Confident learning: by hand, and on real digits some of whose labels were changed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ppcls.report import label_errors
from ppcls.report.label_errors import estimated_joint, find_label_issues, out_of_sample


def test_a_case_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    chances = np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.7])  # of class 0
    probabilities = np.stack([chances, 1 - chances], axis=1)
    # Means of self-confidence: class 0 (0.9 + 0.8 + 0.1) / 3 = 0.6, class 1 (0.8 + 0.9 + 0.3) / 3
    # = 0.667. Image 2 is confidently of class 1 (0.9), image 5 of class 0 (0.7).
    np.testing.assert_allclose(estimated_joint(labels, probabilities), [[2, 1], [1, 2]])
    issues = find_label_issues(labels, probabilities)
    assert [(issue.row, issue.suggested) for issue in issues] == [(2, 1), (5, 0)]
    assert [issue.confidence for issue in issues] == pytest.approx([0.1, 0.3])


def test_the_least_probable_labels_come_first_and_no_more_than_expected() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    sure = np.where(rng.random(300) < 0.4, 0.45, 0.9)  # of the label: many are a little behind
    wrong = rng.permutation(300)[:15]
    sure[wrong] = np.linspace(0.01, 0.2, 15)
    probabilities = np.where(np.eye(2)[labels] > 0, sure[:, None], 1 - sure[:, None])
    issues = find_label_issues(labels, probabilities)
    assert [issue.row for issue in issues][:15] == wrong.tolist()
    joint = estimated_joint(labels, probabilities)
    assert len(issues) == max(round(joint.sum() - np.trace(joint)), 30) < (sure < 0.5).sum()


def test_what_is_not_confident_is_scaled_up() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    chances = np.array([0.9, 0.5, 0.45, 0.0, 0.1, 0.1])
    probabilities = np.stack([chances, 1 - chances], axis=1)
    # Thresholds: class 0 0.4625, class 1 0.9. Images 0 and 1 are of class 0, image 3 of class 1,
    # image 2 of neither: 2 and 1 of 3, scaled to 4.
    np.testing.assert_allclose(estimated_joint(labels, probabilities)[0], [8 / 3, 4 / 3])
    assert [issue.row for issue in find_label_issues(labels, probabilities)] == [3]


def test_rows_without_a_judgement_and_classes_without_images() -> None:
    labels = np.array([0, 0, 2, 2])
    probabilities = np.array([[0.9, 0.1, 0], [0, 1, 0], [0.1, 0, 0.9], [np.nan] * 3])
    assert find_label_issues(labels, probabilities) == []
    assert find_label_issues(labels[:0], probabilities[:0]) == []


@pytest.mark.slow
def test_planted_label_errors_come_first() -> None:
    data = load_digits()
    rng = np.random.default_rng(0)
    planted = rng.permutation(len(data.target))[: len(data.target) // 20]
    labels = data.target.copy()
    labels[planted] = (labels[planted] + rng.integers(1, 10, len(planted))) % 10
    probabilities = out_of_sample(data.data.astype(np.float32), labels, classes=10)
    issues = find_label_issues(labels, probabilities)[: len(planted)]
    found = {issue.row for issue in issues} & set(planted.tolist())
    assert len(found) >= 0.8 * len(planted)
    right = [issue.suggested == data.target[issue.row] for issue in issues if issue.row in found]
    assert np.mean(right) > 0.9


def test_out_of_sample_probabilities() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2], 20)
    embeddings = rng.normal(0, 1, (40, 3)) + labels[:, None]
    found = out_of_sample(embeddings.astype(np.float32), labels, classes=3)
    assert found.shape == (40, 3) and (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert np.mean(found.argmax(1) == labels) > 0.8


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0, 0, 1], [0]])
def test_too_few_images_are_not_judged(labels: list[int]) -> None:
    found = out_of_sample(np.eye(len(labels), dtype=np.float32), np.array(labels), classes=3)
    assert found.shape == (len(labels), 3) and np.isnan(found).all()


def test_mirrored_images_are_judged_too() -> None:
    """Each view says something of half of the images only, and both together of all."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    views = rng.normal(0, 1, (2, 120, 4))
    for i in range(120):
        views[i % 2, i] += 4 * (2 * labels[i] - 1)
    one, other = views.astype(np.float32)

    def right(*mirrored: np.ndarray) -> float:
        found = out_of_sample(one, labels, 2, *mirrored)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
        return float(np.mean(found.argmax(1) == labels))

    assert right(other) > 0.95 > right()


def test_a_class_with_one_image_is_left_out() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2])
    embeddings = np.eye(7, dtype=np.float32)
    found = out_of_sample(embeddings, labels, classes=3)
    assert np.isnan(found).all(axis=1).tolist() == [False] * 6 + [True]


def test_wide_embeddings_of_many_classes_are_judged_by_their_main_directions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(label_errors, "_MOST_WEIGHTS", 50)
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 12)
    embeddings = rng.normal(0, 0.5, (36, 40)) + 3 * np.eye(40)[labels]
    found = out_of_sample(embeddings.astype(np.float32), labels, classes=3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert np.mean(found.argmax(1) == labels) > 0.8
    head = label_errors._linear_head(embeddings, 3)
    assert head.named_steps["pca"].n_components == 18, "half of the images"
    narrow = label_errors._linear_head(embeddings[:, :4], 3)
    assert "pca" not in narrow.named_steps
