from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import softmax

from ppcls.errors import ExportError
from ppcls.exporters.parity import DEFINITIONS, TOLERANCE, is_saturated, log_softmax, measure


def _logits(rows: int = 4, classes: int = 10, scale: float = 5.0) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal((rows, classes)) * scale
    return drawn.astype(np.float32)


def _float32_softmax(logits: np.ndarray) -> np.ndarray:
    """What an engine computes, with Paddle's limit of exp(-64)."""
    return np.maximum(softmax(logits.astype(np.float64), axis=1), np.exp(-64)).astype(np.float32)


def test_log_softmax_is_scipys() -> None:
    logits = _logits(scale=300)
    expected = scipy_log_softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(log_softmax(logits), expected, rtol=1e-12, atol=1e-12)


def test_equal_networks_pass() -> None:
    parity = measure(_logits(), _float32_softmax(_logits()), "random")
    assert parity.passed and parity.worst < 2e-7
    assert (parity.images, parity.top1_agreement, parity.saturated_images) == (4, 1.0, 0)
    assert parity.to_dict()["passed"] is True
    assert set(DEFINITIONS) < set(parity.to_dict())


def test_differences_by_hand() -> None:
    logits = np.log([[0.5, 0.25, 0.25]]).astype(np.float32)
    parity = measure(logits, np.array([[0.4, 0.35, 0.25]], np.float32), "random")
    assert parity.probability_difference == pytest.approx(0.1, rel=1e-5)
    # The range of the logits is log(2) < 1, so that the difference is relative to 1.
    assert parity.log_probability_difference == pytest.approx(np.log(0.35 / 0.25), rel=1e-5)
    assert not parity.passed


def test_confident_network_is_measured_by_its_log_probabilities() -> None:
    """Here a difference of 1e-4 in the logits leaves every probability within the tolerance."""
    logits = np.array([[20.0, 0.0, -5.0]], np.float32)
    changed = logits + np.array([[0, 1e-3, 0]], np.float32)
    parity = measure(logits, _float32_softmax(changed), "random")
    assert parity.probability_difference < TOLERANCE < parity.log_probability_difference
    assert not parity.passed
    assert parity.log_probability_difference == pytest.approx(1e-3 / 25, rel=1e-3)


def test_saturated_network_needs_its_logits() -> None:
    logits = np.array([[500.0, 0.0, 100.0]], np.float32)
    assert is_saturated(logits).all()
    static = logits + np.array([[0, 0, 0.01]], np.float32)
    blind = measure(logits, _float32_softmax(static), "random")
    assert blind.passed and blind.saturated_images == 1
    seeing = measure(logits, _float32_softmax(static), "random", static)
    assert seeing.logit_difference == pytest.approx(0.01 / 500, rel=1e-2)
    assert not seeing.passed


@pytest.mark.parametrize(("classes", "expected"), [(1, True), (2, False), (1000, False)])
def test_only_a_single_class_is_saturated_by_nature(classes: int, expected: bool) -> None:
    assert is_saturated(_logits(classes=classes)).all() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_unusable_output_of_the_engine_fails(value: float) -> None:
    probabilities = _float32_softmax(_logits())
    probabilities[2, 3] = value
    assert not measure(_logits(), probabilities, "random").passed


def test_shapes_and_the_network_itself_are_checked() -> None:
    with pytest.raises(ExportError, match=r"\(4, 9\)"):
        measure(_logits(), np.zeros((4, 9), np.float32), "random")
    logits = _logits()
    logits[0, 0] = np.inf
    with pytest.raises(ExportError, match="NaN or Inf"):
        measure(logits, _float32_softmax(_logits()), "random")


@given(st.floats(0.01, 1000), st.integers(1, 50), st.floats(-1000, 1000))
def test_float32_softmax_of_the_same_logits_always_passes(
    scale: float, classes: int, shift: float
) -> None:
    logits = _logits(classes=classes, scale=scale) + np.float32(shift)
    assert measure(logits, _float32_softmax(logits), "random", logits).passed


def test_the_description_names_every_difference_that_was_measured() -> None:
    logits, static = np.array([[2.0, 1.0]], np.float32), np.array([[3.0, 1.0]], np.float32)
    two = measure(logits, _float32_softmax(static), "random").describe()
    assert two == "log-probabilities differ by 8.1e-01, probabilities by 1.5e-01"
    three = measure(logits, _float32_softmax(static), "random", static).describe()
    assert three == f"{two}, logits by 5.0e-01"


def test_classes_that_do_not_exclude_each_other() -> None:
    logits = _logits(scale=5)
    exact = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    right = measure(logits, exact, "random", logits, multi_label=True)
    assert right.passed and right.saturated_images == 0
    assert right.log_probabilities_compared == pytest.approx((exact > 0.1).mean())
    rough = measure(logits, exact + np.float32(1e-7), "random", logits, multi_label=True)
    assert rough.passed, "as engines approximate sigmoids"
    # Near 1 a probability says nothing of its logit, which is compared as well.
    sure = np.full_like(logits, 40.0)
    other = sure + np.float32(1)
    blind = measure(sure, np.ones_like(sure), "random", sure, multi_label=True)
    seeing = measure(sure, np.ones_like(sure), "random", other, multi_label=True)
    assert blind.passed and not seeing.passed
    assert not measure(logits, _float32_softmax(logits), "random", logits, multi_label=True).passed
