"""Binary cross entropies against SciPy, for all kinds of labels."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from scipy.special import expit

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import BCELoss
from ppcls.registry import create

LOGITS = np.random.default_rng(0).normal(0, 3, [6, 5]).astype("float32")
HARD = np.array([0, 4, 2, 2, 1, 3])
SOFT = np.random.default_rng(1).dirichlet(np.ones(5), 6).astype("float32")
SEVERAL = (SOFT > 0.2).astype("float32")


def expected(target, epsilon=0.0):
    """The loss, and its gradient with respect to the logits."""
    target = (1 - epsilon) * target + epsilon / 5
    s = expit(LOGITS.astype(float))
    loss = -(target * np.log(s) + (1 - target) * np.log(1 - s)).mean()
    return loss, (s - target) / target.size


def measured(loss, kind, values):
    x = paddle.to_tensor(LOGITS, stop_gradient=False)
    value = loss(x, Labels(kind, paddle.to_tensor(values)))
    value.backward()
    return value.item(), x.grad.numpy()


@pytest.mark.parametrize("epsilon", [None, 0.1])
@pytest.mark.parametrize(
    ("kind", "values", "target"),
    [
        (LabelKind.HARD, HARD, np.eye(5)[HARD]),
        (LabelKind.SOFT, SOFT, SOFT),
        (LabelKind.MULTI_HOT, SEVERAL, SEVERAL),
    ],
)
def test_each_class_is_a_question(kind, values, target, epsilon):
    loss, gradient = expected(target, epsilon or 0.0)
    got, got_gradient = measured(BCELoss(epsilon=epsilon), kind, values)
    assert got == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(got_gradient, gradient, rtol=1e-4, atol=1e-7)


def test_both_classes_of_a_mixed_image_are_right():
    loss, _ = expected((SOFT > 0.15).astype(float))
    got, _ = measured(BCELoss(weight=2.0, target_threshold=0.15), LabelKind.SOFT, SOFT)
    assert got == pytest.approx(2 * loss, rel=1e-5)


def test_large_logits_stay_finite():
    x = paddle.to_tensor([[1e4, -1e4]], stop_gradient=False)
    value = BCELoss()(x, Labels(LabelKind.HARD, paddle.to_tensor([1])))
    value.backward()
    assert value.item() == pytest.approx(1e4) and np.isfinite(x.grad.numpy()).all()


def test_arguments_out_of_range():
    with pytest.raises(ConfigError, match="target_threshold"):
        create("loss", "BCELoss", {"target_threshold": 1.0})
