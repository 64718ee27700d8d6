"""Fitting weights to a network, and saving a network's weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple, Union

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.files import write_weights
from ppcls.weights.reference import from_names, other_form, to_own_names

Shape = Tuple[int, ...]

_log = logging.getLogger("ppcls")


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
        source: whose names the file uses: "ppcls" or a key of `ppcls.weights.reference.SOURCES`.
        matched: what both have, in the same shape.
        missing: what only the network has.
        unexpected: what only the file has.
        mismatched: what both have, in different shapes.
        hint: what probably happened, when that is clear.
        advice: what to do about it.
        form: the network that these weights were trained in, when it computes something else.
    """

    source: str
    matched: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)
    mismatched: List[Mismatch] = field(default_factory=list)
    hint: str = ""
    advice: str = ""
    form: str = ""

    @property
    def complete(self) -> bool:
        """Whether every array of the file has its place in the network, and the other way round."""
        return not (self.missing or self.unexpected or self.mismatched)

    def words(self) -> str:
        """Say in one sentence what was found, with counts and the first names."""
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        parts = [f"{len(self.matched)} of the network's {total} arrays match"]
        parts += _listed("missing from the file", self.missing)
        parts += _listed("not in the network", self.unexpected)
        parts += _listed("of another shape", self.mismatched)
        return "; ".join(parts) + (f". {self.hint}" if self.hint else "")


def load_into(
    network: Any,
    arrays: Mapping[str, np.ndarray],
    partial: bool = False,
    source: Optional[str] = None,
) -> LoadReport:
    """Give `network` the weights in `arrays`, which may use our names or another toolkit's.

    Floating-point arrays are converted to the parameter's type. Nothing is changed when an error is
    raised.

    Args:
        network: a `ppcls.arch` network, or any layer when the names are its own.
        arrays: what `read_weights` returned: {name: array}.
        partial: load what matches and leave the rest of the network as it is.
        source: the toolkit whose names they are; None recognises it.

    Raises:
        CheckpointError: something is missing, unexpected or of another shape and `partial` is
            False, or nothing matches at all: the message is the report in words. Or an array holds
            NaN, infinity, or whole numbers where the network has fractions.
    """
    if source is None:
        own, source = to_own_names(network, arrays)
    else:
        own = from_names(source, network, arrays)
    report = compare(network, own, source)
    if not report.matched:
        raise CheckpointError(f"the weights are of another network: {report.words()}")
    if not (report.complete or partial):
        raise does_not_fit(report)
    give(network, {name: own[name] for name in report.matched})
    warn_of_form(network, report)
    return report


def does_not_fit(report: LoadReport) -> CheckpointError:
    """Return the error that says what does not fit, and what to do about it."""
    advice = f": {report.advice}" if report.advice else ""
    if report.form:
        advice += f". The file has {report.source}'s names: use Arch.name={report.form}"
    return CheckpointError(f"the weights do not fit the network: {report.words()}{advice}")


def warn_of_form(network: Any, report: LoadReport) -> None:
    """Say so when weights fit that were trained in a network which computes something else."""
    if report.form:
        _log.warning(
            "the weights have %s's names, and its network is %s: unless this %s was built with the "
            "same arguments, it computes something else with them",
            report.source,
            report.form,
            network.model_name,
        )


def give(network: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Set arrays of `network` by name; they have its shapes and are converted to its types.

    Raises:
        CheckpointError: one holds NaN, infinity, or whole numbers where the network has fractions.
            Nothing is set then.
    """
    parameters = network.state_dict()
    types = {name: parameters[name].numpy().dtype for name in arrays}
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        cast = {name: array.astype(types[name], copy=False) for name, array in arrays.items()}
    fractions = [name for name in arrays if types[name].kind == "f"]
    _refuse_whole_numbers({name: arrays[name] for name in fractions})
    _refuse_not_finite({name: cast[name] for name in fractions})
    for name, array in cast.items():
        parameters[name].set_value(array)


def _refuse_whole_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    whole = [
        f"{name} ({array.dtype})" for name, array in arrays.items() if array.dtype.kind in "iub"
    ]
    if whole:
        raise CheckpointError(
            f"the weights are {'; '.join(_listed('whole numbers', whole))}, where the network has "
            "fractions: are they quantised? Those from before quantisation are needed"
        )


def _refuse_not_finite(arrays: Mapping[str, np.ndarray]) -> None:
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise CheckpointError(
            f"the weights hold NaN or infinity: {'; '.join(_listed('arrays', broken))}. Was the "
            "training that made them stable? Use a checkpoint from before it broke"
        )


def save_weights(
    network: Any, path: Union[str, Path], metadata: Optional[Mapping[str, str]] = None
) -> None:
    """Write all arrays of `network` to the safetensors file `path`, atomically.

    Raises:
        CheckpointError: the file cannot be written; one that was there before is still intact.
    """
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    write_weights(path, arrays, metadata)


def compare(network: Any, own: Mapping[str, np.ndarray], source: str) -> LoadReport:
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
    fact, advice = _hint(network, mismatched)
    form = other_form(source, network)
    return LoadReport(source, matched, missing, unexpected, mismatched, fact, advice, form)


def _hint(network: Any, mismatched: List[Mismatch]) -> Tuple[str, str]:
    """Recognise another number of classes or input channels by the one dimension that differs.

    Returns what probably happened and what to do about it; two empty texts when that is unclear.
    """
    pairs = {difference(item) for item in mismatched}
    if len(pairs) != 1 or pairs == {None}:
        return "", ""
    ((in_file, in_network),) = pairs  # type: ignore[misc]
    if in_network == getattr(network, "class_num", None):
        fact = f"The file holds {in_file} classes, the network {in_network}"
        return fact, _advice(f"class_num: {in_file}", f"{in_network} classes", "the last layer")
    if in_network == getattr(network, "in_channels", None):
        fact = f"The file is for images of {in_file} channels, the network for {in_network}"
        return fact, _advice(f"in_channels: {in_file}", f"{in_network} channels", "that layer")
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


def _listed(what: str, items: List[Any], first: int = 3) -> List[str]:
    if not items:
        return []
    more = f" and {len(items) - first} more" if len(items) > first else ""
    return [f"{len(items)} {what} ({', '.join(map(str, items[:first]))}{more})"]
