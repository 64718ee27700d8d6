"""What prediction and export take from Infer.PostProcess: how many classes to show, and their
names.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, List, Optional, Tuple

from ppcls.config import Config
from ppcls.data.dataset import ClassMap
from ppcls.errors import ConfigError
from ppcls.inference.postprocess import TOPK, read_class_id_map

_log = logging.getLogger("ppcls")


def topk_of(config: Config) -> int:
    """Return how many classes an image's prediction shows."""
    part = config.Infer.PostProcess
    return int(part.arguments.get("topk", TOPK)) if part else TOPK


def names_of(config: Config, trained: ClassMap) -> ClassMap:
    """Return the classes that a network was trained for, as people call them.

    Classes that training knows by their numbers alone take the names that the configuration has
    for them. Real names stay, and other ones in the configuration get a warning.

    Raises:
        ConfigError: the configuration names another number of classes than the network has.
        DataError: a file of names is malformed.
    """
    place, names = _given(config)
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
