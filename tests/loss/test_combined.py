"""Sums of losses."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from scipy.special import log_softmax

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import CELoss, CombinedLoss, Loss
from ppcls.registry import parse, register

LOGITS = paddle.to_tensor(np.random.default_rng(0).normal(0, 1, [4, 3]).astype("float32"))
LABELS = Labels(LabelKind.HARD, paddle.to_tensor([0, 2, 1, 1]))


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


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def test_auxiliary_heads_add_their_part_of_every_loss():
    heads = np.random.default_rng(3).normal(0, 2, [3, 4, 3]).astype("float32")
    written = [{"CELoss": {}}, {"CELoss": {"weight": 0.5}}]
    loss = CombinedLoss([parse("loss", part) for part in written], aux_weight=0.3)
    values = loss([paddle.to_tensor(head) for head in heads], LABELS)
    main, *further = (_cross_entropy(head, LABELS.values.numpy()) for head in heads)
    assert list(values) == ["CELoss", "CELoss_2", "aux", "loss"]
    assert values["CELoss"].item() == pytest.approx(main, rel=1e-5)
    assert values["CELoss_2"].item() == pytest.approx(0.5 * main, rel=1e-5)
    assert values["aux"].item() == pytest.approx(0.3 * 1.5 * sum(further), rel=1e-5)
    total = 1.5 * main + 0.3 * 1.5 * sum(further)
    assert values["loss"].item() == pytest.approx(total, rel=1e-5)


def test_each_head_gets_its_own_gradient():
    heads = [LOGITS.clone().detach() for _ in range(2)]
    for head in heads:
        head.stop_gradient = False
    CombinedLoss([parse("loss", "CELoss")], aux_weight=0.25)(heads, LABELS)["loss"].backward()
    main, further = (head.grad.numpy() for head in heads)
    assert np.abs(main).max() > 0
    np.testing.assert_allclose(further, 0.25 * main, rtol=1e-6)


@pytest.mark.parametrize("outputs", [LOGITS, [LOGITS], {"logits": LOGITS, "features": LOGITS}])
def test_outputs_without_auxiliary_heads_have_no_such_entry(outputs):
    assert list(CombinedLoss([parse("loss", "CELoss")])(outputs, LABELS)) == ["CELoss", "loss"]


class WithoutSuper(Loss):
    def __init__(self) -> None:
        self.weight = 1.0


class ForEachImage(Loss):
    def forward(self, outputs, labels):
        return paddle.ones([4])


@pytest.mark.usefixtures("own_parts")
def test_mistakes_in_a_loss_of_ones_own_are_told():
    for kind in (WithoutSuper, ForEachImage):
        register("loss")(kind)
    with pytest.raises(ConfigError, match=r"WithoutSuper.__init__ must begin with super\(\)"):
        CombinedLoss(["WithoutSuper"])
    with pytest.raises(ConfigError, match=r"ForEachImage returns a tensor of shape \[4\]; it must"):
        CombinedLoss(["ForEachImage"])(LOGITS, LABELS)


def test_an_empty_list_is_refused():
    with pytest.raises(ConfigError, match="list of losses is empty"):
        CombinedLoss([])
