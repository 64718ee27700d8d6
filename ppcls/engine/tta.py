"""Test-time augmentation: the mean answer of a network over several views of each image.

Five crops and their mirror images are those of Krizhevsky, Sutskever and Hinton 2012, "ImageNet
classification with deep convolutional neural networks"; several sizes those of Simonyan and
Zisserman 2015 (arXiv:1409.1556).
"""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcls.arch.network import Network
from ppcls.arch.plain import check_logits
from ppcls.config import Config
from ppcls.data.dataset import Dataset
from ppcls.data.transforms import Pipeline
from ppcls.engine.builder import check_images_fit
from ppcls.engine.label_kinds import expected_kind
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind
from ppcls.loss.outputs import main_logits

Size = Tuple[int, int]
"""Height and width in pixels."""

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class Views:
    """What a network is shown of each image: every crop in every size, and mirrored as well.

    Attributes:
        flip: whether each view is shown a second time, mirrored left to right.
        crops: 1 for the image as it is, 5 for its corners and its middle.
        scales: by what the sides of a crop are multiplied.
        size: of a crop, before that.
        transform: what has to be done to the images that the crops are taken from.
    """

    flip: bool
    crops: int
    scales: Tuple[float, ...]
    size: Size
    transform: Pipeline

    @property
    def count(self) -> int:
        """How many views there are of an image."""
        return len(self.scales) * self.crops * (2 if self.flip else 1)

    @property
    def sizes(self) -> List[Size]:
        """What the network is shown for each of the scales, in whole pixels."""
        height, width = self.size
        return [(_whole(height * scale), _whole(width * scale)) for scale in self.scales]

    def describe(self) -> str:
        """Return how many views there are, and by which settings, for logs and reports."""
        settings = f"flip: {self.flip}, crops: {self.crops}, scales: {list(self.scales)}"
        return f"{self.count} ({settings})"

    def dataset_of(self, dataset: Dataset) -> Dataset:
        """Return a set of the same images, with room for all crops in them."""
        roomy = copy.copy(dataset)
        roomy.transform = self.transform
        return roomy

    def of(self, images: paddle.Tensor) -> Iterator[paddle.Tensor]:
        """Yield the views of images [n, channels, height, width], one of all images after the
        other.

        The last one is the middle as it is, in its own size where `scales` has 1. What listens to
        a layer and keeps its last inputs, as embeddings are had, keeps those of the plain image.
        """
        for size in sorted(self.sizes, key=lambda size: size == self.size):
            for crop in self._crops(images):
                view = _resized(crop, size)
                if self.flip:
                    yield paddle.flip(view, axis=[3])
                yield view

    def _crops(self, images: paddle.Tensor) -> Iterator[paddle.Tensor]:
        if self.crops == 1:
            yield images
            return
        height, width = self.size
        down, right = images.shape[2] - height, images.shape[3] - width
        # The middle is where CropImage has it.
        middle = (down // 2, right // 2)
        for top, left in ((0, 0), (0, right), (down, 0), (down, right), middle):
            yield images[:, :, top : top + height, left : left + width].contiguous()


def _whole(pixels: float) -> int:
    return max(1, round(pixels))


def _resized(images: paddle.Tensor, size: Size) -> paddle.Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=list(size), mode="bilinear", align_corners=False)


class AveragedViews(nn.Layer):
    """A network that answers with the mean of its probabilities over several views of each image.

    What it returns, [n, classes], are the logarithms of these means: logits whose softmax is the
    mean. Nothing is rounded to probability 0 on the way, so that they are finite. Where images have
    any number of classes, they are logits whose sigmoids are the means.

    Attributes:
        network: images -> logits. It has the weights, and its mode is this one's.
        views: what it is shown.
        multi_label: whether images have any number of classes.
    """

    def __init__(self, network: nn.Layer, views: Views, multi_label: bool = False) -> None:
        super().__init__()
        self.network = network
        self.views = views
        self.multi_label = multi_label
        self.training = network.training

    @property
    def head(self) -> nn.Layer:
        """The network's head, whose inputs are the embeddings."""
        return self.network.head

    def train(self) -> None:
        """Switch all layers to training but those that the network holds in evaluation."""
        super().train()
        self.network.train()

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        found = [main_logits(self.network(view)) for view in self.views.of(images)]
        if self.multi_label:
            yes, no = (_log_mean([F.log_sigmoid(sign * one) for one in found]) for sign in (1, -1))
            return yes - no
        return _log_mean(list(map(_log_probabilities, found)))


def _log_mean(each: List[paddle.Tensor]) -> paddle.Tensor:
    """Return the logarithm of the mean of what these are the logarithms of."""
    return paddle.logsumexp(paddle.stack(each), axis=0) - math.log(len(each))


def _log_probabilities(logits: paddle.Tensor) -> paddle.Tensor:
    return logits - paddle.logsumexp(logits, axis=1, keepdim=True)


def views_of(config: Config, network: Network, transform: Pipeline) -> Optional[Views]:
    """Return the views that `TTA` asks for, or None where it asks for the image as it is alone.

    Args:
        config: `TTA` decides.
        network: what is shown to it.
        transform: that of evaluation.

    Raises:
        ConfigError: the transforms leave no room for five crops, or the network does not take
            images of such a size.
    """
    section = config.TTA
    if not section.flip and section.crops == 1 and section.scales == [1.0]:
        return None
    check_images_fit(config, network, transform, "Eval")
    size = transform.output_size
    assert size is not None
    if section.crops != 1:
        transform = _with_room(config, transform, max(size))
    views = Views(section.flip, section.crops, tuple(section.scales), size, transform)
    _check_sizes_fit(config, network, views)
    _warn_of_losses(config)
    return views


def _with_room(config: Config, transform: Pipeline, side: int) -> Pipeline:
    """Return the transforms with a crop of the whole shorter side where one of `side` pixels was.

    Raises:
        ConfigError: they do not end in ResizeImage: {resize_short: ...} and a smaller CropImage.
    """
    spec = transform.spec()
    crop = max((i for i, op in enumerate(spec) if "CropImage" in op), default=0)
    short = spec[crop - 1].get("ResizeImage", {}).get("resize_short") if crop else None
    if short is not None and short > side:
        roomy = Pipeline([*spec[:crop], {"CropImage": {"size": short}}, *spec[crop + 1 :]])
        if roomy.output_size == (short, short):
            return roomy
    found = ", ".join(f"{name}{_shown_sizes(given)}" for op in spec for name, given in op.items())
    raise ConfigError(
        f"{config.where('TTA', 'crops')}: five crops are taken from an image that is larger than "
        "they are, so DataLoader.Eval.dataset.transform_ops has to end in ResizeImage: "
        "{resize_short: R}, CropImage: {size: S} with R above S (such as 256 and 224), and "
        f"NormalizeImage; it is {found}. Change the list, or use -o TTA.crops=1"
    )


def _shown_sizes(arguments: Dict[str, Any]) -> str:
    sizes = {key: arguments.get(key) for key in ("resize_short", "size")}
    given = ", ".join(f"{key}: {value}" for key, value in sizes.items() if value is not None)
    return f": {{{given}}}" if given else ""


def _check_sizes_fit(config: Config, network: Network, views: Views) -> None:
    (height, width), least = views.size, network.min_input_size
    for scale, size in zip(views.scales, views.sizes):
        if min(size) < least:
            raise ConfigError(
                f"{config.where('TTA', 'scales')}: {scale:g} times {height}x{width} pixels are "
                f"{size[0]}x{size[1]}; {network.model_name} needs at least {least}x{least}. Leave "
                "this factor out"
            )
        if size != views.size:
            with config.naming("TTA", "scales"):
                check_logits(network, [views.transform.channels, *size], network.class_num)


def _warn_of_losses(config: Config) -> None:
    """Say so where a loss is another one with log-probabilities as logits than with logits."""
    for index, part in enumerate(config.Loss.Eval or []):
        if part.name == "BCELoss" and expected_kind(config) is LabelKind.HARD:
            _log.warning(
                "%s: BCELoss looks at each logit on its own, and with TTA these are "
                "log-probabilities: its value is not comparable with that of other evaluations",
                config.where("Loss", "Eval", index),
            )
