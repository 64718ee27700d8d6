"""Reading PyTorch checkpoints (`.pth`, `.pt`, `.bin`) without PyTorch, and without running them.

`torch.save` writes a pickle that describes the tensors, and the numbers of their storages beside
it: since PyTorch 1.6 as entries of a zip archive, before that one after the other behind the
pickle, and before 0.1.10, as for torchvision's first ResNets, in a tar archive that describes the
tensors apart from what holds them. `ppcls.weights.formats.pickles` reads the pickles; the arrays
are rebuilt here, as views of the storages' bytes where they can be. No more is allocated than the
file's size allows.
"""

from __future__ import annotations

import io
import math
import reprlib
import struct
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ppcls.errors import CheckpointError
from ppcls.weights.formats.pickles import (
    FIRST_BYTE,
    MOST_INSTRUCTIONS,
    Bounded,
    Budget,
    Global,
    Reader,
    RefusedError,
    StandIn,
    explained,
    looks_like,
    plain_key,
    same_tuple,
)

START = 512
"""How many bytes tell the kind of a file."""

_ZIP = b"PK\x03\x04"
_TAR = b"ustar"
_MAGIC = 0x1950A86A20F9469CFC6C
"""The number that files of the older format start with, as a pickle of its own."""
_PROTOCOL = 1001

_ALLOWANCE = 64 << 20
"""Bytes that a file may ask for beyond its own size, for tensors that repeat their elements."""
_LARGEST_DIRECTORY = 4 << 20
"""Bytes of a zip archive's list of entries: about fifty thousand of them."""
_MOST_DIMENSIONS = 64
_MOST_TENSORS = 100_000
"""In a tar archive, where each is a pickle of its own."""

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
"""Where training scripts put the weights; an average over the steps is what they evaluate."""

_SAVE_WEIGHTS = "; where PyTorch is installed, save the weights alone: "
_ADVICE = f"{_SAVE_WEIGHTS}torch.save(model.state_dict(), ...)"


def is_pth(start: bytes) -> bool:
    """Say whether a file that starts with these bytes (`START` of them) is one for `read_pth`."""
    return _reader_for(start) is not None


def read_pth(path: Path) -> Dict[str, np.ndarray]:
    """Return the weights in a PyTorch checkpoint by name, in any of its formats.

    A state dict inside of a training checkpoint is found under the usual keys, averaged weights
    before others; the prefix `module.` of data-parallel training is removed. Numbers keep their
    type, except bfloat16, which NumPy lacks: it becomes float32, exactly. Arrays may share memory,
    and may be read-only.

    Raises:
        CheckpointError: the file is empty, truncated, damaged, of another kind (TorchScript too),
            or asks for anything besides tensors and their plain containers.
    """
    size = path.stat().st_size
    with _File(io.FileIO(str(path))) as file:
        start = file.read(START)
        file.seek(0)
        read = _reader_for(start)
        if read is None:
            raise CheckpointError(f"{path} is not a PyTorch checkpoint: {looks_like(start)}")
        with explained(path, size):
            return without_prefix(read(file, size))


def _reader_for(start: bytes) -> Optional[Callable[[_File, int], Dict[str, np.ndarray]]]:
    if start.startswith(_ZIP):
        return _read_zip
    if start[:1] == FIRST_BYTE and _MAGIC.to_bytes(10, "little") in start[:32]:
        return _read_legacy
    return _read_tar if start[257:].startswith(_TAR) else None


# What the description is made of.


@dataclass(frozen=True)
class _Kind:
    """A class of storages: the name of its elements in PyTorch, and NumPy's code for them."""

    name: str
    code: str

    @property
    def width(self) -> int:
        return int(self.code[1:])

    def elements(self, data: bytes, order: str) -> np.ndarray:
        """Return the numbers in `data`, which has the byte order "<" or ">", in our own order."""
        stored = np.frombuffer(data, order + self.code)
        if self.name == "BFloat16":
            wide = stored.astype(np.uint32)
            wide <<= 16
            return wide.view(np.float32)
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)


_KINDS = [
    _Kind("Double", "f8"),
    _Kind("Float", "f4"),
    _Kind("Half", "f2"),
    _Kind("BFloat16", "u2"),
    _Kind("Long", "i8"),
    _Kind("Int", "i4"),
    _Kind("Short", "i2"),
    _Kind("Char", "i1"),
    _Kind("Byte", "u1"),
    _Kind("Bool", "b1"),
]


@dataclass(frozen=True)
class _Storage:
    """Numbers in a row, by the key that finds them in the file."""

    kind: _Kind
    key: str
    count: int

    @property
    def size(self) -> int:
        return self.count * self.kind.width

    def words(self) -> str:
        return f"its storage {reprlib.repr(self.key)}"


@dataclass(frozen=True)
class _Part:
    """A storage, or the piece of one that older files call a view; counted in elements."""

    storage: _Storage
    start: int
    count: int


@dataclass(frozen=True)
class _Tensor:
    """Where the elements of a tensor lie in a part; offset and strides count elements."""

    part: _Part
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class _Ordered(Dict[Any, Any], StandIn):
    """Stands for `OrderedDict`; the versions of modules that a state dict carries are not kept."""

    __slots__ = ()

    def set(self, state: Any) -> None:
        pass


def _ordered(budget: Budget, pairs: Any = ()) -> _Ordered:
    """Make a dictionary, from the list of pairs that Python 2 wrote."""
    made = _Ordered()
    budget.spend(len(pairs), "it repeats a list, which no array needs")
    for key, value in pairs:
        made[plain_key(key)] = value
    return made


class _Parameter(StandIn):
    """Stands for `torch.nn.Parameter`, as it was before it had a function that rebuilds it."""

    def __init__(self, data: Any = None, *rest: Any) -> None:
        self.data = data

    def set(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            self.data = state[0]


def _are_counts(*values: Any) -> bool:
    return all(isinstance(value, int) and 0 <= value < 2**63 for value in values)


def _tensor(part: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    """Stand for `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`; `rest` is of gradients."""
    if not (isinstance(part, _Part) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise RefusedError("it describes a tensor in a way that PyTorch does not")
    if len(shape) > _MOST_DIMENSIONS or len(shape) != len(strides):
        raise RefusedError("it describes a tensor of impossible dimensions")
    if not _are_counts(offset, *shape, *strides):
        raise RefusedError("it describes a tensor by something else than whole numbers")
    if len(rest) > 2 and rest[2]:
        raise RefusedError("it holds a tensor with a conjugation or sign still to be worked out")
    return _Tensor(part, offset, shape, strides)


def _parameter(data: Any, *rest: Any) -> _Tensor:
    """Stand for `torch._utils._rebuild_parameter`; `rest` is of gradients."""
    if not isinstance(data, _Tensor):
        raise RefusedError("it makes a parameter of something that is no tensor")
    return data


def _known(size: int) -> Dict[Tuple[str, str], Any]:
    """What stands for the names that state dicts need, in a file of `size` bytes."""
    known: Dict[Tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor"): Global(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Global(_tensor),
        ("torch._utils", "_rebuild_parameter"): Global(_parameter),
        ("torch.nn.parameter", "Parameter"): Global(_Parameter),
        ("torch", "Size"): Global(same_tuple),
        ("torch.storage", "UntypedStorage"): _Kind("Untyped", "u1"),
        ("collections", "OrderedDict"): Global(partial(_ordered, Budget(size))),
    }
    known.update({("torch", f"{kind.name}Storage"): kind for kind in _KINDS})
    return known


class _Storages:
    """The storages that a description refers to, by key."""

    def __init__(self) -> None:
        self.by_key: Dict[str, _Storage] = {}

    def refer(self, reference: Any) -> _Part:
        """Return what a reference ("storage", kind, key, device, count[, view]) stands for."""
        if not isinstance(reference, tuple) or len(reference) not in (5, 6):
            raise RefusedError("it refers to data that is no tensor's storage")
        word, kind, key, _, count = reference[:5]
        if not (isinstance(kind, _Kind) and isinstance(key, str) and _are_counts(count)):
            raise RefusedError(f"it refers to a {reprlib.repr(word)}, not to a storage{_ADVICE}")
        storage = _Storage(kind, key, count)
        if self.by_key.setdefault(key, storage) != storage:
            raise RefusedError(f"{storage.words()} is described in two ways")
        view = reference[5] if len(reference) == 6 else None
        return _Part(storage, 0, count) if view is None else _view(storage, view)


def _view(storage: _Storage, view: Any) -> _Part:
    """Return the piece that a view (key, start, count) means."""
    _, start, count = view
    if not _are_counts(start, count) or start + count > storage.count:
        raise RefusedError(f"{storage.words()} has a view that reaches beyond it")
    return _Part(storage, start, count)


# From the description to arrays.


class _Elements:
    """The numbers of storages, each read when the first tensor needs it.

    Args:
        fetch: returns the bytes of a storage.
        order: the byte order of the file, "<" or ">".
        size: of the file, in bytes.
    """

    def __init__(self, fetch: Callable[[_Storage], bytes], order: str, size: int) -> None:
        self._fetch, self._order = fetch, order
        self._read: Dict[str, np.ndarray] = {}
        self._copies = Budget(size + _ALLOWANCE)

    def array(self, tensor: _Tensor) -> np.ndarray:
        """Return a tensor in C order: a view if it lies like that in the file, otherwise a copy."""
        elements = self._part(tensor.part)
        if 0 in tensor.shape:
            return np.zeros(tensor.shape, elements.dtype)
        steps = [step if n > 1 else 0 for n, step in zip(tensor.shape, tensor.strides)]
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, steps))
        if last >= len(elements):
            raise RefusedError("it reaches beyond its storage")
        width = elements.itemsize
        if not _is_dense(tensor.shape, steps):
            more = "it repeats its elements to more than the file can justify"
            self._copies.spend(math.prod(tensor.shape) * tensor.part.storage.kind.width, more)
        strides = [step * width for step in steps]
        lying = np.ndarray(tensor.shape, elements.dtype, elements, tensor.offset * width, strides)
        return np.asarray(lying, order="C")

    def _part(self, part: _Part) -> np.ndarray:
        storage = part.storage
        if storage.key not in self._read:
            data = self._fetch(storage)
            self._read[storage.key] = storage.kind.elements(data, self._order)
        return self._read[storage.key][part.start : part.start + part.count]


def _is_dense(shape: Tuple[int, ...], steps: List[int]) -> bool:
    """Say whether the elements follow one another in C order."""
    expected = 1
    for n, step in zip(reversed(shape), reversed(steps)):
        if n > 1 and step != expected:
            return False
        expected *= n
    return True


def _arrays(content: Any, elements: _Elements) -> Dict[str, np.ndarray]:
    """Return the weights in what a checkpoint holds."""
    arrays = {}
    for name, entry in _state_dict(content).items():
        value = entry.data if isinstance(entry, _Parameter) else entry
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise RefusedError(
                f"its entry {reprlib.repr(name)} is not a tensor, so it is not a file of weights "
                f"(they are looked for at its top, and under {', '.join(_WRAPPERS)})"
            )
        try:
            arrays[name] = elements.array(value)
        except RefusedError as error:
            raise RefusedError(f"in its entry {reprlib.repr(name)}, {error}") from None
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


# The zip format.


class _File(io.BufferedReader):
    """A file that refuses to be read in larger pieces than `most`, if that is set."""

    most: Optional[int] = None

    def read(self, size: Optional[int] = -1) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise RefusedError("its list of entries is longer than any checkpoint needs")
        return super().read(size)


def _read_zip(file: _File, size: int) -> Dict[str, np.ndarray]:
    archive = _opened(file, size)
    entries, top = _entries(archive, size)
    storages = _Storages()

    def fetch(storage: _Storage) -> bytes:
        entry = entries.get(f"{top}/data/{storage.key}")
        if entry is None or entry.file_size < storage.size:
            there = "is missing" if entry is None else f"has {entry.file_size} bytes"
            raise RefusedError(f"{storage.words()} should have {storage.size} bytes, but {there}")
        return archive.read(entry)[: storage.size]

    description = archive.read(entries[f"{top}/data.pkl"])
    known = _known(len(description))
    stream = io.BytesIO(description)
    content = Reader(stream, len(description), known, storages.refer, _ADVICE).load()
    return _arrays(content, _Elements(fetch, _byte_order(archive, entries, top), size))


def _opened(file: _File, size: int) -> zipfile.ZipFile:
    """Open the archive, unless its list of entries is missing or alone would fill the memory."""
    file.seek(max(0, size - (1 << 16) - 22))
    if b"PK\x05\x06" not in file.read():
        raise EOFError
    file.most = _LARGEST_DIRECTORY
    archive = zipfile.ZipFile(file)
    file.most = None
    return archive


def _entries(archive: zipfile.ZipFile, size: int) -> Tuple[Dict[str, zipfile.ZipInfo], str]:
    """Return the archive's entries by name, and the folder that all of them are in."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    tops = {name.partition("/")[0] for name in entries}
    top = next((name for name in sorted(tops) if f"{name}/data.pkl" in entries), None)
    if top is None:
        raise RefusedError("it is a zip archive, but holds no data.pkl as those of PyTorch do")
    if f"{top}/constants.pkl" in entries or any(
        name.startswith(f"{top}/code/") for name in entries
    ):
        advice = f"{_SAVE_WEIGHTS}torch.save(torch.jit.load(FILE).state_dict(), ...)"
        raise RefusedError(f"it is a TorchScript program, which only PyTorch can read{advice}")
    if len(entries) != len(archive.infolist()):
        raise RefusedError("two of its entries have the same name")
    if len(tops) > 1 or top in ("", ".", "..") or any("/../" in f"{name}/" for name in entries):
        raise RefusedError("its entries are not in one folder")
    kinds = {entry.compress_type for entry in entries.values()}
    if not kinds <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise RefusedError("its entries are compressed in a way that PyTorch never uses")
    if sum(entry.file_size for entry in entries.values()) > size + _ALLOWANCE:
        raise RefusedError("its entries unpack to far more than the file's size")
    return entries, top


def _byte_order(archive: zipfile.ZipFile, entries: Dict[str, zipfile.ZipInfo], top: str) -> str:
    """Return "<" or ">"; files from before PyTorch 2.1 do not say, and are little-endian."""
    entry = entries.get(f"{top}/byteorder")
    said = "little" if entry is None else archive.read(entry)[:20].decode("ascii", "replace")
    if said not in ("little", "big"):
        raise RefusedError(f"its byte order is {said!r}, where only little and big are known")
    return "<" if said == "little" else ">"


# The older formats.


class _Stream:
    """Pickles, whole numbers and data that follow one another in a file, up to `end`."""

    def __init__(
        self, file: BinaryIO, end: int, known: Mapping[Tuple[str, str], Any], outside: Any
    ) -> None:
        self._file, self._end, self._known, self._outside = file, end, known, outside
        self._instructions = Budget(MOST_INSTRUCTIONS)

    def load(self) -> Any:
        """Return the content of the next pickle; all together have no more than one may have."""
        more = _ADVICE, self._instructions
        return Reader(self._file, self._end, self._known, self._outside, *more).load()

    def numbers(self, count: int = 1) -> Tuple[int, ...]:
        """Return the next numbers of 64 bits."""
        return struct.unpack(f"<{count}q", Bounded(self._file, self._end).read(8 * count))

    def skip(self, size: int) -> int:
        """Go past `size` bytes of data and return where they start."""
        place = self._file.tell()
        if place + size > self._end:
            raise EOFError
        self._file.seek(place + size)
        return place


def _fetch_from(file: BinaryIO, places: Mapping[str, int]) -> Callable[[_Storage], bytes]:
    """Return a function that reads storages from where they start."""

    def fetch(storage: _Storage) -> bytes:
        if storage.key not in places:
            raise RefusedError(f"{storage.words()} is missing")
        file.seek(places[storage.key])
        return file.read(storage.size)

    return fetch


def _read_legacy(file: BinaryIO, size: int) -> Dict[str, np.ndarray]:
    storages = _Storages()
    stream = _Stream(file, size, _known(size), storages.refer)
    magic, protocol = stream.load(), stream.load()
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise RefusedError(f"its protocol is {reprlib.repr(protocol)}, not {_PROTOCOL}")
    stream.load()  # about the machine that wrote it; storages are little-endian on every one
    content, keys = stream.load(), stream.load()
    fetch = _fetch_from(file, _places(stream, keys, storages))
    return _arrays(content, _Elements(fetch, "<", size))


def _places(stream: _Stream, keys: Any, storages: _Storages) -> Dict[str, int]:
    """Return where each storage starts: behind its number of elements, in the order of `keys`."""
    places: Dict[str, int] = {}
    for key in keys:
        storage = storages.by_key.get(plain_key(key))
        if storage is None or key in places:
            raise RefusedError(f"it lists a storage {reprlib.repr(key)} that no tensor has")
        (count,) = stream.numbers()
        if count != storage.count:
            raise RefusedError(f"{storage.words()} has {count} elements, not {storage.count}")
        places[key] = stream.skip(storage.size)
    return places


# The oldest format.


def _read_tar(file: BinaryIO, size: int) -> Dict[str, np.ndarray]:
    members, known = _members(file, size), _known(size)
    known.update({("torch", f"{kind.name}Tensor"): kind for kind in _KINDS})

    def section(name: str, outside: Callable[[Any], Any]) -> _Stream:
        start, end = members[name]
        file.seek(start)
        return _Stream(file, end, known, outside)

    def refer(reference: Any) -> _Tensor:
        if not isinstance(reference, str):
            raise RefusedError(f"it holds more than tensors{_ADVICE}")
        return tensors[int(reference)]

    parts, places = _tar_storages(section("storages", refer))
    tensors = _tar_tensors(section("tensors", refer), parts)
    content = section("pickle", refer).load()
    return _arrays(content, _Elements(_fetch_from(file, places), "<", size))


def _members(file: BinaryIO, size: int) -> Dict[str, Tuple[int, int]]:
    """Return where the files in a tar archive start and end, by name."""
    members: Dict[str, Tuple[int, int]] = {}
    place, block = 0, 512
    while place + block <= size and len(members) < 10:
        file.seek(place)
        header = file.read(block)
        if not header.strip(b"\0"):
            break
        start, length = place + block, int(header[124:136].strip(b" \0"), 8)
        if not 0 <= length <= size - start:
            raise EOFError
        if header[156:157] in (b"0", b"\0"):
            members[header[:100].rstrip(b"\0").decode("ascii", "replace")] = start, start + length
        place = start + -(-length // block) * block
    if not {"storages", "tensors", "pickle"} <= members.keys():
        raise RefusedError("it is a tar archive, but not one of the three parts that PyTorch wrote")
    return members


def _tar_storages(stream: _Stream) -> Tuple[Dict[int, _Part], Dict[str, int]]:
    """Return the storages by number, and where they start by key."""
    parts, places = {}, {}
    for _ in range(_few(stream.load())):
        number, _, kind = stream.load()
        (count,) = stream.numbers()
        if not isinstance(kind, _Kind) or not _are_counts(number, count):
            raise RefusedError("it describes a storage in a way that PyTorch does not")
        storage = _Storage(kind, str(number), count)
        parts[number] = _Part(storage, 0, count)
        places[storage.key] = stream.skip(storage.size)
    for number, root, start, count in stream.load():
        view = (None, start, count)
        parts[plain_key(number)] = _view(parts[plain_key(root)].storage, view)
    return parts, places


def _tar_tensors(stream: _Stream, parts: Mapping[int, _Part]) -> Dict[int, _Tensor]:
    """Return the tensors by number."""
    tensors = {}
    for _ in range(_few(stream.load())):
        number, storage, _ = stream.load()
        (dimensions,) = stream.numbers()
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise RefusedError("it describes a tensor of impossible dimensions")
        shape, strides = stream.numbers(dimensions), stream.numbers(dimensions)
        (offset,) = stream.numbers()
        tensors[plain_key(number)] = _tensor(parts[plain_key(storage)], offset, shape, strides)
    return tensors


def _few(count: Any) -> int:
    if not _are_counts(count) or count > _MOST_TENSORS:
        raise RefusedError("it counts more tensors than any network has")
    return int(count)
