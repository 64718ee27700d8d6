"""Data sets that can be had with one command, written as image files and list files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, Union

import cv2
import numpy as np

from ppcls.errors import UsageError

_MARKER = "dataset.json"
_EVERY_FIFTH = slice(2, None, 5)


@dataclass(frozen=True)
class Prepared:
    """What stands in a prepared folder; as text, one line for people.

    The folder holds ``train/<class>/*.png``, ``<held>/<class>/*.png``, ``train_list.txt``,
    ``val_list.txt`` (paths from the folder on) and ``label_list.txt``, so that it can be read as
    list files and as class folders. `held` is what the folder of the validation images is called.
    """

    name: str
    folder: Path
    train: int
    val: int
    classes: int
    is_new: bool
    held: str = "val"

    def __str__(self) -> str:
        what = f"{self.train} training and {self.val} validation images of {self.classes} classes"
        verb = f"wrote {what} to" if self.is_new else f"{what} are already in"
        files = "train_list.txt, val_list.txt, label_list.txt"
        return f"{self.name}: {verb} {self.folder}{os.sep} (folders train and {self.held}; {files})"


class Image(NamedTuple):
    """An image file to be written: its path in the folder, the number of its class, its bytes."""

    path: str
    label: int
    data: bytes


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
    names = [f"{'val' if held else 'train'}" for held in held_back]
    paths = [f"{names[i]}/{label}/{i:04d}.png" for i, label in enumerate(labels)]

    def files() -> Iterator[Image]:
        for path, label, image in zip(paths, labels.tolist(), images):
            yield Image(path, label, _enlarged_png(image, size))

    is_new = write_prepared(folder, metadata, files, [str(digit) for digit in range(10)], "val")
    val = int(held_back.sum())
    return Prepared("digits", folder, len(labels) - val, val, len(set(labels.tolist())), is_new)


def write_prepared(
    folder: Path,
    metadata: Dict[str, object],
    files: Callable[[], Iterable[Image]],
    class_names: Sequence[str],
    held: str,
) -> bool:
    """Write a data set, unless it is there already; return whether it was written.

    Args:
        folder: is made, or is empty, or holds this data set.
        metadata: what tells data sets apart; "images" is how many there are.
        files: gives the images, when they are needed.
        class_names: in the order of the labels.
        held: what the folder of the validation images is called.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
    """
    is_new = not _is_complete(folder, metadata)
    if is_new:
        _write(folder, metadata, files(), class_names, held)
    return is_new


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
    folder: Path,
    metadata: Dict[str, object],
    images: Iterable[Image],
    class_names: Sequence[str],
    held: str,
) -> None:
    """Write everything beside the folder, then move it there: it is never half written."""
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".partial-", dir=folder.absolute().parent) as partial:
            whole = Path(partial) / "new"
            lines = _write_files(whole, images)
            for part, name in (("train", "train"), ("val", held)):
                found = [line for line in lines if line.startswith(f"{name}/")]
                (whole / f"{part}_list.txt").write_text("".join(found), "utf-8")
            labels = "".join(f"{i} {name}\n" for i, name in enumerate(class_names))
            (whole / "label_list.txt").write_text(labels, "utf-8")
            (whole / _MARKER).write_text(json.dumps(metadata, indent=1) + "\n", "utf-8")
            whole.replace(folder.absolute())
    except OSError as error:
        raise UsageError(f"'{folder}' cannot be written: {error.strerror or error}") from None


def _write_files(folder: Path, images: Iterable[Image]) -> List[str]:
    """Write the images, and return their lines of a list file."""
    lines = []
    for image in images:
        (folder / image.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / image.path).write_bytes(image.data)
        lines.append(f"{image.path} {image.label}\n")
    return lines
