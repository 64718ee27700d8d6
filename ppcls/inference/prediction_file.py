"""A file of predictions that is whole at its end, and can be continued until then."""

from __future__ import annotations

import csv
import json
import logging
import os
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Iterator, Mapping, Optional, Sequence, Type, Union

from ppcls.errors import UsageError
from ppcls.files import Busy, locked, not_a_link, read_regular, temporary_beside, write_text
from ppcls.inference.output import FORMS, Row
from ppcls.inference.predictor import Prediction
from ppcls.text import shown

_MOST_NOTED = 1 << 16
_READING: Mapping[str, Any] = {"encoding": "utf-8", "newline": "", "opener": not_a_link}
_log = logging.getLogger("ppcls")


def check_name(path: Union[str, Path]) -> Path:
    """Return the path of a file for predictions.

    Raises:
        UsageError: its name tells no form, or it is a folder.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"{path}: --output takes a file that ends in {' or '.join(FORMS)}")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; --output takes a file name")
    return path


class PredictionFile:
    """Writes predictions row by row to FILE.part, which becomes FILE at the end of the `with` and
    stays, with whole rows, where an error ends it. `ppcls.inference.output.FORMS` has the forms.

    FILE.part.json notes what the rows are made with, so that a later call that makes them with the
    same goes on where this one stopped.

    Args:
        path: FILE, which ends in .jsonl or .csv.
        topk: how many classes the rows of a .csv have room for.
        sources: what the predictions will be called, in their order.
        batch_size: whole batches are kept, so that the others are computed in the same batches as
            without an interruption, and come out the same to the last digit.
        identity: plain values on which the rows depend, such as the network.
        resume: whether to go on with FILE.part, if it is there; None leaves that to the user.

    Attributes:
        done: rows that are kept of FILE.part; predictions are to go on behind them.
        failed: how many of these hold an error.

    Raises:
        UsageError: the name ends otherwise, its folder cannot be written to, another process writes
            this file, or FILE.part is there and `resume` None; or it is to be continued and was
            made of other images or with something else.
    """

    def __init__(
        self,
        path: Union[str, Path],
        topk: int,
        sources: Sequence[str] = (),
        batch_size: int = 1,
        identity: Optional[Mapping[str, Any]] = None,
        resume: Optional[bool] = False,
    ) -> None:
        self.path = check_name(path)
        self._part = self.path.with_name(f"{self.path.name}.part")
        self._notes = self.path.with_name(f"{self.path.name}.part.json")
        self._form = FORMS[self.path.suffix.lower()](topk)
        self._identity = {"topk": topk, "batch_size": batch_size, **(identity or {})}
        self.done = self.failed = self._written = 0
        with ExitStack() as stack, self._errors_named():
            stack.enter_context(self._alone())
            rows = self._rows_to_keep(sources, resume)
            self.done = rows - rows % batch_size
            self._file = self._begun()
            self._lock = stack.pop_all()

    def __enter__(self) -> PredictionFile:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *details: Any) -> None:
        complete = False
        with self._lock, self._errors_named():
            try:
                with self._file:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                complete = kind is None
            finally:
                if not complete:
                    self._keep_part()
            if complete:
                self._part.replace(self.path)
                self._notes.unlink(missing_ok=True)

    def write(self, prediction: Prediction) -> None:
        """Add an image's row.

        Raises:
            UsageError: the file cannot be written, for example because the disk is full.
        """
        with self._errors_named():
            self._append(self._file, self._form.text(prediction))
            self._file.flush()
        self._written += 1

    @staticmethod
    def _append(file: IO[bytes], text: str) -> None:
        # File names may hold bytes that are not UTF-8; they are written as escapes. A row is
        # written as a whole, so that an interruption leaves no half of one.
        file.write(text.encode("utf-8", "backslashreplace"))

    def _keep_part(self) -> None:
        if self.done + self._written:
            _log.info(
                "%d rows are kept in %s; the same command with --resume goes on from there",
                self.done + self._written,
                self._part,
            )
        else:
            self._part.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with locked(self.path.with_name(f".{self.path.name}.lock")):
                yield
        except Busy as error:
            raise UsageError(f"{self.path}: is being written by {error}") from None

    def _begun(self) -> IO[bytes]:
        """Return a new part with the rows that are kept, in the place of the old one."""
        # What has a name that nobody can foresee is no link that somebody planted.
        draft = temporary_beside(self._part)
        try:
            file = draft.open("wb")
            self._append(file, self._form.head)
            for row in islice(self._rows(), self.done):
                self._append(file, row.text)
                self.failed += row.failed
            file.flush()
            if not self.done:
                self._part.unlink(missing_ok=True)
                write_text(self._notes, json.dumps(self._identity, indent=2))
            draft.replace(self._part)
        finally:
            draft.unlink(missing_ok=True)
        return file

    def _rows_to_keep(self, sources: Sequence[str], resume: Optional[bool]) -> int:
        if resume is False or not self._part.is_file():
            return 0
        if resume is None:
            if next(self._rows(), None) is not None:
                raise UsageError(
                    f"{self._part} has rows of a run that was interrupted: --resume goes on with "
                    "it, --no-resume starts anew and overwrites it"
                )
            return 0
        count = 0
        for count, row in enumerate(self._rows(), 1):
            self._check_source(count, row.source, sources)
        if count:
            self._check_notes()
        return count

    def _rows(self) -> Iterator[Row]:
        if not self._part.is_file():
            return
        try:
            # A cut may go through a character.
            with open(self._part, errors="surrogateescape", **_READING) as lines:
                for row in self._form.rows(lines):
                    row.text.encode("utf-8")
                    yield row
        except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
            raise UsageError(
                f"{self._part}: holds what is no row of predictions ({shown(str(error))}); move it "
                "away, or start anew with --no-resume"
            ) from None

    def _check_source(self, number: int, found: str, sources: Sequence[str]) -> None:
        now = sources[number - 1] if number <= len(sources) else None
        if now is None or found not in (now, now.encode("utf-8", "backslashreplace").decode()):
            raise UsageError(
                f"{self._part}: row {number} is of {shown(found)}, where the images have "
                f"{shown(now) if now else 'no further one'} now; name the same images as before, "
                "or start anew with --no-resume"
            )

    def _check_notes(self) -> None:
        try:
            noted = json.loads(read_regular(self._notes, _MOST_NOTED))
        except (OSError, ValueError, RecursionError):
            noted = None
        if not isinstance(noted, dict):
            raise UsageError(
                f"{self._notes}: does not say what {self._part.name} was made with; start anew "
                "with --no-resume"
            )
        now = json.loads(json.dumps(self._identity))
        for key in [*now, *noted]:
            if noted.get(key) != now.get(key):
                raise UsageError(
                    f"{self._part}: was made with another {key}: {shown(noted.get(key))} then, "
                    f"{shown(now.get(key))} now; use the same, or start anew with --no-resume"
                )
