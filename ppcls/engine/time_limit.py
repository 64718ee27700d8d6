"""``Global.max_hours``: how many epochs a run has time for, and the recipe for so many."""

from __future__ import annotations

import gc
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from ppcls.config import Config, with_values
from ppcls.config.document import KeyPath
from ppcls.engine.builder import build_job
from ppcls.engine.job import Job, TrainSettings
from ppcls.engine.pace import Clock, Pace, pace_of, seconds_to_save
from ppcls.engine.schedule_keys import lengths_changed
from ppcls.engine.world import World
from ppcls.errors import ConfigError
from ppcls.logs import errors_only
from ppcls.progress import waiting
from ppcls.text import duration

_USED = 0.9
"""Of the time: a few steps are measured, and the machine may have other things to do later."""


@dataclass(frozen=True)
class RunLength:
    """How long a run is to be.

    Attributes:
        config: the recipe, whose `Global.epochs` the run has.
        note: what to say of it; empty for nothing.
        asked: how many epochs the recipe asked for, where the run has fewer.
    """

    config: Config
    note: str = ""
    asked: Optional[int] = None


def measured_length(
    config: Config, device: str, world: World, clock: Clock = time.perf_counter
) -> RunLength:
    """Measure how long training takes here, and return how long a run that begins is to be. A
    recipe without `Global.max_hours` is returned as it is, and nothing is measured.

    Steps are measured on a job of their own, of which nothing is left: the run's own begins as if
    there had been none. It is built twice, so that what is said while building is said once.

    Args:
        config: the recipe.
        device: "cpu" or "gpu:N".
        world: the processes that train together.
        clock: returns seconds.

    Raises:
        ConfigError: there is no time for one epoch, the schedule cannot be shortened, or the
            configuration is wrong.
        DataError: a data set is missing or malformed.
    """
    if config.Global.max_hours is None or config.Global.epochs == 0:
        return RunLength(config)
    began = clock()
    with errors_only():
        settings, pace = _measured(build_job(config, device, world), clock)
    gc.collect()  # the memory of that job, before the run's own takes some
    return length_within(config, settings, pace, spent=clock() - began)


def _measured(job: Job, clock: Clock) -> Tuple[TrainSettings, Pace]:
    with waiting("measuring how long a step takes"):
        pace = pace_of(job, clock)
        return job.settings, pace._replace(saving=seconds_to_save(job, clock))


def length_within(
    config: Config, settings: TrainSettings, pace: Pace, spent: float = 0.0
) -> RunLength:
    """Return how long a run is to be that has `Global.max_hours`, at a given pace.

    Args:
        config: the recipe.
        settings: those of its job.
        pace: how long training takes.
        spent: seconds that have passed already.

    Raises:
        ConfigError: there is no time for one epoch, or the schedule cannot be shortened.
    """
    hours, asked = config.Global.max_hours, settings.epochs
    assert hours is not None
    left = _USED * 3600 * hours - spent
    told = _told(settings, pace)
    if pace.of_run(settings) <= left:
        return RunLength(config, f"{told}, which fits into {hours:g} h")
    most = min(asked - 1, int(left / max(pace.batches * pace.batch, 1e-9)))
    fits = (n for n in range(most, 0, -1) if pace.of_run(_shortened(settings, n)) <= left)
    epochs = next(fits, 0)
    if epochs == 0:
        raise _too_short(config, _shortened(settings, 1), pace, spent)
    takes = duration(pace.of_run(_shortened(settings, epochs)))
    return RunLength(
        _with_epochs(config, epochs),
        f"{told}, more than {hours:g} h allow; training has {epochs} instead (about {takes}), with "
        "the schedule of a run of so many",
        asked,
    )


def kept_length(config: Config, path: Path, noted: Mapping[str, Any]) -> RunLength:
    """Return how long a run is to be that goes on: as long as its start decided, unless the recipe
    asks for another number of epochs now, or has no `Global.max_hours` any more.

    Args:
        config: the recipe as it is now.
        path: the checkpoint, for messages.
        noted: its metadata.

    Raises:
        ConfigError: the schedule cannot be shortened.
    """
    if config.Global.max_hours is None:
        return RunLength(config)
    asked, kept = noted.get("asked_epochs"), noted.get("kept_epochs")
    if asked != config.Global.epochs or kept is None or kept >= asked:
        return RunLength(
            config,
            f"Global.max_hours: a run that goes on is not measured; it has {config.Global.epochs} "
            "epochs, as Global.epochs says",
        )
    return RunLength(
        _with_epochs(config, kept),
        f"Global.max_hours: the run keeps the {kept} epochs that its start decided on, as {path} "
        f"notes; for {asked}, or others: -o Global.max_hours=null Global.epochs={asked}",
        asked,
    )


def _with_epochs(config: Config, epochs: int) -> Config:
    """Return the recipe for fewer epochs: evaluation begins after the same part of them, and
    schedules that count epochs keep their shape.
    """
    section = config.Global
    begins = _first_judged(section.start_eval_epoch, epochs, section.epochs)
    values: Dict[KeyPath, Any] = {("Global", "epochs"): epochs}
    if begins != section.start_eval_epoch:
        values["Global", "start_eval_epoch"] = begins
    return with_values(config, {**values, **lengths_changed(config, epochs / section.epochs)})


def _shortened(settings: TrainSettings, epochs: int) -> TrainSettings:
    begins = _first_judged(settings.start_eval_epoch, epochs, settings.epochs)
    return replace(settings, epochs=epochs, start_eval_epoch=begins)


def _first_judged(begins: int, epochs: int, asked: int) -> int:
    """Return the first epoch that is evaluated, in fewer epochs; one beyond the last stays so."""
    return round(begins * epochs / asked) if begins <= asked else begins


def _told(settings: TrainSettings, pace: Pace) -> str:
    step = f"{pace.batch * settings.update_freq:.3g} s/step"
    evaluates = pace.evaluation and settings.evaluations()
    judged = f" and {duration(pace.evaluation)} for an evaluation" if evaluates else ""
    whole = duration(pace.of_run(settings))
    count = f"{settings.epochs} epoch{'s' * (settings.epochs > 1)}"
    return f"Global.max_hours: measured {step}{judged}: {count} would take about {whole}"


def _too_short(config: Config, settings: TrainSettings, pace: Pace, spent: float) -> ConfigError:
    one = duration(pace.of_run(settings))
    return ConfigError(
        f"{config.where('Global', 'max_hours')}: {config.Global.max_hours:g} h are too short for "
        f"one epoch: with its evaluation and checkpoint it takes about {one} here "
        f"({pace.batches} batches of {pace.batch:.3g} s). Give at least "
        f"{_rounded_up((pace.of_run(settings) + spent) / _USED / 3600):g}, or make an epoch "
        "shorter: smaller images, a smaller network or fewer images, or a faster device"
    )


def _rounded_up(number: float) -> float:
    """Return a number with two digits that count, not below the one that is given."""
    unit: float = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit) * unit
