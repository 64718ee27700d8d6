"""Metrics: how good predictions are, accumulated exactly over a whole set."""

from __future__ import annotations

from ppcls.metric.base import Metric
from ppcls.metric.combined import CombinedMetric
from ppcls.metric.per_class import F1, BalancedAccuracy
from ppcls.metric.topk import TopkAcc

__all__ = ["F1", "BalancedAccuracy", "CombinedMetric", "Metric", "TopkAcc"]
