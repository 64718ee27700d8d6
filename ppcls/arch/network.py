"""The shape that all classification networks share: named stages in order, then a head."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import accumulate
from operator import mul
from typing import (
    Annotated,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Set,
    Tuple,
    Union,
)

from paddle import Tensor, nn
from pydantic import Field

Count = Annotated[int, Field(ge=1)]
"""A number of classes, channels or layers."""

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability of dropping something."""


class Level(NamedTuple):
    """A feature map that the network offers to a neck or a detector.

    Attributes:
        stage: the name of the stage whose output it is.
        channels: the channels of the map.
        stride: the pixels of the image from one of its pixels to the next.
    """

    stage: str
    channels: int
    stride: int


def finest_to_last(
    stages: Iterable[str], channels: Iterable[int], strides: Iterable[int]
) -> Tuple[Level, ...]:
    """Return the last map of each resolution.

    Args:
        stages: the names of stages in running order, from the first one.
        channels: the channels of their maps.
        strides: by how much each of them makes the map smaller that it gets.
    """
    maps = map(Level, stages, channels, accumulate(strides, mul))
    return tuple({level.stride: level for level in maps}.values())


class Network(nn.Layer):
    """A classifier: images -> stages, one after the other -> head -> logits.

    A subclass lists in `stages` the names of its sub-layers in the order they run, and has a
    sub-layer `head` that turns the last stage's output into logits. In training, auxiliary heads
    turn the outputs of earlier stages into logits as well; in evaluation they are not run.

    Attributes:
        model_name: the registered name it was built by; empty where its class was called.
        model_arguments: the arguments that were given with the name.
        class_num: the number of logits.
        in_channels: the channels of an input image.
        input_size: the side in pixels of the square images that the network was designed for.
        min_input_size: the smallest side at which every kernel and pooling window fits into its
            padded input, so that no output is empty. Paddle itself does not complain below it: it
            makes one pixel of an empty pooling output.
        stages: the names of the sub-layers that `features` runs, in order.
        levels: the feature maps worth using, from the finest to the last; a network may leave out
            those of stages in the middle of a resolution.
        aux_heads: {stage: name of the sub-layer that turns its output into logits in training}.
        aux_weight: the weight of each auxiliary head's loss beside the main one's 1.
        progress_dropout: what progressive training lets the head drop, in each stage of training.
        held_in_evaluation: layers that `train` leaves in evaluation mode, see
            `ppcls.arch.freezing`.
    """

    model_name: str = ""
    model_arguments: Mapping[str, Any] = {}
    input_size: int = 224
    min_input_size: int = 1
    stages: Tuple[str, ...] = ()
    levels: Tuple[Level, ...] = ()
    aux_heads: Mapping[str, str] = {}
    aux_weight: float = 0.3
    progress_dropout: Tuple[float, ...] = ()
    held_in_evaluation: Tuple[nn.Layer, ...] = ()
    head: nn.Layer

    def __init__(self, class_num: int, in_channels: int) -> None:
        super().__init__()
        self.class_num = class_num
        self.in_channels = in_channels

    @property
    def undecayed(self) -> Set[str]:
        """The parameters that weight decay leaves alone whatever a recipe says; mostly none."""
        return set()

    def train(self) -> None:
        """Switch all layers to training but those that are held in evaluation."""
        super().train()
        for layer in self.held_in_evaluation:
            layer.training = False

    def forward(self, images: Tensor) -> Union[Tensor, List[Tensor]]:
        """Turn images [n, in_channels, h, w] into logits [n, class_num].

        In training, a network with auxiliary heads returns the list [logits, *auxiliary logits].
        """
        if self.training and self.aux_heads:
            return self._with_auxiliary(images)
        return self.head(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Turn images [n, in_channels, h, w] into the last stage's feature map [n, c, h', w']."""
        for name in self.stages:
            images = getattr(self, name)(images)
        return images

    def _with_auxiliary(self, x: Tensor) -> List[Tensor]:
        auxiliary = []
        for name in self.stages:
            x = getattr(self, name)(x)
            if name in self.aux_heads:
                auxiliary.append(getattr(self, self.aux_heads[name])(x))
        return [self.head(x), *auxiliary]


def normalisation_parameters(network: nn.Layer) -> Set[str]:
    """Return the names of the scales and shifts of batch normalisations."""
    return {
        f"{name}.{which}"
        for name, layer in network.named_sublayers()
        if isinstance(layer, nn.BatchNorm2D)
        for which in ("weight", "bias")
    }


def add_stages(network: Network, stages: Dict[str, nn.Layer]) -> None:
    """Make the layers the network's stages, in their order."""
    for name, layer in stages.items():
        network.add_sublayer(name, layer)
    network.stages = tuple(stages)


@contextmanager
def evaluation_mode(network: nn.Layer) -> Iterator[None]:
    """Switch a network to evaluation, and afterwards each of its layers back to what it was."""
    before = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    network.eval()
    try:
        yield
    finally:
        for layer, training in before:
            layer.training = training
