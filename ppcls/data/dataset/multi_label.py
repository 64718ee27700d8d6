"""Data sets in which an image has any number of classes: none, one or several."""

from __future__ import annotations

from typing import Annotated, Dict, List, Optional

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.files import ImageFiles, require_folder, require_some_images
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.labels import LabelKind, Labels
from ppcls.registry import Part, PartsOf, Provided, register

_ADVICE = (
    "Each line is the path of an image and, for every class in order, 1 where the image has it and "
    "0 where not, with commas between: 'beach.jpg 0,1,1'."
)


@register("dataset")
class MultiLabelDataset(ImageFiles):
    """Images named in a list file with lines ``path 0,1,1``: for every class whether the image has
    it.

    The names of the classes come from `Global.class_id_map_file`; without it they are called by
    their numbers. Evaluation takes the classes of training.

    Args:
        image_root: the folder that the paths start from.
        cls_label_path: the list file; UTF-8.
        transform_ops: what is done to each image.
        delimiter: what divides path and label; by default the last white space of the line.
        label_ratio: PaddleClas' files say here that the loss weighs answers by how frequent a class
            is; here `MultiLabelLoss.weight_ratio` alone decides that.
        class_map: the classes, where they are known already.
        class_num: how many classes there are, where only that is known.

    Raises:
        DataError: a folder or file is missing, or lines are wrong; all are named, up to ten.
        ConfigError: the transforms do not fit together.
    """

    def __init__(
        self,
        image_root: str,
        cls_label_path: str,
        transform_ops: Annotated[List[Part], PartsOf("transform")],
        delimiter: Optional[str] = None,
        label_ratio: bool = False,
        class_map: Provided[Optional[ClassMap]] = None,
        class_num: Provided[Optional[int]] = None,
    ) -> None:
        transform = Pipeline(transform_ops)
        require_folder(image_root)
        images = ListFile(cls_label_path, delimiter)
        count = len(class_map) if class_map else class_num or _answers(images.words[0])
        rows = _rows(images, count, is_known=bool(class_map or class_num))
        labels = Labels(LabelKind.MULTI_HOT, rows[images.codes])
        classes = class_map or ClassMap.numbered(count)
        super().__init__(image_root, images.paths, labels, classes, transform)
        require_some_images(self, images)


def _answers(word: str) -> int:
    return word.count(",") + 1


def _rows(images: ListFile, count: int, is_known: bool) -> np.ndarray:
    """Return the labels of each word of the list, float32 [words, classes].

    Raises:
        DataError: a word is not a 0 or 1 for each of `count` classes.
    """
    rows = np.zeros((len(images.words), count), np.float32)
    reasons: Dict[int, str] = {}
    for code, word in enumerate(images.words):
        answers = [answer.strip() for answer in word.split(",")]
        reason = _fault(answers, count, is_known)
        if reason:
            reasons[code] = reason
        else:
            rows[code] = [answer == "1" for answer in answers]
    images.refuse(reasons, _ADVICE)
    return rows


def _fault(answers: List[str], count: int, is_known: bool) -> Optional[str]:
    wrong = next((answer for answer in answers if answer not in ("0", "1")), None)
    if wrong is not None:
        return f"'{wrong}' is neither 0 nor 1"
    if len(answers) != count:
        others = f"there are {count} classes" if is_known else f"the first line has {count}"
        return f"{len(answers)} answers, but {others}"
    return None
