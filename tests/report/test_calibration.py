"""Calibration against numbers worked out by hand and another way of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from ppcls.calibration.measures import calibration_error
from ppcls.report.calibration import reliability


def test_a_case_by_hand() -> None:
    first = np.array([0.95, 0.85, 0.9, 0.6])
    probabilities = np.stack([first, 1 - first], axis=1)
    bins = reliability(probabilities, np.array([0, 1, 0, 0]), bins=10)
    assert [one.images for one in bins] == [0, 0, 0, 0, 0, 1, 0, 0, 2, 1]
    assert bins[8].confidence == pytest.approx(0.875) and bins[8].accuracy == 0.5


def test_scikit_learns_curve() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random((500, 3)) ** 3
    probabilities = raw / raw.sum(1, keepdims=True)
    labels = rng.integers(0, 3, 500)
    right = probabilities.argmax(1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(1), n_bins=10)
    full = [one for one in reliability(probabilities, labels, 10) if one.images]
    np.testing.assert_allclose([one.accuracy for one in full], accuracy)
    np.testing.assert_allclose([one.confidence for one in full], confidence)


def test_the_bars_add_up_to_the_expected_calibration_error() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 200)
    labels = rng.integers(0, 3, 200)
    right = probabilities.argmax(1) == labels
    bins = reliability(probabilities, labels)
    gap = sum(one.images * abs(one.accuracy - one.confidence) for one in bins) / 200
    assert gap == pytest.approx(calibration_error(probabilities.max(1), right))


def test_nothing_to_judge() -> None:
    assert {one.images for one in reliability(np.empty((0, 3)), np.empty(0, np.int64))} == {0}
    assert reliability(np.array([[1.0, 0.0]]), np.array([0]))[-1].images == 1
