"""Scalars for VisualDL, when `Global.use_visualdl` is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppcls.engine.loggers import Record
from ppcls.errors import UsageError


def log_writer() -> Any:
    """Return VisualDL's class LogWriter.

    Raises:
        UsageError: the package visualdl is not installed.
    """
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise UsageError(
            f"Global.use_visualdl is set, but the package visualdl cannot be imported ({error}). "
            "Install it with `pip install visualdl`, or use -o Global.use_visualdl=False"
        ) from None
    return LogWriter


class VisualDL:
    """Writes each figure as a scalar over steps.

    Raises:
        UsageError: the package visualdl is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = log_writer()(logdir=str(folder))

    def write(self, record: Record) -> None:
        """Add the figures of one record."""
        scalars = {**record["metrics"], **{key: record[key] for key in ("lr",) if key in record}}
        for name, value in scalars.items():
            self._writer.add_scalar(f"{record['event']}/{name}", value, record["step"])

    def close(self) -> None:
        """Flush to disk."""
        self._writer.close()
