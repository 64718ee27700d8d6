"""Large depthwise kernels as several small ones, whose gradients oneDNN computes much faster.

Its fast operator for the gradient of a depthwise weight takes kernels of at most three columns,
with one column of padding on either side at most, and no more rows than the map has. For others it
multiplies matrices, which takes tens of times as long. The values of a kernel do not depend on
each other: every three rows or columns are the kernel of a convolution of a map that begins
elsewhere.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from paddle import Tensor

from ppcls.kernels.geometry import Geometry
from ppcls.kernels.layout import BLOCKS, Layout, cached, scratch_map
from ppcls.kernels.onednn import DST, SRC, Primitive, PrimitiveDescriptor, library

_MOST = 3


class Span(NamedTuple):
    """Some rows or columns of a kernel, and those of the map that they read.

    Attributes:
        kernel: how many rows or columns of the kernel.
        begin: where reading begins; what is before the map is zero.
        end: one after the last that is read; what is beyond the map is zero.
        padding: zeros that the operator itself puts before and after these.
    """

    kernel: int
    begin: int
    end: int
    padding: Tuple[int, int]


class Piece(NamedTuple):
    """A part of a kernel.

    Attributes:
        geometry: the convolution of which it is the whole kernel.
        rows: where it reads the map.
        columns: the same.
    """

    geometry: Geometry
    rows: Span
    columns: Span


def is_large(geometry: Geometry) -> bool:
    """Whether it is a depthwise convolution with a kernel that the fast operator does not take."""
    depthwise = geometry.groups == geometry.weight[0] == geometry.source[1] > 1
    large = geometry.weight[3] > _MOST or geometry.weight[2] > geometry.source[2]
    return depthwise and large and geometry.dilation == (1, 1)


def spans(geometry: Geometry, axis: int) -> List[Span]:
    """Return how the kernel is divided in height (0) or width (1), in order."""
    size, kernel = geometry.source[2 + axis], geometry.weight[2 + axis]
    padding = geometry.padding[2 * axis], geometry.padding[2 * axis + 1]
    if axis == 0 and kernel <= size:
        return [Span(kernel, 0, size, padding)]
    found = []
    for first in range(0, kernel, _MOST):
        count, begin = min(_MOST, kernel - first), first - padding[0]
        end = begin + geometry.stride[axis] * (geometry.result[2 + axis] - 1) + count
        sides = -begin, end - size
        whole = all(side in (0, 1) for side in sides)
        found.append(Span(count, 0, size, sides) if whole else Span(count, begin, end, (0, 0)))
    return found


def pieces(geometry: Geometry) -> List[List[Piece]]:
    """Return the parts of a kernel, row by row; the first one has the bias, if any."""
    found = [
        [_piece(geometry, rows, columns) for columns in spans(geometry, 1)]
        for rows in spans(geometry, 0)
    ]
    first = found[0][0]
    found[0][0] = first._replace(geometry=first.geometry._replace(bias=geometry.bias))
    return found


def _piece(geometry: Geometry, rows: Span, columns: Span) -> Piece:
    n, channels = geometry.source[:2]
    part = geometry._replace(
        source=(n, channels, rows.end - rows.begin, columns.end - columns.begin),
        weight=(*geometry.weight[:2], rows.kernel, columns.kernel),
        padding=(*rows.padding, *columns.padding),
        bias=False,
        act=None,
    )
    return Piece(part, rows, columns)


class _Cut:
    """Copies a part of a map, and puts zeros around what lies beyond it."""

    def __init__(self, layout: Layout, piece: Piece) -> None:
        n, channels, *sizes = layout.shape
        self._target = layout._replace(shape=piece.geometry.source)
        kept = [
            (max(span.begin, 0), min(span.end, size))
            for span, size in zip((piece.rows, piece.columns), sizes)
        ]
        shape = [n, channels, *(end - begin for begin, end in kept)]
        at = [begin for begin, _ in kept]
        to = [begin - span.begin for begin, span in zip(at, (piece.rows, piece.columns))]
        source, target = layout.descriptor(), self._target.descriptor()
        engine = library().engine
        self._run: Optional[Primitive] = None
        self._zeros: List[Tuple[slice, ...]] = [()]
        if min(shape) > 0:
            inner = source.part(shape, [0, 0, *at]), target.part(shape, [0, 0, *to])
            made = PrimitiveDescriptor("reorder", inner[0], engine, inner[1], engine, None)
            self._run = Primitive(made, dict(zip((SRC, DST), inner)))
            if channels % BLOCKS[layout.order] == 0:  # else there are channels beyond the last one
                self._zeros = _around(self._target, to, shape[2:])

    def __call__(self, x: Tensor) -> Tensor:
        found, values = scratch_map("piece", self._target)
        for place in self._zeros:
            values[place] = 0
        if self._run is not None:
            self._run({SRC: x, DST: found})
        return found


def _around(layout: Layout, begin: Sequence[int], size: Sequence[int]) -> List[Tuple[slice, ...]]:
    """Return what lies around a part of a map, in slices of the tensor that holds it.

    Args:
        layout: of the map.
        begin: row and column where the part begins.
        size: height and width of the part.
    """
    first_axis = 1 if layout.order == "NHWC" else 2
    found = []
    for axis, unit in ((0, 1), (1, BLOCKS[layout.order])):
        before = slice(0, begin[axis] * unit)
        after = slice((begin[axis] + size[axis]) * unit, layout.shape[2 + axis] * unit)
        whole = (slice(None),) * (first_axis + axis)
        found += [(*whole, side) for side in (before, after) if side.start < side.stop]
    return found


def cut(x: Tensor, layout: Layout, piece: Piece) -> Tensor:
    """Return what a part reads of a map, with the zeros around it, in memory that is overwritten
    when this thread asks for another part.
    """
    spans_read = [(span.begin, span.end) for span in (piece.rows, piece.columns)]
    if spans_read == [(0, size) for size in layout.shape[2:]]:
        return x
    made: Any = cached(("cut", layout, *spans_read), lambda: _Cut(layout, piece))
    return made(x)
