"""Images in memory, so that later epochs need not read them again."""

from __future__ import annotations

import logging
from threading import Lock
from typing import Dict, Optional, Tuple, Union

from ppcls.data.transforms.pipeline import Pipeline, Pixels

Kept = Union[bytes, Pixels]

_log = logging.getLogger("ppcls")


class ImageCache:
    """Keeps what was read, until the memory for it is used up; what does not fit is read again.

    Nothing is dropped for something else: each epoch asks once for every image, in another order,
    so no image is worth more than another.
    """

    def __init__(self, limit: int, pixels: bool) -> None:
        """Keep at most `limit` bytes: of files as they are, or of decoded pixels."""
        self._limit, self._pixels = limit, pixels
        self._bytes, self._is_full = 0, False
        self._kept: Dict[int, Kept] = {}
        self._lock = Lock()

    def __reduce__(self) -> Tuple[type, Tuple[int, bool]]:
        """Go to another process empty."""
        return type(self), (self._limit, self._pixels)

    def __len__(self) -> int:
        """How many images are kept."""
        return len(self._kept)

    def get(self, index: int) -> Optional[Kept]:
        """Return what was kept of an image, if it was."""
        return self._kept.get(index)

    def keep(self, index: int, data: bytes, transform: Pipeline) -> Kept:
        """Return what is kept of a file, whether there is room for it or not.

        Raises:
            BadImageError: pixels are to be kept, and it is no complete image.
        """
        image = transform.decoded(data) if self._pixels else data
        if isinstance(image, Pixels):
            # An op that writes into what it is given would change all later epochs.
            image.values.flags.writeable = False
        size = image.values.nbytes if isinstance(image, Pixels) else len(image)
        with self._lock:
            fits = self._bytes + size <= self._limit
            if fits and index not in self._kept:
                self._kept[index] = image
                self._bytes += size
            if not fits and not self._is_full:
                self._is_full = True
                told = f"{len(self._kept)} images take {self._bytes / 2**30:.2f} GiB"
                _log.info("the cache is full: %s (loader.cache_gib); others are read again", told)
        return image
