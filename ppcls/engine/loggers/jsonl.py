"""`train_log.jsonl`: one JSON object a line, which any tool can read while the run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, List

from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.errors import TrainingError
from ppcls.files import read_regular, write_text
from ppcls.registry import register


@register("logger")
class JsonLines(Logger):
    """Appends records to a file; each line is flushed, so a killed run loses none."""

    def open(self, run: RunInfo) -> None:
        """Open the file, without the records in it that the run will make again."""
        path = run.folder.records
        write_text(path, "".join(_line(record) for record in kept_records(run)))
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: Record) -> None:
        """Append one line.

        Raises:
            TrainingError: it cannot be written, for example because the disk is full.
        """
        try:
            self._file.write(_line(record))
            self._file.flush()
        except OSError as error:
            raise TrainingError(
                f"cannot write {self._file.name}: {error.strerror}. What was saved before is "
                "intact; make room, then continue with --resume auto"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def kept_records(run: RunInfo) -> List[Record]:
    """Return the records of the run up to here, without those that it will make again."""
    return [record for record in read_records(run.folder.records) if run.keep(record)]


def read_records(path: Path, most: int = 1 << 32) -> List[Record]:
    """Return the records of a file, leaving out a last line that a killed run did not finish.

    Raises:
        OSError: it cannot be read, or has more than `most` bytes.
    """
    return list(_records(read_regular(path, most))) if path.exists() else []


def _records(content: bytes) -> Iterator[Record]:
    # A killed run may have stopped within a character.
    for line in content.decode("utf-8", "replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            # Older logs say `figures`.
            yield {"metrics" if key == "figures" else key: value for key, value in record.items()}


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
