"""Focal loss against its formula, and its gradient against differences."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from scipy.special import log_softmax, softmax

from ppcls.labels import LabelKind, Labels
from ppcls.loss import CELoss, FocalLoss

LOGITS = np.random.default_rng(0).normal(0, 3, [6, 5])
HARD = np.array([0, 4, 2, 2, 1, 3])
SOFT = np.random.default_rng(1).dirichlet(np.ones(5), 6).astype("float32")


def formula(logits, target, gamma):
    return -(target * (1 - softmax(logits, 1)) ** gamma * log_softmax(logits, 1)).sum(1).mean()


def measured(loss, kind, values):
    x = paddle.to_tensor(LOGITS, stop_gradient=False)
    value = loss(x, Labels(kind, paddle.to_tensor(values)))
    value.backward()
    return value.item(), x.grad.numpy()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    ("kind", "values", "target"),
    [(LabelKind.HARD, HARD, np.eye(5)[HARD]), (LabelKind.SOFT, SOFT, SOFT)],
)
def test_loss_and_gradient(kind, values, target, gamma):
    got, gradient = measured(FocalLoss(gamma=gamma), kind, values)
    assert got == pytest.approx(formula(LOGITS, target, gamma), rel=1e-6)
    for place in np.ndindex(LOGITS.shape):
        step = np.zeros_like(LOGITS)
        step[place] = 1e-5
        both = [formula(LOGITS + sign * step, target, gamma) for sign in (1, -1)]
        slope = (both[0] - both[1]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_without_gamma_it_is_cross_entropy():
    labels = Labels(LabelKind.HARD, paddle.to_tensor(HARD))
    x = paddle.to_tensor(LOGITS)
    wanted = CELoss(weight=0.5, epsilon=0.1)(x, labels).item()
    assert FocalLoss(0.5, gamma=0.0, epsilon=0.1)(x, labels).item() == pytest.approx(wanted)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_sure_answers_have_finite_gradients(gamma):
    x = paddle.to_tensor([[1e4, -1e4], [-1e4, 1e4]], stop_gradient=False)
    value = FocalLoss(gamma=gamma)(x, Labels(LabelKind.HARD, paddle.to_tensor([0, 0])))
    value.backward()
    assert np.isfinite(value.item()) and np.isfinite(x.grad.numpy()).all()
