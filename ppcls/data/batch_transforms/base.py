"""What every transform of a whole batch has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, FrozenSet

import numpy as np

from ppcls.data.batch import Batch, BatchOp
from ppcls.errors import ConfigError
from ppcls.labels import HARD_ONLY, LabelKind, Labels, any_of


class BatchTransform(ABC):
    """Base of the ops on whole batches, which run in the loader's threads after the images' own.

    Attributes:
        accepts: the kinds of labels that the op takes.
        passes_on: whether the op changes images by `with_images` alone, so that they need not have
            been normalised yet.
    """

    accepts: ClassVar[FrozenSet[LabelKind]] = HARD_ONLY
    passes_on: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch, with the same number of images.

        Args:
            batch: the images that could be read; there may be none.
            rng: the source of all randomness, a function of seed, epoch and the batch's number. The
                parts of one batch that several processes take get the same.
        """

    def output_kind(self, kind: LabelKind) -> LabelKind:
        """Return the kind of the labels that come out where labels of `kind` go in: the same, where
        a subclass says nothing else.

        Raises:
            ConfigError: the op does not take such labels.
        """
        if kind not in self.accepts:
            raise ConfigError(
                f"{type(self).__name__} takes {any_of(self.accepts)} labels, but gets {kind} ones; "
                "remove it, or give it another place in the list"
            )
        return kind


_MIXED = {
    LabelKind.HARD: LabelKind.SOFT,
    LabelKind.SOFT: LabelKind.SOFT,
    LabelKind.MULTI_HOT: LabelKind.MIXED_MULTI_HOT,
    LabelKind.MIXED_MULTI_HOT: LabelKind.MIXED_MULTI_HOT,
}


class Mixing(BatchTransform):
    """Base of the ops that mix images with each other, and their labels: of hard or soft ones, soft
    ones come out, of multi-hot ones mixed ones.
    """

    accepts = frozenset(LabelKind)
    passes_on = True

    def output_kind(self, kind: LabelKind) -> LabelKind:
        """Return the kind that labels have when they are mixed."""
        super().output_kind(kind)
        return _MIXED[kind]


def with_images(batch: Batch, op: BatchOp) -> Batch:
    """Return the batch with changed images: changed now, or later where other changes are left."""
    if batch.left:
        return replace(batch, left=(*batch.left, op))
    return replace(batch, images=op(batch.images))


def as_soft(labels: Labels, classes: int) -> Labels:
    """Return labels of NumPy as those that can be mixed: float32, n x classes."""
    if labels.kind is not LabelKind.HARD:
        return Labels(_MIXED[labels.kind], labels.values)
    return Labels(LabelKind.SOFT, np.eye(classes, dtype=np.float32)[labels.values])
