from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from ppcls.calibration.temperature import fit_temperature, log_loss_of
from ppcls.inference.calibrated import tempered


def drawn(count: int, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes that are drawn as these say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    sums = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random((count, 1)) > sums).sum(axis=1).clip(max=classes - 1)


def test_tempering_divides_the_logits() -> None:
    logits, _ = drawn(9)
    for temperature in (0.5, 1.0, 3.0):
        expected = np.exp(log_softmax(logits / temperature, axis=1))
        found = tempered(softmax(logits, axis=1), temperature)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(scale: float) -> None:
    logits, classes = drawn(20_000)
    fit = fit_temperature(softmax(scale * logits, axis=1).astype(np.float32), classes)
    low, high = fit.interval
    assert fit.temperature == pytest.approx(scale, rel=0.03) and not fit.doubt
    assert high is not None and low < scale < high and high / low < 1.08


def test_two_classes_by_hand() -> None:
    # Always 90 % sure, and right 7 times in 10: logits ln 9 apart are to be ln(7/3) apart.
    probabilities = np.full((10, 2), [0.9, 0.1])
    classes = np.array([0] * 7 + [1] * 3)
    fit = fit_temperature(probabilities, classes)
    assert fit.temperature == pytest.approx(math.log(9) / math.log(7 / 3), rel=1e-5)
    margin = 1.959964 / math.sqrt(10 * 0.7 * 0.3 * math.log(9) ** 2)
    assert fit.interval[0] == pytest.approx(1 / (1 / fit.temperature + margin), rel=1e-4)
    assert fit.interval[1] is None, "ten such images do not exclude that scores say nothing"


def test_log_loss_is_that_of_scikit_learn() -> None:
    logits, classes = drawn(300)
    probabilities = softmax(logits, axis=1)
    expected = log_loss(classes, probabilities, labels=range(5))
    assert log_loss_of(probabilities, classes) == pytest.approx(expected, rel=1e-9)
    fit = fit_temperature(softmax(2 * logits, axis=1), classes)
    after = log_loss(classes, tempered(softmax(2 * logits, axis=1), fit.temperature))
    for other in (0.98, 1.02):
        worse = tempered(softmax(2 * logits, axis=1), fit.temperature * other)
        assert log_loss(classes, worse) > after


def test_where_no_temperature_is_the_best() -> None:
    probabilities = np.full((20, 3), [0.6, 0.3, 0.1])
    fit = fit_temperature(probabilities, np.zeros(20, np.int64))
    assert fit.temperature == 1 and "all images are right" in fit.doubt
    fit = fit_temperature(probabilities, np.full(20, 2))
    assert fit.temperature > 19 and "at the end of what is looked for" in fit.doubt


def test_probabilities_of_zero_are_no_infinite_loss() -> None:
    probabilities = np.array([[1.0, 0.0]] * 11, np.float32)
    fit = fit_temperature(probabilities, np.array([0] * 10 + [1]))
    assert math.isfinite(fit.temperature) and math.isfinite(
        log_loss_of(probabilities, np.ones(11, int))
    )
