"""The shape that all classification networks share: named stages in order, then a head."""

from __future__ import annotations

from typing import Annotated, Tuple

from paddle import Tensor, nn
from pydantic import Field

Count = Annotated[int, Field(ge=1)]
"""A number of classes, channels or layers."""

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability of dropping something."""


class Network(nn.Layer):
    """A classifier: images -> stages, one after the other -> head -> logits.

    A subclass lists in `stages` the names of its sub-layers in the order they run, and has a
    sub-layer `head` that turns the last stage's output into logits. What comes out of a stage is a
    feature map that a detector or a neck can use.

    Attributes:
        model_name: the name it was created by.
        class_num: the number of logits.
        in_channels: the channels of an input image.
        input_size: the side in pixels of the square images that the network was designed for.
        min_input_size: the smallest side at which every kernel and pooling window fits into its
            padded input, so that no output is empty. Paddle itself does not complain below it: it
            makes one pixel of an empty pooling output.
        stages: the names of the sub-layers that `features` runs, in order.
    """

    model_name: str = ""
    input_size: int = 224
    min_input_size: int = 1
    stages: Tuple[str, ...] = ()
    head: nn.Layer

    def __init__(self, class_num: int, in_channels: int) -> None:
        super().__init__()
        self.class_num = class_num
        self.in_channels = in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Turn images [n, in_channels, h, w] into logits [n, class_num]."""
        return self.head(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Turn images [n, in_channels, h, w] into the last stage's feature map [n, c, h', w']."""
        for name in self.stages:
            images = getattr(self, name)(images)
        return images
