"""Dividing a folder of one's own images into a training and a validation list."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Counter, Dict, Iterable, List, Optional, Tuple

import numpy as np
import yaml

from ppcls.config.inherit import resolve
from ppcls.config.load import find_recipe
from ppcls.data.dataset.folder import images_by_class
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import DataError, UsageError, did_you_mean
from ppcls.files import write_text

SIZES = range(8, 2049)
"""The sides in pixels that images may be given."""

_SPLITS = {"train", "val", "valid", "validation", "test"}
_HEADER = """\
# Trains on the images of this folder; written by `ppcls data split`. Change what you like:
# everything that is not said here comes from the recipe in the next line.
"""


@dataclass(frozen=True)
class SplitReport:
    """What `split_folder` wrote."""

    folder: Path
    classes: List[str]
    train: int
    val: int


def split_folder(
    folder: Path, val_fraction: float = 0.2, seed: int = 0, overwrite: bool = False
) -> SplitReport:
    """Write `train_list.txt`, `val_list.txt` and `label_list.txt` into a folder of class folders.

    Of each class the same fraction is held back, at least one image and never all. No image is
    moved or copied.

    Args:
        folder: class folders with images: folder/cat/1.jpg.
        val_fraction: the fraction that is held back, above 0 and below 1.
        seed: which images are held back.
        overwrite: replace what an earlier call wrote.

    Raises:
        DataError: the folder is missing or empty, or a class has fewer than two images.
        UsageError: `val_fraction` or `seed` is out of range, or the folder is divided already.
    """
    if seed < 0:
        raise UsageError(f"the seed must be at least 0, got {seed}")
    if not 0 < val_fraction < 1:
        raise UsageError(
            f"the fraction that is held back must lie between 0 and 1, got {val_fraction:g}"
        )
    if not folder.is_dir():
        siblings = [path.name for path in folder.absolute().parent.glob("*") if path.is_dir()]
        raise DataError(f"there is no folder '{folder}'.{did_you_mean(folder.name, siblings)}")
    found = images_by_class(str(folder))
    _refuse_what_is_no_class_folder(folder, list(found))
    _refuse_single_images(folder, found)
    if (folder / "train_list.txt").exists() and not overwrite:
        raise UsageError(
            f"{folder} is divided already (train_list.txt is there); --overwrite divides it again"
        )
    train, val = _divide(list(found.values()), val_fraction, np.random.default_rng(seed))
    write_text(folder / "train_list.txt", _lines(train))
    write_text(folder / "val_list.txt", _lines(val))
    write_text(folder / "label_list.txt", "".join(f"{i} {name}\n" for i, name in enumerate(found)))
    return SplitReport(folder, list(found), len(train), len(val))


def _refuse_what_is_no_class_folder(folder: Path, names: List[str]) -> None:
    splits = [name for name in names if name.lower() in _SPLITS]
    if splits:
        raise DataError(
            f"'{folder}' holds {', '.join(splits)}, which look like parts of a divided data set, "
            f"not classes. Name the folder of the classes, such as {folder / splits[0]}, or use "
            "both parts with a recipe of your own (DataLoader.Train and .Eval, name: ImageFolder)"
        )
    if len(names) < 2:
        raise DataError(
            f"'{folder}' holds one class only, {names[0]}; name the folder that holds a folder for "
            "each class: FOLDER/cat/1.jpg, FOLDER/dog/1.jpg"
        )


def left_out(folder: Path, classes: Iterable[str]) -> Counter[str]:
    """Count, by their ending, the files in class folders that are no images by their ending."""
    return Counter(
        path.suffix.lower() or path.name
        for name in classes
        for path in (folder / name).rglob("*")
        if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES and path.name[0] != "."
    )


def _refuse_single_images(folder: Path, found: Dict[str, List[str]]) -> None:
    single = [f"{name} ({len(images)})" for name, images in found.items() if len(images) < 2]
    if single:
        raise DataError(
            f"'{folder}': each class needs two images at least, one to learn from and one to be "
            f"judged by; too few: {', '.join(single[:10])}. Add images "
            f"({', '.join(sorted(IMAGE_SUFFIXES))}) or remove the folder"
        )


def _divide(
    classes: List[List[str]], fraction: float, rng: np.random.Generator
) -> Tuple[List[Tuple[str, int]], List[Tuple[str, int]]]:
    train: List[Tuple[str, int]] = []
    val: List[Tuple[str, int]] = []
    for label, images in enumerate(classes):
        count = min(max(1, round(fraction * len(images))), len(images) - 1)
        held = set(rng.permutation(len(images))[:count].tolist())
        for i, path in enumerate(images):
            (val if i in held else train).append((path, label))
    return train, val


def write_recipe(folder: Path, base: str, size: Optional[int] = None) -> Path:
    """Write `recipe.yaml`, which trains on the lists of `split_folder`, and return its path.

    Args:
        folder: the folder that holds the lists.
        base: the recipe to inherit from.
        size: the side in pixels of the square images that the network sees; None leaves the base's.

    Raises:
        ConfigError: there is no such recipe.
        UsageError: the size is not one of `SIZES`.
    """
    if size is not None and size not in SIZES:
        limits = f"{SIZES[0]} to {SIZES[-1]}"
        raise UsageError(f"the images' size must be {limits} pixels, got {size}")
    inherited = resolve(find_recipe(base)).data
    data = {
        "_base_": base,
        "Global": {
            "output_dir": f"output/{os.path.basename(os.path.abspath(folder))}",
            "class_id_map_file": str(folder / "label_list.txt"),
        },
        "DataLoader": {
            name: {"dataset": _dataset(folder, split, inherited["DataLoader"][name], size)}
            for name, split in (("Train", "train"), ("Eval", "val"))
        },
    }
    text = _HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    write_text(folder / "recipe.yaml", text)
    return folder / "recipe.yaml"


def _dataset(folder: Path, split: str, inherited: Any, size: Optional[int]) -> Dict[str, Any]:
    found = {"image_root": str(folder), "cls_label_path": str(folder / f"{split}_list.txt")}
    if size is None:
        return found
    ops = [_sized(op, size) for op in inherited["dataset"]["transform_ops"]]
    return {**found, "transform_ops": ops}


def _sized(op: Dict[str, Any], size: int) -> Dict[str, Any]:
    """Return a transform with the sizes that belong to images of `size` pixels: 224 of 256."""
    sizes = {
        "RandCropImage": {"size": size},
        "CropImage": {"size": size},
        "ResizeImage": {"resize_short": round(size * 256 / 224)},
    }
    return {
        name: {**(arguments or {}), **sizes[name]} if name in sizes else arguments
        for name, arguments in op.items()
    }


def _lines(entries: List[Tuple[str, int]]) -> str:
    return "".join(f"{path} {label}\n" for path, label in entries)
