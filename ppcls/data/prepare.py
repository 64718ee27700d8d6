"""Data sets that can be had with one command, written as image files and list files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, Dict, List, Tuple, Union

import cv2
import numpy as np

from ppcls.errors import UsageError

_MARKER = "dataset.json"
_EVERY_FIFTH = slice(2, None, 5)


@dataclass(frozen=True)
class Prepared:
    """What stands in a prepared folder; as text, one line for people.

    The folder holds ``train/<class>/*.png``, ``val/<class>/*.png``, ``train_list.txt``,
    ``val_list.txt`` (paths from the folder on) and ``label_list.txt``, so that it can be read as
    list files and as class folders.
    """

    name: str
    folder: Path
    train: int
    val: int
    classes: int
    is_new: bool

    def __str__(self) -> str:
        what = f"{self.train} training and {self.val} validation images of {self.classes} classes"
        verb = f"wrote {what} to" if self.is_new else f"{what} are already in"
        files = "train_list.txt, val_list.txt, label_list.txt"
        return f"{self.name}: {verb} {self.folder}{os.sep} (folders train and val; {files})"


def prepare_digits(output_dir: Union[str, Path], size: int = 64) -> Prepared:
    """Write the handwritten digits that scikit-learn carries (UCI optdigits, 1,797 images) as grey
    PNG files.

    Every fifth image, in the order of the classes, is held back for validation. The 8 x 8 originals
    are enlarged smoothly, so that a person can see them too.

    Args:
        output_dir: the folder to make. One that holds this data set already is left as it is.
        size: pixels of a side.

    Raises:
        UsageError: the folder holds something else, cannot be written, or scikit-learn is missing.
    """
    folder = Path(output_dir)
    # The order of the classes, so that each class loses a fifth of its images, give or take one.
    images, labels = _load_digits()
    order = np.argsort(labels, kind="stable")
    held_back = np.zeros(len(labels), dtype=bool)
    held_back[order[_EVERY_FIFTH]] = True
    metadata = {"dataset": "digits", "size": size, "images": len(labels)}
    val = int(held_back.sum())
    is_new = not _is_complete(folder, metadata)
    if is_new:
        entries = [
            (f"{'val' if held else 'train'}/{label}/{number:04d}.png", int(label))
            for number, (label, held) in enumerate(zip(labels, held_back))
        ]
        _write(folder, metadata, entries, [_enlarged_png(image, size) for image in images])
    return Prepared("digits", folder, len(labels) - val, val, len(set(labels.tolist())), is_new)


PREPARERS: Dict[str, Callable[[Union[str, Path]], Prepared]] = {"digits": prepare_digits}
"""The data sets that `ppcls data prepare` knows."""


def _load_digits() -> Tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            "the digits are part of scikit-learn, which is not installed; pip install scikit-learn"
        ) from None
    digits = load_digits()
    return digits.images, digits.target


def _enlarged_png(image: np.ndarray, size: int) -> bytes:
    """Return the PNG file of an 8 x 8 image with levels 0 to 16."""
    # The digits touch the edges, which neither people nor networks like.
    with_margin = np.pad(image * (255 / 16), 1)
    levels = cv2.resize(with_margin, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", np.clip(levels.round(), 0, 255).astype(np.uint8))[1].tobytes()


def _is_complete(folder: Path, metadata: Dict[str, object]) -> bool:
    """Return whether the data set is there already; False if the folder is empty or missing.

    Raises:
        UsageError: the folder holds other things, or not all of it.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / _MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"'{folder}' exists and holds other things; choose a folder that is new or empty"
        ) from None
    listed = _listed_files(folder)
    missing = sum(not (folder / name).is_file() for name in listed)
    if found != metadata or missing or len(listed) != metadata["images"]:
        raise UsageError(
            f"'{folder}' holds another or incomplete version of the data set ({missing} files are "
            "missing); delete the folder and run the command again"
        )
    return True


def _listed_files(folder: Path) -> List[str]:
    lists = [folder / "train_list.txt", folder / "val_list.txt"]
    return [line.rsplit(" ", 1)[0] for file in lists if file.is_file() for line in _lines(file)]


def _lines(file: Path) -> List[str]:
    return file.read_text("utf-8").splitlines()


def _write(
    folder: Path, metadata: Dict[str, object], entries: List[Tuple[str, int]], files: List[bytes]
) -> None:
    """Write everything beside the folder, then move it there: it is never half written."""
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".partial-", dir=folder.absolute().parent) as partial:
            whole = Path(partial) / "new"
            _write_files(whole, entries, files)
            (whole / _MARKER).write_text(json.dumps(metadata, indent=1) + "\n", "utf-8")
            whole.replace(folder.absolute())
    except OSError as error:
        raise UsageError(f"'{folder}' cannot be written: {error.strerror or error}") from None


def _write_files(folder: Path, entries: List[Tuple[str, int]], files: List[bytes]) -> None:
    for (name, _), data in zip(entries, files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for part in ("train", "val"):
        lines = [f"{name} {label}\n" for name, label in entries if name.startswith(f"{part}/")]
        (folder / f"{part}_list.txt").write_text("".join(lines), "utf-8")
    classes = sorted({label for _, label in entries})
    (folder / "label_list.txt").write_text("".join(f"{c} {c}\n" for c in classes), "utf-8")
