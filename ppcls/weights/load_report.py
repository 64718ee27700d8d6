"""What of a file fits a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.names.toolkits import other_form

Shape = Tuple[int, ...]


@dataclass(frozen=True)
class Mismatch:
    """An array whose shape in the file is not the network's."""

    name: str
    in_file: Shape
    in_network: Shape

    def __str__(self) -> str:
        return f"{self.name} {list(self.in_file)} instead of {list(self.in_network)}"


@dataclass(frozen=True)
class LoadReport:
    """What of a file fits a network, by the network's parameter names.

    Attributes:
        toolkit: whose names the file uses: "ppcls" or a key of
            `ppcls.weights.names.toolkits.SOURCES`.
        matched: what both have, in the same shape.
        missing: what only the network has.
        unexpected: what only the file has.
        mismatched: what both have, in different shapes.
        hint: what probably happened, when that is clear.
        advice: what to do about it.
        form: the network that these weights were trained in, when it computes something else.
        adapted: what was adapted or left out, a sentence each.
        path: the file, if they come from one.
    """

    toolkit: str
    matched: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)
    mismatched: List[Mismatch] = field(default_factory=list)
    hint: str = ""
    advice: str = ""
    form: str = ""
    adapted: Tuple[str, ...] = ()
    path: Optional[Path] = None

    @property
    def complete(self) -> bool:
        """Whether every array of the file has its place in the network, and the other way round."""
        return not (self.missing or self.unexpected or self.mismatched)

    def describe(self) -> str:
        """Say in one sentence what was found, with counts and the first names."""
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        parts = [f"{len(self.matched)} of the network's {total} arrays match"]
        parts += listed("missing from the file", self.missing)
        parts += listed("not in the network", self.unexpected)
        parts += listed("of another shape", self.mismatched)
        return "; ".join(parts) + (f". {self.hint}" if self.hint else "")


def does_not_fit(report: LoadReport) -> CheckpointError:
    """Return the error that says what does not fit, and what to do about it."""
    advice = f": {report.advice}" if report.advice else ""
    if report.form:
        advice += f". The file has {report.toolkit}'s names: use Arch.name={report.form}"
    return CheckpointError(f"the weights do not fit the network: {report.describe()}{advice}")


def compare(network: Any, own: Mapping[str, np.ndarray], toolkit: str) -> LoadReport:
    """Say what of `own`, arrays under our names, fits `network`; nothing is loaded."""
    matched, missing, mismatched = [], [], []
    parameters = network.state_dict()
    for name, value in parameters.items():
        if name not in own:
            missing.append(name)
        elif own[name].shape != tuple(value.shape):
            mismatched.append(Mismatch(name, own[name].shape, tuple(value.shape)))
        else:
            matched.append(name)
    unexpected = [name for name in own if name not in parameters]
    hint, advice = _hint(network, mismatched)
    form = other_form(toolkit, network)
    return LoadReport(toolkit, matched, missing, unexpected, mismatched, hint, advice, form)


def _hint(network: Any, mismatched: List[Mismatch]) -> Tuple[str, str]:
    """Recognise another number of classes or input channels by the one dimension that differs.

    Returns what probably happened and what to do about it; two empty texts when that is unclear.
    """
    pairs = {difference(item) for item in mismatched}
    if len(pairs) != 1 or pairs == {None}:
        return "", ""
    ((in_file, in_network),) = pairs  # type: ignore[misc]
    if in_network == getattr(network, "class_num", None):
        found = f"The file holds {in_file} classes, the network {in_network}"
        return found, _advice(f"class_num: {in_file}", f"{in_network} classes", "the last layer")
    if in_network == getattr(network, "in_channels", None):
        found = f"The file is for images of {in_file} channels, the network for {in_network}"
        return found, _advice(f"in_channels: {in_file}", f"{in_network} channels", "that layer")
    return "", ""


def _advice(size: str, wanted: str, layer: str) -> str:
    return (
        f"build it with {size}; to train it further with {wanted}, partial: true (Global.partial) "
        f"loads all but {layer}"
    )


def difference(item: Mismatch) -> Optional[Tuple[int, int]]:
    """Return the sizes in the file and in the network where one number differs, else None."""
    if len(item.in_file) != len(item.in_network):
        return None
    differing = {pair for pair in zip(item.in_file, item.in_network) if pair[0] != pair[1]}
    return differing.pop() if len(differing) == 1 else None


def listed(what: str, items: List[Any], first: int = 3) -> List[str]:
    """Count and name `items` in one clause; none, where there are none."""
    if not items:
        return []
    more = f" and {len(items) - first} more" if len(items) > first else ""
    return [f"{len(items)} {what} ({', '.join(map(str, items[:first]))}{more})"]
