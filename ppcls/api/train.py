"""Training as a configuration says, with all that belongs to a run: its folder, logs, resuming."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

from ppcls import runtime
from ppcls.arch.summary import count_parameters
from ppcls.config import Config, ConfigSource, as_config, to_yaml
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import Checkpoint, CheckpointFolder, TrainState, found_checkpoint
from ppcls.engine.dry_run import dry_run
from ppcls.engine.interrupt import Interrupted, StopRequest
from ppcls.engine.job import Job
from ppcls.engine.loggers import Logger, Loggers, RunInfo, build_loggers
from ppcls.engine.loggers.console import format_metric
from ppcls.engine.lr_finder import RateSearch, find_rate
from ppcls.engine.reporter import is_behind
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.time_limit import RunLength, kept_length, measured_length
from ppcls.engine.trainer import Trainer
from ppcls.engine.world import World
from ppcls.errors import UsageError
from ppcls.files import write_text
from ppcls.logs import log_to_file

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class TrainResult:
    """What a run has come to.

    Attributes:
        state: where it ended, and its best value.
        folder: the paths of what it wrote: `folder.best_model`, `folder.curves`, ...
        checkpoint: the newest checkpoint, if there is one.
    """

    state: TrainState
    folder: RunFolder
    checkpoint: Optional[Path]


def train(
    config: ConfigSource,
    resume: Optional[str] = None,
    overwrite: bool = False,
    loggers: Sequence[Logger] = (),
) -> TrainResult:
    """Train a network.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        resume: go on where a run stood: the path of a checkpoint, or "auto" for the newest one of
            `Global.output_dir`, if there is one; None for `Global.checkpoints`.
        overwrite: delete the run that `Global.output_dir` holds.
        loggers: who else gets the records of the run.

    Raises:
        ConfigError: the configuration is wrong.
        DataError: a data set is missing or malformed, or too many images cannot be read.
        CheckpointError: there is nothing to resume from, or it belongs to another run.
        TrainingError: the loss is not finite any more.
        UsageError: the output folder holds a run, or the device is not there.
        Interrupted: Ctrl-C or termination, after saving.
    """
    runtime.refuse_many_processes()
    runtime.keep_freed_memory()
    config, world = as_config(config), World()
    device = runtime.use_device(config.Global.device)
    folder = RunFolder(Path(config.Global.output_dir))
    resume = resume or config.Global.checkpoints
    if resume and overwrite:
        where = config.where("Global", "checkpoints")
        raise UsageError(
            f"--overwrite deletes the run that {where} would go on with; leave one out"
        )
    # All that can be found wrong is, before the folder becomes that of a run.
    found = _checkpoint(folder, config, resume)
    is_free = partial(folder.refuse_run, resume is not None, overwrite)
    length = _length(config, device, world, found, is_free)
    config = length.config
    with StopRequest() as stop, ExitStack() as held:
        job = replace(build_job(config, device, world), asked_epochs=length.asked)
        trainer = Trainer(job, folder, stop, world)
        named = build_loggers(config.Loggers, config.Global.use_visualdl)
        trainer.reporter.loggers = Loggers([*named, *loggers] if world.is_main else [])
        claim = folder.claim(resume=resume is not None, overwrite=overwrite)
        world.on_main(lambda: held.enter_context(claim))
        held.enter_context(log_to_file(folder.log))
        if length.note:
            _log.info("%s", length.note)
        _resume(trainer, found)
        world.on_main(lambda: write_text(folder.config, to_yaml(config.data)))
        return _fit(trainer)


def try_one_batch(config: ConfigSource) -> str:
    """Build everything and run one batch forward and backward, writing nothing; return a report.

    Raises:
        PpclsError: see `train`.
    """
    config = as_config(config)
    return dry_run(build_job(config, runtime.use_device(config.Global.device), World()))


def find_learning_rate(config: ConfigSource) -> RateSearch:
    """Try which learning rates a recipe may have, writing nothing.

    Raises:
        PpclsError: see `train`.
    """
    runtime.refuse_many_processes()
    runtime.keep_freed_memory()
    config = as_config(config)
    return find_rate(build_job(config, runtime.use_device(config.Global.device), World()))


def _checkpoint(
    folder: RunFolder, config: Config, wanted: Optional[str]
) -> Optional[Tuple[Path, Checkpoint]]:
    """Read the checkpoint to go on from, before anything in the output folder is touched."""
    if wanted is None:
        return None
    own = CheckpointFolder(folder.checkpoints, config.Global.keep_checkpoints)
    if wanted == "auto":
        found = own.newest()
        if found is None:
            _log.info("there is no checkpoint to resume from yet: starting from the beginning")
        return found
    path, checkpoint = found_checkpoint(Path(wanted))
    own.refuse_newer_than(checkpoint.state.step)
    return path, checkpoint


def _length(
    config: Config,
    device: str,
    world: World,
    found: Optional[Tuple[Path, Checkpoint]],
    is_free: Callable[[], object],
) -> RunLength:
    """Return how long the run is to be: measured where it begins, as it was where it goes on."""
    if found is not None:
        path, checkpoint = found
        return kept_length(config, path, checkpoint.metadata)
    if config.Global.max_hours is not None:
        is_free()  # before time is spent on measuring
    return measured_length(config, device, world)


def _resume(trainer: Trainer, found: Optional[Tuple[Path, Checkpoint]]) -> None:
    if found is None:
        return
    trainer.restore(*found)
    state = trainer.state
    _log.info(
        "resumed from %s: epoch %d, batch %d, step %d",
        found[0],
        state.epoch + 1,
        state.batch,
        state.step,
    )


def _fit(trainer: Trainer) -> TrainResult:
    if trainer.is_complete:
        way = "" if trainer.state.finished else "; a higher Global.epochs goes on with it"
        _log.info("this run is complete after %d epochs%s", trainer.state.epoch, way)
        return _conclude(trainer)
    _announce(trainer.job)
    trainer.reporter.loggers.open(_run_info(trainer))
    began = time.perf_counter()
    try:
        state = trainer.fit()
    except Interrupted as stopped:
        _log.info("%s; the state is saved, continue with --resume auto", stopped)
        raise
    finally:
        trainer.reporter.loggers.close()
    seconds = time.perf_counter() - began
    _log.info("trained %d epochs (%d steps) in %.1f s", state.epoch, state.step, seconds)
    return _conclude(trainer)


def _announce(job: Job) -> None:
    count = count_parameters(job.network)
    held = len(job.eval.dataset) if job.eval else 0
    _log.info(
        "training %s (%s parameters) on %s: %d images of %d classes, %d for evaluation, %d epochs",
        job.network.model_name, f"{count:,}", job.device, len(job.train.dataset),
        len(job.class_map), held, job.settings.epochs,
    )  # fmt: skip
    _log.info("operators: %s", job.kernels)
    for note in job.loss.notes:
        _log.info("%s", note)


def _run_info(trainer: Trainer) -> RunInfo:
    return RunInfo(
        trainer.folder,
        trainer.job.network.model_name,
        trainer.job.settings.epochs,
        trainer.batches,
        keep=partial(is_behind, state=trainer.state),
        step=trainer.state.step,
    )


def _conclude(trainer: Trainer) -> TrainResult:
    state, name, folder = trainer.state, trainer.job.selection.metric, trainer.folder
    if state.best_value is not None:
        value = format_metric(name, state.best_value)
        _log.info("best %s: %s, in epoch %d: %s", name, value, state.best_epoch, folder.best_model)
    paths = trainer.checkpoints.paths()
    _log.info("newest checkpoint: %s", paths[-1] if paths else "none")
    written = {"curves": folder.curves, "metrics": folder.records}
    found = [f"{what}: {path}" for what, path in written.items() if path.exists()]
    if found:
        _log.info("%s", "  ".join(found))
    return TrainResult(state, folder, paths[-1] if paths else None)
