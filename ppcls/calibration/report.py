"""What calibration found out, in lines for the terminal and in keys for the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import List, Optional, Sequence

import ppcls
from ppcls.calibration.measures import DEFINITIONS, Measured
from ppcls.calibration.temperature import Fit
from ppcls.calibration.thresholds import LEAST, Thresholds
from ppcls.inference.description import CalibrationKeys
from ppcls.text import first_few

FEW = 200
"""Images, of which fewer get a word of warning."""


@dataclass(frozen=True)
class CalibrationReport:
    """What was written into a bundle.

    Attributes:
        folder: the bundle.
        labels: the names of its classes.
        fit: the temperature.
        thresholds: None where none was asked for.
        min_precision: what was asked of the answers.
        fitted: on the images that temperature and thresholds were found with.
        judged: on others, if there were any.
    """

    folder: Path
    labels: Sequence[str]
    fit: Fit
    thresholds: Optional[Thresholds]
    min_precision: float
    fitted: Measured
    judged: Optional[Measured]

    def summary(self) -> str:
        """Return lines for the terminal."""
        low, high = self.fit.interval
        upper = "unknown" if high is None else f"{high:.3f}"
        lines = [
            f"Calibrated {self.folder} with {self.fitted.images} images",
            f"  temperature {self.fit.temperature:.3f} (95% interval {low:.3f} to {upper})",
        ]
        if self.fit.doubt:
            lines.append(f"  this temperature calibrates nothing: {self.fit.doubt}")
        lines += self._threshold_lines()
        lines += _lines_of("those images, which it was found with", self.fitted)
        if self.judged is not None:
            lines += _lines_of("other images", self.judged)
        if self.fitted.images < FEW:
            lines.append(
                f"  {self.fitted.images} images are few: the intervals say how little they prove; "
                "some hundreds are better"
            )
        return "\n".join(lines)

    def _threshold_lines(self) -> List[str]:
        found = self.thresholds
        if found is None:
            return []
        if found.by_class is None and not found.overall.threshold:
            return ["  no threshold: all answers together are right often enough"]
        if found.by_class is None:
            return [f"  unknown is what scores below {found.overall.threshold:.4f}"]
        lines = [
            f"  unknown is what scores below the threshold of its class, between "
            f"{min(found.by_class):.4f} and {max(found.by_class):.4f}"
        ]
        if found.never:
            lines.append(
                f"  never answered, since too many of their answers are wrong at any score: "
                f"{self._names(found.never)}"
            )
        if found.unsure:
            lines.append(
                f"  {len(found.unsure)} of {len(self.labels)} classes were predicted for fewer "
                f"than {LEAST} images and take the threshold of all together, "
                f"{found.overall.threshold:.4f}: {self._names(found.unsure)}"
            )
        return lines

    def _names(self, classes: Sequence[int]) -> str:
        return first_few([self.labels[index] for index in classes])

    def keys(self) -> CalibrationKeys:
        """Return what the bundle notes."""
        found = self.thresholds
        judged = {"on_other_images": self.judged.to_dict()} if self.judged else {}
        return CalibrationKeys(
            temperature=self.fit.temperature,
            threshold=found.overall.threshold if found and found.reached else 0.0,
            class_thresholds=found.by_class if found else None,
            measured={
                "temperature_interval": list(self.fit.interval),
                "min_precision": self.min_precision,
                **self.fitted.to_dict(),
                **judged,
                "definitions": dict(DEFINITIONS),
                "ppcls": ppcls.__version__,
                "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            },
        )


def _lines_of(which: str, found: Measured) -> List[str]:
    low, high = found.interval
    answers = (
        f"{found.right} of these right, {found.precision:.1%} (95% interval {low:.1%} to "
        f"{high:.1%})"
        if found.answered
        else "so there is no precision"
    )
    return [
        f"  on {which} ({found.images}; top-1 {found.top1:.1%}):",
        f"    expected calibration error {found.ece[0]:.2%} -> {found.ece[1]:.2%}, log loss "
        f"{found.log_loss[0]:.4f} -> {found.log_loss[1]:.4f}",
        f"    {found.answered} answered, {found.coverage:.1%}; {answers}",
    ]
