"""Layouts of feature maps, and the way from one to another."""

from __future__ import annotations

import ctypes
import math
import threading
from collections import OrderedDict
from typing import (
    Any,
    Callable,
    Dict,
    Hashable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np
import paddle
from paddle import Tensor, _C_ops

from ppcls.kernels.onednn import (
    DST,
    SRC,
    Descriptor,
    Primitive,
    PrimitiveDescriptor,
    Unavailable,
    library,
)

Shape = Tuple[int, int, int, int]
"""Images, channels, height, width."""

PLAIN = "NCHW"
"""Paddle's own layout."""

TAGS = {
    # layout: oneDNN's format tag
    PLAIN: 5,
    "NCHW16c": 78,
    "NCHW8c": 102,
    "NCHW4c": 84,
    "NHWC": 22,
}

BLOCKS = {PLAIN: 1, "NCHW16c": 16, "NCHW8c": 8, "NCHW4c": 4, "NHWC": 1}
"""How many channels lie together before the next column."""

_CPU = paddle.CPUPlace()

_BYTES = {"float32": 4, "bfloat16": 2}

_MOST = 4096
"""How many primitives a thread keeps: more than those of any network, for batches of training and
evaluation and the last, smaller ones of each. DenseNet121 has 410 for each of them.
"""

_kept = threading.local()


def cached(key: Hashable, make: Callable[[], Any]) -> Any:
    """Return what this thread made for this key before, or make it.

    oneDNN's primitives run in the thread that made them. The one that was not used for the longest
    time is given up for a new one.
    """
    entries: OrderedDict[Hashable, Any] = _kept.__dict__.setdefault("entries", OrderedDict())
    if key in entries:
        entries.move_to_end(key)
        return entries[key]
    entries[key] = make()
    while len(entries) > _MOST:
        entries.popitem(last=False)
    return entries[key]


def empty(shape: Sequence[int], dtype: str) -> Tensor:
    """Return a new tensor on the CPU. This is `paddle.empty` without the checks around it, which
    take longer than the operator, hundreds of times a step.
    """
    return _C_ops.empty(list(shape), getattr(paddle, dtype), _CPU)


class Layout(NamedTuple):
    """Where the values of a map lie.

    Attributes:
        shape: images, channels, height, width.
        order: a key of `TAGS`. A tensor in blocks of c channels has the shape
            [n, channels / c, h, w * c], and zeros for channels beyond the last one.
        dtype: a key of `ppcls.kernels.onednn.DTYPES`.
    """

    shape: Shape
    order: str = PLAIN
    dtype: str = "float32"

    @property
    def tensor_shape(self) -> List[int]:
        """The shape of the tensor that holds the values; its first dimension is that of images."""
        n, channels, height, width = self.shape
        if self.order == "NHWC":
            return [n, height, width, channels]
        block = BLOCKS[self.order]
        return [n, -(-channels // block), height, width * block]

    def descriptor(self) -> Descriptor:
        """Return it in oneDNN's terms."""
        return cached(self, lambda: Descriptor.of(self.shape, TAGS[self.order], self.dtype))

    def in_whole_blocks(self) -> Layout:
        """Return the layout of the map that has what fills the last block for channels."""
        n, channels, height, width = self.shape
        block = BLOCKS[self.order]
        return self._replace(shape=(n, -(-channels // block) * block, height, width))

    def empty(self) -> Tensor:
        """Return a tensor that is to hold a map."""
        return empty(self.tensor_shape, self.dtype)


def layout_of(shape: Shape, dtype: str, descriptor: Descriptor) -> Layout:
    """Return the layout of values of this type that oneDNN describes.

    Raises:
        Unavailable: it is none of those known here.
    """
    for order in TAGS:
        if Layout(shape, order, dtype).descriptor() == descriptor:
            return Layout(shape, order, dtype)
    raise Unavailable(f"the layout of a map {list(shape)} is unknown")


def _scratch(role: str, size: int) -> Tensor:
    """Return memory of at least so many bytes for what is needed only until the thread asks for
    the same role again.
    """
    # Asking a tensor for its size takes longer than many an operator.
    buffers: Dict[str, Tuple[int, Tensor]] = _kept.__dict__.setdefault("buffers", {})
    if role not in buffers or buffers[role][0] < size:
        buffers[role] = size, empty([size], "uint8")
    return buffers[role][1]


def scratch_map(role: str, layout: Layout) -> Tuple[Tensor, np.ndarray]:
    """Return such memory for a map, as a tensor of bytes and as an array of the map's tensor shape,
    whose values are integers of the size of the map's.
    """
    size = layout.descriptor().bytes
    tensor = _scratch(role, size)
    values = _content(tensor, size).view(f"u{_BYTES[layout.dtype]}")
    return tensor, values.reshape(layout.tensor_shape)


def _content(tensor: Tensor, size: int) -> np.ndarray:
    """Return the first bytes of a tensor's memory, which lives no longer than the tensor."""
    content = (ctypes.c_uint8 * size).from_address(tensor.data_ptr())
    return np.ctypeslib.as_array(content)


def values_of(tensor: Tensor) -> np.ndarray:
    """Return the values of a contiguous float32 tensor on the CPU, without a copy: what is written
    here is the tensor's. Small tensors take a tenth of the time that Paddle's operators need. It
    lives no longer than the tensor.
    """
    shape = tensor.shape
    return _content(tensor, 4 * math.prod(shape)).view("f4").reshape(shape)


class Reorder:
    """Brings values from one layout into another; where both are the same, it does nothing.

    Args:
        source: where they lie.
        target: where they are to lie.
        role: of what the values are in a computation; two that are needed at the same time need
            two roles.
    """

    def __init__(self, source: Descriptor, target: Descriptor, role: str = "") -> None:
        self._sizes, self._role = (source.bytes, target.bytes), role
        self._primitive: Optional[Primitive] = None
        if source != target:
            engine = library().engine
            made = PrimitiveDescriptor("reorder", source, engine, target, engine, None)
            self._primitive = Primitive(made, {SRC: source, DST: target})

    def __call__(self, tensor: Tensor, out: Optional[Tensor] = None) -> Tensor:
        """Return the values of a contiguous tensor in the other layout, in `out` if given, else
        until this is called again for the same role.
        """
        if self._primitive is None:
            return tensor
        out = _scratch(self._role, self._sizes[1]) if out is None else out
        self._primitive({SRC: tensor, DST: out})
        return out

    def buffer(self, out: Tensor) -> Tensor:
        """Return where to write what is to be brought into `out`: there, if that is all."""
        return out if self._primitive is None else _scratch("own", self._sizes[0])


def reordered(tensor: Tensor, source: Layout, target: Layout) -> Tensor:
    """Return the values of a map in another layout, without a gradient."""
    make = lambda: Reorder(source.descriptor(), target.descriptor())  # noqa: E731
    found: Tensor = cached((source, target), make)(tensor, target.empty())
    # Maps of one pixel lie the same in several layouts, in tensors of other shapes.
    return found.reshape(target.tensor_shape) if found is tensor else found
