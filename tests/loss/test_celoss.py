"""Cross entropy against SciPy's log-softmax and its derivative, written out by hand."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import CELoss
from ppcls.registry import create

LOGITS = np.random.default_rng(0).normal(0, 3, [6, 5])
HARD = np.array([0, 4, 2, 2, 1, 3])
SOFT = np.random.default_rng(1).dirichlet(np.ones(5), 6)


def expected(logits, target, epsilon=0.0):
    """Return the loss and its gradient with respect to the logits."""
    target = (1 - epsilon) * target + epsilon / logits.shape[1]
    loss = -(target * log_softmax(logits, axis=1)).sum(1).mean()
    return loss, (softmax(logits, axis=1) - target) / len(logits)


def hard(labels):
    return Labels(LabelKind.HARD, paddle.to_tensor(labels))


def soft(labels):
    return Labels(LabelKind.SOFT, paddle.to_tensor(labels.astype("float32")))


def measured(loss, logits, labels, dtype="float64"):
    x = paddle.to_tensor(logits, dtype=dtype, stop_gradient=False)
    value = loss(x, labels)
    value.backward()
    assert value.shape in ([], [1]) and value.size == 1
    return value.item(), x.grad.numpy()


@pytest.mark.parametrize("epsilon", [None, 0.0, 0.1, 0.9])
@pytest.mark.parametrize("labels", [hard(HARD), soft(np.eye(5)[HARD])], ids=["hard", "soft"])
def test_hard_labels_are_one_hot_vectors(epsilon, labels):
    loss, gradient = expected(LOGITS, np.eye(5)[HARD], epsilon or 0.0)
    got, got_gradient = measured(CELoss(epsilon=epsilon), LOGITS, labels)
    np.testing.assert_allclose(got, loss, rtol=1e-6)
    np.testing.assert_allclose(got_gradient, gradient, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_soft_labels_are_used_as_they_are_and_smoothed(epsilon):
    loss, gradient = expected(LOGITS, SOFT, epsilon or 0.0)
    got, got_gradient = measured(CELoss(epsilon=epsilon), LOGITS, soft(SOFT))
    np.testing.assert_allclose(got, loss, rtol=1e-6)
    np.testing.assert_allclose(got_gradient, gradient, rtol=1e-5, atol=1e-8)


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(2, 9)),
    epsilon=st.floats(0, 0.99),
    seed=st.integers(0, 10**6),
)
def test_any_size(size, epsilon, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 5, size), rng.integers(0, size[1], size[0])
    loss, gradient = expected(logits, np.eye(size[1])[labels], epsilon)
    got, got_gradient = measured(CELoss(epsilon=epsilon), logits, hard(labels))
    np.testing.assert_allclose(got, loss, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got_gradient, gradient, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_huge_logits_give_a_finite_float32_loss_and_the_right_gradient(epsilon):
    logits = np.array([[1e4, -1e4]], "float32")
    got, gradient = measured(CELoss(epsilon=epsilon), logits, hard([1]), "float32")
    assert 50 < got < 2.1e4
    np.testing.assert_allclose(gradient, [[1 - (epsilon or 0) / 2, (epsilon or 0) / 2 - 1]])
    loss = CELoss(epsilon=epsilon)(paddle.to_tensor(logits), hard([1]))
    assert loss.dtype == paddle.float32


def test_half_precision_is_computed_in_float32():
    logits = paddle.to_tensor(LOGITS).astype("float16")
    loss = CELoss(epsilon=0.1)(logits, hard(HARD))
    assert loss.dtype == paddle.float32
    exact = expected(logits.numpy().astype("float64"), np.eye(5)[HARD], 0.1)[0]
    assert loss.item() == pytest.approx(exact, rel=1e-5)


def test_a_batch_as_wide_as_the_number_of_classes_is_not_taken_for_a_distribution():
    labels = np.array([0, 1, 2, 1, 0])
    assert measured(CELoss(), LOGITS[:5], hard(labels))[0] == pytest.approx(
        expected(LOGITS[:5], np.eye(5)[labels])[0]
    )


def test_weight_scales_the_loss():
    whole, half = (measured(CELoss(weight=weight), LOGITS, hard(HARD))[0] for weight in (1.0, 0.5))
    assert half == pytest.approx(whole / 2)


def test_the_main_head_is_found_among_several():
    x, labels = paddle.to_tensor(LOGITS), hard(HARD)
    alone = CELoss()(x, labels).item()
    assert CELoss()({"aux": x * 2, "logits": x}, labels).item() == alone
    assert CELoss()([x, x * 2], labels).item() == alone


@pytest.mark.parametrize("arguments", [{"epsilon": 1.0}, {"epsilon": -0.1}, {"weight": -1.0}])
def test_nonsense_is_refused_with_the_argument_named(arguments):
    with pytest.raises(ConfigError, match=f"CELoss: {next(iter(arguments))}: must be "):
        create("loss", "CELoss", arguments)


def test_all_nonsense_of_a_file_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        create("loss", "CELoss", {"weight": float("inf"), "epsilon": 1})
    assert str(caught.value).splitlines() == [
        "CELoss: weight: must be a finite number, got inf",
        "CELoss: epsilon: must be less than 1, got 1",
    ]
