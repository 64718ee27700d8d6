"""Mixing images with each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.base import BatchTransform, as_soft
from ppcls.labels import LabelKind
from ppcls.registry import Provided, register


@register("batch_transform")
@dataclass(eq=False)
class MixupOperator(BatchTransform):
    """Mix every image, and its label, with another of the batch (Zhang et al. 2018, "mixup: Beyond
    empirical risk minimization", https://arxiv.org/abs/1710.09412).

    ``x = fraction * x_i + (1 - fraction) * x_j``, and labels likewise. The fraction is drawn from
    Beta(alpha, alpha) once a batch; j runs through the batch in a random order, so that now and
    then an image meets itself.

    Args:
        alpha: the larger, the nearer to 1/2 is the fraction; 1 draws it uniformly.
        class_num: how many classes there are.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.SOFT})

    alpha: Annotated[float, Field(gt=0)] = 1.0
    class_num: Provided[int] = 0

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return mixed images, float32, with soft labels."""
        fraction = rng.beta(self.alpha, self.alpha)
        order = rng.permutation(len(batch))
        labels = as_soft(batch.labels, self.class_num)
        return replace(
            batch,
            images=_mixed(batch.images, order, fraction),
            labels=labels.map(lambda values: _mixed(values, order, fraction)),
        )

    def output_kind(self, kind: LabelKind) -> LabelKind:
        """Return soft; see `BatchTransform.output_kind`."""
        super().output_kind(kind)
        return LabelKind.SOFT


def _mixed(values: np.ndarray, order: np.ndarray, fraction: float) -> np.ndarray:
    mixed = values * np.float32(fraction)
    mixed += values[order] * np.float32(1 - fraction)
    return mixed
