"""Reading Paddle's own weight files (`.pdparams`) without running what they say.

`paddle.save` writes a pickle, and a pickle can call any function. This reader knows only the
opcodes and the few globals that arrays need, rebuilds the arrays itself from their bytes, and never
calls or imports anything that the file names. It allocates no more than the file's size allows.
"""

from __future__ import annotations

import pickle
import re
import reprlib
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError

_OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE
    GLOBAL STACK_GLOBAL REDUCE BUILD BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE
"""
_MOST_OPCODES = 1_000_000
"""An array takes about thirty; more than this only fills the memory with empty containers."""

_PARAMETER_NAMES = "StructuredToParameterName@@"
_SLICED = "UnpackBigParamInfor@@"


def read_pdparams(path: Path) -> Dict[str, np.ndarray]:
    """Return the arrays of an official `.pdparams` file by name.

    Raises:
        CheckpointError: the file is empty, truncated, damaged, of another kind, or asks for
            anything besides arrays and their containers.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start[:1] != pickle.PROTO:
            raise CheckpointError(f"{path} is not a Paddle weight file: {_looks_like(start)}")
        file.seek(0)
        try:
            return _named_arrays(_Reader(file, size).load(), size)
        except _RefusedError as error:
            raise CheckpointError(f"{path} is refused: {error}; nothing of it was loaded") from None
        except EOFError:
            raise CheckpointError(
                f"{path} is truncated: it breaks off after {size} bytes"
            ) from None
        except (
            Exception
        ) as error:  # whatever damaged bytes lead to, from stack underflow to bad text
            raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error})") from None


class _RefusedError(Exception):
    """The file asks for something that a weight file has no need of."""


def _looks_like(start: bytes) -> str:
    if not start:
        return "it is empty"
    if start.startswith(b"PK\x03\x04"):
        return "it looks like a PyTorch checkpoint or another zip archive"
    if start.startswith((b"version ", b"<")):
        return "it looks like a web page or a Git LFS pointer, so the download went wrong"
    return f"it starts with {start!r}"


class _Bounded:
    """A file that reports its end instead of returning fewer bytes than asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def read(self, count: int) -> bytes:
        if count > self._size - self._file.tell():
            raise EOFError
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline()


class _Global:
    """A name that the file may refer to; `call` makes what it stands for from checked arguments."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class _DType:
    """Stands for `numpy.dtype`, of plain numbers and truth values only."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not re.fullmatch(r"b1|[iu][1248]|f[248]", str(code)):
            kind = reprlib.repr(code)
            raise _RefusedError(f"it holds an array of type {kind}, where only numbers are allowed")
        self.value = np.dtype(code)

    def set(self, state: Tuple[Any, ...]) -> None:
        if state[1] == ">":
            self.value = self.value.newbyteorder(">")


class _Array:
    """Stands for `numpy.ndarray`: empty at first, then a view of the bytes that the file holds."""

    def __init__(self) -> None:
        self.value: Optional[np.ndarray] = None

    def set(self, state: Tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise _RefusedError("it holds an array that is not made of plain bytes")
        flat = np.frombuffer(data, dtype.value)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _new_array(kind: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _scalar(dtype: _DType, data: bytes) -> _Array:
    made = _Array()
    made.set((1, (), dtype, False, data))
    return made


def _same_tuple(items: Tuple[Any, ...]) -> Tuple[Any, ...]:
    if not isinstance(items, tuple):
        raise _RefusedError("it makes a tuple of something else")
    return items


def _empty_dict() -> Dict[Any, Any]:
    return {}


def _not_callable(*arguments: Any) -> None:
    raise _RefusedError("it calls 'numpy.ndarray' directly")


class _Reader(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Python's own interpreter of pickle opcodes, cut down to what arrays need.

    The one in pure Python: it keeps its memo in a dictionary, where the one in C allocates a table
    as long as the largest index that a file claims to use.
    """

    stack: List[Any]

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(_Bounded(file, size))
        self.dispatch = _Dispatch()  # type: ignore[misc,assignment]
        self._text_left = size
        self._globals = {
            ("numpy", "ndarray"): _Global(_not_callable),
            ("numpy", "dtype"): _Global(_DType),
            ("collections", "OrderedDict"): _Global(_empty_dict),
            ("_codecs", "encode"): _Global(self._encode),
        }
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self._globals[module, "_reconstruct"] = _Global(_new_array)
            self._globals[module, "scalar"] = _Global(_scalar)
        for module in ("builtins", "__builtin__"):
            self._globals[module, "tuple"] = _Global(_same_tuple)

    def find_class(self, module: str, name: str) -> _Global:
        if (module, name) not in self._globals:
            asked = f"{module}.{name}"[:100]
            raise _RefusedError(f"it asks for '{asked}', which no array needs")
        return self._globals[module, name]

    def _encode(self, text: str, encoding: str) -> bytes:
        """Return bytes that protocol 2 wrote as text; all together no more than the file holds."""
        self._text_left -= len(text)
        if encoding != "latin1" or self._text_left < 0:
            raise _RefusedError("it repeats or recodes text, which no array needs")
        return text.encode("latin1")

    def _reduce(self) -> None:
        arguments, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Global):
            raise _RefusedError("it calls something that is no function")
        self.stack[-1] = target.call(*arguments)

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, (_Array, _DType)):
            raise _RefusedError("it changes the insides of something that is no array")
        target.set(state)


class _Dispatch:
    """The functions of the allowed opcodes, by code; counts how often they are asked for."""

    def __init__(self) -> None:
        known: Dict[int, Any] = pickle._Unpickler.dispatch  # type: ignore[attr-defined]
        codes = [getattr(pickle, name)[0] for name in _OPCODES.split()]
        self._functions = {code: known[code] for code in codes}
        self._functions[pickle.REDUCE[0]] = _Reader._reduce
        self._functions[pickle.BUILD[0]] = _Reader._build
        self._left = _MOST_OPCODES

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self._left -= 1
        if self._left < 0:
            raise _RefusedError("it has more instructions than any weight file needs")
        if code not in self._functions:
            raise _RefusedError(
                f"it uses the pickle opcode {bytes([code])!r}, which no array needs"
            )
        return self._functions[code]


def _named_arrays(content: Any, size: int) -> Dict[str, np.ndarray]:
    if not isinstance(content, dict):
        raise _RefusedError("it holds no dictionary of arrays, so it is not a file of weights")
    special = (_PARAMETER_NAMES, _SLICED)
    arrays = {key: _array(key, value) for key, value in content.items() if key not in special}
    _join_slices(arrays, content.get(_SLICED, {}), size)
    return arrays


def _join_slices(arrays: Dict[str, np.ndarray], sliced: Mapping[str, Any], size: int) -> None:
    """Put together the arrays above 1 GiB, which protocols 2 and 3 store in flat pieces."""
    for key, info in sliced.items():
        pieces = [arrays.pop(part) for part in info["slices"]]
        size -= sum(piece.nbytes for piece in pieces)
        if size < 0:
            raise _RefusedError("the pieces of its arrays are larger than the file")
        arrays[key] = np.concatenate(pieces).reshape(info["OriginShape"])


def _array(key: Any, value: Any) -> np.ndarray:
    """Unwrap one entry: an array, or a pair (Paddle's internal name, array)."""
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    if not isinstance(key, str) or not isinstance(value, _Array) or value.value is None:
        entry = reprlib.repr(key)
        raise _RefusedError(f"its entry {entry} is not an array, so it is not a file of weights")
    return value.value
