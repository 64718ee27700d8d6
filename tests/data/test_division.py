"""Which images are held back: each class alike, groups whole, and what is divided left alone."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls.data.division import DivisionRequest, divide, lacking_classes
from ppcls.data.layouts import OwnImages, OwnSplit
from ppcls.errors import DataError, UsageError


def part(counts: List[int], start: str = "") -> OwnSplit:
    numbers = np.repeat(np.arange(len(counts)), counts)
    paths = [f"{start}c{label}/{i}.jpg" for i, label in enumerate(numbers.tolist())]
    return OwnSplit(paths, numbers)


def images(counts: List[int], **others: List[int]) -> OwnImages:
    splits = {"train": part(counts), **{name: part(n, name) for name, n in others.items()}}
    return OwnImages("/", [f"c{i}" for i in range(len(counts))], splits, "a test")


def counts_of(found: OwnSplit, classes: int) -> List[int]:
    return np.bincount(found.numbers, minlength=classes).tolist()


COUNTS = st.lists(st.integers(2, 30), min_size=2, max_size=4)


@settings(max_examples=60)
@given(COUNTS, st.floats(0.01, 0.99), st.integers(0, 9))
def test_every_image_is_in_one_part_and_no_class_is_missing(
    counts: List[int], share: float, seed: int
) -> None:
    (found,) = divide(images(counts), DivisionRequest(val=share, seed=seed))
    assert sorted([*found["train"].paths, *found["val"].paths]) == sorted(part(counts).paths)
    for count, held in zip(counts, counts_of(found["val"], len(counts))):
        assert 1 <= held <= count - 1
        assert held == pytest.approx(share * count, abs=1)
    for one in found.values():
        assert all(path.startswith(f"c{label}/") for path, label in zip(one.paths, one.numbers))


@settings(max_examples=40)
@given(COUNTS, st.integers(0, 9))
def test_three_parts(counts: List[int], seed: int) -> None:
    (found,) = divide(images(counts), DivisionRequest(val=0.2, test=0.1, seed=seed))
    assert list(found) == ["train", "val", "test"]
    assert sum(len(one) for one in found.values()) == sum(counts)
    assert min(counts_of(found["train"], len(counts))) >= 1
    assert min(counts_of(found["val"], len(counts))) >= 1


@settings(max_examples=40)
@given(COUNTS, st.integers(2, 7), st.integers(0, 9))
def test_folds(counts: List[int], count: int, seed: int) -> None:
    found = divide(images(counts), DivisionRequest(folds=count, seed=seed))
    held = [path for fold in found for path in fold["val"].paths]
    assert sorted(held) == sorted(part(counts).paths)
    of_class = np.array([counts_of(fold["val"], len(counts)) for fold in found])
    assert (of_class.max(axis=0) - of_class.min(axis=0) <= 1).all()
    assert np.ptp(of_class.sum(axis=1)) <= 1
    for fold in found:
        assert set(fold["train"].paths) == set(part(counts).paths) - set(fold["val"].paths)


def test_what_is_divided_is_kept() -> None:
    given_images = images([8, 8], val=[3, 2])
    (found,) = divide(given_images, DivisionRequest(test=0.25))
    assert found["val"] is given_images.val
    assert counts_of(found["test"], 2) == [2, 2] and counts_of(found["train"], 2) == [6, 6]
    (found,) = divide(images([8, 8], test=[1, 1]), DivisionRequest())
    assert {name: len(one) for name, one in found.items()} == {"train": 12, "val": 4, "test": 2}
    folds = divide(images([8, 8], val=[1, 1], test=[1, 1]), DivisionRequest(folds=3))
    assert [sum(map(len, fold.values())) for fold in folds] == [20, 20, 20]
    with pytest.raises(UsageError, match="keeps its 5 images of val; leave --val out"):
        divide(given_images, DivisionRequest(val=0.1))
    with pytest.raises(UsageError, match="leave --test out"):
        divide(images([8, 8], test=[1, 1]), DivisionRequest(test=0.1))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"val": 1.0}, "must lie between 0 and 1, got 1"),
        ({"val": float("nan")}, "between 0 and 1"),
        ({"val": 0.5, "test": 0.5}, "leave something to learn from"),
        ({"test": -0.1}, "at least 0"),
        ({"test": float("nan")}, "at least 0"),
        ({"seed": -1}, "at least 0"),
        ({"folds": 1}, "2 to 100, got 1"),
        ({"folds": 3, "val": 0.2}, "leave --val out"),
    ],
)
def test_nonsense_is_refused(arguments: Dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        DivisionRequest(**arguments)


def test_groups_that_cannot_be_divided() -> None:
    for request in (DivisionRequest(folds=3, group_by="folder"), DivisionRequest(group_by="c(.)")):
        with pytest.raises(DataError, match="makes 2 groups of 10 images, too few or too large"):
            divide(images([5, 5]), request)
    folds = divide(images([5, 5, 5]), DivisionRequest(folds=3, group_by="folder"))
    lines = lacking_classes(["a", "b", "c"], folds[0])
    assert len(lines) == 2 and "1 class has no image in train: " in lines[0]
