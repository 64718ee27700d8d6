"""Arrays under our names and in our layout, made of what another toolkit wrote."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import numpy as np

from ppcls.weights.names.rules import translate
from ppcls.weights.names.toolkits import SOURCES, naming_of, reference_names

Arrays = Dict[str, np.ndarray]


OWN = "ppcls"
"""This toolkit among those whose names a file may have."""


def to_own_names(network: Any, arrays: Mapping[str, np.ndarray]) -> Tuple[Arrays, str]:
    """Recognise whose names `arrays` has, and return the arrays as ours, and the source.

    The source whose names occur most often wins; `OWN` is ourselves, and also the answer when no
    name is known. Arrays whose name has no counterpart keep it.
    """
    best, known = OWN, len(arrays.keys() & network.state_dict().keys())
    for source in SOURCES:
        names = set(reference_names(source, network).values())
        found = len(_todays_names(source, network, arrays).keys() & names)
        if found > known:
            best, known = source, found
    return (dict(arrays) if best == OWN else from_names(best, network, arrays)), best


def from_names(source: str, network: Any, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Return `arrays` of the toolkit `source` under our names and in our layout.

    PyTorch's counters of batches are left out: nothing here needs them. Arrays whose name has no
    counterpart keep it.
    """
    own = {theirs: name for name, theirs in reference_names(source, network).items()}
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    found = {}
    for theirs, array in _todays_names(source, network, arrays).items():
        name = own.get(theirs, theirs)
        found[name] = _laid_out(array, len(shapes.get(name, [])), SOURCES[source])
    return found


def _todays_names(source: str, network: Any, arrays: Mapping[str, np.ndarray]) -> Arrays:
    naming = naming_of(source, network)
    if naming is None:
        return dict(arrays)
    return {
        translate(name, naming.older): array
        for name, array in arrays.items()
        if not name.endswith("num_batches_tracked")
    }


def _laid_out(array: np.ndarray, dimensions: int, in_first: bool) -> np.ndarray:
    """Turn the weight of a fully connected layer into [in, out], or into that of a 1x1 convolution,
    whichever the network has; a convolution as large as its input is the same layer.
    """
    if dimensions == 2 and array.ndim == 4:
        return array.reshape(len(array), -1).T
    if dimensions == 4 and array.ndim == 2:
        return (array.T if in_first else array)[:, :, None, None]
    if dimensions == 2 and array.ndim == 2 and not in_first:
        return array.T
    return array
