"""Metrics: how good predictions are, accumulated exactly over a whole set."""

from __future__ import annotations

from ppcls.metric.base import Metric
from ppcls.metric.calibration import CalibrationError
from ppcls.metric.combined import CombinedMetric
from ppcls.metric.multi_label import AccuracyScore, HammingDistance, MultiLabelMAP
from ppcls.metric.per_class import F1, BalancedAccuracy, Precision, Recall
from ppcls.metric.topk import TopkAcc

__all__ = [
    "F1",
    "AccuracyScore",
    "BalancedAccuracy",
    "CalibrationError",
    "CombinedMetric",
    "HammingDistance",
    "Metric",
    "MultiLabelMAP",
    "Precision",
    "Recall",
    "TopkAcc",
]
