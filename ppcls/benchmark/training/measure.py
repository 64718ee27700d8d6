"""Measure how fast a recipe trains: the loader alone, the step alone, and both in the trainer.

The parts take turns in a new random order each round, so that what else the machine does meets all
of them, and are compared turn by turn.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence

import numpy as np

from ppcls import runtime
from ppcls.arch.summary import summarise
from ppcls.benchmark.environment import environment
from ppcls.benchmark.results import Quantile
from ppcls.benchmark.statistics import paired_ratio, quantile, variation
from ppcls.benchmark.training import limits
from ppcls.benchmark.training.results import Limits, Speed, Training
from ppcls.benchmark.training.watched import Turn, Watched
from ppcls.config import Config
from ppcls.data.batch import Batch
from ppcls.engine.builder import build_job
from ppcls.engine.device_ops import network_input
from ppcls.engine.interrupt import StopRequest
from ppcls.engine.job import Job
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.step import learn, update
from ppcls.engine.trainer import Trainer
from ppcls.engine.world import World
from ppcls.errors import DataError
from ppcls.progress import track

PARTS = {
    "loader": "the loader alone",
    "bare": "the step alone, in a bare loop",
    "memory": "the trainer, batches in memory",
    "training": "the trainer, batches from the loader",
}
"""What is measured, in words."""

PHASES = ("forward", "backward", "update")

_KEPT_BYTES = 1 << 28
_MOST_KEPT = 4
"""Batches that stay in memory."""

_PERCENTS = (50, 90, 99)


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        steps: of each turn.
        rounds: turns of each part.
        warm_up: steps before those that count, in each turn.
    """

    steps: int = 10
    rounds: int = 7
    warm_up: int = 3


def measure_training(config: Config, settings: Settings) -> Training:
    """Measure how fast a recipe trains, without writing into its output folder.

    Args:
        config: the recipe.
        settings: how long.

    Raises:
        ConfigError: the configuration is wrong.
        DataError: a data set is missing or malformed, or no image can be read.
    """
    runtime.keep_freed_memory()
    device = runtime.use_device(config.Global.device)
    job = build_job(config, device, World())
    subject = _Subject(job, settings)
    turns: Dict[str, List[Turn]] = {name: [] for name in PARTS}
    rng = np.random.default_rng(job.settings.seed)
    for number in track(range(settings.rounds + 1), "measuring", settings.rounds + 1):
        for name in rng.permutation(list(PARTS)).tolist():
            turn = subject.turns[name](number)
            if number:  # the first round makes what later ones find made
                turns[name].append(turn)
    phases = subject.phases()
    return Training(
        network=job.network.model_name,
        kernels=job.kernels,
        batch=list(network_input(subject.kept[0]).shape),
        precision=job.precision.section.dtype if job.precision.section else "float32",
        workers=job.train.num_workers,
        parts={name: _speed(found) for name, found in turns.items()},
        phases=phases,
        data_wait=_data_wait(turns["training"]),
        headspace=_ratio(turns["memory"], turns["training"]),
        trainer_cost=_ratio(turns["bare"], turns["memory"]),
        peak_memory=runtime.peak_memory(device),
        kept_bytes=sum(batch.images.nbytes for batch in subject.kept),
        limits=_limits(job, subject.kept[0]),
        rounds=settings.rounds,
        steps=settings.steps,
        environment=environment(None),
        config=config.data,
    )


class _Subject:
    """A job whose parts run for a moment each."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.job, self.settings = job, settings
        self.steps = settings.warm_up + settings.steps
        self.kept = _some_batches(job)
        self.turns: Dict[str, Callable[[int], Turn]] = {
            "loader": self._loader,
            "bare": self._bare,
            "memory": lambda number: self._trainer(number, self.kept),
            "training": lambda number: self._trainer(number, ()),
        }

    def _watched(self, first: int, kept: Sequence[Batch]) -> Watched:
        settle = partial(limits.synchronise, self.job.device)
        return Watched.of(self.job.train, self.steps, kept=kept, first=first, settle=settle)

    def _loader(self, number: int) -> Turn:
        watched = self._watched(2 * number, ())
        for _ in watched.epoch(0):
            pass
        return watched.turn(self.settings.warm_up)

    def _bare(self, _: int) -> Turn:
        job, watched = self.job, self._watched(0, self.kept)
        job.network.train()
        for step, batch in enumerate(watched.epoch(0), start=1):
            learn(job, batch)
            if step % job.settings.update_freq == 0:
                update(job, step // job.settings.update_freq - 1)
        return watched.turn(self.settings.warm_up)

    def _trainer(self, number: int, kept: Sequence[Batch]) -> Turn:
        # Other images than those that the loader alone has just brought into memory.
        watched = self._watched(2 * number + 1, kept)
        train_over(self.job, watched)
        return watched.turn(self.settings.warm_up)

    def phases(self) -> Dict[str, float]:
        """Return the median seconds of each phase of a step; the device is waited for in between,
        so they add up to more than a step.
        """
        self.job.network.train()
        batches = itertools.islice(itertools.cycle(self.kept), self.steps)
        seconds = [_phases_of_step(self.job, batch) for batch in batches]
        medians = np.median(np.array(seconds[self.settings.warm_up :]), axis=0)
        return dict(zip(PHASES, map(float, medians)))


def train_over(job: Job, batches: Watched) -> None:
    """Train in the trainer over these batches, without evaluation, and write nothing that stays."""
    settings = replace(job.settings, save_steps=None)
    job = replace(job, train=batches, eval=None, settings=settings)
    # A stop request that nobody enters: Ctrl-C ends it at once.
    with tempfile.TemporaryDirectory() as folder:
        Trainer(job, RunFolder(Path(folder)), StopRequest(), World()).train_epoch()


def _phases_of_step(job: Job, batch: Batch) -> List[float]:
    """Return the seconds of each phase of a step."""
    seconds: Dict[str, float] = {}

    @contextlib.contextmanager
    def timed(phase: str) -> Iterator[None]:
        limits.synchronise(job.device)
        began = time.perf_counter()
        yield
        limits.synchronise(job.device)
        seconds[phase] = time.perf_counter() - began

    learn(job, batch, timed)
    update(job, 0, timed)
    return [seconds[phase] for phase in PHASES]


def _some_batches(job: Job) -> List[Batch]:
    """Return batches to keep in memory.

    Raises:
        DataError: none of their images can be read.
    """
    watched, kept = Watched.of(job.train, _MOST_KEPT), []
    for batch in watched.epoch(0):
        if len(batch):
            kept.append(batch)
        if sum(one.images.nbytes for one in kept) > _KEPT_BYTES:
            break
    if not kept:
        raise DataError(f"none of the images of the first {_MOST_KEPT} batches can be read")
    return kept


def _speed(turns: List[Turn]) -> Speed:
    steps = [seconds for turn in turns for seconds in turn.seconds]
    return Speed(
        images_per_second=quantile([turn.images_per_second for turn in turns], 50),
        step=[quantile(steps, percent) for percent in _PERCENTS],
        variation=variation(steps),
    )


def _data_wait(turns: List[Turn]) -> float:
    return min(1.0, float(np.median([sum(one.waits) / sum(one.seconds) for one in turns])))


def _ratio(fast: List[Turn], slow: List[Turn]) -> Quantile:
    """Return how many times as fast the one is, turn by turn."""
    return paired_ratio(*([turn.images_per_second for turn in one] for one in (fast, slow)))


def _limits(job: Job, batch: Batch) -> Limits:
    product = limits.matrix_product(job.device)
    macs = sum(row.macs for row in summarise(job.network, network_input(batch).shape[1:]))
    return Limits(
        matrix_product=product,
        bandwidth=limits.copy_bandwidth(),
        decoding=limits.decoding(job.train.dataset, job.train.num_workers),
        # Backward, the gradients of inputs and weights take as many products as forward, each.
        step=product / (3 * 2 * macs) if macs else None,
    )
