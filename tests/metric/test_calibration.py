"""The expected calibration error, against a loop over bins."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np
import paddle
import pytest
from scipy.special import softmax

from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import CalibrationError

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, [200, 4]).astype("float32")
TRUE = np.where(RNG.random(200) < 0.6, LOGITS.argmax(1), RNG.integers(0, 4, 200))


def seen(metric: Any, cuts: Sequence[int] = (), logits: np.ndarray = LOGITS) -> Any:
    for part in np.split(np.arange(len(logits)), cuts):
        labels = Labels(LabelKind.HARD, paddle.to_tensor(TRUE[part]))
        metric.update(paddle.to_tensor(logits[part]), labels)
    return metric


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_is_the_definition(bins: int) -> None:
    sure, right = softmax(LOGITS, axis=1).max(1), LOGITS.argmax(1) == TRUE
    expected = 0.0
    for i in range(bins):
        inside = (sure > i / bins) & (sure <= (i + 1) / bins)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    found = seen(CalibrationError(bins), [30, 31, 150]).compute()["calibration_error"]
    assert found == pytest.approx(expected, rel=1e-5) and found > 0.005


def test_state_and_direction() -> None:
    half = seen(CalibrationError(), [100])
    other = CalibrationError()
    other.load_state(half.state())
    assert other.compute() == half.compute() and not other.higher_is_better("calibration_error")
    with pytest.raises(CheckpointError, match="needs images and 10 bins; it has 16 numbers"):
        CalibrationError(10).load_state(half.state())
    assert math.isnan(CalibrationError().compute()["calibration_error"])


def test_no_numbers_are_wrong_and_sure() -> None:
    nothing = np.full_like(LOGITS, np.nan)
    assert seen(CalibrationError(), logits=nothing).compute()["calibration_error"] == 1
