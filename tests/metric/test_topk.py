"""Top-k accuracy against scikit-learn."""

from __future__ import annotations

import logging
import math

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from ppcls.errors import CheckpointError, ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.metric import TopkAcc
from ppcls.registry import create

RNG = np.random.default_rng(0)
SCORES = RNG.normal(0, 1, [50, 7]).astype("float32")
LABELS = RNG.integers(0, 7, 50)


def seen(metric, scores=SCORES, labels=LABELS, cuts=(13, 14, 40)):
    for part in np.split(np.arange(len(scores)), cuts):
        metric.update(paddle.to_tensor(scores[part]), hard(labels[part]))
    return metric


def hard(labels):
    return Labels(LabelKind.HARD, paddle.to_tensor(labels))


@settings(max_examples=25)
@given(
    k=st.integers(1, 5),
    classes=st.integers(6, 20),
    cuts=st.lists(st.integers(0, 30), max_size=4).map(sorted),
    seed=st.integers(0, 10**6),
)
def test_any_batching_gives_scikit_learns_number_exactly(k, classes, cuts, seed):
    rng = np.random.default_rng(seed)
    scores, labels = (
        rng.permuted(np.tile(np.arange(classes), (30, 1)), axis=1),
        rng.integers(0, classes, 30),
    )
    metric = seen(TopkAcc(k, class_num=classes), scores.astype("float32"), labels, cuts)
    wanted = top_k_accuracy_score(labels, scores, k=k, labels=np.arange(classes))
    assert metric.compute() == {f"top{k}": wanted}


def test_takes_hard_labels_only():
    assert TopkAcc.accepts == {LabelKind.HARD}


def test_among_equal_scores_the_lower_index_comes_first():
    scores, labels = np.zeros([4, 4], "float32"), np.arange(4)
    assert seen(TopkAcc([1, 2, 3]), scores, labels, ()).compute() == {
        "top1": 0.25,
        "top2": 0.5,
        "top3": 0.75,
    }
    ties = RNG.integers(0, 2, [40, 5]).astype("float32")
    labels = RNG.integers(0, 5, 40)
    top1 = seen(TopkAcc(1), ties, labels).compute()["top1"]
    assert top1 == np.mean(ties.argmax(1) == labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_diverged_network_gets_no_credit(bad):
    scores = np.full([8, 5], bad, "float32")
    result = seen(TopkAcc([1, 2]), scores, np.full(8, 4), ()).compute()
    assert result == {"top1": 0.0, "top2": 0.0}


def test_half_precision_scores():
    scores = paddle.to_tensor(SCORES).astype("float16")
    metric = TopkAcc(1)
    metric.update({"logits": scores}, hard(LABELS))
    assert metric.compute()["top1"] == np.mean(scores.numpy().argmax(1) == LABELS)


def test_nothing_seen_is_not_a_number():
    metric = TopkAcc()
    metric.update(paddle.zeros([0, 7]), hard(LABELS[:0]))
    assert all(math.isnan(value) for value in metric.compute().values())
    assert list(metric.compute()) == ["top1", "top5"]


def test_reset_forgets():
    metric = seen(TopkAcc(1))
    metric.reset()
    seen(metric, SCORES[:5], LABELS[:5], ())
    assert metric.compute() == seen(TopkAcc(1), SCORES[:5], LABELS[:5], ()).compute()


def test_state_continues_elsewhere_and_adds_up():
    first = seen(TopkAcc([1, 5]), SCORES[:20], LABELS[:20])
    state = first.state()
    assert all(type(value) is float for value in state.values())
    second = TopkAcc([1, 5])
    second.load_state(state)
    seen(second, SCORES[20:], LABELS[20:], (7,))
    assert second.compute() == seen(TopkAcc([1, 5])).compute()
    rest = seen(TopkAcc([1, 5]), SCORES[20:], LABELS[20:], ()).state()
    assert second.state() == {key: state[key] + rest[key] for key in state}


def test_the_state_of_another_metric_is_refused():
    with pytest.raises(CheckpointError, match="needs count, top1; it has count, top1, top5"):
        TopkAcc(1).load_state(TopkAcc([1, 5]).state())


def test_a_k_that_is_always_hit_is_left_out_in_silence(caplog):
    with caplog.at_level(logging.INFO, "ppcls"):
        metric = TopkAcc([1, 5, 9], class_num=5)
    assert metric.names == ["top1"]
    assert caplog.text == ""
    with pytest.raises(ConfigError, match="top5 is always 1"):
        TopkAcc(5, class_num=5)


def test_without_a_class_count_a_large_k_is_always_hit():
    assert seen(TopkAcc([1, 7, 8])).compute()["top8"] == 1.0


@pytest.mark.parametrize("topk", [0, [], [1, -1]])
def test_nonsense_is_refused(topk):
    with pytest.raises(ConfigError, match="TopkAcc: topk.*at least 1|greater than or equal to 1"):
        create("metric", "TopkAcc", {"topk": topk})


def test_update_does_not_touch_the_graph_of_the_network():
    scores = paddle.to_tensor(SCORES, stop_gradient=False)
    metric = TopkAcc(1)
    metric.update(scores * 2, hard(LABELS))
    assert metric._hits.stop_gradient
