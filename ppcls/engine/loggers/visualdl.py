"""Scalars for VisualDL."""

from __future__ import annotations

from typing import Any

from ppcls.engine.loggers import Logger, Record, RunInfo, scalars
from ppcls.engine.loggers.jsonl import kept_records
from ppcls.errors import UsageError
from ppcls.files import remove
from ppcls.registry import register


@register("logger")
class VisualDL(Logger):
    """Writes each metric, and the learning rate, as a scalar over steps.

    Raises:
        UsageError: the package visualdl is not installed.
    """

    def __init__(self) -> None:
        self._writer_class = _log_writer()

    def open(self, run: RunInfo) -> None:
        """Begin a file of scalars in the folder `visualdl`. Of a run that goes on, it has what came
        before as well, in place of earlier files: VisualDL would show twice what is written again.
        """
        earlier = kept_records(run) if run.step else []
        if earlier:
            remove(*run.folder.visualdl.glob("vdlrecords.*.log"))
        self._writer = self._writer_class(logdir=str(run.folder.visualdl))
        for record in earlier:
            self.write(record)

    def write(self, record: Record) -> None:
        """Add the metrics of one record."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Flush to disk."""
        self._writer.close()


def _log_writer() -> Any:
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise UsageError(
            "Global.use_visualdl is set, or Loggers names VisualDL, but the package visualdl "
            f"cannot be imported ({error}). Install it with `pip install visualdl`, or use -o "
            "Global.use_visualdl=False, or take it out of Loggers"
        ) from None
    return LogWriter
