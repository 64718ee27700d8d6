"""Photos that belong together (of one object, patient or place), and dividing them so that each
group stays on one side.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Sequence

import numpy as np

from ppcls.data.layouts import OwnSplit
from ppcls.errors import DataError, UsageError
from ppcls.text import first_few, printable

FORMS = "folder, column:NAME, or a regular expression with one group, such as '(object\\d+)_'"
"""What `group_by` may be."""

_COLUMN = "column:"


def column_of(group_by: str) -> List[str]:
    """Return the column of a table that is needed for the groups, in a list; empty without one."""
    return [group_by[len(_COLUMN) :]] if group_by.startswith(_COLUMN) else []


def groups_of(images: OwnSplit, group_by: str) -> np.ndarray:
    """Return the number of each image's group, int64 [n].

    Args:
        images: those that are to be divided.
        group_by: "folder" for the folder that an image lies in; "column:NAME" for what a column of
            the table says; else a regular expression, searched for in the path, whose one group
            tells which images belong together.

    Raises:
        UsageError: it is no regular expression, or has not one group.
        DataError: it is not found in some paths.
    """
    if group_by == "folder":
        names = [os.path.dirname(path) for path in images.paths]
    elif column_of(group_by):
        names = images.columns[column_of(group_by)[0]]
    else:
        names = _found(images.paths, _pattern(group_by))
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1].astype(np.int64)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(
            f"--group-by '{text}' is no regular expression: {error}. It takes {FORMS}"
        ) from None
    if pattern.groups != 1:
        raise UsageError(
            f"--group-by '{text}' has {pattern.groups} groups in parentheses, where one is needed: "
            "what it matches tells which photos belong together. "
            f"It takes {FORMS}"
        )
    return pattern


def _found(paths: Sequence[str], pattern: re.Pattern[str]) -> List[str]:
    matches = [pattern.search(path) for path in paths]
    without = [path for path, match in zip(paths, matches) if match is None or match[1] is None]
    if without:
        raise DataError(
            f"--group-by '{pattern.pattern}' is not found in {len(without)} of {len(paths)} paths: "
            f"{printable(first_few(without, 3))}. It must be found in each; "
            "(a|b) and (?:...) may help"
        )
    return [match[1] for match in matches if match]


def divide_groups(
    classes: np.ndarray, groups: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Give each group to one part, so that each part gets its share of every class as nearly as
    whole groups allow.

    The largest groups are given first, each to the part where the sum of
    (images - wanted)^2 / wanted, over its classes and once for all images, grows least. Classes
    that are missing in the first two parts then get a group of the other one, if there is one to
    spare.

    Args:
        classes: of each image, int64 [n].
        groups: of each image, int64 [n], from 0 on without gaps.
        shares: of the parts, above 0, whose sum is 1.
        rng: decides between groups that are alike.

    Returns:
        The part of each image, int64 [n].
    """
    table = _Assignment(classes, groups, shares)
    order = rng.permutation(len(table.sizes))
    for group in order[np.argsort(-table.sizes[order], kind="stable")].tolist():
        table.give(group, table.best_part(group))
    for poor, rich in ((1, 0), (0, 1)):
        table.fill(poor, rich)
    return table.part_of[groups]


class _Assignment:
    """Which part each group has, and how many images of each class each part has."""

    def __init__(self, classes: np.ndarray, groups: np.ndarray, shares: Sequence[float]) -> None:
        # One class more that holds every image, so that parts get their share of the whole too.
        every = np.full_like(classes, classes.max() + 1)
        classes, groups = np.concatenate([classes, every]), np.concatenate([groups, groups])
        count = int(every[0]) + 1
        keys, numbers = np.unique(groups * count + classes, return_counts=True)
        ends = np.searchsorted(keys // count, np.arange(groups.max() + 2))
        self._classes, self._numbers, self._ends = keys % count, numbers, ends
        self.sizes = np.bincount(groups) // 2
        self.part_of = np.full(len(self.sizes), -1)
        self._wanted = np.outer(shares, np.bincount(classes, minlength=count))
        self._have = np.zeros_like(self._wanted)

    def _inside(self, group: int) -> Dict[str, np.ndarray]:
        """Return the classes of a group, and how many images it has of each."""
        here = slice(self._ends[group], self._ends[group + 1])
        return {"classes": self._classes[here], "numbers": self._numbers[here]}

    def best_part(self, group: int) -> int:
        """Return the part that a group brings nearest to what it should have."""
        inside = self._inside(group)
        wanted = self._wanted[:, inside["classes"]]
        beyond = self._have[:, inside["classes"]] - wanted
        grows = (2 * beyond + inside["numbers"]) * inside["numbers"] / wanted
        return int(grows.sum(axis=1).argmin())

    def give(self, group: int, part: int) -> None:
        """Give a group to a part, taking it from the one that has it."""
        inside = self._inside(group)
        if self.part_of[group] >= 0:
            self._have[self.part_of[group], inside["classes"]] -= inside["numbers"]
        self._have[part, inside["classes"]] += inside["numbers"]
        self.part_of[group] = part

    def fill(self, poor: int, rich: int) -> None:
        """Give `poor` a group of each class that it lacks, where `rich` keeps that group's
        classes.
        """
        lacking = np.flatnonzero((self._have[poor] == 0) & (self._have[rich] > 0))
        owners = np.repeat(np.arange(len(self.sizes)), np.diff(self._ends))
        for number in lacking.tolist():
            candidates = owners[self._classes == number]
            for group in candidates[np.argsort(self.sizes[candidates], kind="stable")].tolist():
                inside = self._inside(group)
                left = self._have[rich, inside["classes"]] - inside["numbers"]
                if self.part_of[group] == rich and (left > 0).all():
                    self.give(group, poor)
                    break
