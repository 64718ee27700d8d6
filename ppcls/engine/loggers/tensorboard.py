"""Scalars for TensorBoard, written without TensorFlow."""

from __future__ import annotations

from typing import Any, Optional

from ppcls.engine.loggers import Logger, Record, RunInfo, scalars
from ppcls.errors import UsageError
from ppcls.registry import register


@register("logger")
class TensorBoard(Logger):
    """Writes each metric, and the learning rate, as a scalar over steps.

    Raises:
        UsageError: the package tensorboardX is not installed.
    """

    def __init__(self) -> None:
        self._writer_class = _summary_writer()

    def open(self, run: RunInfo) -> None:
        """Begin a file in the folder `tensorboard`; of the files before it, TensorBoard shows only
        what this run will not write again.
        """
        self._writer = self._writer_class(
            logdir=str(run.folder.tensorboard),
            purge_step=_first_to_come(run),
            # Files are named by the second, in which a run can be stopped and go on.
            filename_suffix=f".{run.step}",
        )

    def write(self, record: Record) -> None:
        """Add the metrics of one record."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Flush to disk."""
        self._writer.close()


def _first_to_come(run: RunInfo) -> Optional[int]:
    """Return the step from which on a run that goes on writes points again."""
    if not run.step:
        return None
    will_repeat = not run.keep({"event": "eval", "step": run.step})
    return run.step if will_repeat else run.step + 1


def _summary_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "Loggers names TensorBoard, but the package tensorboardX cannot be imported "
            f"({error}). Install it with `pip install 'ppcls[tensorboard]'`, or take TensorBoard "
            "out of Loggers"
        ) from None
    return SummaryWriter
