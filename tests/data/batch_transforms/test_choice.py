"""One of several batch transforms: how often each, and labels of one kind."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ppcls.data.batch import Batch
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.registry import create

HARD, SOFT, MULTI_HOT, MIXED = LabelKind
MIXUP, CUTMIX = {"alpha": 0.8, "prob": 0.5}, {"alpha": 1.0, "prob": 0.3}


def sampler(**ops: Any) -> Any:
    return create("batch_transform", "OpSampler", ops, class_num=3)


def what_happened(found: Batch, before: np.ndarray) -> str:
    if (found.images == before).all():
        return "nothing"
    # Cut images hold whole levels alone.
    return "cut" if set(np.unique(found.images)) <= {0.0, 1.0, 2.0} else "mixed"


def test_each_as_often_as_it_should_be() -> None:
    op, counts = sampler(MixupOperator=MIXUP, CutmixOperator=CUTMIX), Counter[str]()
    levels = np.array([0, 1, 2], np.float32).reshape(3, 1, 1, 1)
    images = np.broadcast_to(levels, (3, 3, 16, 16)).copy()
    for seed in range(600):
        batch = Batch(images, Labels(HARD, np.arange(3)), np.arange(3), 0)
        found = op(batch, np.random.default_rng(seed))
        assert found.labels.kind is SOFT
        np.testing.assert_allclose(found.labels.values.sum(axis=1), 1, rtol=1e-6)
        counts[what_happened(found, images)] += 1
    # Of three, one order in six keeps all in place.
    assert counts["mixed"] / 600 == pytest.approx(0.5 * 5 / 6, abs=0.06)
    assert counts["cut"] / 600 == pytest.approx(0.3 * 5 / 6, abs=0.07)


def test_where_nothing_is_done_labels_are_soft_too() -> None:
    op = sampler(MixupOperator={"alpha": 0.2, "prob": 0.0})
    images = np.ones((2, 3, 4, 4), np.float32)
    found = op(
        Batch(images, Labels(HARD, np.array([2, 0])), np.arange(2), 0), np.random.default_rng(0)
    )
    assert found.images is images and found.labels.values.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert op.output_kind(HARD) is SOFT
    assert op.output_kind(MULTI_HOT) is MIXED
    several = Labels(MULTI_HOT, np.array([[1, 1, 0], [0, 0, 0]], np.float32))
    found = op(Batch(images, several, np.arange(2), 0), np.random.default_rng(0))
    assert found.labels.kind is MIXED, "although nothing was mixed"


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        ({}, "probabilities of OpSampler are missing; write as in"),
        (
            {"MixupOperator": {"alpha": 1.0}},
            "MixupOperator.prob must be a number .* None",
        ),
        ({"CutmixOperator": {"prob": 1.5}}, "CutmixOperator.prob must be a number from 0 to 1"),
        (
            {"MixupOperator": {"prob": 0.6}, "CutmixOperator": {"prob": 0.5}},
            "add up to 1.1, which is more than 1",
        ),
        ({"MixupOperator": {"alpha": 0, "prob": 0.5}}, "alpha"),
        ({"MixupOperator": {"beta": 1, "prob": 0.5}}, "beta"),
        ({"FmixOperatr": {"prob": 0.5}}, "FmixOperatr"),
    ],
)
def test_what_makes_no_sense_is_refused(ops: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        sampler(**ops)
