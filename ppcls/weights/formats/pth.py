"""Reading PyTorch checkpoints (`.pth`, `.pt`, `.bin`) without PyTorch, and without running them.

`torch.save` writes a pickle that describes the tensors, and the numbers of their storages beside
it: since PyTorch 1.6 as entries of a zip archive (`pth_zip`), before that one after the other
behind the pickle (`pth_stream`). `pickles` reads the pickles, `pth_tensors` rebuilds the arrays. No
more is allocated than the file's size allows.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.formats.pickles import (
    FIRST_BYTE,
    MOST_ARRAYS,
    RefusedError,
    brief,
    explained,
    looks_like,
)
from ppcls.weights.formats.pth_stream import MAGIC, read_stream
from ppcls.weights.formats.pth_tensors import Elements, Parameter, Tensor
from ppcls.weights.formats.pth_zip import File, read_zip

START = 512
"""How many bytes tell the kind of a file."""

_ZIP = b"PK\x03\x04"
_TAR = b"ustar"

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
"""Where training scripts put the weights; an average over the steps is what they evaluate."""


def is_pth(start: bytes) -> bool:
    """Say whether a file that starts with these bytes (`START` of them) is one for `read_pth`."""
    return _is_tar(start) or _reader_for(start) is not None


def read_pth(path: Path) -> Dict[str, np.ndarray]:
    """Return the weights in a PyTorch checkpoint by name, in either format.

    A state dict inside of a training checkpoint is found under the usual keys, averaged weights
    before others; the prefix `module.` of data-parallel training is removed. Numbers keep their
    type, except bfloat16, which NumPy lacks: it becomes float32, exactly. Arrays may share memory,
    and may be read-only.

    Raises:
        CheckpointError: the file is empty, truncated, damaged, of another kind (TorchScript too,
            and the tar archives of PyTorch's first versions), or asks for anything besides tensors
            and their plain containers.
    """
    size = path.stat().st_size
    with File(io.FileIO(str(path))) as file:
        start = file.read(START)
        file.seek(0)
        if _is_tar(start):
            raise CheckpointError(_of_tar(path))
        read = _reader_for(start)
        if read is None:
            raise CheckpointError(f"{path} is not a PyTorch checkpoint: {looks_like(start)}")
        with explained(path, size):
            return without_prefix(_arrays(*read(file, size)))


def _reader_for(start: bytes) -> Optional[Callable[[File, int], Tuple[Any, Elements]]]:
    if start.startswith(_ZIP):
        return read_zip
    is_stream = start[:1] == FIRST_BYTE and MAGIC.to_bytes(10, "little") in start[:32]
    return read_stream if is_stream else None


def _is_tar(start: bytes) -> bool:
    return start[257:].startswith(_TAR)


def _of_tar(path: Path) -> str:
    program = f"torch.save(torch.load('{path}', weights_only=False), 'NEW.pth')"
    return (
        f"{path} is a tar archive, as PyTorch wrote before version 0.1.10 (2017), which is not "
        "read here. If you trust it, convert it once where PyTorch is installed: "
        f'python -c "import torch; {program}"'
    )


def _arrays(content: Any, elements: Elements) -> Dict[str, np.ndarray]:
    """Return the weights in what a checkpoint holds."""
    arrays, state = {}, _state_dict(content)
    if len(state) > MOST_ARRAYS:
        raise RefusedError(f"it holds {len(state)} entries, more than any network has arrays")
    for name, entry in state.items():
        value = entry.data if isinstance(entry, Parameter) else entry
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise RefusedError(
                f"its entry {brief(name)} is not a tensor, so it is not a file of weights "
                f"(they are looked for at its top, and under {', '.join(_WRAPPERS)})"
            )
        try:
            arrays[name] = elements.array(value)
        except RefusedError as error:
            raise RefusedError(f"in its entry {brief(name)}, {error}") from None
    return arrays


def _state_dict(content: Any) -> Dict[Any, Any]:
    if not isinstance(content, dict):
        raise RefusedError("it holds no dictionary of tensors, so it is not a file of weights")
    inner = [content.get(key) for key in _WRAPPERS]
    return next((found for found in inner if found and isinstance(found, dict)), content)


def without_prefix(arrays: Dict[str, np.ndarray], prefix: str = "module.") -> Dict[str, Any]:
    """Remove what data-parallel and averaged models put before all names, and their counter."""
    names = [name for name in arrays if name != "n_averaged"]
    if not names or not all(name.startswith(prefix) for name in names):
        return arrays
    return {name[len(prefix) :]: arrays[name] for name in names}
