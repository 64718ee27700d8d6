"""How long training takes here, from a few of its steps."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Callable, Generator, Iterator, List, NamedTuple, Optional

import numpy as np
import paddle

from ppcls.data.cache import ImageCache, Kept
from ppcls.data.loader import DataLoader
from ppcls.data.transforms import Pipeline
from ppcls.engine.device_ops import network_input
from ppcls.engine.ema import AveragedWeights
from ppcls.engine.job import Job, TrainSettings
from ppcls.engine.step import learn, update
from ppcls.errors import BadImageError, CheckpointError
from ppcls.weights.weight_file import arrays_of, write

Clock = Callable[[], float]
"""Returns seconds since some moment."""

_TIMED = 8
"""Batches that are trained to see how long one takes; the first half is slower, as memory is taken
and operators are prepared, and does not count.
"""

_READ = 8
"""Images that are read to see how long it takes."""

_SAFETY = 0.85
"""Of the time that is left: machines have other things to do, too."""


class Pace(NamedTuple):
    """How long training takes here, in seconds."""

    batch: float
    """Forward, backward and update, reading included; the mean over all epochs."""
    evaluation: float
    """Of the whole set that is held back."""
    batches: int
    """In an epoch."""
    saving: float = 0.0
    """A checkpoint."""

    @property
    def epoch(self) -> float:
        """An epoch with its evaluation."""
        return self.batch * self.batches + self.evaluation

    def epochs_within(self, seconds: float) -> int:
        """Return how many epochs fit, and the evaluation of the start besides; 0 if none does."""
        left = _SAFETY * seconds - self.evaluation
        return max(0, int(left / self.epoch))

    def of_run(self, settings: TrainSettings) -> float:
        """Return how long a run takes, with its evaluations and checkpoints."""
        updates = -(-self.batches // settings.update_freq)
        return (
            settings.epochs * self.batches * self.batch
            + settings.evaluations() * self.evaluation
            + settings.checkpoints(updates) * self.saving
        )


def pace_of(job: Job, clock: Clock = time.perf_counter) -> Pace:
    """Train and evaluate a few batches, and say how long it takes. The job's network and optimizer
    are not of use afterwards.

    Where images change in size in the course of training, each size is measured.
    """
    job.network.train()
    begins = sorted(job.train.stages())
    lengths = np.diff([*begins, max(job.train.epochs, begins[-1] + 1)])
    batch = float(np.average([_of_stage(job, one, clock) for one in begins], weights=lengths))
    if job.eval is None:
        return Pace(batch, 0.0, len(job.train))
    each = _times(_judged(job), clock)
    computed = statistics.median(each[len(each) // 2 :])
    judged = max(computed, _reading(job.eval, clock)) * len(job.eval)
    return Pace(batch, judged * _evaluations(job.ema) + _statistics(job, batch), len(job.train))


def _evaluations(average: Optional[AveragedWeights]) -> int:
    """Return how often an evaluation judges the set."""
    return 2 if average and average.keep_better else 1


def _statistics(job: Job, batch: float) -> float:
    """Return how long it takes, at most, to take the statistics of averaged weights: a forward pass
    of some batches, for which a whole step is counted.
    """
    statistics = job.ema.statistics if job.ema else None
    batches = statistics.batches if statistics else 0
    return float(batch * min(batches, len(job.train)))


def seconds_to_save(job: Job, clock: Clock = time.perf_counter) -> float:
    """Return how long it takes to write the arrays of a checkpoint, into a folder of the system's
    for temporary files.
    """
    began = clock()
    groups = {
        "model": arrays_of(job.network),
        "optimizer": job.optimizer.state_arrays(job.network),
        "ema": job.ema.arrays() if job.ema else {},
    }
    arrays = {f"{group}/{key}": one for group, part in groups.items() for key, one in part.items()}
    # A folder with too little room says nothing of the one that checkpoints go to.
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(CheckpointError):
        write(Path(folder) / "checkpoint.safetensors", arrays, "checkpoint", {})
    return clock() - began


def _of_stage(job: Job, epoch: int, clock: Clock) -> float:
    """Return how long a batch takes with the images of an epoch."""
    train = _times(_trained(job, epoch), clock)
    return max(statistics.median(train[len(train) // 2 :]), _reading(job.train, clock))


def _reading(loader: DataLoader, clock: Clock) -> float:
    """Return how long reading a batch takes: the first ones are read while nothing else is done,
    so that timing them says nothing of it. Where images are kept in memory, most epochs only
    transform them.
    """
    dataset, count = loader.dataset, min(_READ, len(loader.dataset))
    transform = loader.transform_of(0, 0)
    sources: List[Kept] = []
    began = clock()
    for index in range(count):
        with contextlib.suppress(BadImageError):
            sources.append(dataset.read(index))
    if loader.cache is not None:
        sources = list(_kept(loader.cache, sources, transform))
        began = clock()
    for index, source in enumerate(sources):
        with contextlib.suppress(BadImageError):
            transform(source, np.random.default_rng(index))
    share = len(loader.sampler.batches(0)[0]) / max(1, loader.num_workers)
    return (clock() - began) / count * share


def _kept(cache: ImageCache, files: List[Kept], transform: Pipeline) -> Iterator[Kept]:
    for index, data in enumerate(files):
        if isinstance(data, bytes):
            with contextlib.suppress(BadImageError):
                yield cache.keep(index, data, transform)


def _trained(job: Job, epoch: int) -> Generator[None, None, None]:
    """Train the batches of an epoch, again and again."""
    while True:
        with closing(job.train.epoch(epoch)) as batches:
            for batch in batches:
                if len(batch):
                    loss, _ = learn(job, batch)
                    update(job, step=0)
                    loss.item()
                    if job.ema:
                        job.ema.update(1)
                yield


def _judged(job: Job) -> Generator[None, None, None]:
    """Evaluate the batches that there are, again and again."""
    assert job.eval is not None
    job.network.eval()
    while True:
        with closing(job.eval.epoch(0)) as batches, paddle.no_grad():
            for batch in batches:
                if len(batch):
                    job.network(network_input(batch)).numpy()
                yield


def _times(steps: Generator[None, None, None], clock: Clock) -> List[float]:
    times: List[float] = []
    with closing(steps):
        for _ in range(_TIMED):
            began = clock()
            next(steps)
            times.append(clock() - began)
    return times
