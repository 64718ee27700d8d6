"""What prediction and export take from Infer.PostProcess: how many classes to show, and their
names.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, List, Optional, Tuple

from ppcls.config import Config
from ppcls.data.dataset import ClassMap
from ppcls.data.imagenet_classes import imagenet_classes
from ppcls.errors import ConfigError
from ppcls.inference.postprocess import TOPK, read_class_id_map

_log = logging.getLogger("ppcls")


def topk_of(config: Config) -> int:
    """Return how many classes an image's prediction shows."""
    return limit_of(config) or TOPK


def limit_of(config: Config) -> Optional[int]:
    """Return the number of classes that `Infer.PostProcess` names, if it does."""
    part = config.Infer.PostProcess
    found = part.arguments.get("topk") if part else None
    return None if found is None else int(found)


def threshold_of(config: Config) -> float:
    """Return the probability from which on an image has a class, where it may have any number."""
    part = config.Infer.PostProcess
    return float(part.arguments.get("threshold", 0.5)) if part else 0.5


def names_of(config: Config, trained: ClassMap) -> ClassMap:
    """Return the classes that a network was trained for, as people call them.

    Classes that training knows by their numbers alone take the names that the configuration has
    for them, or those of ImageNet where the recipe is one of ImageNet: nothing in it names classes,
    there are 1,000, and all its data sets lie in folders called as ImageNet is (see
    `is_of_imagenet`). Real names stay, and other ones in the configuration get a warning.

    Raises:
        ConfigError: the configuration names another number of classes than the network has.
        DataError: a file of names is malformed.
    """
    place, names = _given(config)
    if names is None and trained == ClassMap.numbered(len(trained)) and is_of_imagenet(config):
        classes = imagenet_classes()
        return classes if len(trained) == len(classes) else trained
    if names is None or names == trained.names:
        return trained
    if trained != ClassMap.numbered(len(trained)):
        _log.warning("%s names other classes than training did, whose names are used", place)
        return trained
    if len(names) != len(trained):
        raise ConfigError(
            f"{place} names {len(names)} classes, but the network has {len(trained)}; give one "
            "name per class, or remove the key"
        )
    return ClassMap(names)


def is_of_imagenet(config: Config) -> bool:
    """Tell whether a recipe is one of ImageNet-1k, by the folders of its data sets.

    It has a data set, and in the path of each one's images or list stands a folder called
    ImageNet, ImageNet-1k or ILSVRC2012, however that is written: `dataset/ILSVRC2012`. A part of
    ImageNet (`imagenet100`, `ImageNet_mini`) is not called so, and `names_of` counts the classes.
    """
    splits = [config.DataLoader.Train, config.DataLoader.Eval]
    found = [split.dataset.arguments for split in splits if split is not None]
    paths = [(given.get("image_root"), given.get("cls_label_path")) for given in found]
    return bool(paths) and all(any(map(_is_imagenet, both)) for both in paths)


_IMAGENET = {"imagenet", "imagenet1k", "ilsvrc2012", "ilsvrc", "imagenetilsvrc2012"}


def _is_imagenet(path: Optional[str]) -> bool:
    folders = Path(path).parts if path else ()
    return any(re.sub(r"[^a-z0-9]", "", folder.lower()) in _IMAGENET for folder in folders)


def _given(config: Config) -> Tuple[str, Optional[List[str]]]:
    """Return where the configuration names the classes, and the names; None without any."""
    part = config.Infer.PostProcess
    arguments = part.arguments if part else {}
    files: List[Tuple[Any, Tuple[str, ...], Optional[str]]] = [
        (config.Global.class_id_map_file, ("Global",), None),
        (arguments.get("class_id_map_file"), ("Infer", "PostProcess"), arguments.get("delimiter")),
    ]
    if arguments.get("label_list"):
        return config.where("Infer", "PostProcess", "label_list"), arguments["label_list"]
    for path, section, delimiter in files:
        if path is not None and Path(path).is_file():
            with config.naming(*section, "class_id_map_file"):
                return config.where(*section, "class_id_map_file"), _read(path, delimiter)
    return "", None


def _read(path: str, delimiter: Optional[str]) -> List[str]:
    if delimiter is None:
        return ClassMap.from_label_file(path).names
    found = read_class_id_map(path, delimiter)
    return [found.get(index, str(index)) for index in range(max(found, default=-1) + 1)]
