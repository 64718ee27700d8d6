"""A file of weights with what this toolkit noted in it: reading and writing.

Files of this toolkit are safetensors files whose metadata has one entry, a JSON text. Checkpoints
of training hold groups: `model/`, `ema/` and `optimizer/` stand before the names of their arrays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.formats.any_format import PathLike, read_any_format
from ppcls.weights.formats.safetensors import read_texts, write_safetensors
from ppcls.weights.metadata import FORMAT, LONGEST, check_metadata, parse_metadata

_KEY = "ppcls"

Arrays = Dict[str, np.ndarray]


class NewerFormatError(CheckpointError):
    """A file was written by a later version of this toolkit: readable, but not by this one."""


@dataclass(frozen=True)
class WeightFile:
    """What a file of weights holds.

    Attributes:
        arrays: all arrays by name, as they stand in the file.
        metadata: what this toolkit noted with them, see `ppcls.weights.metadata.Metadata`; empty
            for foreign files.
        path: where they were read, as the caller wrote it; None for arrays of other origin.
    """

    arrays: Arrays
    metadata: Dict[str, Any] = field(default_factory=dict)
    path: Optional[Path] = None

    @property
    def is_checkpoint(self) -> bool:
        """Whether it holds the state of a run, in groups, and not only weights."""
        return self.metadata.get("kind") == "checkpoint"

    def network_arrays(self) -> Arrays:
        """Return the arrays to give to a network; of a checkpoint the moving average, if it has
        one.
        """
        if not self.is_checkpoint:
            return self.arrays
        return self.group("ema") or self.group("model")

    def group(self, name: str) -> Arrays:
        """Return the arrays of one group of a checkpoint, under their own names."""
        start = f"{name}/"
        return {
            key[len(start) :]: array for key, array in self.arrays.items() if key.startswith(start)
        }


def read(path: PathLike) -> WeightFile:
    """Read a file of weights: safetensors, Paddle's `.pdparams`, or a PyTorch checkpoint.

    Args:
        path: the file, with or without its extension.

    Raises:
        CheckpointError: the file is missing, unreadable, damaged, of another kind, asks for more
            than arrays, or is of a newer format than this version reads.
    """
    arrays, texts = read_any_format(path)
    return WeightFile(arrays, _noted(path, texts), Path(path))


def read_metadata(path: Path) -> Dict[str, Any]:
    """Return what this toolkit notes in a safetensors file, without reading its arrays.

    Raises:
        CheckpointError: the file is missing, damaged, or of a newer format than this version reads.
    """
    try:
        return _noted(path, read_texts(path))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None


def _noted(path: PathLike, texts: Mapping[str, str]) -> Dict[str, Any]:
    try:
        metadata = parse_metadata(texts.get(_KEY, "{}"))
        _refuse_newer(path, metadata.get("format"))
        check_metadata(metadata)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: what this toolkit notes in its files is damaged in this one: {error}"
        ) from None
    return metadata


def _refuse_newer(path: PathLike, found: Any) -> None:
    """Look at the format before all else, which may have another meaning in a later one."""
    if isinstance(found, int) and found > FORMAT:
        raise NewerFormatError(
            f"{path} has checkpoint format {found}; this version of ppcls reads up to "
            f"{FORMAT}: upgrade ppcls"
        )


def write(
    path: PathLike, arrays: Mapping[str, np.ndarray], kind: str, metadata: Mapping[str, Any]
) -> None:
    """Write a file of this toolkit as a whole or not at all.

    Args:
        path: the file; its folder is made if need be.
        arrays: {name: array}.
        kind: "weights" or "checkpoint".
        metadata: what to note with them, as JSON has it.

    Raises:
        CheckpointError: the file cannot be written, or what is to be noted is too long to be read
            again; a file that was there before is still intact.
    """
    noted = json.dumps({"format": FORMAT, "kind": kind, **metadata}, ensure_ascii=False)
    if len(noted) > LONGEST:
        raise CheckpointError(
            f"cannot write {path}: what it is to note has {len(noted)} letters, where at most "
            f"{LONGEST} are read"
        )
    write_safetensors(path, arrays, {_KEY: noted})


def save_weights(
    weights: Any, path: PathLike, metadata: Optional[Mapping[str, Any]] = None
) -> None:
    """Write weights to the safetensors file `path`, as a whole or not at all.

    Args:
        weights: a network, or its arrays by name.
        path: the file; its folder is made if need be.
        metadata: what to note with them, see `WeightFile`; `network_metadata.metadata_of`
            makes the file be refused where it does not belong. None notes nothing.

    Raises:
        CheckpointError: the weights are not finite, or the file cannot be written; one that was
            there before is still intact.
    """
    arrays = weights if isinstance(weights, Mapping) else arrays_of(weights)
    refuse_not_finite(arrays, Path(path))
    if metadata is None:
        write_safetensors(path, arrays)
    else:
        write(path, arrays, "weights", metadata)


def arrays_of(network: Any) -> Arrays:
    """Return all arrays of a network by name."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def refuse_not_finite(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Keep broken weights from being written.

    Raises:
        CheckpointError: an array holds NaN or infinity.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{name} holds NaN or Inf, so {path.name} is not written")
