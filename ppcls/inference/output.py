"""Predictions as people read them, and as JSONL or CSV files."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, List, Optional, Type, Union

from ppcls.errors import UsageError
from ppcls.files import temporary_beside
from ppcls.inference.predictor import Prediction
from ppcls.text import printable


def as_text(prediction: Prediction) -> str:
    """Return a block of lines: the source, then one line per class, or the error.

    What a terminal would obey or cannot show in a name, such as bytes that are not UTF-8, is shown
    as an escape.
    """
    source = printable(prediction.source.replace("\n", "\\n"))
    if prediction.error is not None:
        return f"{source}\n  error: {printable(prediction.error)}"
    ranked = zip(prediction.scores, prediction.names, prediction.class_ids)
    lines = [f"  {score:8.3%}  {printable(name)} (class {index})" for score, name, index in ranked]
    return "\n".join([source, *lines])


class PredictionFile:
    """Writes predictions line by line to a hidden file that becomes FILE at the end of the `with`,
    or FILE.part where an error ends it.

    ``.jsonl`` holds one object per image with the fields of `Prediction`. ``.csv`` holds one row
    per image: source, error, then class_id_N, name_N and score_N for the `topk` most probable
    classes.

    Raises:
        UsageError: the name ends otherwise, or its folder cannot be written to.
    """

    def __init__(self, path: Union[str, Path], topk: int) -> None:
        self.path = Path(path)
        writers: Dict[str, Callable[[], Callable[[Prediction], None]]] = {
            ".jsonl": self._jsonl_writer,
            ".csv": lambda: self._csv_writer(topk),
        }
        if self.path.suffix.lower() not in writers:
            raise UsageError(f"{path}: --output takes a file that ends in {' or '.join(writers)}")
        self._file = self._opened()
        self._write_row = writers[self.path.suffix.lower()]()

    def __enter__(self) -> PredictionFile:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *details: Any) -> None:
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            with self._errors_named():
                self._file.close()
        except UsageError:
            self._draft.replace(part)
            raise
        with self._errors_named():
            self._draft.replace(self.path if kind is None else part)

    def write(self, prediction: Prediction) -> None:
        """Add one image's row.

        Raises:
            UsageError: the file cannot be written, for example because the disk is full.
        """
        with self._errors_named():
            self._write_row(prediction)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from None

    def _opened(self) -> IO[str]:
        if self.path.is_dir():
            raise UsageError(f"{self.path}: is a folder; --output takes a file name")
        with self._errors_named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._draft = temporary_beside(self.path)
            # File names may hold bytes that are not UTF-8; they are written as escapes.
            return self._draft.open("w", encoding="utf-8", errors="backslashreplace", newline="")

    def _jsonl_writer(self) -> Callable[[Prediction], None]:
        def write(prediction: Prediction) -> None:
            self._file.write(json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n")

        return write

    def _csv_writer(self, topk: int) -> Callable[[Prediction], None]:
        rows = csv.writer(self._file)
        columns = [
            f"{name}_{rank}"
            for rank in range(1, topk + 1)
            for name in ("class_id", "name", "score")
        ]
        rows.writerow(["source", "error", *columns])

        def write(prediction: Prediction) -> None:
            ranked = zip(prediction.class_ids, prediction.names, prediction.scores)
            cells: List[Any] = [cell for triple in ranked for cell in triple]
            blanks = [""] * (len(columns) - len(cells))
            rows.writerow([prediction.source, prediction.error or "", *cells, *blanks])

        return write
