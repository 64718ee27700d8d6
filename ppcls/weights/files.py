"""Weight files: safetensors (ours), Paddle's `.pdparams` and PyTorch's `.pth`. None runs code."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple, Union

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ppcls.errors import CheckpointError, did_you_mean
from ppcls.files import replacing
from ppcls.weights.pdparams import read_pdparams
from ppcls.weights.pickles import FIRST_BYTE
from ppcls.weights.pth import START, is_pth, read_pth

PathLike = Union[str, Path]

_PYTORCH = (".pth", ".pt", ".bin")
_SUFFIXES = (".safetensors", ".pdparams", *_PYTORCH)
_NOT_WEIGHTS = (".onnx", ".h5", ".pdmodel", ".pdiparams", ".pdopt")


def find_weights(path: PathLike) -> Path:
    """Return the file that `path` means, which PaddleClas users write without its extension.

    Raises:
        CheckpointError: there is no such file; the message says what was tried and what is there.
    """
    given = Path(path).expanduser()
    suffixes = [] if given.suffix in _SUFFIXES else _SUFFIXES
    candidates = [given, *(Path(f"{given}{suffix}") for suffix in suffixes)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    there = [item for item in given.parent.glob("*") if item.suffix in _SUFFIXES]
    near = did_you_mean(given.name, [item.stem for item in there] + [item.name for item in there])
    raise CheckpointError(f"no weight file found; tried {tried}.{near}")


def read_weights(path: PathLike) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """Read a file of weights: safetensors, Paddle's `.pdparams`, or a PyTorch checkpoint.

    What a file is shows in its first bytes; the suffix only decides how one that shows nothing is
    explained.

    Args:
        path: the file, with or without its extension.

    Returns:
        The arrays by name, and the metadata that the writer of a safetensors file added.

    Raises:
        CheckpointError: the file is missing, unreadable, truncated, damaged, of another kind, or
            asks for more than arrays.
    """
    file = find_weights(path)
    if file.suffix in _NOT_WEIGHTS:
        accepted = f"{', '.join(_SUFFIXES[:-1])} and {_SUFFIXES[-1]}"
        raise CheckpointError(
            f"{file} is not a file of weights that can be read here; accepted are {accepted}"
        )
    try:
        kind = _kind(file)
        if kind == ".safetensors":
            return _read_safetensors(file)
        return (read_pth(file) if kind in _PYTORCH else read_pdparams(file)), {}
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror or error}") from None


def _kind(file: Path) -> str:
    """Return the suffix that fits the content, or else the one that the file has."""
    with file.open("rb") as content:
        start = content.read(START)
    if is_pth(start):
        return ".pth"
    if start[8:9] == b"{":
        return ".safetensors"
    return ".pdparams" if start[:1] == FIRST_BYTE else file.suffix


def write_weights(
    path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None
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
            draft.write_bytes(save(_contiguous(arrays), dict(metadata or {}) or None))
    except (OSError, SafetensorError) as error:
        kept = "; the file that was there before is intact" if Path(path).exists() else ""
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot write {path}: {reason}{kept}") from None


def _contiguous(arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return the arrays in C order; safetensors writes transposed ones as they lie."""
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


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
