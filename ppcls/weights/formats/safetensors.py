"""safetensors files, the format of this toolkit: arrays by name, and texts by name beside them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple, Union

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ppcls.errors import CheckpointError
from ppcls.files import replacing
from ppcls.weights.formats.pickles import LONGEST_NAME, MOST_ARRAYS

_LARGEST_HEADER = 16 << 20
"""Bytes of the list of arrays, and the texts beside it: enough for a hundred thousand arrays."""


def write_safetensors(
    path: Union[str, Path],
    arrays: Mapping[str, np.ndarray],
    metadata: Optional[Mapping[str, str]] = None,
) -> None:
    """Write arrays as a safetensors file, whole or not at all.

    The same arrays give the same bytes, as long as there is one metadata entry at most.

    Args:
        path: the file; its folder is made if need be.
        arrays: {name: array} of numbers or truth values.
        metadata: text to keep with them, such as the network's name.

    Raises:
        CheckpointError: the file cannot be written; one that was there before is still intact.
    """
    try:
        with replacing(Path(path)) as draft:
            # safetensors writes transposed arrays as they lie.
            content = {name: np.asarray(array, order="C") for name, array in arrays.items()}
            draft.write_bytes(save(content, dict(metadata or {}) or None))
    except (OSError, SafetensorError) as error:
        kept = "; the file that was there before is intact" if Path(path).exists() else ""
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {path}: {reason}{kept}") from None


def read_safetensors(file: Path) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """Return the arrays of a safetensors file, and the metadata that its writer added.

    Raises:
        CheckpointError: the file is truncated or damaged, or holds arrays that NumPy lacks, or more
            than any network has.
    """
    with _opened(file) as content:
        names = content.keys()
        if len(names) > MOST_ARRAYS or any(len(name) > LONGEST_NAME for name in names):
            raise CheckpointError(f"{file} holds more arrays, or longer names, than networks do")
        arrays = {name: _plain(content.get_tensor(name)) for name in names}
        return arrays, content.metadata() or {}


def read_texts(file: Path) -> Dict[str, str]:
    """Return the metadata of a safetensors file alone, without reading its arrays.

    Raises:
        CheckpointError: the file is truncated or damaged.
    """
    with _opened(file) as content:
        return content.metadata() or {}


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield an open file, and turn what is wrong with it into an error that says so."""
    if _header_length(file) > _LARGEST_HEADER:
        reason = _damage(file) or "its list of arrays is longer than any network needs"
        raise CheckpointError(f"{file} is not a readable safetensors file: {reason}")
    try:
        with safe_open(file, framework="numpy") as content:
            yield content
    except SafetensorError as error:
        reason = _damage(file) or f"it is truncated or damaged ({error})"
        raise CheckpointError(f"{file} is not a readable safetensors file: {reason}") from None
    except (TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} holds numbers of a type that NumPy lacks: {error}") from None
    except (ValueError, OverflowError) as error:
        reason = f"it holds an array of an impossible shape ({error})"
        raise CheckpointError(f"{file} is not a readable safetensors file: {reason}") from None


def _plain(array: np.ndarray) -> np.ndarray:
    """Return an array of a type of NumPy's own: where the package ml_dtypes is installed, bfloat16
    is read, and becomes float32, exactly.

    Raises:
        TypeError: it is of another type that NumPy lacks.
    """
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.isbuiltin != 1:
        raise TypeError(array.dtype.name)
    return array


def _header_length(file: Path) -> int:
    """Return what the first eight bytes say."""
    with file.open("rb") as content:
        return int.from_bytes(content.read(8), "little")


def _damage(file: Path) -> str:
    """Say what is wrong where the start tells: eight bytes of length, then a header that long."""
    with file.open("rb") as content:
        start = content.read(9)
    size = file.stat().st_size
    if size < 9:
        return f"it is too short, {size} bytes"
    if start[8:] != b"{":
        return "it does not start like one"
    return "it is truncated" if _header_length(file) > size - 8 else ""
