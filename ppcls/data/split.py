"""Dividing one's own images into lists, with a recipe to train on them."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

import yaml

from ppcls.data.division import Division, DivisionRequest, divide, lacking_classes, whole_groups
from ppcls.data.groups import column_of
from ppcls.data.layouts import OwnImages, OwnSplit, recognise
from ppcls.data.own_recipe import OwnLists, own_recipe
from ppcls.errors import DataError, UsageError
from ppcls.files import write_text
from ppcls.text import first_few, printable

OWN_IMAGES = "quick_start/own_images.yaml"
"""The recipe that others are made from where none is named."""

_FILES = ("train_list.txt", "val_list.txt", "test_list.txt", "label_list.txt", "recipe.yaml")
_HELD = {"val": "held back to choose the best model by", "test": "to judge it by"}
_LONGEST_LINE = 1000
_MARK = "written by `ppcls data split`"
_HEADER = f"""\
# Trains on images of your own; {_MARK}. Change what you like: what is not
# said here comes from the recipe in the next line. Paths are absolute, so it runs from any folder.
"""


@dataclass(frozen=True)
class SplitReport:
    """What `split` wrote.

    Attributes:
        images: what was recognised.
        folder: where the lists and recipes are.
        divisions: the images of each part, once or for each fold.
        recipes: one for each division.
        groups: how many groups of images there are, where they stay together.
        warnings: what the user should know.
    """

    images: OwnImages
    folder: Path
    divisions: List[Division]
    recipes: List[Path]
    groups: Optional[int] = None
    warnings: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        names, first = self.images.class_names, self.divisions[0]
        held = [f"{len(first[part])} {what}" for part, what in _HELD.items() if part in first]
        folds = f"in each of {len(self.divisions)} folds " if len(self.divisions) > 1 else ""
        each = f" and so on to {self.recipes[-1].name}" if folds else ""
        whole = f"; {self.groups} groups stay whole" if self.groups else ""
        judge = f"\njudge it with: {self._judging()}" if "test" in first else ""
        return printable(
            f"recognised {self.images.how}\n"
            f"{len(names)} classes: {first_few(names)}\n"
            f"{folds}{len(first['train'])} images to learn from, {', '.join(held)}{whole}\n"
            f"lists and recipe{'s' * bool(folds)} are in {self.folder}\n"
            f"train with: ppcls train -c {shlex.quote(str(self.recipes[0]))}{each}{judge}"
        )

    def _judging(self) -> str:
        """Return the command that evaluates the trained network on the part to test."""
        recipe = self.recipes[0]
        start = recipe.name[: -len("recipe.yaml")]
        file = os.path.abspath(self.folder / f"{start}test_list.txt")
        key = "DataLoader.Eval.dataset.cls_label_path"
        return f"ppcls eval -c {shlex.quote(str(recipe))} -o {shlex.quote(f'{key}={file}')}"


def split(
    path: Union[str, Path],
    request: DivisionRequest = DivisionRequest(),  # noqa: B008 - it cannot be changed
    base: str = OWN_IMAGES,
    size: Optional[int] = None,
    output_dir: Optional[Path] = None,
    overwrite: bool = False,
) -> SplitReport:
    """Divide one's own images: write lists, the names of the classes, and a recipe.

    The files are `train_list.txt`, `val_list.txt`, `test_list.txt` where there is such a part,
    `label_list.txt` and `recipe.yaml`; with folds `fold1_train_list.txt` and so on. Where files of
    these names are somebody else's, all get "split_" in front. No image is moved or copied.

    Args:
        path: a folder or file of a layout that `recognise` knows.
        request: how to divide.
        base: the recipe to start from.
        size: the side in pixels of the square images that the network sees; None leaves the base's.
        output_dir: where the files go; None for the folder of the images or of the list.
        overwrite: replace what an earlier call wrote.

    Raises:
        DataError: see `recognise`; or images or groups are too few.
        UsageError: something is out of range, or the set is divided already.
        ConfigError: there is no such recipe.
    """
    place = Path(path)
    folder = output_dir or (place if place.is_dir() else place.parent)
    start = _free_start(folder, request.folds, overwrite)
    own_lists = place.is_dir() and _is_ours(place / "recipe.yaml")
    images = recognise(place, column_of(request.group_by or ""), without_lists=own_lists)
    divisions = divide(images, request)
    starts = [f"{start}{name}" for name in _names(request.folds)]
    written = [
        _files(images, division, folder, name, base, size)
        for name, division in zip(starts, divisions)
    ]
    for name, texts in zip(starts, written):
        # A list of an earlier call would be taken for a part of this set.
        (folder / f"{name}test_list.txt").unlink(missing_ok=True)
        for file, text in texts.items():
            write_text(folder / file, text)
    lacking = [line for one in divisions for line in lacking_classes(images.class_names, one)]
    groups, torn = whole_groups(divisions[0], request.group_by)
    warnings = list(dict.fromkeys([*images.warnings, *lacking, *torn]))
    recipes = [folder / f"{name}recipe.yaml" for name in starts]
    return SplitReport(images, folder, divisions, recipes, groups, warnings)


def _names(folds: Optional[int]) -> List[str]:
    """Return what stands in front of the names of each division's files."""
    return [f"fold{i + 1}_" for i in range(folds)] if folds else [""]


def _free_start(folder: Path, folds: Optional[int], overwrite: bool) -> str:
    """Return what all names of files begin with, so that nobody else's file is replaced.

    Raises:
        UsageError: the set is divided already, or no name is free.
    """
    for start in ("", "split_"):
        names = [f"{start}{name}" for name in _names(folds)]
        if _is_ours(folder / f"{names[0]}recipe.yaml"):
            if not overwrite:
                raise UsageError(
                    f"{folder} is divided already ({names[0]}recipe.yaml is there); --overwrite "
                    "divides it again"
                )
            return start
        if not any((folder / f"{name}{file}").exists() for name in names for file in _FILES):
            return start
    raise UsageError(
        f"{folder} holds files called train_list.txt and split_train_list.txt that are not of this "
        "command; --output_dir writes to another folder"
    )


def _is_ours(recipe: Path) -> bool:
    try:
        with recipe.open(encoding="utf-8", errors="replace") as file:
            return recipe.is_file() and _MARK in file.readline(_LONGEST_LINE)
    except OSError:
        return False


def _files(
    images: OwnImages,
    division: Division,
    folder: Path,
    start: str,
    base: str,
    size: Optional[int],
) -> Dict[str, str]:
    """Return the files of a division by their names."""
    texts = {f"{start}{name}": text for name, text in list_texts(images, division).items()}
    called, home = os.path.basename(os.path.abspath(folder)), os.path.abspath(folder)
    lists = OwnLists(
        root=images.root,
        train=os.path.join(home, f"{start}train_list.txt"),
        val=os.path.join(home, f"{start}val_list.txt"),
        labels=os.path.join(home, f"{start}label_list.txt"),
        example=os.path.join(images.root, division["val"].paths[0]),
        images=len(division["train"]),
        classes=len(images.class_names),
        output_dir=os.path.join("output", called, start.rstrip("_")).rstrip("/"),
    )
    recipe = yaml.safe_dump(own_recipe(base, lists, size), sort_keys=False, allow_unicode=True)
    texts[f"{start}recipe.yaml"] = _HEADER + recipe
    return texts


def list_texts(images: OwnImages, division: Division) -> Dict[str, str]:
    """Return the lists of a division, `PART_list.txt`, and `label_list.txt`: texts by name.

    Raises:
        DataError: a name has a line break.
    """
    words = label_words(images.class_names)
    texts = {f"{part}_list.txt": _list_text(found, words) for part, found in division.items()}
    return {**texts, "label_list.txt": _label_text(images.class_names)}


def label_words(names: Sequence[str]) -> List[str]:
    """Return what lists call the classes: their numbers, or their names where these are numbers
    themselves, but other ones; see `ImageNetDataset`.
    """
    numbers = [str(i) for i in range(len(names))]
    are_numbers = all(re.fullmatch("-?[0-9]+", name) for name in names)
    return list(names) if are_numbers else numbers


def _label_text(names: Sequence[str]) -> str:
    """Return the lines of a file with the names of the classes.

    Raises:
        DataError: a name has a line break.
    """
    broken = [name for name in names if "\n" in name or "\r" in name]
    if broken:
        raise DataError(f"the name of a class has a line break: {broken[0]!r}; rename it")
    return "".join(f"{i} {name}\n" for i, name in enumerate(names))


def _list_text(images: OwnSplit, words: Sequence[str]) -> str:
    """Return the lines of a list file.

    Raises:
        DataError: a name of a file has a line break, which no list file can hold.
    """
    broken = [path for path in images.paths if "\n" in path or "\r" in path]
    if broken:
        raise DataError(
            f"the name of a file has a line break, which no list can hold: {broken[0]!r}; rename it"
        )
    # White space at the start of a line is no part of the path.
    paths = (path if path == path.lstrip() else f"./{path}" for path in images.paths)
    return "".join(f"{path} {words[i]}\n" for path, i in zip(paths, images.numbers.tolist()))
