"""Unreadable training images: skipped, counted, named, and too many of them stop the run."""

from __future__ import annotations

import logging
import math
from typing import Dict, Iterable, List, Set

from ppcls.data.batch import BadImage
from ppcls.engine.world import World
from ppcls.errors import DataError

_log = logging.getLogger("ppcls")


class BadSampleCount:
    """Counts the distinct images of a training set that could not be read."""

    def __init__(self, total: int, limit: float, world: World) -> None:
        """Watch over `total` images, of which at most the fraction `limit` may be bad."""
        self.total = total
        self.limit = limit
        self.world = world
        self.reasons: Dict[int, str] = {}
        self._before: Set[int] = set()

    def add(self, bad: List[BadImage]) -> None:
        """Take note of the bad images of one batch in all processes; each is named in the log once.

        Raises:
            DataError: more than the accepted fraction of the set is bad.
        """
        for image in self.world.sum(bad):
            if image.index not in self.reasons:
                self.reasons[image.index] = f"{image.name}: {image.reason}"
                _log.warning("skipped an unreadable training image: %s", self.reasons[image.index])
        if len(self.reasons) / self.total > self.limit:
            raise DataError(self._too_many())

    def indices(self) -> List[int]:
        """Return the bad images' indices, for a checkpoint; those of the run before too."""
        return sorted({*self.reasons, *self._before})

    def restore(self, indices: Iterable[int]) -> None:
        """Take back what `indices` returned. Files may have been repaired since then, so that they
        count again only when they are found bad again.
        """
        self._before.update(indices)

    def _too_many(self) -> str:
        shown = list(self.reasons.values())[:5]
        more = len(self.reasons) - len(shown)
        lines = shown + ([f"... and {more} more"] if more else [])
        # Twice the fraction that is known so far, in whole percent: there may be more.
        higher = min(1.0, math.ceil(200 * len(self.reasons) / self.total) / 100)
        return (
            f"{len(self.reasons)} of {self.total} training images could not be read so far, "
            f"more than Global.max_bad_samples={self.limit:g} (a fraction) accepts:\n  "
            + "\n  ".join(lines)
            + "\n"
            "Repair or remove these files, or raise the limit: "
            f"-o Global.max_bad_samples={higher:g}"
        )
