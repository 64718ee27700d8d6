"""Ctrl-C and termination: finish the step, save, then leave with the status that shells expect."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Dict, Iterable, Iterator, Optional, Type, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The run was asked to stop and has saved its state; `exit_status` is 128 plus the signal's
    number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = 128 + number


class StopRequest:
    """Notes SIGINT and SIGTERM while it is entered. A second Ctrl-C stops at once, without
    saving.
    """

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self.number is not None

    def check(self) -> None:
        """Leave if a stop was asked for.

        Raises:
            Interrupted: it was.
        """
        if self.number is not None:
            raise Interrupted(self.number)

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`, and leave between two of them if a stop is asked for.

        Raises:
            Interrupted: it was.
        """
        for item in items:
            self.check()
            yield item

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
