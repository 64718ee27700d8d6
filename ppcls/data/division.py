"""Which images are to learn from, and which are held back."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.groups import divide_groups, groups_of
from ppcls.data.layouts import OwnImages, OwnSplit
from ppcls.data.layouts.own_images import chosen
from ppcls.errors import DataError, UsageError
from ppcls.text import first_few, printable

DEFAULT_VAL = 0.2
MOST_FOLDS = 100

Division = Dict[str, OwnSplit]
"""Images by part: "train", "val", and "test" where there is one."""


@dataclass(frozen=True)
class DivisionRequest:
    """How a set is to be divided.

    Attributes:
        val: the fraction that is held back to choose a model by, above 0 and below 1; None for 0.2,
            or what the set has already.
        test: the fraction that is held back to judge the chosen model by, 0 or more.
        folds: divide into so many folds of which each is held back once, instead of by `val`.
        seed: which images are held back.
        group_by: which images stay together, see `ppcls.data.groups.groups_of`; None for none.

    Raises:
        UsageError: a number is out of range, or `val` and `folds` are both given.
    """

    val: Optional[float] = None
    test: float = 0.0
    folds: Optional[int] = None
    seed: int = 0
    group_by: Optional[str] = None

    def __post_init__(self) -> None:
        held = (DEFAULT_VAL if self.val is None else self.val) + self.test
        if self.seed < 0:
            raise UsageError(f"the seed must be at least 0, got {self.seed}")
        if self.val is not None and not 0 < self.val < 1:
            raise UsageError(
                f"the fraction that is held back must lie between 0 and 1, got {self.val:g}"
            )
        if not 0 <= self.test < 1 or not held < 1:
            raise UsageError(
                f"the fractions that are held back, {held - self.test:g} and {self.test:g}, must "
                "be at least 0 and leave something to learn from"
            )
        if self.folds is not None and self.val is not None:
            raise UsageError("each of the folds is held back once, so leave --val out")
        if self.folds is not None and not 2 <= self.folds <= MOST_FOLDS:
            raise UsageError(f"--folds takes 2 to {MOST_FOLDS}, got {self.folds}")


def divide(images: OwnImages, request: DivisionRequest) -> List[Division]:
    """Divide a set, each class in the same proportion as far as whole groups allow.

    What is divided already stays as it is: a set with a "val" keeps it, and one with a "test".
    Folds are made of "train" and "val" together. Every class that can be is in "train" and "val".

    Returns:
        One division, or one for each fold.

    Raises:
        UsageError: the set has a part that is asked for anew, or `group_by` is wrong.
        DataError: there are too few images or groups.
    """
    _refuse_what_is_there(images, request)
    rng = np.random.default_rng(request.seed)
    pool = joined(images.train, images.val) if images.val and request.folds else images.train
    kept = {name: found for name, found in images.splits.items() if name != "train"}
    held = _held(images, request)
    if held:
        shares = {"train": 1 - sum(held.values()), **held}
        found = _divided(pool, shares, request.group_by, rng)
        pool, kept = found.pop("train"), {**kept, **found}
    if not request.folds:
        return [_ordered({"train": pool, **kept})]
    folds = _folds(pool, request.folds, request.group_by, rng)
    return [_ordered({**kept, **fold}) for fold in folds]


def _held(images: OwnImages, request: DivisionRequest) -> Dict[str, float]:
    """Return the fractions that are to be held back, by part."""
    held = {}
    if not request.folds and not images.val:
        held["val"] = DEFAULT_VAL if request.val is None else request.val
    if request.test:
        held["test"] = request.test
    return held


def joined(one: OwnSplit, other: OwnSplit) -> OwnSplit:
    """Return the images of two parts as one."""
    columns = {name: [*values, *other.columns[name]] for name, values in one.columns.items()}
    numbers = np.concatenate([one.numbers, other.numbers])
    return OwnSplit([*one.paths, *other.paths], numbers, columns)


def _ordered(parts: Division) -> Division:
    return {name: parts[name] for name in ("train", "val", "test") if name in parts}


def _refuse_what_is_there(images: OwnImages, request: DivisionRequest) -> None:
    if images.val and request.val is not None:
        raise UsageError(
            f"the set is divided already ({images.how}) and keeps its {len(images.val)} images of "
            "val; leave --val out"
        )
    if images.test and request.test:
        raise UsageError(
            f"the set has a part to test already ({images.how}), {len(images.test)} images, and "
            "keeps it; leave --test out"
        )


def _divided(
    pool: OwnSplit, shares: Dict[str, float], group_by: Optional[str], rng: np.random.Generator
) -> Division:
    """Divide by fractions; the first of `shares` is "train"."""
    if group_by:
        parts = _of_groups(pool, group_by, list(shares.values()), rng)
    else:
        parts = _by_class(pool.numbers, list(shares.values())[1:], rng)
    return {name: chosen(pool, np.flatnonzero(parts == i)) for i, name in enumerate(shares)}


def _folds(
    pool: OwnSplit, count: int, group_by: Optional[str], rng: np.random.Generator
) -> List[Division]:
    if group_by:
        parts = _of_groups(pool, group_by, [1 / count] * count, rng)
    else:
        parts = _dealt(pool.numbers, count, rng)
    return [
        {
            "train": chosen(pool, np.flatnonzero(parts != i)),
            "val": chosen(pool, np.flatnonzero(parts == i)),
        }
        for i in range(count)
    ]


def _of_groups(
    pool: OwnSplit, group_by: str, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    groups = groups_of(pool, group_by)
    parts = divide_groups(pool.numbers, groups, shares, rng)
    if not np.bincount(parts, minlength=len(shares)).all():
        count = int(groups.max()) + 1
        raise DataError(
            f"--group-by '{group_by}' makes {count} group{'s' * (count > 1)} of {len(pool)} "
            f"images, too few or too large ones for {len(shares)} parts: one would be "
            "empty. To be on both sides, a class needs two groups"
        )
    return parts


def _by_class(classes: np.ndarray, held: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return the part of each image, int64 [n]: of every class the fractions `held` in the parts 1,
    2, ..., at least one image in part 1 and one in part 0.
    """
    parts = np.zeros(len(classes), dtype=np.int64)
    for images in _each_class(classes):
        images = rng.permutation(images)
        most, start = len(images) - 1, 0
        for part, fraction in enumerate(held, 1):
            count = min(max(1, round(fraction * len(images))), most - start)
            parts[images[start : start + count]] = part
            start += count
    return parts


def _dealt(classes: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each image, int64 [n]: the images of every class are dealt like cards, and
    the next class goes on where the last one ended.
    """
    parts = np.zeros(len(classes), dtype=np.int64)
    start = 0
    for images in _each_class(classes):
        parts[rng.permutation(images)] = (start + np.arange(len(images))) % folds
        start += len(images)
    return parts


def _each_class(classes: np.ndarray) -> List[np.ndarray]:
    """Return the places of the images of each class."""
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(classes[order])) + 1)


def whole_groups(division: Division, group_by: Optional[str]) -> Tuple[Optional[int], List[str]]:
    """Return how many groups there are, and a warning on those in two parts, as a set can have them
    that was divided already.
    """
    if not group_by:
        return None, []
    everything = functools.reduce(joined, division.values())
    groups = groups_of(everything, group_by)
    parts = np.repeat(np.arange(len(division)), [len(part) for part in division.values()])
    count, pairs = int(groups.max()) + 1, len(np.unique(np.stack([groups, parts]), axis=1).T)
    torn = f"{pairs - count} of {count} groups are in two parts, because the set has these already"
    return count, [torn] if pairs > count else []


def lacking_classes(names: Sequence[str], division: Division) -> List[str]:
    """Return a warning for each part that lacks classes which are in the other."""
    counts = {
        part: np.bincount(division[part].numbers, minlength=len(names)) for part in ("train", "val")
    }
    some = (counts["train"] + counts["val"]) > 0
    return [
        f"{len(lacking)} class{'es have' if len(lacking) > 1 else ' has'} no image in {part}: "
        f"{printable(first_few([names[i] for i in lacking.tolist()]))}"
        for part, lacking in ((part, np.flatnonzero(some & (n == 0))) for part, n in counts.items())
        if len(lacking)
    ]
