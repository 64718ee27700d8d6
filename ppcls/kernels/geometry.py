"""What a convolution is: shapes, strides, padding."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ppcls.kernels.layout import Shape


class Geometry(NamedTuple):
    """All that decides which operators a convolution takes.

    Attributes:
        source: the shape of the map that comes in.
        weight: output channels, input channels of a group, height and width of the kernel.
        stride: vertical, horizontal.
        padding: top, bottom, left, right.
        dilation: vertical, horizontal; 1 is a dense kernel.
        groups: into which channels are divided.
        bias: whether there is one.
        act: a key of `ppcls.kernels.activation.ACTIVATIONS`, or None.
        dtype: of the maps, and of the arithmetic; weight, bias and their gradients are float32.
        order: how both maps lie, a key of `ppcls.kernels.layout.TAGS`; None leaves it to oneDNN.
    """

    source: Shape
    weight: Shape
    stride: Tuple[int, int]
    padding: Tuple[int, int, int, int]
    dilation: Tuple[int, int]
    groups: int
    bias: bool
    act: Optional[str]
    dtype: str = "float32"
    order: Optional[str] = None

    @property
    def result(self) -> Shape:
        """The shape of the map that comes out."""
        height, width = (
            (
                self.source[2 + i]
                + sum(self.padding[2 * i : 2 * i + 2])
                - self.dilation[i] * (self.weight[2 + i] - 1)
                - 1
            )
            // self.stride[i]
            + 1
            for i in (0, 1)
        )
        return self.source[0], self.weight[0], height, width

    @property
    def grouped_weight(self) -> Tuple[int, ...]:
        """The weight's shape as oneDNN has it, the groups first where there are several."""
        if self.groups == 1:
            return self.weight
        return (self.groups, self.weight[0] // self.groups, *self.weight[1:])
