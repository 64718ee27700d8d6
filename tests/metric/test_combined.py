"""Several metrics as one."""

from __future__ import annotations

import json
import math

import numpy as np
import paddle
import pytest

from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import CombinedMetric
from ppcls.registry import parse

LOGITS = paddle.to_tensor(np.random.default_rng(0).normal(0, 1, [30, 8]).astype("float32"))
LABELS = Labels(LabelKind.HARD, paddle.to_tensor(np.random.default_rng(1).integers(0, 8, 30)))


def combined(*topks, class_num=8):
    parts = [parse("metric", {"TopkAcc": {"topk": topk}}) for topk in topks]
    return CombinedMetric(parts, class_num=class_num)


def test_one_flat_dict_with_the_main_value_first():
    metric = combined([1, 5], [3, 1])
    metric.update(LOGITS, LABELS)
    values = metric.compute()
    assert list(values) == metric.names == ["top1", "top5", "top3", "top1_2"]
    assert metric.names[0] == "top1"
    assert values["top1"] == values["top1_2"] < values["top3"] < values["top5"]


def test_the_class_count_reaches_the_parts():
    assert combined([1, 5], class_num=3).names == ["top1"]


def test_state_goes_through_json():
    first, second = combined([1, 5], 3), combined([1, 5], 3)
    first.update(LOGITS, LABELS)
    second.load_state(json.loads(json.dumps(first.state())))
    assert second.compute() == first.compute()
    second.reset()
    assert all(math.isnan(value) for value in second.compute().values())


def test_the_state_of_another_list_is_refused():
    with pytest.raises(CheckpointError, match="state of 1 metrics cannot hold '1.count'"):
        combined(1).load_state(combined(1, 5).state())
    with pytest.raises(CheckpointError, match="needs count, top5; it has nothing"):
        combined(1, 5).load_state(combined(1).state())


def test_each_metric_says_whether_higher_is_better(monkeypatch):
    metric = combined([1, 5], [3, 1])
    assert all(map(metric.higher_is_better, metric.names))
    monkeypatch.setattr(metric.metrics[1], "higher_is_better", lambda name: name != "top1")
    assert [metric.higher_is_better(name) for name in metric.names] == [True, True, True, False]


def test_no_metrics_measure_nothing():
    metric = CombinedMetric([])
    metric.update(LOGITS, LABELS)
    assert metric.names == [] and metric.compute() == metric.state() == {}
    metric.load_state({})
    metric.reset()
