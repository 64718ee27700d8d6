"""Losses: what training makes small, and their weighted sum.

A loss is called with what the network returned and the labels of a kind that it `accepts`, and
returns a scalar that already carries its weight.
"""

from __future__ import annotations

from ppcls.loss.base import Loss, distributions
from ppcls.loss.bceloss import BCELoss
from ppcls.loss.celoss import CELoss
from ppcls.loss.class_weights import TrainClasses
from ppcls.loss.combined import CombinedLoss
from ppcls.loss.focal import FocalLoss
from ppcls.loss.multi_label import AsymmetricLoss, MultiLabelLoss

__all__ = [
    "AsymmetricLoss",
    "BCELoss",
    "CELoss",
    "CombinedLoss",
    "FocalLoss",
    "Loss",
    "MultiLabelLoss",
    "TrainClasses",
    "distributions",
]
