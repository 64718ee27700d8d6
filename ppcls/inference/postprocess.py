"""From a network's output to what people read: class ids, names and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Dict, List, NamedTuple, Optional, Protocol

import numpy as np
from pydantic import Field

from ppcls.errors import DataError, UsageError
from ppcls.registry import register
from ppcls.text import is_whole_number

TOPK = 5
"""How many classes are shown when nothing says so."""

UNKNOWN = "unknown"
"""The answer where no class is probable enough."""


class Ranking(NamedTuple):
    """The most probable classes of one image, the most probable first."""

    class_ids: List[int]
    names: List[str]
    scores: List[float]
    is_doubtful: bool = False
    """Whether the most probable class is too improbable to be an answer."""
    are_all_answers: bool = False
    """Whether the image has all of these classes, and not one of them."""

    @property
    def answer(self) -> str:
        """The name of the class that the image has, or `UNKNOWN`; the names of all that it has,
        with commas between, where that is any number.
        """
        if self.are_all_answers:
            return ", ".join(self.names)
        return UNKNOWN if self.is_doubtful else self.names[0]


class Ranker(Protocol):
    """What makes an answer of probabilities.

    Attributes:
        topk: how many classes of an image it names at most.
    """

    topk: int

    def __call__(self, probabilities: np.ndarray) -> List[Ranking]:
        """Return a ranking of each row, float [n, classes]."""


@register("postprocess")
class Topk:
    """The `topk` most probable classes of each image.

    Names come from `label_list`, one per output, or from `class_id_map_file` with lines of ``id
    name`` separated by `delimiter` (white space when it is None); a class without a name is called
    by its id. Arguments as in PaddleClas.

    Raises:
        UsageError: both sources of names are given.
        DataError: `class_id_map_file` is missing or a line of it is not an id and a name.
    """

    def __init__(
        self,
        topk: Annotated[int, Field(ge=1)] = 1,
        class_id_map_file: Optional[str] = None,
        delimiter: Optional[str] = None,
        label_list: Optional[List[str]] = None,
    ) -> None:
        if class_id_map_file is not None and label_list is not None:
            raise UsageError("Topk: give class_id_map_file or label_list, not both")
        self.topk = topk
        self.names = _names(class_id_map_file, delimiter, label_list)

    def __call__(self, probabilities: np.ndarray) -> List[Ranking]:
        """Rank the classes of each row of `probabilities`, float [n, classes]; equal ones by id."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.topk]
        return [_ranking(row, ids, self.names) for row, ids in zip(probabilities, order.tolist())]


@register("postprocess")
class MultiLabelThreshOutput:
    """All classes with a probability of `threshold` at least, the most probable first: none, one or
    several. Arguments as in PaddleClas, names as in `Topk`.

    Args:
        threshold: the probability from which on an image has a class.
        class_id_map_file, delimiter, label_list: see `Topk`.
        topk: name no more than so many; by default all.

    Raises:
        UsageError, DataError: see `Topk`.
    """

    def __init__(
        self,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
        class_id_map_file: Optional[str] = None,
        delimiter: Optional[str] = None,
        label_list: Optional[List[str]] = None,
        topk: Optional[Annotated[int, Field(ge=1)]] = None,
    ) -> None:
        if class_id_map_file is not None and label_list is not None:
            raise UsageError(
                "MultiLabelThreshOutput: give class_id_map_file or label_list, not both"
            )
        self.threshold = threshold
        self.names = _names(class_id_map_file, delimiter, label_list)
        self.topk = topk or max(1, len(self.names))

    def __call__(self, probabilities: np.ndarray) -> List[Ranking]:
        """Find the classes of each row of `probabilities`, float [n, classes]; equal ones by id."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.topk]
        found = []
        for row, ids in zip(probabilities, order.tolist()):
            above = [index for index in ids if row[index] >= self.threshold]
            found.append(_ranking(row, above, self.names)._replace(are_all_answers=True))
        return found


def _names(
    class_id_map_file: Optional[str], delimiter: Optional[str], label_list: Optional[List[str]]
) -> Dict[int, str]:
    if class_id_map_file is not None:
        return read_class_id_map(class_id_map_file, delimiter)
    return dict(enumerate(label_list or []))


def _ranking(row: np.ndarray, ids: List[int], names: Dict[int, str]) -> Ranking:
    found = [names.get(index, str(index)) for index in ids]
    return Ranking(ids, found, [float(row[index]) for index in ids])


def read_class_id_map(path: str, delimiter: Optional[str] = None) -> Dict[int, str]:
    """Read lines of ``id name`` and return names by id.

    A name may hold the delimiter; empty lines are skipped.

    Raises:
        DataError: the file is missing, or a line is not an id and a name.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the class names: {error}") from None
    found: Dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        index, *name = line.strip().split(delimiter, 1)
        if not is_whole_number(index.strip()) or not name:
            shown = "white space" if delimiter is None else repr(delimiter)
            raise DataError(
                f"{path}:{number}: expected a class id, {shown} and a name, got {line!r}"
            )
        found[int(index)] = name[0].strip()
    return found
