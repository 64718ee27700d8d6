"""A table of what a network said of each image of a set."""

from __future__ import annotations

import csv
import heapq
from operator import itemgetter
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import numpy as np

from ppcls.engine.scoring import Scored, softmax
from ppcls.errors import UsageError
from ppcls.files import replacing

TOPK = 5
"""How many of the most probable classes stand in a row."""


def require_csv(path: Path) -> None:
    """Make sure, before anything is computed, that a file's name is one of a CSV file.

    Raises:
        UsageError: it does not end in .csv.
    """
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path}: predictions are written as CSV; give a name that ends in .csv")


def write_predictions(path: Path, scored: Scored) -> None:
    """Write a CSV file with a row for each image, in the order of the set.

    Columns: name, label, predicted, probability (of the predicted class), correct (1 or 0), then
    class_N and probability_N of the five most probable classes. Images that could not be read have
    an empty row behind their name and label.

    Raises:
        UsageError: the file's name does not end in .csv, or it cannot be written.
    """
    require_csv(path)
    topk = min(TOPK, len(scored.class_map))
    ranked = [f"{what}_{rank}" for rank in range(1, topk + 1) for what in ("class", "probability")]
    head = ["name", "label", "predicted", "probability", "correct", *ranked]
    try:
        with replacing(path) as temporary:
            # Names may hold bytes that are not UTF-8; they are written as escapes.
            options: Any = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
            with temporary.open("w", **options) as file:
                writer = csv.writer(file)
                writer.writerow(head)
                writer.writerows(_rows(scored, topk))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _rows(scored: Scored, topk: int) -> Iterator[List[Any]]:
    """Yield a row for each image of the set, one after the other, since sets may be large."""
    pairs = heapq.merge(_readable(scored, topk), _unreadable(scored, topk), key=itemgetter(0))
    return (row for _, row in pairs)


def _readable(scored: Scored, topk: int) -> Iterator[Tuple[int, List[Any]]]:
    names = scored.class_map.names
    for i, index in enumerate(scored.indices.tolist()):
        row, label = softmax(scored.logits[i]), int(scored.labels[i])
        best = np.argsort(-row, kind="stable")[:topk].tolist()
        ranked = [cell for place in best for cell in (names[place], f"{row[place]:.6f}")]
        verdict = [names[best[0]], f"{row[best[0]]:.6f}", int(best[0] == label)]
        yield index, [scored.names[i], names[label], *verdict, *ranked]


def _unreadable(scored: Scored, topk: int) -> Iterator[Tuple[int, List[Any]]]:
    blanks = [""] * (3 + 2 * topk)
    for image in scored.bad:
        assert isinstance(image.label, int)
        yield image.index, [image.name, scored.class_map.names[image.label], *blanks]
