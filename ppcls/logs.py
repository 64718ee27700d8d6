"""What the program says while it works: plain lines, warnings marked as such."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import Iterator, TextIO

from ppcls.errors import PpclsError
from ppcls.text import printable

FILE_ONLY = "file_only"
"""Attribute of log records that the terminal leaves out, since it shows the same as a bar."""

_log = logging.getLogger("ppcls")


class _Plain(logging.Formatter):
    """Prefixes warnings and errors with their level, and nothing else."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.levelno > logging.INFO:
            record.message = f"{record.levelname.lower()}: {record.message}"
        return printable(super().formatMessage(record))


class _StandardStream(logging.StreamHandler):  # type: ignore[type-arg]
    """Looks the stream up at every line, so that redirections made later are followed; steps around
    a progress bar.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    @property
    def stream(self) -> TextIO:
        return getattr(sys, self._name)  # type: ignore[no-any-return]

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignore what the base class sets."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], BrokenPipeError):  # whoever read the lines has gone
            super().handleError(record)

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def log_to_terminal(results_on_stdout: bool) -> None:
    """Print log lines: on standard output, or on standard error when standard output is for
    results.
    """
    handler = _StandardStream("stderr" if results_on_stdout else "stdout")
    handler.setFormatter(_Plain("%(message)s"))
    handler.addFilter(lambda record: not getattr(record, FILE_ONLY, False))
    _log.handlers[:] = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False


@contextlib.contextmanager
def errors_only() -> Iterator[None]:
    """Leave out what is no error: of something that is done twice."""
    level = _log.level
    _log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        _log.setLevel(level)


class _File(logging.FileHandler):
    """Says once when the file cannot be written, instead of showing where in Python that was."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._said:
            print(
                f"warning: cannot write {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr
            )
        self._said = True


@contextlib.contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Append log lines, with the time, to a file as well, and the error that ends the block.

    The file gets them from Python too, where nothing says what the terminal is to show.
    """
    handler = _File(path, encoding="utf-8")
    handler.setFormatter(_Plain("%(asctime)s %(message)s"))
    level = _log.level
    _log.setLevel(logging.INFO)
    _log.addHandler(handler)
    try:
        yield
    except PpclsError as error:
        if path.exists() and path.stat().st_size:  # what fails at once leaves no trace of a run
            record = _log.makeRecord(_log.name, logging.ERROR, "", 0, "%s", (error,), None)
            handler.handle(record)
        raise
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        with contextlib.suppress(OSError):
            handler.close()
