"""Mixing images with each other: values, or parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.base import Mixing, as_soft, with_images
from ppcls.registry import Provided, register


@register("batch_transform")
@dataclass(eq=False)
class MixupOperator(Mixing):
    """Mix every image, and its label, with another of the batch (Zhang et al. 2018, "mixup: Beyond
    empirical risk minimization", https://arxiv.org/abs/1710.09412).

    ``x = fraction * x_i + (1 - fraction) * x_j``, and labels likewise. The fraction is drawn from
    Beta(alpha, alpha) once a batch; j runs through the batch in a random order, so that now and
    then an image meets itself.

    Args:
        alpha: the larger, the nearer to 1/2 is the fraction; 1 draws it uniformly.
        class_num: how many classes there are.
    """

    alpha: Annotated[float, Field(gt=0)] = 1.0
    class_num: Provided[int] = 0

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return mixed images, float32, with soft labels."""
        fraction = rng.beta(self.alpha, self.alpha)
        mix = Mix(rng.permutation(len(batch)), fraction)
        labels = as_soft(batch.labels, self.class_num)
        return with_images(replace(batch, labels=labels.map(mix)), mix)


@register("batch_transform")
@dataclass(eq=False)
class CutmixOperator(Mixing):
    """Put a part of another image of the batch into every image (Yun et al. 2019, "CutMix:
    Regularization strategy to train strong classifiers with localizable features",
    https://arxiv.org/abs/1905.04899).

    The part is a rectangle in the proportions of the images, the same for the whole batch, around a
    centre that is drawn anywhere in them. Its area is a fraction of Beta(alpha, alpha), less what
    is cut off at the borders; labels are mixed by what is left.

    Args:
        alpha: the larger, the nearer to 1/2 is the fraction; 1 draws it uniformly.
        class_num: how many classes there are.
    """

    alpha: Annotated[float, Field(gt=0)] = 0.2
    class_num: Provided[int] = 0

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return images with a part of another one, and soft labels."""
        area = 1 - rng.beta(self.alpha, self.alpha)
        order = rng.permutation(len(batch))
        rows, columns = (_cut(side, math.sqrt(area), rng) for side in batch.size)
        height, width = batch.size
        pixels = max(1, height * width)
        cut = (rows.stop - rows.start) * (columns.stop - columns.start)
        labels = as_soft(batch.labels, self.class_num).map(Mix(order, 1 - cut / pixels))
        return with_images(replace(batch, labels=labels), Paste(order, rows, columns))


def _cut(side: int, fraction: float, rng: np.random.Generator) -> slice:
    """Draw a part of a side around any of its pixels."""
    half, centre = int(side * fraction) // 2, int(rng.integers(max(1, side)))
    return slice(max(0, centre - half), min(side, centre + half))


@dataclass(frozen=True, eq=False)
class Mix:
    """Adds to each value, or image, another one of the batch.

    Attributes:
        order: the number of each one's partner, int64 [n].
        fraction: the part of its own.
    """

    order: np.ndarray
    fraction: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return float32 of the shape of `values`."""
        mixed: np.ndarray = values * np.float32(self.fraction)
        mixed += values[self.order] * np.float32(1 - self.fraction)
        return mixed


@dataclass(frozen=True, eq=False)
class Paste:
    """Puts a part of another image of the batch into each.

    Attributes:
        order: the number of each one's partner, int64 [n].
        rows, columns: the part.
    """

    order: np.ndarray
    rows: slice
    columns: slice

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return a changed copy of images, n x channels x height x width."""
        pasted = images.copy()
        pasted[..., self.rows, self.columns] = images[self.order][..., self.rows, self.columns]
        return pasted
