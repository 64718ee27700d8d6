"""Losses of images with any number of classes, against formulas in NumPy."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import paddle
import pytest

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import AsymmetricLoss, CombinedLoss, MultiLabelLoss, TrainClasses
from ppcls.registry import create

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, [6, 5]).astype("float32")
TARGET = RNG.integers(0, 2, [6, 5]).astype("float32")
LABELS = Labels(LabelKind.MULTI_HOT, paddle.to_tensor(TARGET))


def measured(loss: Any, logits: np.ndarray = LOGITS) -> Tuple[float, np.ndarray]:
    x = paddle.to_tensor(logits, stop_gradient=False)
    value = loss(x, LABELS)
    value.backward()
    return value.item(), x.grad.numpy()


def entropies(target: np.ndarray) -> np.ndarray:
    s = 1 / (1 + np.exp(-LOGITS.astype(float)))
    return np.asarray(-(target * np.log(s) + (1 - target) * np.log(1 - s)))


def test_classes_are_averaged_or_added_up() -> None:
    plain = entropies(TARGET)
    assert measured(MultiLabelLoss())[0] == pytest.approx(plain.mean(), rel=1e-5)
    added = measured(MultiLabelLoss(weight=0.5, size_sum=True))[0]
    assert added == pytest.approx(0.5 * plain.sum(1).mean(), rel=1e-5)
    smooth = entropies(0.9 * TARGET + 0.1 / 5).mean()
    assert measured(MultiLabelLoss(epsilon=0.1))[0] == pytest.approx(smooth, rel=1e-5)


def test_rare_classes_weigh_more_where_an_image_has_them() -> None:
    ratio = np.array([0.1, 0.2, 0.5, 0.9, 1.0])
    classes = TrainClasses([*"abcde"], 40 * ratio, 40)
    loss = CombinedLoss([{"MultiLabelLoss": {"weight_ratio": True}}], classes=classes)
    weights = np.where(TARGET == 1, np.exp(1 - ratio), np.exp(ratio))
    found = loss(paddle.to_tensor(LOGITS), LABELS)["loss"].item()
    assert found == pytest.approx((weights * entropies(TARGET)).mean(), rel=1e-5)
    assert loss.notes == ["MultiLabelLoss: classes weigh by how many of the 40 images have them"]
    # Evaluation knows no training set.
    assert measured(MultiLabelLoss(weight_ratio=True))[0] == measured(MultiLabelLoss())[0]


@pytest.mark.parametrize(
    ("gamma_neg", "gamma_pos", "clip"),
    [(4.0, 0.0, 0.05), (2.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.5, 0.5, 0.2)],
)
def test_the_asymmetric_loss_is_that_of_the_paper(
    gamma_neg: float, gamma_pos: float, clip: float
) -> None:
    p = 1 / (1 + np.exp(-LOGITS.astype(float)))
    q = np.maximum(p - clip, 0)
    has = (1 - p) ** gamma_pos * np.log(p)
    has_not = q**gamma_neg * np.log(1 - q)
    expected = -(TARGET * has + (1 - TARGET) * has_not).sum(1).mean()
    loss = AsymmetricLoss(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
    found, gradient = measured(loss)
    assert found == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(gradient).all()


def test_without_its_terms_it_is_a_sum_of_cross_entropies() -> None:
    loss = AsymmetricLoss(gamma_neg=0, gamma_pos=0, clip=0)
    assert measured(loss)[0] == pytest.approx(entropies(TARGET).sum(1).mean(), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"clip": 0.0}, {"gamma_neg": 0.5, "gamma_pos": 0.5}])
def test_large_logits_stay_finite(options: Any) -> None:
    logits = np.where(RNG.integers(0, 2, [6, 5]), 80.0, -80.0).astype("float32")
    for loss in (AsymmetricLoss(**options), MultiLabelLoss()):
        value, gradient = measured(loss, logits)
        assert np.isfinite(value) and np.isfinite(gradient).all()


def test_arguments_out_of_range() -> None:
    with pytest.raises(ConfigError, match="clip"):
        create("loss", "AsymmetricLoss", {"clip": 1.0})
