"""oneDNN's C API, as far as it is used here, by ctypes.

The library is the one that Paddle's wheels carry. Numbers are those of its headers, `dnnl_types.h`
of oneDNN 3. Objects of oneDNN that were made here are destroyed with the Python object that stands
for them.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
)

from paddle import Tensor

SRC, SRC_1, DST, WEIGHTS, BIAS, MEAN, VARIANCE, SCALE, SHIFT = 1, 2, 17, 33, 41, 49, 50, 51, 52
WORKSPACE = 64
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_BIAS = 129, 145, 161, 169
DIFF_SCALE, DIFF_SHIFT = 255, 256
"""The arguments of primitives."""

FORWARD_TRAINING = 64
"""The kind of propagation that gradients can follow."""

ANY = 1
"""The format tag that leaves the layout to the primitive."""

DTYPES = {"float32": 3, "bfloat16": 2}
"""oneDNN's numbers of the types of values."""

_CPU, _IN_ORDER = 1, 1
_ISA_BFLOAT16 = 0x80
_SRC_MD, _DIFF_SRC_MD, _WEIGHTS_MD, _DIFF_WEIGHTS_MD, _DST_MD, _DIFF_DST_MD, _WORKSPACE_MD = range(
    129, 136
)
_QUERIES = {
    SRC: _SRC_MD,
    DIFF_SRC: _DIFF_SRC_MD,
    WEIGHTS: _WEIGHTS_MD,
    DIFF_WEIGHTS: _DIFF_WEIGHTS_MD,
    DST: _DST_MD,
    DIFF_DST: _DIFF_DST_MD,
    WORKSPACE: _WORKSPACE_MD,
}
_OPERATORS = ("convolution", "batch_normalization", "pooling", "eltwise")
_NEEDED = (
    *("engine_create", "stream_create", "stream_wait", "primitive_create", "primitive_execute"),
    *("primitive_destroy", "primitive_desc_destroy", "primitive_desc_query_md"),
    *("memory_create", "memory_destroy", "memory_set_data_handle", "reorder_primitive_desc_create"),
    *("memory_desc_create_with_tag", "memory_desc_destroy", "memory_desc_equal"),
    *(
        "memory_desc_get_size",
        "memory_desc_clone",
        "memory_desc_create_submemory",
        "memory_desc_create_with_strides",
    ),
    *("primitive_attr_create", "primitive_attr_destroy", "primitive_attr_set_post_ops"),
    *("post_ops_create", "post_ops_destroy", "post_ops_append_eltwise"),
    *(f"{operator}_forward_primitive_desc_create" for operator in _OPERATORS),
    *("binary_primitive_desc_create", "get_effective_cpu_isa"),
    *("convolution_backward_data_primitive_desc_create", "pooling_backward_primitive_desc_create"),
    *("convolution_backward_weights_primitive_desc_create", "version"),
    *(
        "batch_normalization_backward_primitive_desc_create",
        "eltwise_backward_primitive_desc_create",
    ),
)


class Unavailable(Exception):
    """oneDNN is not there, or cannot do what is asked for; the text says why."""


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


class _Argument(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int), ("memory", ctypes.c_void_p))


def library_path() -> Path:
    """Return where Paddle's wheels have the library, whether it is there or not."""
    spec = importlib.util.find_spec("paddle")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "libs" / "libdnnl.so.3"


class Library:
    """The loaded library, with one engine and one stream.

    Raises:
        Unavailable: there is no such file, or it lacks a function.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(path))
            for name in _NEEDED:
                getattr(self._library, f"dnnl_{name}")
        except (OSError, AttributeError) as error:
            raise Unavailable(str(error)) from None
        # PyDLL keeps Python's lock: threads that read images would take it for a moment each time.
        self._point = ctypes.PyDLL(str(path)).dnnl_memory_set_data_handle
        self._library.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self._library.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self.engine = self.make("engine_create", _CPU, ctypes.c_size_t(0))
        self.stream = self.make("stream_create", self.engine, _IN_ORDER)

    @property
    def version(self) -> str:
        """Three numbers, such as "3.6.2"."""
        self._library.dnnl_version.restype = ctypes.POINTER(_Version)
        found = self._library.dnnl_version().contents
        return f"{found.major}.{found.minor}.{found.patch}"

    def ask(self, name: str, *arguments: Any) -> int:
        """Call a function that returns a number."""
        return int(getattr(self._library, f"dnnl_{name}")(*arguments) or 0)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status.

        Raises:
            Unavailable: it is not success.
        """
        status = getattr(self._library, f"dnnl_{name}")(*arguments)
        if status:
            raise Unavailable(f"dnnl_{name} returned status {status}")

    def point(self, memory: Handle, address: int) -> None:
        """Let an object of memory stand for the values that lie there."""
        status = self._point(memory, ctypes.c_void_p(address))
        if status:
            raise Unavailable(f"dnnl_memory_set_data_handle returned status {status}")

    def make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function that writes a new object into its first argument; return that."""
        made = ctypes.c_void_p()
        self.call(name, ctypes.byref(made), *arguments)
        return made

    @property
    def has_bfloat16(self) -> bool:
        """Whether the processor multiplies bfloat16 (AVX512_BF16 or AMX), as far as the
        environment variable ONEDNN_MAX_CPU_ISA allows it.
        """
        return bool(self.ask("get_effective_cpu_isa") & _ISA_BFLOAT16)


@lru_cache(maxsize=1)
def library() -> Library:
    """Return the library of the installed Paddle, loaded once.

    Raises:
        Unavailable: it is not there.
    """
    return Library(library_path())


class Handle:
    """An object of oneDNN, destroyed with this one; ctypes takes it as an argument."""

    def __init__(self, kind: str, made: ctypes.c_void_p) -> None:
        self._as_parameter_, self._destroy = (
            made,
            getattr(library()._library, f"dnnl_{kind}_destroy"),
        )

    def __del__(self) -> None:
        if hasattr(self, "_destroy"):
            self._destroy(self._as_parameter_)


class Descriptor(Handle):
    """How the values of an array lie in memory."""

    def __init__(self, made: ctypes.c_void_p) -> None:
        super().__init__("memory_desc", made)
        self.bytes = library().ask("memory_desc_get_size", self)

    @classmethod
    def of(cls, shape: Sequence[int], tag: int, dtype: str = "float32") -> Descriptor:
        """Return that of values with a format tag."""
        arguments = len(shape), int64s(shape), DTYPES[dtype], tag
        return cls(library().make("memory_desc_create_with_tag", *arguments))

    @classmethod
    def dense(cls, shape: Sequence[int]) -> Descriptor:
        """Return that of float32 values in the order of their dimensions, as Paddle has them."""
        strides = [1]
        for size in reversed(shape[1:]):
            strides.insert(0, strides[0] * size)
        dims = int64s(shape), DTYPES["float32"], int64s(strides)
        return cls(library().make("memory_desc_create_with_strides", len(shape), *dims))

    def part(self, shape: Sequence[int], begin: Sequence[int]) -> Descriptor:
        """Return that of a part of the array, which begins at these indices."""
        arguments = self, int64s(shape), int64s(begin)
        return Descriptor(library().make("memory_desc_create_submemory", *arguments))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descriptor) and bool(
            library().ask("memory_desc_equal", self, other)
        )

    __hash__ = None  # type: ignore[assignment]


def int64s(values: Sequence[int]) -> Any:
    """Return the array of twelve numbers that oneDNN takes for shapes, strides and the like."""
    return (ctypes.c_int64 * 12)(*values)


class PrimitiveDescriptor(Handle):
    """An operator for certain layouts.

    Raises:
        Unavailable: oneDNN has none for these arguments.
    """

    def __init__(self, name: str, *arguments: Any) -> None:
        made = library().make(f"{name}_primitive_desc_create", *arguments)
        super().__init__("primitive_desc", made)
        self.name = name

    def layout(self, argument: int) -> Descriptor:
        """Return how an argument has to lie in memory."""
        found = library().ask("primitive_desc_query_md", self, _QUERIES[argument], 0)
        copy = library().make("memory_desc_clone", ctypes.c_void_p(found))
        return Descriptor(copy)


class Primitive:
    """An operator that is ready to run on tensors.

    Args:
        descriptor: what it does.
        arguments: {argument: its layout}.
    """

    def __init__(self, descriptor: PrimitiveDescriptor, arguments: Dict[int, Descriptor]) -> None:
        self._name = descriptor.name
        self._primitive = Handle("primitive", library().make("primitive_create", descriptor))
        self._memories = {number: _memory(layout) for number, layout in arguments.items()}
        self._addresses: Dict[int, int] = {}
        pairs = [_Argument(key, item._as_parameter_) for key, item in self._memories.items()]
        self._arguments = (_Argument * len(pairs))(*pairs)

    def __call__(self, tensors: Mapping[int, Optional[Tensor]]) -> None:
        """Run it: read and write the memory of contiguous tensors, one for each argument."""
        for number, memory in self._memories.items():
            tensor = tensors[number]
            assert tensor is not None
            address = tensor.data_ptr()
            # Weights stay where they are, and so does most of what steps allocate anew.
            if self._addresses.get(number) != address:
                library().point(memory, address)
                self._addresses[number] = address
        given = (self._primitive, library().stream, len(self._arguments), self._arguments)
        if _observers:
            with _observers[-1](self._name):
                library().call("primitive_execute", *given)
        else:
            library().call("primitive_execute", *given)


_observers: List[Callable[[str], ContextManager[Any]]] = []


@contextlib.contextmanager
def observed(observer: Callable[[str], ContextManager[Any]]) -> Iterator[None]:
    """Run each primitive within the context that `observer` returns for its name, for profilers."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _memory(layout: Descriptor) -> Handle:
    made = library().make("memory_create", layout, library().engine, None)
    return Handle("memory", made)
