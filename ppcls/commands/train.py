"""``ppcls train``: train a network as a configuration file says."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

from ppcls import runtime
from ppcls.commands import add_config_arguments, run_with_config
from ppcls.errors import UsageError

if TYPE_CHECKING:
    from ppcls.config import Config
    from ppcls.engine.builder import Job
    from ppcls.engine.checkpoint import Checkpoint
    from ppcls.engine.loggers import Logger
    from ppcls.engine.run_folder import RunFolder
    from ppcls.engine.trainer import Trainer

HELP = "train a network"
_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume",
        metavar="auto|FILE",
        help="go on where a run stood; auto: the newest checkpoint of Global.output_dir",
    )
    existing.add_argument(
        "--overwrite", action="store_true", help="delete the run that Global.output_dir holds"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="build everything, run one batch forward and backward, report, stop",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; return the exit status."""
    return run_with_config(arguments, _dry_run if arguments.dry_run else _train)


def _dry_run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.engine.builder import build_job
    from ppcls.engine.dry_run import dry_run

    print(dry_run(config, build_job(config, runtime.use_device(config.Global.device))))
    return 0


def _train(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.config import to_yaml
    from ppcls.engine.builder import build_job
    from ppcls.engine.interrupt import StopRequest
    from ppcls.engine.loggers.visualdl import log_writer
    from ppcls.engine.run_folder import RunFolder
    from ppcls.engine.trainer import Trainer
    from ppcls.files import write_text
    from ppcls.logs import log_to_file

    runtime.refuse_many_processes()
    device = runtime.use_device(config.Global.device)
    folder = RunFolder(Path(config.Global.output_dir))
    resume = arguments.resume or config.Global.checkpoints
    if resume and arguments.overwrite:
        where = config.where("Global", "checkpoints")
        raise UsageError(
            f"--overwrite deletes the run that {where} would go on with; leave one out"
        )
    with StopRequest() as stop:
        # All that can be found wrong is, before the folder becomes that of a run.
        trainer = Trainer(config, build_job(config, device), folder, stop)
        if config.Global.use_visualdl:
            log_writer()
        found = _checkpoint(trainer, resume)
        folder.claim(resume=resume is not None, overwrite=arguments.overwrite)
        with log_to_file(folder.log):
            _resume(trainer, found)
            write_text(folder.config, to_yaml(config.data))
            return _fit(config, folder, trainer)


def _checkpoint(trainer: Trainer, wanted: Optional[str]) -> Optional[Tuple[Path, Checkpoint]]:
    """Read the checkpoint to go on from, before anything in the output folder is touched."""
    from ppcls.engine.checkpoint import load

    if wanted is None:
        return None
    if wanted == "auto":
        found = trainer.checkpoints.newest()
        if found is None:
            _log.info("there is no checkpoint to resume from yet: starting from the beginning")
        return found
    checkpoint = load(Path(wanted))
    trainer.checkpoints.refuse_newer_than(checkpoint.state.step)
    return Path(wanted), checkpoint


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


def _fit(config: Config, folder: RunFolder, trainer: Trainer) -> int:
    from ppcls.engine.interrupt import Interrupted
    from ppcls.engine.loggers import Loggers

    if trainer.is_complete:
        way = "" if trainer.state.finished else "; a higher Global.epochs goes on with it"
        _log.info("this run is complete after %d epochs%s", trainer.state.epoch, way)
        _conclude(folder, trainer)
        return 0
    _announce(config, trainer.job)
    trainer.loggers = Loggers(_loggers(config, folder, trainer))
    began = time.perf_counter()
    try:
        state = trainer.fit()
    except Interrupted as stopped:
        _log.info("%s; the state is saved, continue with --resume auto", stopped)
        return stopped.exit_status
    finally:
        _close(config, folder, trainer)
    _log.info(
        "trained %d epochs (%d steps) in %.1f s",
        state.epoch,
        state.step,
        time.perf_counter() - began,
    )
    _conclude(folder, trainer)
    return 0


def _announce(config: Config, job: Job) -> None:
    from ppcls.arch.summary import count_parameters

    count = count_parameters(job.network)
    held = len(job.eval.dataset) if job.eval else 0
    _log.info(
        "training %s (%s parameters) on %s: %d images of %d classes, %d for evaluation, %d epochs",
        config.Arch.name, f"{count:,}", job.device, len(job.train.dataset), len(job.class_map),
        held, config.Global.epochs,
    )  # fmt: skip


def _loggers(config: Config, folder: RunFolder, trainer: Trainer) -> List[Logger]:
    from ppcls.engine.loggers.console import Console
    from ppcls.engine.loggers.jsonl import JsonLines
    from ppcls.engine.loggers.visualdl import VisualDL

    members: List[Logger] = [
        Console(config.Global.epochs, trainer.batches),
        JsonLines(folder.records, keep=trainer.is_behind),
    ]
    if config.Global.use_visualdl:
        members.append(VisualDL(folder.visualdl))
    return members


def _close(config: Config, folder: RunFolder, trainer: Trainer) -> None:
    """Finish the logs; where the disk is full, that is no reason to hide why the run ended."""
    from ppcls.engine.loggers.curves import draw_curves

    try:
        trainer.loggers.close()
        # The picture's font has Latin letters only.
        where = f" - {folder.root.name}" if folder.root.name.isascii() else ""
        draw_curves(folder.records, folder.curves, f"{config.Arch.name}{where}")
    except OSError as error:
        _log.warning("%s is not up to date: %s", folder.curves, error.strerror or error)


def _conclude(folder: RunFolder, trainer: Trainer) -> None:
    from ppcls.engine.loggers.console import format_figure

    state, name = trainer.state, trainer.job.best_metric
    if state.best_value is not None:
        value = format_figure(name, state.best_value)
        _log.info("best %s: %s, in epoch %d: %s", name, value, state.best_epoch, folder.best_model)
    paths = trainer.checkpoints.paths()
    _log.info("newest checkpoint: %s", paths[-1] if paths else "none")
    _log.info("curves: %s  figures: %s", folder.curves, folder.records)
