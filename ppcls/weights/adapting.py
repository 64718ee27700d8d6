"""Weights for another number of classes or channels than they were trained for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.weights.loading import (
    LoadReport,
    Mismatch,
    compare,
    difference,
    does_not_fit,
    give,
    warn_of_form,
)
from ppcls.weights.reference import from_names, is_auxiliary, to_own_names

Arrays = Mapping[str, np.ndarray]


def sizes_of(network: Any, arrays: Arrays, source: Optional[str] = None) -> Dict[str, int]:
    """Return the `class_num` and `in_channels` of the file where they are not the network's."""
    sizes = {}
    for item in _compared(network, arrays, source)[1].mismatched:
        size = _size_of(item, network)
        if size is not None:
            sizes[size] = difference(item)[0]  # type: ignore[index]
    return sizes


def load_adapted(network: Any, arrays: Arrays, source: Optional[str] = None) -> Tuple[str, ...]:
    """Give `network` pretrained weights; its first and last layers may have other sizes.

    For other classes the last layers keep the fresh weights that they have; for other channels of
    the image the first layer's kernels are adapted, see `with_channels`. Auxiliary heads, which
    only serve training, are left out where the network has none, and start fresh where the file has
    none.

    Returns:
        What was adapted, a sentence each; empty when everything fitted.

    Raises:
        CheckpointError: anything else is missing, unexpected or of another shape. The network is
            as it was then.
    """
    own, report = _compared(network, arrays, source)
    report, words = _without_auxiliary(network, report)
    kinds = {item.name: _size_of(item, network) for item in report.mismatched}
    if report.missing or report.unexpected or not report.matched or None in kinds.values():
        raise does_not_fit(report)
    loaded = {name: own[name] for name in report.matched}
    for item in report.mismatched:
        if kinds[item.name] == "in_channels":
            loaded[item.name] = with_channels(own[item.name], item.in_network[1])
            words.append(f"{item.name} was adapted to images of {item.in_network[1]} channel(s)")
        else:
            words.append(f"{item.name} starts fresh, for {network.class_num} classes")
    give(network, loaded)
    warn_of_form(network, report)
    return tuple(words)


def _without_auxiliary(network: Any, report: LoadReport) -> Tuple[LoadReport, List[str]]:
    """Forgive that only the file or only the network has auxiliary heads, and say so."""
    heads = set(getattr(network, "aux_heads", {}).values())
    fresh = {name for name in report.missing if name.partition(".")[0] in heads}
    extra = {name for name in report.unexpected if is_auxiliary(report.source, network, name)}
    words = ["auxiliary heads start fresh, the file has none"] if fresh else []
    words += ["auxiliary heads of the file are left out, the network has none"] if extra else []
    missing = [name for name in report.missing if name not in fresh]
    unexpected = [name for name in report.unexpected if name not in extra]
    return replace(report, missing=missing, unexpected=unexpected), words


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


def _compared(
    network: Any, arrays: Arrays, source: Optional[str]
) -> Tuple[Dict[str, np.ndarray], LoadReport]:
    if source is None:
        own, source = to_own_names(network, arrays)
    else:
        own = from_names(source, network, arrays)
    return own, compare(network, own, source)


def _size_of(item: Mismatch, network: Any) -> Optional[str]:
    """Say which size of the network explains why the shape differs, if one does."""
    pair = difference(item)
    if pair is None:
        return None
    axis = [a != b for a, b in zip(item.in_file, item.in_network)].index(True)
    if len(item.in_file) == 4 and axis == 1 and pair[1] == network.in_channels:
        return "in_channels"
    return "class_num" if pair[1] == network.class_num else None
