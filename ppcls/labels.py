"""Labels of a batch or a whole set, with their kind said and not guessed from a shape."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Callable, FrozenSet, Iterable


class LabelKind(Enum):
    """What a label says: one class, a fraction for every class, yes or no for every class, or what
    mixing several of the last gives.
    """

    HARD = "hard"
    SOFT = "soft"
    MULTI_HOT = "multi-hot"
    MIXED_MULTI_HOT = "mixed multi-hot"

    def __str__(self) -> str:
        return self.value


HARD_ONLY: FrozenSet[LabelKind] = frozenset({LabelKind.HARD})
"""What a loss, a metric or a batch transform takes that says nothing else."""

_FORM = {
    LabelKind.HARD: ("int64", 1),
    LabelKind.SOFT: ("float32", 2),
    LabelKind.MULTI_HOT: ("float32", 2),
    LabelKind.MIXED_MULTI_HOT: ("float32", 2),
}


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of n samples.

    Attributes:
        kind: how to read the values.
        values: a NumPy array or a Paddle tensor. Hard: int64 [n], class indices. Soft: float32
            [n, classes], each row a distribution (at least 0, sum 1). Multi-hot: float32
            [n, classes] of 0 and 1; mixed, of numbers from 0 to 1.

    Raises:
        ValueError: the values' type or number of axes is not that of the kind. The numbers are not
            looked at, so that nothing waits for the device.
    """

    kind: LabelKind
    values: Any

    def __post_init__(self) -> None:
        dtype, axes = _FORM[self.kind]
        # A Paddle tensor's type is called "paddle.int64".
        found = str(self.values.dtype).rpartition(".")[2]
        if found != dtype or len(self.values.shape) != axes:
            form = "[n]" if axes == 1 else "[n, classes]"
            raise ValueError(
                f"{self.kind} labels are {dtype} {form}, got {found} {list(self.values.shape)}"
            )

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, index: Any) -> Labels:
        """Return the labels at the places that a slice, an array of indices or a mask selects."""
        return Labels(self.kind, self.values[index])

    def __str__(self) -> str:
        if self.kind is LabelKind.HARD:
            return f"labels {self.values.min()} to {self.values.max()}"
        return f"{self.kind} labels of {self.values.shape[1]} classes"

    def map(self, function: Callable[[Any], Any]) -> Labels:
        """Return labels of the same kind with `function(values)`, such as `paddle.to_tensor`."""
        return Labels(self.kind, function(self.values))


def any_of(kinds: Iterable[LabelKind]) -> str:
    """Return the kinds for a message: "hard or soft"."""
    return " or ".join(str(kind) for kind in LabelKind if kind in set(kinds))
