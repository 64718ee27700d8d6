from __future__ import annotations

from typing import List, Tuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ppcls.calibration.thresholds import LEAST, NEVER, find_thresholds, smallest_cut

PAIRS = st.lists(
    st.tuples(st.integers(1, 60).map(lambda n: n / 64), st.booleans()), min_size=LEAST, max_size=60
)


def test_a_cut_by_hand() -> None:
    # Thirteen right above 0.5, then wrong, right, wrong: 14 of 15 are less than 95 %.
    scores = np.array([0.9] * 6 + [0.8] * 7 + [0.4, 0.3, 0.1])
    right = np.array([True] * 13 + [False, True, False])
    cut, reached = smallest_cut(scores, right, 0.95)
    assert reached and (cut.answered, cut.right) == (13, 13)
    assert np.isclose(cut.threshold, 0.6), "in the middle between 0.8 and 0.4"
    cut, reached = smallest_cut(scores, right, 0.9)
    assert reached and (cut.answered, cut.right) == (15, 14) and np.isclose(cut.threshold, 0.2)
    cut, reached = smallest_cut(scores, right, 0.5)
    assert reached and (cut.threshold, cut.answered) == (0.0, 16)


@given(PAIRS, st.sampled_from([0.5, 0.75, 0.95, 1.0]))
def test_no_smaller_threshold_reaches_the_precision(
    pairs: List[Tuple[float, bool]], precision: float
) -> None:
    scores, right = (np.array(column) for column in zip(*pairs))
    cut, reached = smallest_cut(scores, right, precision)
    answered = scores >= cut.threshold
    assert (cut.answered, cut.right) == (answered.sum(), right[answered].sum())
    assert cut.answered >= LEAST and reached == (cut.precision >= precision)
    for lower in np.unique([0.0, *scores]):
        more = scores >= lower
        if more.sum() > cut.answered or (not reached and more.sum() >= LEAST):
            assert right[more].mean() < precision


def test_each_class_has_its_own() -> None:
    scores = np.concatenate([np.linspace(0.5, 0.9, 20), np.linspace(0.5, 0.9, 20), [0.7] * 3])
    predicted = np.array([0] * 20 + [1] * 20 + [2] * 3)
    right = np.array([False] * 4 + [True] * 16 + [False, True] * 10 + [True] * 3)
    found = find_thresholds(scores, predicted, right, 0.95, classes=4)
    assert found.by_class is not None and list(found.never) == [1] and found.by_class[1] == NEVER
    mine = scores[:20]
    assert mine[3] < found.by_class[0] < mine[4]
    assert list(found.unsure) == [2, 3]
    assert found.by_class[2] == found.by_class[3]
    assert find_thresholds(scores, predicted, right, 0.95, classes=0).by_class is None
