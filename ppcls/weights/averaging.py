"""The mean of several weight files of one network.

Averages of the last checkpoints of a run are often better than the last one (Izmailov et al. 2018,
"Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407, there with a
constant rate, and with statistics of batch normalisation that are taken anew).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from ppcls.errors import CheckpointError, UsageError
from ppcls.text import first_few
from ppcls.weights.weight_file import Arrays, WeightFile, read

_SAME = ("arch", "class_num", "in_channels", "arguments", "class_names")
"""What files must note alike."""


def averaged_weights(paths: Sequence[Path]) -> WeightFile:
    """Return the mean of each array over some files, weight files or checkpoints, whose moving
    averages are taken where they have some. One file at a time is in memory.

    Running statistics are averaged like weights, which fits files of one run. Arrays of whole
    numbers are those of the last file.

    Raises:
        UsageError: there are fewer than two files.
        CheckpointError: a file cannot be read, or they are of different networks.
    """
    if len(paths) < 2:
        raise UsageError(f"an average needs two files or more, got {len(paths)}")
    first = read(paths[0])
    sums = {name: array.astype(np.float64) for name, array in first.network_arrays().items()}
    latest: Arrays = first.network_arrays()
    for path in paths[1:]:
        file = read(path)
        latest = file.network_arrays()
        _refuse_another(first, paths[0], file, path)
        _refuse_other_arrays(sums, paths[0], latest, path)
        for name, array in latest.items():
            sums[name] += array
    arrays = {
        name: (sums[name] / len(paths)).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in latest.items()
    }
    return WeightFile(arrays, {**_noted(first), "averaged": [path.name for path in paths]})


def _noted(file: WeightFile) -> Dict[str, Any]:
    return {key: file.metadata[key] for key in _SAME if key in file.metadata}


def _refuse_another(first: WeightFile, at: Path, other: WeightFile, path: Path) -> None:
    different = [key for key in _SAME if first.metadata.get(key) != other.metadata.get(key)]
    if different:
        key = different[0]
        raise CheckpointError(
            f"{path} is of another network than {at}: {key} is {other.metadata.get(key)!r}, and "
            f"{first.metadata.get(key)!r} there"
        )


def _refuse_other_arrays(sums: Arrays, at: Path, found: Arrays, path: Path) -> None:
    names: List[str] = sorted(sums.keys() ^ found.keys())
    names += [name for name in found if name in sums and sums[name].shape != found[name].shape]
    if names:
        raise CheckpointError(
            f"{path} does not hold the arrays of {at}: missing in one, or of another shape, are "
            f"{first_few(names, 3)}"
        )
