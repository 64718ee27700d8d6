"""Groups of photos stay whole, and classes are divided as evenly as that allows."""

from __future__ import annotations

import time
from typing import List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls.data.groups import divide_groups, groups_of
from ppcls.data.layouts import OwnSplit
from ppcls.errors import DataError, UsageError

PATHS = ["a/obj1_x.jpg", "a/obj2_x.jpg", "b/obj1_y.jpg"]


def split(paths: List[str]) -> OwnSplit:
    return OwnSplit(paths, np.zeros(len(paths), np.int64), {"who": ["x", "x", "y"]})


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("folder", [0, 0, 1]),
        ("column:who", [0, 0, 1]),
        (r"obj(\d+)_", [0, 1, 0]),
        (r"_(.)\.", [0, 0, 1]),
        (r"(?:^a|^b)/(obj1|obj2)", [0, 1, 0]),
    ],
)
def test_three_ways_to_say_what_belongs_together(how: str, expected: List[int]) -> None:
    assert groups_of(split(PATHS), how).tolist() == expected


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no regular expression: .*It takes folder, column:NAME"):
        groups_of(split(PATHS), "(")
    with pytest.raises(UsageError, match="has 2 groups in parentheses, where one is needed"):
        groups_of(split(PATHS), "(a)(b)")
    with pytest.raises(DataError, match="not found in 1 of 3 paths: b/obj1_y.jpg"):
        groups_of(split(PATHS), "^(a)")
    with pytest.raises(DataError, match="not found in 1 of 3 paths"):
        groups_of(split(PATHS), "obj2|(obj1)")


def shares_of(classes: np.ndarray, parts: np.ndarray, part: int) -> np.ndarray:
    return np.bincount(classes[parts == part], minlength=classes.max() + 1) / np.bincount(classes)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 5))
def test_groups_are_whole_and_parts_not_empty(seed: int, count: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(count), rng.integers(0, count, 3 * count)])
    labels = rng.integers(0, classes, len(groups))
    parts = divide_groups(labels, groups, [0.75, 0.25], rng)
    for group in range(count):
        assert len(set(parts[groups == group])) == 1
    # Each class that is in several groups with no other class is on both sides.
    alone = [g for g in range(count) if len(set(labels[groups == g])) == 1]
    for label in range(classes):
        if sum(labels[groups == g][0] == label for g in alone) >= 2:
            assert set(parts[labels == label]) == {0, 1}


def test_classes_are_divided_as_evenly_as_scikit_learn_does() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(3)
    own, theirs = [], []
    for seed in range(3):
        groups = np.sort(rng.integers(0, 60, 600))
        groups = np.unique(groups, return_inverse=True)[1]
        labels = (rng.random(len(groups)) + rng.random(60)[groups] > 1.2).astype(np.int64)
        wanted = 1 / 5
        parts = divide_groups(labels, groups, [wanted] * 5, np.random.default_rng(seed))
        own += [np.abs(shares_of(labels, parts, i) - wanted).max() for i in range(5)]
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        for _, held in folds.split(labels, labels, groups):
            there = np.isin(np.arange(len(labels)), held).astype(np.int64)
            theirs.append(np.abs(shares_of(labels, there, 1) - wanted).max())
    assert np.mean(own) <= np.mean(theirs) and max(own) <= max(theirs)


@pytest.mark.slow
def test_many_classes_and_groups() -> None:
    classes = np.repeat(np.arange(20_000), 6)
    groups = np.arange(len(classes)) // 2
    began = time.process_time()
    parts = divide_groups(classes, groups, [0.8, 0.2], np.random.default_rng(0))
    assert time.process_time() - began < 15
    assert shares_of(classes, parts, 1) == pytest.approx(1 / 3)
