"""Data sets that a list file describes."""

from __future__ import annotations

import re
from typing import Annotated, Callable, Dict, List, Optional, Union

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.files import ImageFiles, require_folder, require_some_images
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.errors import DataError, did_you_mean
from ppcls.labels import LabelKind, Labels
from ppcls.registry import Part, PartsOf, Provided, register
from ppcls.text import first_few

_MOST_CLASSES = 1_000_000
_MOST_NUMBER = 10**15
_NUMBER = re.compile(r"-?[0-9]+")
_ADVICE = "Labels are whole numbers from 0, or names of classes on every line."


@register("dataset", "MultiScaleDataset")
@register("dataset")
class ImageNetDataset(ImageFiles):
    """Images named in a list file with lines ``path label``, as ImageNet's train_list.txt and
    val_list.txt.

    Labels are numbers from 0, or names of classes; names are numbered in alphabetical order. The
    class map that training found is given to evaluation, where a label outside it is an error.

    There a number is the place of its class in the map, as long as the names are no numbers or are
    just those places: "0", "1", "2", ... Where all names are numbers but other ones, a number is a
    name: 2 means the class "2" of the folders "1", "10" and "2", and of labels 1 to 3 that
    `relabel` numbered again, whether or not the list at hand has `relabel` too.

    PaddleClas calls it MultiScaleDataset where a `MultiScaleSampler` decides on the size of images.

    Args:
        image_root: the folder that the paths start from.
        cls_label_path: the list file; UTF-8.
        transform_ops: what is done to each image.
        delimiter: what divides path and label; by default the last white space of the line.
        relabel: number the labels that occur from 0 on in ascending order; for labels with gaps.
        class_map: the classes, where they are known already.
        class_num: how many classes there are, where only that is known; numbers beyond are errors.

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
        relabel: bool = False,
        class_map: Provided[Optional[ClassMap]] = None,
        class_num: Provided[Optional[int]] = None,
    ) -> None:
        transform = Pipeline(transform_ops)
        require_folder(image_root)
        images = ListFile(cls_label_path, delimiter)
        if class_map is None:
            class_map = _found_classes(images, relabel, class_num)
        by_name = relabel or not _has_numbers(images) or _has_other_numbers(class_map)
        labels = _labels(images, class_map, by_name)
        super().__init__(image_root, images.paths, labels, class_map, transform)
        require_some_images(self, images)


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


def _has_numbers(images: ListFile) -> bool:
    return any(map(_is_number, images.words))


def _has_other_numbers(class_map: ClassMap) -> bool:
    """Whether all names are numbers, but not the places of their classes."""
    return all(map(_is_number, class_map.names)) and class_map != ClassMap.numbered(len(class_map))


def _found_classes(images: ListFile, relabel: bool, class_num: Optional[int]) -> ClassMap:
    if not _has_numbers(images):
        return ClassMap(sorted(images.words))
    most = _MOST_NUMBER if relabel else _MOST_CLASSES
    _refuse(images, lambda word: _fault_of_number(word, most))
    numbers = sorted({int(word) for word in images.words})
    if relabel:
        return ClassMap([str(number) for number in numbers])
    return ClassMap.numbered(class_num or numbers[-1] + 1)


def _labels(images: ListFile, class_map: ClassMap, by_name: bool) -> Labels:
    """Return the class of each image."""
    if by_name:
        # Folders may be called "01", "02", ...: numbers are compared by their value.
        known = ClassMap([_canonical(name) for name in class_map.names])
        _refuse(images, lambda word: _fault_of_name(word, known), _advice(class_map))
        of_word = [known.index(_canonical(word)) for word in images.words]
    else:
        _refuse(images, lambda word: _fault_of_number(word, len(class_map)))
        of_word = [int(word) for word in images.words]
    return Labels(LabelKind.HARD, np.array(of_word, dtype=np.int64)[images.codes])


def _canonical(word: str) -> str:
    return str(int(word)) if _is_number(word) else word


def _advice(class_map: ClassMap) -> str:
    if not _has_other_numbers(class_map):
        return _ADVICE
    shown = first_few(class_map.names)
    return f"The names of the classes are numbers, so labels are these names: {shown}."


def _refuse(
    images: ListFile, fault: Callable[[str], Union[str, None]], advice: str = _ADVICE
) -> None:
    found = ((code, fault(word)) for code, word in enumerate(images.words))
    reasons: Dict[int, str] = {code: reason for code, reason in found if reason}
    images.refuse(reasons, advice)


def _fault_of_number(word: str, classes: int) -> Optional[str]:
    if not _is_number(word):
        return f"label '{word}' is not a whole number, as other labels are"
    number = int(word)
    if number < 0:
        return f"label {number} is negative; classes are numbered from 0"
    if number >= classes:
        last = classes - 1
        return f"label {number} is beyond the last of the {classes} classes, which is {last}"
    return None


def _fault_of_name(word: str, class_map: ClassMap) -> Optional[str]:
    name = _canonical(word)
    try:
        class_map.index(name)
    except DataError as error:
        if name in class_map:
            return str(error)
        hint = did_you_mean(name, class_map.names)
        return f"label '{word}' is not one of the {len(class_map)} classes.{hint}"
    return None
