"""From a network's output to what people read: class ids, names and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Dict, List, NamedTuple, Optional

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
        self.names: Dict[int, str] = dict(enumerate(label_list or []))
        if class_id_map_file is not None:
            self.names = read_class_id_map(class_id_map_file, delimiter)

    def __call__(self, probabilities: np.ndarray) -> List[Ranking]:
        """Rank the classes of each row of `probabilities`, float [n, classes]; equal ones by id."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.topk]
        return [self._ranking(row, ids) for row, ids in zip(probabilities, order.tolist())]

    def _ranking(self, row: np.ndarray, ids: List[int]) -> Ranking:
        names = [self.names.get(index, str(index)) for index in ids]
        return Ranking(ids, names, [float(row[index]) for index in ids])


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
