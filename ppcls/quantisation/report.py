"""What quantisation did, in lines for the terminal and in plain values for the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from ppcls.quantisation.accuracy import CONFIDENCE, DEFINITIONS, Change
from ppcls.quantisation.judge import Trial


@dataclass(frozen=True)
class Outcome:
    """A precision, or a format in it, as it was judged.

    Attributes:
        name: the format ("onnx_int8"), or the precision of formats that were there ("bf16").
        attempts: the names of what was tried, the last of which is what was kept.
        trials: one for each engine that opens it.
        sizes: of the files that were written, in bytes, by name.
    """

    name: str
    attempts: List[str]
    trials: List[Trial]
    sizes: Dict[str, int]

    @property
    def worst(self) -> Trial:
        """The trial with the largest drop."""
        return max(self.trials, key=lambda trial: trial.change.drop)


@dataclass(frozen=True)
class Report:
    """What was made of a bundle."""

    folder: Path
    outcomes: List[Outcome]
    max_drop: float
    calibrated: int

    def summary(self) -> str:
        """Return lines for the terminal."""
        lines = [f"Bundle with what was measured: {self.folder}"]
        for outcome in self.outcomes:
            lines += _lines(outcome, self.calibrated, self.max_drop)
        return "\n".join(lines)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as `inference.yml` holds them."""
        found = {outcome.name: self._described(outcome) for outcome in self.outcomes}
        return {**found, "definitions": dict(DEFINITIONS)}

    def _described(self, outcome: Outcome) -> Dict[str, Any]:
        found: Dict[str, Any] = {trial.engine: trial.to_dict() for trial in outcome.trials}
        made = {"attempts": outcome.attempts, "calibration_images": self.calibrated}
        return {
            **(made if outcome.attempts else {}),
            "max_drop": self.max_drop,
            "engines": found,
        }


def _lines(outcome: Outcome, calibrated: int, max_drop: float) -> List[str]:
    if not outcome.attempts:
        lines = [f"{outcome.name}, measured only:"]
    else:
        sizes = ", ".join(f"{name} ({size / 1000:,.0f} kB)" for name, size in outcome.sizes.items())
        lines = [
            f"{outcome.name}: {sizes}, calibrated with {calibrated} images, {outcome.attempts[-1]}"
        ]
        if len(outcome.attempts) > 1:
            lines.append(f"  before that these cost too much: {'; '.join(outcome.attempts[:-1])}")
    lines += [f"  {trial.engine}: {describe_trial(trial)}" for trial in outcome.trials]
    doubt = describe_doubt(outcome.worst.change, max_drop)
    return [*lines, f"  {doubt}"] if doubt else lines


def describe_trial(trial: Trial) -> str:
    """Say accuracy and time before and after."""
    change = trial.change
    low, high = change.interval
    slower = ", which is slower than float32 on this machine" if trial.speed > 1 else ""
    return (
        f"top-1 {change.top1_before:.1%} -> {change.top1_after:.1%} on {change.images} images, a "
        f"drop of {change.drop:.2%} ({CONFIDENCE:.0%} interval {low:.2%} to {high:.2%}; "
        f"{change.lost} lost, {change.gained} gained); top-5 {change.top5_before:.1%} -> "
        f"{change.top5_after:.1%}; same top-1 as float32 on {change.agreement:.1%}; "
        f"{trial.milliseconds_before:.3g} -> {trial.milliseconds_after:.3g} ms an image "
        f"({trial.speed:.2f}{slower})"
    )


def describe_doubt(change: Change, max_drop: float) -> str:
    """Say that so few images prove little, where that is so."""
    if change.drop > max_drop or change.interval[1] <= max_drop:
        return ""
    needed = change.images_needed(max_drop)
    enough = f"; about {needed:,} would" if needed is not None else ""
    return (
        f"{change.images} images do not prove that the drop is at most {max_drop:.2%}: one image "
        f"is {1 / change.images:.2%}, and the interval goes up to {change.interval[1]:.2%}{enough}"
    )


def describe_refusal(outcomes: List[Outcome], max_drop: float) -> str:
    """Say what each attempt at a format cost, or a precision without one, and what can be done."""
    name = outcomes[0].name
    tried = "; ".join(
        f"{': '.join([*outcome.attempts[-1:], outcome.worst.engine])}, "
        f"{describe_trial(outcome.worst)}"
        for outcome in outcomes
    )
    how = (
        "Give --calibration more images like those that will be predicted"
        if outcomes[0].attempts
        else f"Leave {name} out of --precisions"
    )
    one = 1 / outcomes[0].worst.change.images
    few = (
        f" One image is {one:.2%} of those that judge: more of them would tell noise from damage."
        if one > max_drop
        else ""
    )
    return (
        f"{name} costs more than {max_drop:.2%} of top-1 accuracy (--max-drop). {tried}.{few} "
        f"{how}, or accept more with --max-drop"
    )
