"""``--find-lr``: which learning rates a recipe may have, found by trying them all.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section 3.3:
each step has a rate that is larger by the same factor than that of the step before, and the loss
tells where learning begins and where it ends.
"""

from __future__ import annotations

import itertools
import math
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Iterator, List, Optional, Sequence

import numpy as np

from ppcls import runtime
from ppcls.data.batch import Batch
from ppcls.engine.job import Job
from ppcls.engine.step import learn
from ppcls.errors import DataError
from ppcls.progress import track
from ppcls.text import table

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 140
"""Updates, 20 for each power of ten."""

_KEPT = 0.9
"""Of the moving average of the loss, at each step."""

_WIDTH = 4.0
"""Updates; the standard deviation of the weights by which losses are averaged around each."""

_EXPLODED = 4.0
"""The loss, as a multiple of the smallest one, at which the search ends."""

_FIRST = 10
"""Updates after which it may end, and on both sides of one, over which the loss's fall is taken:
half a power of ten.
"""

_MOST_ROWS = 15


@dataclass(frozen=True)
class RateSearch:
    """What the loss did at each rate.

    Attributes:
        rates: in the order in which they were tried.
        losses: of the batch at each rate, before its update.
        exploded: whether the loss did in the end, or was no number.
        highest: the highest rate of the recipe's own schedule.
        key: of the configuration, which holds that; None where no key does alone.
    """

    rates: List[float]
    losses: List[float]
    exploded: bool
    highest: float
    key: Optional[str] = None

    @property
    def smooth(self) -> np.ndarray:
        """The losses, averaged around each step."""
        return averaged_around(self.losses)

    @property
    def suggested(self) -> Optional[float]:
        """A rate to try as the highest of a schedule, see `suggested_rate`."""
        return suggested_rate(self.rates, self.losses)

    def summary(self) -> str:
        """Return lines for the terminal."""
        rows = [("learning rate", "loss")]
        rows += [
            (f"{self.rates[i]:.1e}", f"{self.smooth[i]:.4f}") for i in _spread(len(self.rates))
        ]
        return "\n".join([table(rows, left=[]), "", *self._advice()])

    def _advice(self) -> List[str]:
        own = f"the recipe's highest is {self.highest:.2g}"
        if self.exploded and len(self.rates) < 2 * _FIRST:
            return [
                f"the loss is not finite, or explodes, at the smallest rates already; {own}. Are "
                "the weights that it starts from, and the normalisation of images, right?"
            ]
        if self.suggested is None:
            return [
                f"the loss falls at none of these rates by more than it varies; {own}. Do the "
                "labels belong to the images, and is anything left to learn? Larger batches vary "
                "less"
            ]
        end = f"explodes at about {self.rates[-1]:.2g}" if self.exploded else "does not explode"
        found = f"{self.suggested:.1g}"
        lowest = self.rates[int(np.argmin(self.smooth))]
        how = f"-o {self.key}={found}" if self.key else f"{found} as the schedule's highest rate"
        return [
            f"the loss is smallest at about {lowest:.2g}, and {end}; {own}",
            f"try {how}",
        ]


def find_rate(job: Job, steps: int = STEPS) -> RateSearch:
    """Try rates from `LOWEST` to `HIGHEST`; the job's network is of no use afterwards.

    Args:
        job: what is trained; images and the network are those of the first stage of training.
        steps: updates, each at the next rate.

    Raises:
        DataError: no image can be read.
    """
    rates, losses = np.geomspace(LOWEST, HIGHEST, steps).tolist(), []
    batches = _batches(job)
    job.begin_epoch(0)
    job.network.train()
    exploded = False
    for step, rate in enumerate(track(rates, "trying rates", steps)):
        runtime.seed_step(job.settings.seed, step)
        job.optimizer.inner.set_lr(rate)
        losses.append(_updated(job, batches))
        exploded = not math.isfinite(losses[-1]) or has_exploded(losses)
        if exploded:
            break
    finite = [loss for loss in losses if math.isfinite(loss)]
    schedule = job.optimizer.schedule
    return RateSearch(rates[: len(finite)], finite, exploded, schedule.highest, _key(job))


def _updated(job: Job, batches: Iterator[Batch]) -> float:
    """Make one update, of as many batches as the recipe says; return the loss before it."""
    together, total = job.settings.update_freq, 0.0
    for _ in range(together):
        loss, _ = learn(job, next(batches), together=together)
        total += float(loss.item()) / together
    if math.isfinite(total):
        job.precision.update(job.optimizer)
    job.optimizer.clear_grad()
    return total


def _key(job: Job) -> Optional[str]:
    """Return the key that holds the highest rate of the schedule, if one does alone."""
    given = job.config.get("Optimizer", {}).get("lr")
    if isinstance(given, (int, float)):
        return "Optimizer.lr"
    schedule = job.optimizer.schedule
    rate = getattr(schedule, "learning_rate", None)
    is_highest = isinstance(given, dict) and rate == schedule.highest
    return "Optimizer.lr.learning_rate" if is_highest and "learning_rate" in given else None


def averaged_around(losses: Sequence[float]) -> np.ndarray:
    """Return the mean of the losses around each step, weighted by a normal distribution."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / _WIDTH) ** 2)
    means: np.ndarray = weights @ np.asarray(losses) / weights.sum(axis=1)
    return means


def moving_average(losses: Sequence[float]) -> np.ndarray:
    """Return the moving average of losses at each step, without the bias of its first values."""
    average, found = 0.0, []
    for step, loss in enumerate(losses, start=1):
        average = _KEPT * average + (1 - _KEPT) * loss
        found.append(average / (1 - _KEPT**step))
    return np.array(found)


def has_exploded(losses: Sequence[float]) -> bool:
    """Whether the moving average of losses is far above the smallest one."""
    if len(losses) <= _FIRST:
        return False
    average = moving_average(losses)
    return bool(average[-1] > _EXPLODED * max(average.min(), 1e-8))


def suggested_rate(rates: Sequence[float], losses: Sequence[float]) -> Optional[float]:
    """Return the rate at which losses fall fastest for each power of ten, before they are smallest,
    but no less than a tenth of the rate at which they are: bad first weights fall fast at any rate.

    None where the fall is within what losses vary by at the first, tiny rates.
    """
    if len(losses) < 2 * _FIRST:
        return None
    smooth, first = averaged_around(losses), np.asarray(losses[: 2 * _FIRST])
    lowest = int(np.argmin(smooth))
    if lowest < _FIRST or first.mean() - smooth[lowest] <= max(1.5 * float(first.std()), 1e-6):
        return None
    slopes = slopes_around(np.log10(rates), np.asarray(losses))[: lowest + 1]
    return max(float(rates[int(np.argmin(slopes))]), rates[lowest] / 10)


def slopes_around(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the slope of the straight line through the points around each, by least squares."""
    found = []
    for place in range(len(x)):
        around = slice(max(0, place - _FIRST), place + _FIRST + 1)
        from_mean = x[around] - x[around].mean()
        found.append(float((from_mean * y[around]).sum() / (from_mean**2).sum()))
    return np.array(found)


def _batches(job: Job) -> Iterator[Batch]:
    """Yield batches with images, from one epoch after the other, all as in the first stage.

    Raises:
        DataError: an epoch has none.
    """
    endless = replace(job.train, epochs=sys.maxsize)
    for epoch in itertools.count():
        found = False
        with closing(endless.epoch(epoch)) as batches:
            for batch in batches:
                if len(batch):
                    found = True
                    yield batch
        if not found:
            raise DataError("no image of the training set can be read")


def _spread(count: int) -> List[int]:
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).astype(int)).tolist()
