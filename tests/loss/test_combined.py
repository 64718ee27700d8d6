"""Sums of losses."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.errors import ConfigError
from ppcls.loss import CELoss, CombinedLoss
from ppcls.loss.combined import distinct
from ppcls.registry import parse

LOGITS = paddle.to_tensor(np.random.default_rng(0).normal(0, 1, [4, 3]).astype("float32"))
LABELS = paddle.to_tensor([0, 2, 1, 1])


def test_parts_of_one_name_are_told_apart_and_summed():
    written = [{"CELoss": {"weight": 0.25}}, {"CELoss": {"epsilon": 0.1}}]
    values = CombinedLoss([parse("loss", part) for part in written])(LOGITS, LABELS)
    assert list(values) == ["CELoss", "CELoss_2", "loss"]
    assert values["CELoss"].item() == pytest.approx(CELoss(0.25)(LOGITS, LABELS).item())
    assert values["CELoss_2"].item() == pytest.approx(CELoss(1.0, 0.1)(LOGITS, LABELS).item())
    total = values["CELoss"].item() + values["CELoss_2"].item()
    assert values["loss"].item() == pytest.approx(total)


def test_the_sum_carries_the_gradient():
    logits = LOGITS.clone().detach()
    logits.stop_gradient = False
    CombinedLoss([parse("loss", "CELoss")])(logits, LABELS)["loss"].backward()
    assert float(logits.grad.abs().sum()) > 0


def test_an_empty_list_is_refused():
    with pytest.raises(ConfigError, match="list of losses is empty"):
        CombinedLoss([])


def test_distinct():
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]
