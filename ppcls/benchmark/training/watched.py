"""A data loader that notes when batches are asked for and given."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Generator, List, Sequence

from ppcls.data.batch import Batch
from ppcls.data.loader import DataLoader


def _at_once() -> None:
    """There is nothing to wait for."""


@dataclass(frozen=True)
class Turn:
    """Some steps in a row, without the first ones, which start threads and fill caches.

    Attributes:
        seconds: of each step, waiting for its batch included.
        waits: how much of it was spent waiting for the batch.
        images: how many each step took.
    """

    seconds: List[float]
    waits: List[float]
    images: List[int]

    @property
    def images_per_second(self) -> float:
        """Over all steps."""
        return sum(self.images) / max(sum(self.seconds), 1e-9)


@dataclass(eq=False)
class Watched(DataLoader):
    """So many batches of a loader, over the borders of its epochs.

    Attributes:
        steps: how many batches.
        kept: batches that are handed out again and again instead, if there are any.
        first: the loader's epoch that comes first.
        settle: waits until what was asked of a device is done.
        asked: when each batch was asked for, and at last when the next one would have been.
        given: when each batch was there.
        images: how many images each batch has.
    """

    steps: int = 0
    kept: Sequence[Batch] = ()
    first: int = 0
    settle: Callable[[], None] = _at_once
    asked: List[float] = field(default_factory=list)
    given: List[float] = field(default_factory=list)
    images: List[int] = field(default_factory=list)

    @classmethod
    def of(cls, loader: DataLoader, steps: int, **more: Any) -> Watched:
        """Return a view of a loader; `more` are attributes."""
        own = {item.name: getattr(loader, item.name) for item in fields(DataLoader) if item.init}
        return cls(**own, steps=steps, **more)

    def __len__(self) -> int:
        """The number of batches."""
        return self.steps

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches, from `epoch` epochs after the first one on."""
        with contextlib.closing(self._kept() if self.kept else self._read(epoch)) as source:
            for _ in range(start, self.steps):
                self.settle()
                self.asked.append(time.perf_counter())
                batch = next(source)
                self.given.append(time.perf_counter())
                self.images.append(len(batch))
                yield batch
            self.settle()
            self.asked.append(time.perf_counter())

    def turn(self, warm_up: int) -> Turn:
        """Return what was noted, but for the first steps."""
        begins, ends = self.asked[:-1], self.asked[1:]
        seconds = [end - begin for begin, end in zip(begins, ends)]
        waits = [given - asked for given, asked in zip(self.given, begins)]
        return Turn(seconds[warm_up:], waits[warm_up:], self.images[warm_up:])

    def _kept(self) -> Generator[Batch, None, None]:
        yield from itertools.cycle(self.kept)

    def _read(self, epoch: int) -> Generator[Batch, None, None]:
        for number in itertools.count(self.first + epoch):
            yield from super().epoch(number)
