"""Whether several threads are worth it."""

from __future__ import annotations

from threading import Lock
from typing import Tuple

_WORTH_A_THREAD = 0.0006
"""Seconds that an image takes at least where several threads are faster than one: they wait for
each other at every step of small ones.
"""

_ENOUGH = 64
"""Images that say how long one takes."""


class Pace:
    """How long the threads of an epoch take for an image."""

    def __init__(self) -> None:
        self._lock, self._seconds, self._images = Lock(), 0.0, 0

    def __reduce__(self) -> Tuple[type, Tuple[()]]:
        """Go to another process as new."""
        return type(self), ()

    def add(self, seconds: float, images: int) -> None:
        """Take note of some images that a thread has read."""
        with self._lock:
            self._seconds += seconds
            self._images += images

    def is_worth_threads(self) -> bool:
        """Whether several threads are faster than one, as far as is known; forget what is known."""
        with self._lock:
            slow = self._seconds >= _WORTH_A_THREAD * self._images
            found = slow or self._images < _ENOUGH
            self._seconds, self._images = 0.0, 0
        return found
