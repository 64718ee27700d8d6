"""Time: what a budget says, and how many epochs fit into what is left of it."""

from __future__ import annotations

import contextlib
import re
import statistics
import time
from contextlib import closing
from typing import Callable, Iterator, List, NamedTuple

import numpy as np
import paddle

from ppcls.data.loader import DataLoader
from ppcls.engine.device_ops import network_input
from ppcls.engine.job import Job
from ppcls.engine.step import learn, update
from ppcls.errors import BadImageError, UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIMED = 8
"""Batches that are trained to see how long one takes; the first half is slower, as memory is taken
and operators are prepared, and does not count.
"""

_READ = 8
"""Images that are read to see how long it takes."""

MOST_EPOCHS = 60
"""Of a training; more of them only learn by heart."""

_SAFETY = 0.85
"""Of the time that is left: machines have other things to do, too."""


def seconds_of(text: str) -> float:
    """Return the seconds that a budget such as 300, 90s, 5m or 1.5h means.

    Raises:
        UsageError: it is something else, or not above 0.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smh]?)", text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise UsageError(f"--budget takes a time such as 90s, 5m or 1h, got '{text}'")
    return seconds


class Pace(NamedTuple):
    """How long training takes here, in seconds."""

    batch: float
    """Forward, backward and update, reading included."""
    evaluation: float
    """Of the whole set that is held back."""
    batches: int
    """In an epoch."""

    @property
    def epoch(self) -> float:
        """An epoch with its evaluation."""
        return self.batch * self.batches + self.evaluation

    def epochs_within(self, seconds: float) -> int:
        """Return how many epochs fit, and the evaluation of the start besides; 0 if none does."""
        left = _SAFETY * seconds - self.evaluation
        return max(0, int(left / self.epoch))


def pace_of(job: Job, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Train and evaluate a few batches, and say how long it takes. The job's network and optimizer
    are not of use afterwards.
    """
    job.network.train()
    train = _times(_trained(job), clock)
    batch = max(statistics.median(train[len(train) // 2 :]), _reading(job.train, clock))
    if job.eval is None:
        return Pace(batch, 0.0, len(job.train))
    each = _times(_judged(job), clock)
    judged = max(statistics.median(each[len(each) // 2 :]), _reading(job.eval, clock))
    return Pace(batch, judged * len(job.eval), len(job.train))


def _reading(loader: DataLoader, clock: Callable[[], float]) -> float:
    """Return how long reading a batch takes: the first ones are read while nothing else is done,
    so that timing them says nothing of it.
    """
    dataset, count = loader.dataset, min(_READ, len(loader.dataset))
    began = clock()
    for index in range(count):
        with contextlib.suppress(BadImageError):
            dataset.transform(dataset.read(index), np.random.default_rng(index))
    share = len(loader.sampler.batches(0)[0]) / max(1, loader.num_workers)
    return (clock() - began) / count * share


def _trained(job: Job) -> Iterator[None]:
    with closing(job.train.epoch(0)) as batches:
        for batch in batches:
            if len(batch):
                loss, _ = learn(job, batch)
                update(job, step=0)
                loss.item()
            yield


def _judged(job: Job) -> Iterator[None]:
    assert job.eval is not None
    job.network.eval()
    with closing(job.eval.epoch(0)) as batches, paddle.no_grad():
        for batch in batches:
            if len(batch):
                job.network(network_input(batch)).numpy()
            yield


def _times(steps: Iterator[None], clock: Callable[[], float]) -> List[float]:
    times: List[float] = []
    began = clock()
    for _ in steps:
        times.append(clock() - began)
        if len(times) == _TIMED:
            break
        began = clock()
    return times
