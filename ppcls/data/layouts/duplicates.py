"""The same photo in two classes, or in two parts of a set."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path
from typing import Callable, Dict, Hashable, Iterable, Iterator, List, Tuple

from ppcls.data.layouts.own_images import OwnImages
from ppcls.files import sha256_of
from ppcls.text import printable

MOST_COMPARED = 100_000
"""How many photos are compared at most: more take minutes on slow disks."""

_SHOWN = 3
_END = 4096
_Photo = Tuple[str, str, int]
"""The part of the set, the path from the root on, and the number of the class."""


def same_photos(images: OwnImages) -> List[str]:
    """Return a warning on photos that are in two classes, and one on those in two parts of the set.

    Photos are the same where their bytes are. They are compared by size first, then by the end of
    the files, then by SHA-256, so that few files are read as a whole.
    """
    total = sum(len(split) for split in images.splits.values())
    if total > MOST_COMPARED:
        return [
            f"these are {total:,} photos, so they were not searched for ones that are the same "
            f"(up to {MOST_COMPARED:,} are)"
        ]
    in_classes, in_parts = [], []
    for group in _groups(images):
        first = group[0]
        other = next((one for one in group if one[2] != first[2]), None)
        if other:
            in_classes.append(f"{first[1]} and {other[1]}")
        elsewhere = next((one for one in group if one[0] != first[0]), None)
        if elsewhere:
            in_parts.append(f"{first[1]} and {elsewhere[1]}")
    return [*_contradictions(in_classes), *_leaks(in_parts)]


def _contradictions(pairs: List[str]) -> List[str]:
    what = "1 photo is" if len(pairs) == 1 else f"{len(pairs)} photos are"
    advice = "they teach contradictions; keep each in one"
    return [f"{what} in two classes: {_few(pairs)}; {advice}"] if pairs else []


def _leaks(pairs: List[str]) -> List[str]:
    what = "1 photo is" if len(pairs) == 1 else f"{len(pairs)} photos are"
    advice = "known photos make the accuracy look better than it is; keep each in one"
    return [f"{what} in two of train, val and test: {_few(pairs)}; {advice}"] if pairs else []


def _few(pairs: List[str]) -> str:
    return printable("; ".join(pairs[:_SHOWN])) + ("; ..." if len(pairs) > _SHOWN else "")


def _groups(images: OwnImages) -> Iterator[List[_Photo]]:
    """Yield photos of the same bytes."""
    photos: Iterable[List[_Photo]] = [
        [
            (name, path, number)
            for name, split in images.splits.items()
            for path, number in zip(split.paths, split.numbers.tolist())
        ]
    ]
    for key in _KEYS:
        photos = _divided(photos, images.root, key)
    yield from photos


def _divided(
    groups: Iterable[List[_Photo]], root: str, key: Callable[[str], Hashable]
) -> Iterator[List[_Photo]]:
    """Yield the photos of each group that have a key in common with others of it."""
    for group in groups:
        alike: Dict[Hashable, List[_Photo]] = defaultdict(list)
        for photo in group:
            try:
                alike[key(os.path.join(root, photo[1]))].append(photo)
            except OSError:  # it cannot be read, which training says
                continue
        yield from (found for found in alike.values() if len(found) > 1)


def _size(path: str) -> int:
    """Return the size of a file that is worth reading.

    Raises:
        OSError: there is no such file, it is empty, or a pipe or device, which may have no end.
    """
    size = os.path.getsize(path)
    if not size or not os.path.isfile(path):
        raise OSError(f"{path} is no file to compare")
    return size


def _end_of(path: str) -> bytes:
    """Return a checksum of the last bytes: files of a camera begin alike."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _END))
        return hashlib.sha256(file.read(_END)).digest()


_KEYS: Tuple[Callable[[str], Hashable], ...] = (_size, _end_of, lambda path: sha256_of(Path(path)))
"""What photos that are the same have in common; the cheapest first."""
