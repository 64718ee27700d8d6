"""Waiting for a data set that cannot be reached for a while: a network disk, a mount, a cable."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock
from typing import Callable, Tuple

from ppcls.data.dataset import Dataset
from ppcls.errors import OutageError

BETWEEN_TRIES = 1.0
"""Seconds from one try to the next."""

_log = logging.getLogger("ppcls")


class Patience:
    """Reads images, and tries again for some time while none of them can be reached.

    Attributes:
        seconds: how long to try.
        gives_up: asked between two tries, whether to stop before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.gives_up: Callable[[], bool] = bool
        self._ended, self._lock, self._is_out = Event(), Lock(), False

    def __reduce__(self) -> Tuple[type, Tuple[float]]:
        """Go to another process as new; whoever asks there whether to stop is another one."""
        return type(self), (self.seconds,)

    def begin(self) -> None:
        """Wait from now on where need be."""
        self._ended.clear()

    def end(self) -> None:
        """Let nobody wait any longer."""
        self._ended.set()

    def read(self, dataset: Dataset, index: int) -> bytes:
        """Return the encoded image, as soon as the data set can be reached; see `Dataset.read`.

        Raises:
            BadImageError: it cannot be had, for a reason that lies in this image.
            OutageError: the time is over.
        """
        began = time.monotonic()
        while True:
            try:
                data = dataset.read(index)
            except OutageError as error:
                self._note(True, f"{error}; trying again for {self.seconds:g} s")
                waited = time.monotonic() - began
                if waited >= self.seconds or self._ended.is_set() or self.gives_up():
                    raise OutageError(f"{error}; waited {waited:.0f} s for it") from None
                self._ended.wait(min(BETWEEN_TRIES, self.seconds - waited))
            else:
                self._note(False, "the images can be reached again")
                return data

    def _note(self, is_out: bool, words: str) -> None:
        """Say once that an outage begins or ends, in whichever thread that is seen first."""
        if is_out == self._is_out:
            return
        with self._lock:
            if is_out != self._is_out:
                self._is_out = is_out
                _log.warning("%s", words)
