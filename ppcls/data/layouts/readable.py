"""Which photos can be read at all, known before a run and not in its midst."""

from __future__ import annotations

import os
from typing import Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from ppcls.data.layouts.own_images import OwnSplit, chosen
from ppcls.data.transforms.imagefile import inspect, read_image_file
from ppcls.errors import BadImageError
from ppcls.text import printable

MOST_OPENED = 100_000
MOST_BYTES = 4_000_000_000
"""Up to how many photos, and bytes of them together, are looked at."""

FEWEST_PIXELS = 8
"""A side with fewer shows nothing that could be recognised."""

_SHOWN = 3


class _Look(NamedTuple):
    """What was seen: reasons by path of what cannot be read, and paths of tiny images."""

    bad: Dict[str, str]
    tiny: List[str]


def readable(root: str, splits: Mapping[str, OwnSplit]) -> Tuple[Dict[str, OwnSplit], List[str]]:
    """Leave out the images whose files are damaged, cut off or of another format, as far as their
    containers tell; return the rest, and warnings.

    Larger sets (`MOST_OPENED`, `MOST_BYTES`) are left as they are: training names what it cannot
    read.
    """
    paths = [os.path.join(root, path) for split in splits.values() for path in split.paths]
    if len(paths) > MOST_OPENED or sum(map(_size, paths)) > MOST_BYTES:
        return dict(splits), []
    look = _look_at(paths)
    kept = {name: _without(root, split, look.bad) for name, split in splits.items()}
    return {name: split for name, split in kept.items() if len(split)}, _warnings(root, look)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _look_at(paths: List[str]) -> _Look:
    look = _Look({}, [])
    for path in paths:
        try:
            image = inspect(read_image_file(path))
        except (BadImageError, OSError) as error:
            look.bad[path] = str(error)
            continue
        if min(image.width, image.height) < FEWEST_PIXELS:
            look.tiny.append(path)
    return look


def _without(root: str, split: OwnSplit, bad: Mapping[str, str]) -> OwnSplit:
    if not bad:
        return split
    good = [os.path.join(root, path) not in bad for path in split.paths]
    return split if all(good) else chosen(split, np.flatnonzero(good))


def _warnings(root: str, look: _Look) -> List[str]:
    lines = []
    if look.bad:
        shown = [f"{os.path.relpath(path, root)}: {why}" for path, why in look.bad.items()]
        lines.append(_listed(f"left out, because they cannot be read: {len(look.bad)}", shown))
    if look.tiny:
        shown = [os.path.relpath(path, root) for path in look.tiny]
        lines.append(
            _listed(f"images of less than {FEWEST_PIXELS} pixels: {len(look.tiny)}", shown)
        )
    return lines


def _listed(what: str, shown: List[str]) -> str:
    more = "; ..." if len(shown) > _SHOWN else ""
    return printable(f"{what} ({'; '.join(shown[:_SHOWN])}{more})")
