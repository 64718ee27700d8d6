"""Weight files: safetensors (ours) and Paddle's official `.pdparams`. Neither runs code."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import BinaryIO, Dict, Iterator, Mapping, Optional, Tuple, Union

import numpy as np
from safetensors import SafetensorError, safe_open

from ppcls.errors import CheckpointError, did_you_mean
from ppcls.weights.pdparams import read_pdparams

PathLike = Union[str, Path]

_SUFFIXES = (".safetensors", ".pdparams")

_DTYPES = {
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
    "float32": "F32",
    "int32": "I32",
    "uint32": "U32",
    "float16": "F16",
    "int16": "I16",
    "uint16": "U16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""What safetensors calls NumPy's types."""


def find_weights(path: PathLike) -> Path:
    """Return the file that `path` means, which PaddleClas users write without its extension.

    Raises:
        CheckpointError: there is no such file; the message says what was tried and what is there.
    """
    given = Path(path).expanduser()
    candidates = [given, *(Path(f"{given}{suffix}") for suffix in _SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    there = [item for item in given.parent.glob("*") if item.suffix in _SUFFIXES]
    near = did_you_mean(given.name, [item.stem for item in there] + [item.name for item in there])
    raise CheckpointError(f"no weight file found; tried {tried}.{near}")


def read_weights(path: PathLike) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """Read a `.safetensors` or `.pdparams` file.

    Args:
        path: the file, with or without its extension.

    Returns:
        The arrays by name, and the metadata that the writer added (always empty for `.pdparams`).

    Raises:
        CheckpointError: the file is missing, unreadable, truncated, damaged, of another kind, or
            asks for more than arrays.
    """
    file = find_weights(path)
    try:
        if file.suffix == ".safetensors":
            return _read_safetensors(file)
        if file.suffix in (
            ".pth",
            ".pt",
            ".bin",
            ".onnx",
            ".h5",
            ".pdmodel",
            ".pdiparams",
            ".pdopt",
        ):
            raise CheckpointError(
                f"{file} is not a file of weights that can be read here; "
                f"accepted are {' and '.join(_SUFFIXES)}"
            )
        return read_pdparams(file), {}
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror or error}") from None


def write_weights(
    path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None
) -> None:
    """Write arrays as a safetensors file, whole or not at all.

    The same arrays and metadata give the same bytes.

    Args:
        path: the file; its folder must exist.
        arrays: {name: array} of numbers or truth values.
        metadata: text to keep with them, such as the network's name.

    Raises:
        CheckpointError: the file cannot be written; one that was there before is still intact.
    """
    # The largest items first, as safetensors does, so that every array starts aligned.
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    header: Dict[str, object] = {"__metadata__": dict(sorted((metadata or {}).items()))}
    position = 0
    for name, array in ordered:
        kind = _DTYPES[array.dtype.name]
        span = [position, position + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": span}
        position = span[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(np.asarray(array, array.dtype.newbyteorder("<"), order="C").data)


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` only when all of it is on the disk.

    Raises:
        CheckpointError: it cannot be written (disk full, no permission, no folder); what was at
            `path` before is still there.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
        _sync_folder(target.parent)
    except OSError as error:
        kept = "; the file that was there before is intact" if target.exists() else ""
        reason = error.strerror or error
        raise CheckpointError(f"cannot write {target}: {reason}{kept}") from None
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_safetensors(file: Path) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    try:
        with safe_open(file, framework="numpy") as content:
            names = content.keys()
            return {name: content.get_tensor(name) for name in names}, content.metadata() or {}
    except SafetensorError as error:
        reason = _damage(file) or f"it is truncated or damaged ({error})"
        raise CheckpointError(f"{file} is not a readable safetensors file: {reason}") from None
    except (TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} holds numbers of a type that NumPy lacks: {error}") from None


def _damage(file: Path) -> str:
    """Say what is wrong where the start tells: eight bytes of length, then a header that long."""
    with file.open("rb") as content:
        start = content.read(9)
    length, size = int.from_bytes(start[:8], "little"), file.stat().st_size
    if size < 9:
        return f"it is too short, {size} bytes"
    if start[8:] != b"{":
        return "it does not start like one"
    return "it is truncated" if length > size - 8 else ""
