from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import log_loss

from ppcls.calibration.measures import calibration_error, measure_calibration


def test_expected_calibration_error_by_hand() -> None:
    # Ten bins: two images near 0.95 of which one is right, two near 0.65 which are both right.
    confidences = np.array([0.92, 0.98, 0.62, 0.68])
    right = np.array([True, False, True, True])
    expected = 0.5 * abs(0.5 - 0.95) + 0.5 * abs(1 - 0.65)
    assert calibration_error(confidences, right, bins=10) == pytest.approx(expected)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0


def test_bins_as_a_loop_makes_them() -> None:
    rng = np.random.default_rng(0)
    confidences, right = rng.random(500), rng.random(500) < 0.5
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidences > low) & (confidences <= low + 1 / 15)
        if inside.any():
            gap = right[inside].mean() - confidences[inside].mean()
            expected += abs(gap) * inside.mean()
    assert calibration_error(confidences, right) == pytest.approx(expected)


def test_what_is_measured() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]])
    classes = np.array([0, 1, 1, 1])
    found = measure_calibration(probabilities, classes, 1.0, 0.6)
    assert (found.images, found.top1, found.answered, found.right) == (4, 0.75, 3, 2)
    assert found.log_loss[0] == pytest.approx(log_loss(classes, probabilities))
    assert found.coverage == 0.75 and found.precision == pytest.approx(2 / 3)
    assert found.interval == pytest.approx((beta.ppf(0.025, 2, 2), beta.ppf(0.975, 3, 1)))
    assert measure_calibration(probabilities, classes, 1.0, [0.95, 0.5]).answered == 2
    nothing = measure_calibration(probabilities, classes, 1.0, 1.0)
    assert nothing.answered == 0 and nothing.interval == (0.0, 1.0)
    softer = measure_calibration(probabilities, classes, 2.0, 0.6)
    assert softer.top1 == 0.75 and softer.answered == 2
