"""Predictions as people read them, and as rows of JSONL or CSV files."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Protocol

from ppcls.inference.postprocess import UNKNOWN
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
    doubt = [f"  {UNKNOWN}; the most probable would be:"] if prediction.is_unknown else []
    doubt = doubt if lines else ["  none of the classes"]
    return "\n".join([source, *doubt, *lines])


class Row(NamedTuple):
    """A row that was read back: which image it is of, whether that failed, and its text."""

    source: str
    failed: bool
    text: str


class RowForm(Protocol):
    """How a file holds predictions."""

    head: str
    """What stands before the first row."""

    def text(self, prediction: Prediction) -> str:
        """Return an image's row, with the end of its line."""

    def rows(self, lines: Iterator[str]) -> Iterator[Row]:
        """Read rows, up to one that is cut off.

        Raises:
            ValueError, KeyError, TypeError, RecursionError, csv.Error: a row is none.
        """


class Jsonl:
    """One object for each image, with the fields of `Prediction`."""

    head = ""

    def text(self, prediction: Prediction) -> str:
        """Return an image's object."""
        return json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n"

    def rows(self, lines: Iterator[str]) -> Iterator[Row]:
        """Read the objects, up to one that is cut off."""
        for line in lines:
            if line.endswith("\n"):
                found = json.loads(line)
                yield Row(found["source"], found["error"] is not None, line)


class Csv:
    """One row for each image: source, error, answer, then class_id_N, name_N and score_N for the
    `topk` most probable classes.
    """

    def __init__(self, topk: int) -> None:
        names = ("class_id", "name", "score")
        ranks = [f"{name}_{rank}" for rank in range(1, topk + 1) for name in names]
        self._columns = ["source", "error", "answer", *ranks]
        self.head = _csv_line(self._columns)

    def text(self, prediction: Prediction) -> str:
        """Return an image's row."""
        ranked = zip(prediction.class_ids, prediction.names, prediction.scores)
        cells: List[Any] = [prediction.source, prediction.error or "", prediction.answer or ""]
        cells += [cell for triple in ranked for cell in triple]
        return _csv_line(cells + [""] * (len(self._columns) - len(cells)))

    def rows(self, lines: Iterator[str]) -> Iterator[Row]:
        """Read the rows below the head, up to one that is cut off."""
        read = _Recorded(lines)
        for number, cells in enumerate(csv.reader(read)):
            text, read.text = read.text, ""
            if number and text.endswith("\r\n"):
                source, error, _, *ranked = cells
                if len(ranked) == len(self._columns) - 3:
                    yield Row(source, bool(error), text)


def _csv_line(cells: List[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


class _Recorded:
    """Lines, and the text of those that were read since `text` was emptied."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self.text = lines, ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.text += line
        return line


FORMS: Dict[str, Callable[[int], RowForm]] = {".jsonl": lambda topk: Jsonl(), ".csv": Csv}
"""End of a file's name -> its form, for so many classes of each image."""
