"""What people read of a calibration."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import pytest

from ppcls.calibration.measures import Measured
from ppcls.calibration.report import CalibrationReport
from ppcls.calibration.temperature import Fit
from ppcls.calibration.thresholds import NEVER, Cut, Thresholds

HALF = Cut(0.5, 30, 29)


def summary(thresholds: Optional[Thresholds] = None, doubt: str = "", answered: int = 200) -> str:
    """The lines for 300 images of cats, dogs and cows."""
    measured = Measured(300, 0.9, (0.2, 0.1), (0.5, 0.4), answered, answered)
    fit = Fit(1.25, (1.0, None), doubt)
    labels = ["cat", "dog", "cow"]
    return CalibrationReport(
        Path("bundle"), labels, fit, thresholds, 0.95, measured, None
    ).summary()


def lines_of(thresholds: Thresholds) -> List[str]:
    """What is said of thresholds: the lines between the temperature and the measurement."""
    return summary(thresholds).split("unknown)\n")[1].split("\n  on those images")[0].splitlines()


def test_a_temperature_that_calibrates_nothing_says_why() -> None:
    lines = summary(doubt="all images are right").splitlines()
    assert lines[:3] == [
        "Calibrated bundle with 300 images",
        "  temperature 1.250 (95% interval 1.000 to unknown)",
        "  this temperature calibrates nothing: all images are right",
    ]
    assert "calibrates nothing" not in summary() and "few" not in summary()


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        (Thresholds(HALF, True), ["  unknown is what scores below 0.5000"]),
        (
            Thresholds(Cut(0.0, 300, 299), True),
            ["  no threshold: all answers together are right often enough"],
        ),
        (
            Thresholds(HALF, True, [0.25, 0.5, 0.75]),
            [
                "  unknown is what scores below the threshold of its class, between 0.2500 and "
                "0.7500"
            ],
        ),
    ],
)
def test_below_which_score_an_answer_is_unknown(thresholds: Thresholds, said: List[str]) -> None:
    assert lines_of(thresholds) == said


def test_classes_that_are_never_answered_and_unsure_ones_are_named() -> None:
    found = lines_of(Thresholds(HALF, True, [0.25, 0.5, NEVER], never=[2], unsure=[0, 1]))
    assert found[1:] == [
        "  never answered, since too many of their answers are wrong at any score: cow",
        "  2 of 3 classes were predicted for fewer than 10 images and take the threshold of all "
        "together, 0.5000: cat, dog",
    ]


def test_without_answers_there_is_no_precision() -> None:
    assert summary(answered=0).endswith("    0 answered, 0.0%; so there is no precision")
