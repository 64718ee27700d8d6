"""CIFAR-10 from an archive that is on the machine already (Krizhevsky, "Learning Multiple Layers of
Features from Tiny Images", 2009).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Union

import cv2
import numpy as np

from ppcls.data.archives import Member, archive_members
from ppcls.data.prepare import Image, Prepared, write_prepared
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES, inspect
from ppcls.errors import BadImageError, DataError
from ppcls.text import listed_words, shown

CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
SOURCES = (
    "cifar-10-binary.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html), or archives that hold "
    "train/airplane/1.png and test/airplane/1.png"
)
"""What is accepted, for people."""

WHOLE = {"train": 50_000, "test": 10_000}
"""How many images the published set has."""

_RECORD = 1 + 32 * 32 * 3
_LABEL = {name: label for label, name in enumerate(CIFAR10_CLASSES)}


def prepare_cifar10(output_dir: Union[str, Path], archives: Sequence[Union[str, Path]]) -> Prepared:
    """Write CIFAR-10 as image files in class folders, as `quick_start/LeNet_cifar10.yaml` reads it:
    ``train/airplane/0000.png``, ``test/airplane/0000.png``.

    Args:
        output_dir: the folder to make. One that holds this data set already is left as it is.
        archives: `cifar-10-binary.tar.gz`, whose pixels become PNG files; or tar archives of class
            folders inside folders called train and test, whose files are taken as they are.

    Raises:
        DataError: an archive is missing, damaged or too large, is the one of pickles, which are
            never read, or holds no or only half of the images.
        UsageError: the folder holds something else, or cannot be written.
    """
    folder = Path(output_dir)
    images = [image for where in archives for image in _images(Path(where))]
    _refuse_doubled(images)
    found = Counter(image.path.split("/")[0] for image in images)
    missing = [name for name in WHOLE if not found[name]]
    if missing:
        names = listed_words([f"'{where}'" for where in archives])
        raise DataError(
            f"there are no images of {' and '.join(missing)} in {names}. Accepted: {SOURCES}; name "
            "all that is needed, one after the other"
        )
    metadata: Dict[str, object] = {"dataset": "cifar10", "images": len(images)}
    is_new = write_prepared(folder, metadata, lambda: images, CIFAR10_CLASSES, "test")
    classes = len({image.label for image in images})
    return Prepared("cifar10", folder, found["train"], found["test"], classes, is_new, "test")


def _images(where: Path) -> Iterator[Image]:
    counts: Counter[str] = Counter()
    for member in archive_members(where):
        _refuse_pickles(where, member)
        name = member.parts[-1]
        if name.endswith(".bin"):
            yield from _of_batch(where, name, member.data, counts)
        elif name.lower().endswith(tuple(IMAGE_SUFFIXES)):
            image = _of_folder(where, member)
            if image:
                yield image


def _refuse_pickles(where: Path, member: Member) -> None:
    if "cifar-10-batches-py" in member.parts:
        raise DataError(
            f"'{where}' is the version for Python, which consists of pickles: opening these can "
            f"run any program, so they are never read. The same images are in {SOURCES}"
        )


def _of_batch(where: Path, name: str, data: bytes, counts: Counter[str]) -> Iterator[Image]:
    """Yield the images of a file of the binary version: for each a label and three planes."""
    part = "test" if name.startswith("test") else "train"
    records = len(data) // _RECORD
    rows = np.frombuffer(data[: records * _RECORD], np.uint8).reshape(records, _RECORD)
    if not records or len(data) % _RECORD or rows[:, 0].max() >= len(CIFAR10_CLASSES):
        raise DataError(
            f"'{where}': {name} is no file of CIFAR-10, whose records have {_RECORD} bytes, the "
            "first one below 10"
        )
    for row in rows:
        label = int(row[0])
        start = f"{part}/{CIFAR10_CLASSES[label]}"
        planes = row[1:].reshape(3, 32, 32)
        png = cv2.imencode(".png", np.ascontiguousarray(planes[::-1].transpose(1, 2, 0)))[1]
        yield Image(f"{start}/{counts[start]:04d}.png", label, png.tobytes())
        counts[start] += 1


def _of_folder(where: Path, member: Member) -> Optional[Image]:
    """Return the image of a class folder; None for images elsewhere."""
    if len(member.parts) < 3:
        return None
    part, name = member.parts[-3:-1]
    if part not in WHOLE or name not in _LABEL:
        return None
    try:
        inspect(member.data)
    except BadImageError as error:
        raise DataError(f"'{where}': {shown('/'.join(member.parts))}: {error}") from None
    if "\n" in member.parts[-1] or member.parts[-1].startswith("."):
        return None
    return Image("/".join(member.parts[-3:]), _LABEL[name], member.data)


def _refuse_doubled(images: List[Image]) -> None:
    if len({image.path for image in images}) < len(images):
        (path, _), *_ = Counter(image.path for image in images).most_common(1)
        raise DataError(f"the archives hold {path} more than once; name each archive once")
