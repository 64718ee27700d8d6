"""The processes that train one network together."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, TypeVar

import paddle

from ppcls.metric.base import Metric

T = TypeVar("T")


class World:
    """One process, for which every collective operation is the identity.

    A world of several overrides `rank`, `size`, `gather` and `sum_gradients`. All its processes
    make the same calls in the same order, so code that uses a world never asks whether there are
    several: what all must agree on goes through `any` or `sum`.

    Attributes:
        rank: the number of this process, from 0.
        size: how many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def gather(self, value: T) -> List[T]:
        """Return every process's value, in the order of ranks."""
        return [value]

    def sum_gradients(self, network: paddle.nn.Layer) -> None:
        """Replace each gradient of the network by its sum over all processes."""

    def barrier(self) -> None:
        """Wait until every process has come here."""
        self.gather(None)

    def sum(self, value: T) -> T:
        """Return the sum of every process's number (or list)."""
        first, *others = self.gather(value)
        total: Any = first
        for other in others:
            total = total + other
        return total  # type: ignore[no-any-return]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in at least one process."""
        return any(self.gather(flag))

    def on_main(self, action: Callable[[], object]) -> None:
        """Let the main process do something, and wait for it.

        Raises:
            Exception: the action's, in every process, so that none waits for one that is gone.
        """
        failure: Optional[Exception] = None
        if self.is_main:
            try:
                action()
            except Exception as error:
                failure = error
        found = self.gather(failure)[0]
        if found is not None:
            raise found

    def compute(self, metric: Metric) -> Dict[str, float]:
        """Return a metric's values over what all processes have seen."""
        own = metric.state()
        metric.load_state({key: self.sum(value) for key, value in own.items()})
        values = metric.compute()
        metric.load_state(own)
        return values
