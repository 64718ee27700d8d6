"""What PyTorch's pickles say of tensors, and the arrays that are made of it.

A pickle describes tensors as parts of storages; the numbers of the storages stand elsewhere in the
file. Here are the stand-ins for what a pickle names, and the way from them to arrays, which are
views of the storages' bytes where they can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, List, Tuple, Union

import numpy as np

from ppcls.weights.formats.pickles import (
    Budget,
    Global,
    RefusedError,
    StandIn,
    brief,
    counted_key,
    plain_key,
    same_tuple,
    spend_instructions,
)

Bytes = Union[bytes, memoryview]

ALLOWANCE = 64 << 20
"""Bytes that a file may ask for beyond its own size, for tensors that repeat their elements."""
_MOST_DIMENSIONS = 64

SAVE_WEIGHTS = "; where PyTorch is installed, save the weights alone: "
ADVICE = f"{SAVE_WEIGHTS}torch.save(model.state_dict(), ...)"


@dataclass(frozen=True)
class Kind:
    """A class of storages: the name of its elements in PyTorch, and NumPy's code for them."""

    name: str
    code: str

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return int(self.code[1:])

    def elements(self, data: Bytes, order: str) -> np.ndarray:
        """Return the numbers in `data`, which has the byte order "<" or ">", in our own order."""
        stored = np.frombuffer(data, order + self.code)
        if self.name == "BFloat16":
            wide = stored.astype(np.uint32)
            wide <<= 16
            return wide.view(np.float32)
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)


_KINDS = [
    Kind("Double", "f8"),
    Kind("Float", "f4"),
    Kind("Half", "f2"),
    Kind("BFloat16", "u2"),
    Kind("Long", "i8"),
    Kind("Int", "i4"),
    Kind("Short", "i2"),
    Kind("Char", "i1"),
    Kind("Byte", "u1"),
    Kind("Bool", "b1"),
]


@dataclass(frozen=True)
class Storage:
    """Numbers in a row, by the key that finds them in the file."""

    kind: Kind
    key: str
    count: int

    @property
    def size(self) -> int:
        """Bytes of all elements."""
        return self.count * self.kind.width

    def describe(self) -> str:
        """Name it for a message."""
        return f"its storage {brief(self.key)}"


@dataclass(frozen=True)
class Piece:
    """A storage, or the piece of one that older files call a view; counted in elements."""

    storage: Storage
    start: int
    count: int


@dataclass(frozen=True)
class Tensor:
    """Where the elements of a tensor lie in a piece; offset and strides count elements."""

    piece: Piece
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class _Ordered(Dict[Any, Any], StandIn):
    """Stands for `OrderedDict`; the versions of modules that a state dict carries are not kept."""

    __slots__ = ()

    def set(self, state: Any) -> None:
        pass


def _ordered(instructions: Budget, pairs: Any = ()) -> _Ordered:
    """Make a dictionary, from the list of pairs that Python 2 wrote."""
    made = _Ordered()
    instructions.spend(len(pairs), "it repeats a list, which no array needs")
    for key, value in pairs:
        made[counted_key(key, instructions)] = value
    return made


class Parameter(StandIn):
    """Stands for `torch.nn.Parameter`, as it was before it had a function that rebuilds it."""

    def __init__(self, data: Any = None, *rest: Any) -> None:
        self.data = data

    def set(self, state: Any) -> None:
        """Take the tensor out of what the file says about the parameter."""
        if isinstance(state, tuple) and len(state) == 5:
            self.data = state[0]


def _are_counts(*values: Any) -> bool:
    return all(isinstance(value, int) and 0 <= value < 2**63 for value in values)


def _tensor(
    instructions: Budget, piece: Any, offset: Any, shape: Any, strides: Any, *rest: Any
) -> Tensor:
    """Stand for `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`; `rest` is of gradients."""
    if not (isinstance(piece, Piece) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise RefusedError("it describes a tensor in a way that PyTorch does not")
    if len(shape) > _MOST_DIMENSIONS or len(shape) != len(strides):
        raise RefusedError("it describes a tensor of impossible dimensions")
    spend_instructions(instructions, len(shape))
    if not _are_counts(offset, *shape, *strides):
        raise RefusedError("it describes a tensor by something else than whole numbers")
    if len(rest) > 2 and rest[2]:
        raise RefusedError("it holds a tensor with a conjugation or sign still to be worked out")
    return Tensor(piece, offset, shape, strides)


def _parameter(data: Any, *rest: Any) -> Tensor:
    """Stand for `torch._utils._rebuild_parameter`; `rest` is of gradients."""
    if not isinstance(data, Tensor):
        raise RefusedError("it makes a parameter of something that is no tensor")
    return data


def known_names(instructions: Budget) -> Dict[Tuple[str, str], Any]:
    """What stands for the names that state dicts need, in a file of so many `instructions`."""
    tensor = Global(partial(_tensor, instructions))
    known: Dict[Tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor"): tensor,
        ("torch._utils", "_rebuild_tensor_v2"): tensor,
        ("torch._utils", "_rebuild_parameter"): Global(_parameter),
        ("torch.nn.parameter", "Parameter"): Global(Parameter),
        ("torch", "Size"): Global(same_tuple),
        ("torch.storage", "UntypedStorage"): Kind("Untyped", "u1"),
        ("collections", "OrderedDict"): Global(partial(_ordered, instructions)),
    }
    known.update({("torch", f"{kind.name}Storage"): kind for kind in _KINDS})
    return known


class Storages:
    """The storages that a description refers to, by key."""

    def __init__(self) -> None:
        self.by_key: Dict[str, Storage] = {}

    def refer(self, reference: Any) -> Piece:
        """Return what a reference ("storage", kind, key, device, count[, view]) stands for."""
        if not isinstance(reference, tuple) or len(reference) not in (5, 6):
            raise RefusedError("it refers to data that is no tensor's storage")
        word, kind, key, _, count = reference[:5]
        if not (isinstance(kind, Kind) and isinstance(key, str) and _are_counts(count)):
            raise RefusedError(f"it refers to a {brief(word)}, not to a storage{ADVICE}")
        storage = self.by_key.setdefault(plain_key(key), Storage(kind, key, count))
        if (storage.kind, storage.count) != (kind, count):
            raise RefusedError(f"{storage.describe()} is described in two ways")
        view = reference[5] if len(reference) == 6 else None
        return Piece(storage, 0, count) if view is None else _view(storage, view)


def _view(storage: Storage, view: Any) -> Piece:
    """Return the piece that a view (key, start, count) means."""
    _, start, count = view
    if not _are_counts(start, count) or start + count > storage.count:
        raise RefusedError(f"{storage.describe()} has a view that reaches beyond it")
    return Piece(storage, start, count)


class Elements:
    """The numbers of storages, each read when the first tensor needs it.

    Args:
        fetch: returns the bytes of a storage.
        order: the byte order of the file, "<" or ">".
        size: of the file, in bytes.
    """

    def __init__(self, fetch: Callable[[Storage], Bytes], order: str, size: int) -> None:
        self._fetch, self._order = fetch, order
        self._read: Dict[str, np.ndarray] = {}
        self._copies = Budget(size + ALLOWANCE)

    def array(self, tensor: Tensor) -> np.ndarray:
        """Return a tensor in C order: a view if it lies like that in the file, otherwise a copy."""
        elements = self._piece(tensor.piece)
        if 0 in tensor.shape:
            return np.zeros(tensor.shape, elements.dtype)
        steps = [step if n > 1 else 0 for n, step in zip(tensor.shape, tensor.strides)]
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, steps))
        if last >= len(elements):
            raise RefusedError("it reaches beyond its storage")
        width = elements.itemsize
        if not _is_dense(tensor.shape, steps):
            more = "it repeats its elements to more than the file can justify"
            self._copies.spend(math.prod(tensor.shape) * tensor.piece.storage.kind.width, more)
        strides = [step * width for step in steps]
        lying = np.ndarray(tensor.shape, elements.dtype, elements, tensor.offset * width, strides)
        return np.asarray(lying, order="C")

    def _piece(self, piece: Piece) -> np.ndarray:
        storage = piece.storage
        if storage.key not in self._read:
            data = self._fetch(storage)
            self._read[storage.key] = storage.kind.elements(data, self._order)
        return self._read[storage.key][piece.start : piece.start + piece.count]


def _is_dense(shape: Tuple[int, ...], steps: List[int]) -> bool:
    """Say whether the elements follow one another in C order."""
    expected = 1
    for n, step in zip(reversed(shape), reversed(steps)):
        if n > 1 and step != expected:
            return False
        expected *= n
    return True
