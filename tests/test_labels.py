"""Labels say their kind, and are checked against it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import paddle
import pytest

from ppcls.labels import LabelKind, Labels, any_of

HARD = Labels(LabelKind.HARD, np.array([2, 0, 1]))
SOFT = Labels(LabelKind.SOFT, np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32))


def test_selects_by_mask_array_and_slice() -> None:
    assert len(HARD) == len(SOFT) == 3
    assert HARD[np.array([True, False, True])].values.tolist() == [2, 1]
    assert SOFT[np.array([2, 0])].values.tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert SOFT[:0].kind is LabelKind.SOFT and len(SOFT[:0]) == 0


@pytest.mark.parametrize("labels", [HARD, SOFT, HARD[:0], SOFT[:0]])
def test_becomes_a_tensor_of_the_same_kind(labels: Labels) -> None:
    there = labels.map(paddle.to_tensor)
    assert isinstance(there.values, paddle.Tensor) and len(there) == len(labels)
    back = there.map(lambda tensor: tensor.numpy())
    assert back.kind is labels.kind
    np.testing.assert_array_equal(back.values, labels.values)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (LabelKind.HARD, np.zeros(3, np.int32), r"hard labels are int64 \[n\], got int32 \[3\]"),
        (LabelKind.HARD, np.zeros((3, 1), np.int64), r"got int64 \[3, 1\]"),
        (LabelKind.SOFT, np.zeros(3, np.float32), r"soft labels are float32 \[n, classes\]"),
        (LabelKind.SOFT, np.zeros((3, 2)), r"got float64 \[3, 2\]"),
        (LabelKind.MULTI_HOT, np.zeros((3, 2), np.int64), "multi-hot labels are float32"),
        (LabelKind.HARD, paddle.zeros([3, 2]), r"got float32 \[3, 2\]"),
    ],
)
def test_refuses_what_is_not_of_the_kind(kind: LabelKind, values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Labels(kind, values)


def test_a_square_of_ones_is_what_it_is_said_to_be() -> None:
    ones = np.ones((1, 1), np.float32)
    assert Labels(LabelKind.SOFT, ones).kind is LabelKind.SOFT
    assert Labels(LabelKind.MULTI_HOT, ones).kind is LabelKind.MULTI_HOT


def test_words() -> None:
    assert str(HARD) == "labels 0 to 2" and str(SOFT) == "soft labels of 2 classes"
    assert any_of([LabelKind.SOFT, LabelKind.HARD]) == "hard or soft"


def test_needs_neither_paddle_nor_numpy() -> None:
    code = "import sys, ppcls.labels; print({'paddle', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
