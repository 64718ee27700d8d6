"""Transforms of whole batches, such as Mixup; a module in this package registers its own."""

from __future__ import annotations

from ppcls.data.batch_transforms.base import BatchTransform

__all__ = ["BatchTransform"]
