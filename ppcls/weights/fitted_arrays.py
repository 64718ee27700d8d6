"""The arrays to give to a network: its own names and shapes, made of what a file holds.

Weights may be "adapt"ed to another number of classes or channels than they were trained for. For
other classes the last layers keep the fresh weights that they have; for other channels of the image
the first layer's kernels are adapted, see `with_channels`. Auxiliary heads, which only serve
training, are left out where the network has none, and start fresh where the file has none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.load_report import LoadReport, Mismatch, compare, difference, does_not_fit
from ppcls.weights.names.own_names import OWN, from_names, to_own_names
from ppcls.weights.names.toolkits import is_auxiliary

Arrays = Dict[str, np.ndarray]
Fitted = Tuple[Arrays, LoadReport]


def fitted_arrays(
    network: Any, arrays: Mapping[str, np.ndarray], fit: str, toolkit: Optional[str] = None
) -> Fitted:
    """Return what to give to `network`, under its names and in its shapes, and the report.

    Args:
        network: the network; it is left as it is.
        arrays: {name: array} under our names or another toolkit's.
        fit: a key of `FITS`.
        toolkit: whose names they are; None recognises it.

    Raises:
        CheckpointError: they do not fit; the message is the report.
    """
    own, report = _compared(network, arrays, toolkit)
    return FITS[fit](network, own, report)


def sizes_of(
    network: Any, arrays: Mapping[str, np.ndarray], toolkit: Optional[str] = None
) -> Dict[str, int]:
    """Return the `class_num` and `in_channels` of the file where they are not the network's."""
    sizes = {}
    for item in _compared(network, arrays, toolkit)[1].mismatched:
        size = _size_of(item, network)
        if size is not None:
            sizes[size] = difference(item)[0]  # type: ignore[index]
    return sizes


def with_channels(kernels: np.ndarray, channels: int) -> np.ndarray:
    """Turn kernels [out, c, h, w] of a first layer into [out, channels, h, w].

    One channel gets the sum over all: a grey image is worth the same in each. More channels than c
    repeat the kernels, fewer take the first ones, scaled by c / channels.
    """
    count = kernels.shape[1]
    if channels == 1:
        return kernels.sum(axis=1, keepdims=True)
    repeated = np.concatenate([kernels] * -(-channels // count), axis=1)[:, :channels]
    return repeated * (count / channels)


def _exact(network: Any, own: Arrays, report: LoadReport) -> Fitted:
    fitted = _partial(network, own, report)
    if not report.complete:
        raise does_not_fit(report)
    return fitted


def _partial(network: Any, own: Arrays, report: LoadReport) -> Fitted:
    if not report.matched:
        raise CheckpointError(f"the weights are of another network: {report.describe()}")
    return {name: own[name] for name in report.matched}, report


def _adapt(network: Any, own: Arrays, report: LoadReport) -> Fitted:
    report, done = _without_auxiliary(network, report)
    sizes = {item.name: _size_of(item, network) for item in report.mismatched}
    if report.missing or report.unexpected or not report.matched or None in sizes.values():
        raise does_not_fit(report)
    fitted = {name: own[name] for name in report.matched}
    for item in report.mismatched:
        if sizes[item.name] == "in_channels":
            fitted[item.name] = with_channels(own[item.name], item.in_network[1])
            done.append(f"{item.name} was adapted to images of {item.in_network[1]} channel(s)")
        else:
            done.append(f"{item.name} starts fresh, for {network.class_num} classes")
    return fitted, replace(report, adapted=tuple(done))


FITS: Dict[str, Callable[[Any, Arrays, LoadReport], Fitted]] = {
    "exact": _exact,
    "adapt": _adapt,
    "partial": _partial,
}
"""How closely weights must fit, see `ppcls.weights.load`."""


def _without_auxiliary(network: Any, report: LoadReport) -> Tuple[LoadReport, List[str]]:
    """Forgive that only the file or only the network has auxiliary heads, and say so."""
    heads = set(getattr(network, "aux_heads", {}).values())
    fresh = {name for name in report.missing if name.partition(".")[0] in heads}
    extra = {name for name in report.unexpected if is_auxiliary(report.toolkit, network, name)}
    done = ["auxiliary heads start fresh, the file has none"] if fresh else []
    done += ["auxiliary heads of the file are left out, the network has none"] if extra else []
    missing = [name for name in report.missing if name not in fresh]
    unexpected = [name for name in report.unexpected if name not in extra]
    return replace(report, missing=missing, unexpected=unexpected), done


def _compared(
    network: Any, arrays: Mapping[str, np.ndarray], toolkit: Optional[str]
) -> Tuple[Arrays, LoadReport]:
    if toolkit is None:
        own, toolkit = to_own_names(network, arrays)
    elif toolkit == OWN:
        own = dict(arrays)
    else:
        own = from_names(toolkit, network, arrays)
    return own, compare(network, own, toolkit)


def _size_of(item: Mismatch, network: Any) -> Optional[str]:
    """Say which size of the network explains why the shape differs, if one does."""
    pair = difference(item)
    if pair is None:
        return None
    axis = [a != b for a, b in zip(item.in_file, item.in_network)].index(True)
    if len(item.in_file) == 4 and axis == 1 and pair[1] == getattr(network, "in_channels", None):
        return "in_channels"
    return "class_num" if pair[1] == getattr(network, "class_num", None) else None
