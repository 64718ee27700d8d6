"""Mixing images by masks of any form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Tuple

import numpy as np
from pydantic import Field

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.base import Mixing, as_soft, with_images
from ppcls.data.batch_transforms.mixup import Mix
from ppcls.registry import Provided, register


@register("batch_transform")
@dataclass(eq=False)
class FmixOperator(Mixing):
    """Put parts of another image of the batch into every image, where noise of low frequencies is
    small (Harris et al. 2020, "FMix: Enhancing mixed sample data augmentation",
    https://arxiv.org/abs/2002.12047).

    The parts are the same for the whole batch. What is left of each image is a fraction of
    Beta(alpha, alpha), by which labels are mixed.

    Args:
        alpha: the larger, the nearer to 1/2 is the fraction; 1 draws it uniformly.
        decay_power: by which power of its frequency a wave of the noise is weakened: the higher,
            the fewer and larger are the parts.
        class_num: how many classes there are.
    """

    alpha: Annotated[float, Field(gt=0)] = 1.0
    decay_power: Annotated[float, Field(ge=0)] = 3.0
    class_num: Provided[int] = 0

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return images with parts of another one, and soft labels."""
        fraction = rng.beta(self.alpha, self.alpha)
        order = rng.permutation(len(batch))
        own = largest(low_frequencies(batch.size, self.decay_power, rng), fraction)
        part = float(own.mean()) if own.size else 1.0
        labels = as_soft(batch.labels, self.class_num).map(Mix(order, part))
        return with_images(replace(batch, labels=labels), Masked(order, own))


@dataclass(frozen=True, eq=False)
class Masked:
    """Puts the pixels of another image of the batch into each, but for those of a mask.

    Attributes:
        order: the number of each one's partner, int64 [n].
        own: which pixels stay, bool [height, width].
    """

    order: np.ndarray
    own: np.ndarray

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return a changed copy of images, n x channels x height x width."""
        return np.where(self.own, images, images[self.order])


def low_frequencies(size: Tuple[int, int], power: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise, float [height, width], whose waves are the weaker the higher their frequency.

    Args:
        size: height and width in pixels.
        power: amplitudes are divided by the frequency to this power.
        rng: draws the waves.
    """
    height, width = size
    if not height or not width:
        return np.empty(size)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequencies = np.maximum(np.hypot(rows, columns), 1 / max(size))
    drawn = rng.standard_normal((2, *frequencies.shape))
    waves = (drawn[0] + 1j * drawn[1]) / frequencies**power
    return np.fft.irfft2(waves, size)


def largest(values: np.ndarray, fraction: float) -> np.ndarray:
    """Return where the largest values are, a fraction of all, as bool of the same shape."""
    count = round(fraction * values.size)
    chosen = np.zeros(values.size, bool)
    chosen[np.argsort(values, axis=None, kind="stable")[values.size - count :]] = True
    return chosen.reshape(values.shape)
