"""Weight files of any format: which one a file has shows in its first bytes. None runs code."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple, Union

import numpy as np

from ppcls.errors import CheckpointError, did_you_mean
from ppcls.weights.formats.pdparams import read_pdparams
from ppcls.weights.formats.pickles import FIRST_BYTE
from ppcls.weights.formats.pth import START, is_pth, read_pth
from ppcls.weights.formats.safetensors import read_safetensors

PathLike = Union[str, Path]

NO_MEMORY = "more memory than there is"

_PYTORCH = (".pth", ".pt", ".bin")
_SUFFIXES = (".safetensors", ".pdparams", *_PYTORCH)
_NOT_WEIGHTS = (".onnx", ".h5", ".pdmodel", ".pdiparams", ".pdopt")


def find_weight_file(path: PathLike) -> Path:
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


def read_any_format(path: PathLike) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
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
    file = find_weight_file(path)
    if file.suffix in _NOT_WEIGHTS:
        accepted = f"{', '.join(_SUFFIXES[:-1])} and {_SUFFIXES[-1]}"
        raise CheckpointError(
            f"{file} is not a file of weights that can be read here; accepted are {accepted}"
        )
    try:
        kind = _kind(file)
        if kind == ".safetensors":
            return read_safetensors(file)
        return (read_pth(file) if kind in _PYTORCH else read_pdparams(file)), {}
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror or error}") from None
    except MemoryError:
        raise CheckpointError(f"cannot read {file}: it needs {NO_MEMORY}") from None


def _kind(file: Path) -> str:
    """Return the suffix that fits the content, or else the one that the file has."""
    with file.open("rb") as content:
        start = content.read(START)
    if is_pth(start):
        return ".pth"
    if start[8:9] == b"{":
        return ".safetensors"
    return ".pdparams" if start[:1] == FIRST_BYTE else file.suffix
