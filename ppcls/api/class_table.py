"""Precision, recall and F1 of each class, for people and for programs."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from ppcls.data.dataset import ClassMap
from ppcls.metric.confusion import class_figures
from ppcls.text import printable, shortened, table

MOST_ROWS = 20
"""How many classes are shown, the worst first; files have all."""

_LONGEST_NAME = 40


def class_records(confusion: np.ndarray, class_map: ClassMap) -> List[Dict[str, Any]]:
    """Return name, precision, recall, f1 and support (images) of each class, in their order.

    Args:
        confusion: counts, a row for each class, and a column for each class at least.
        class_map: their names.
    """
    figures = class_figures(confusion)
    return [
        {
            "name": name,
            "precision": float(figures.precision[i]),
            "recall": float(figures.recall[i]),
            "f1": float(figures.f1[i]),
            "support": int(figures.support[i]),
        }
        for i, name in enumerate(class_map.names)
    ]


def confusion_cells(confusion: np.ndarray, class_map: ClassMap) -> List[Dict[str, Any]]:
    """Return label, predicted and images of each cell of the matrix that is not 0, by rows: most
    cells of many classes are.
    """
    names = [*class_map.names, None]  # no class: the network gave no numbers
    return [
        {"label": names[row], "predicted": names[column], "images": int(confusion[row, column])}
        for row, column in np.argwhere(confusion).tolist()
    ]


def worst_first(records: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the classes that have images, by F1, the lowest first."""
    return sorted((one for one in records if one["support"]), key=lambda one: float(one["f1"]))


def describe_classes(confusion: np.ndarray, class_map: ClassMap) -> str:
    """Return a table of the worst classes; see `class_records`."""
    ordered = worst_first(class_records(confusion, class_map))
    shown = ordered[:MOST_ROWS]
    rows = [["class", "precision", "recall", "F1", "images"]]
    rows += [
        [
            printable(shortened(one["name"], _LONGEST_NAME)),
            *(f"{one[key]:.1%}" for key in ("precision", "recall", "f1")),
            str(one["support"]),
        ]
        for one in shown
    ]
    more = len(ordered) - len(shown)
    title = "classes, worst first" + (f" ({more} better ones are left out)" if more else "")
    return f"{title}:\n{table(rows, left=[0])}"
