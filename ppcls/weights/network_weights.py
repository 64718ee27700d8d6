"""`load` gives a network its weights; there is no other way.

Create, train, resume, evaluate, infer, predict and convert all come through here, so that they
agree on what a file is, which arrays of it are meant, and where it does not belong.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional, Union

import numpy as np

from ppcls.errors import CheckpointError, ConfigError, did_you_mean
from ppcls.weights.fitted_arrays import FITS, fitted_arrays
from ppcls.weights.load_report import LoadReport, listed
from ppcls.weights.network_metadata import check_same_arch, check_same_classes
from ppcls.weights.weight_file import WeightFile, read

Source = Union[bool, str, Path, WeightFile, Mapping[str, np.ndarray]]

_log = logging.getLogger("ppcls")


def load(
    network: Any, source: Source, fit: str = "exact", toolkit: Optional[str] = None
) -> LoadReport:
    """Give `network` weights, which may use our names or another toolkit's.

    Floating-point arrays are converted to the parameter's type. Of a checkpoint of training the
    moving average is taken where there is one, else the network's own weights. What a file of this
    toolkit notes of its network must be true of this one, unless `fit` is "partial". Nothing is
    changed when an error is raised.

    Args:
        network: a `ppcls.arch` network, or any layer when the names are its own.
        source: a file (see `ppcls.weights.read`), what was read from one, or {name: array}; True
            for the network's published weights, which are fetched if need be.
        fit: "exact": every array has its place, and the other way round. "adapt": the first and
            last layers may have other sizes, see `ppcls.weights.fitted_arrays`. "partial": what
            matches is loaded, and the rest of the network left as it is.
        toolkit: whose names they are; None recognises it.

    Raises:
        CheckpointError: the file cannot be read; it is of another network or does not fit: the
            message is the report; or an array holds NaN, infinity, or whole numbers where the
            network has fractions.
        ConfigError: there is no such `fit` or toolkit.
        UsageError: no weights of this network are published.
        DownloadError: they cannot be had.
    """
    if fit not in FITS:
        near = did_you_mean(fit, list(FITS))
        raise ConfigError(f"unknown fit '{fit}'.{near} Accepted: {', '.join(FITS)}")
    file = _weight_file(network, source)
    label = str(file.path)
    if fit != "partial":
        # Auxiliary heads that only one of both has are no obstacle to adapting.
        besides = ["aux"] if fit == "adapt" else []
        check_same_arch(file.metadata, network, label, besides)
    if fit == "exact":
        check_same_classes(file.metadata, network, label)
    with _naming(file.path):
        arrays, report = fitted_arrays(network, file.network_arrays(), fit, toolkit)
        _give(network, arrays)
    _warn_of_form(network, report)
    return replace(report, path=file.path)


def _weight_file(network: Any, source: Source) -> WeightFile:
    if isinstance(source, WeightFile):
        return source
    if isinstance(source, Mapping):
        return WeightFile(dict(source))
    if source is True:
        from ppcls.weights.hub.published import network_weights

        source = network_weights(network.model_name)
    return read(source)  # type: ignore[arg-type]


@contextmanager
def _naming(path: Optional[Path]) -> Iterator[None]:
    """Begin the messages of errors with the file."""
    try:
        yield
    except CheckpointError as error:
        raise (CheckpointError(f"{path}: {error}") if path else error) from None


def _give(network: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Set arrays of `network` by name; they have its shapes and are converted to its types.

    Raises:
        CheckpointError: one holds NaN, infinity, or whole numbers where the network has fractions.
            Nothing is set then.
    """
    parameters = network.state_dict()
    types = {name: parameters[name].numpy().dtype for name in arrays}
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        cast = {name: array.astype(types[name], copy=False) for name, array in arrays.items()}
    fractions: List[str] = [name for name in arrays if types[name].kind == "f"]
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
            f"the weights are {'; '.join(listed('whole numbers', whole))}, where the network has "
            "fractions: are they quantised? Those from before quantisation are needed"
        )


def _refuse_not_finite(arrays: Mapping[str, np.ndarray]) -> None:
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise CheckpointError(
            f"the weights hold NaN or infinity: {'; '.join(listed('arrays', broken))}. Was the "
            "training that made them stable? Use a checkpoint from before it broke"
        )


def _warn_of_form(network: Any, report: LoadReport) -> None:
    """Say so when weights fit that were trained in a network which computes something else."""
    if report.form:
        _log.warning(
            "the weights have %s's names, and its network is %s: unless this %s was built with the "
            "same arguments, it computes something else with them",
            report.toolkit,
            report.form,
            network.model_name,
        )
