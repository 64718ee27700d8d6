"""Ctrl-C, termination, a lost terminal: finish the step, save, then leave with the status that
shells expect.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Dict, Iterable, Iterator, Optional, TypeVar

from ppcls.engine.world import World

T = TypeVar("T")


class Interrupted(Exception):
    """The run was asked to stop and has saved its state; `exit_status` is 128 plus the signal's
    number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_status = 128 + number


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP (the terminal has gone; unless `nohup` has it ignored) while
    it is entered. A second one stops at once, without saving.
    """

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._agreed: Optional[int] = None
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # no other may handle signals
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agree(self, world: World) -> bool:
        """Return whether any process was asked to stop before it came here."""
        asked = [number for number in world.gather(self.number) if number is not None]
        self._agreed = asked[0] if asked else None
        return bool(asked)

    def check(self) -> None:
        """Leave if a stop was agreed on; a request that came since then waits for the next time.

        Raises:
            Interrupted: it was.
        """
        if self._agreed is not None:
            raise Interrupted(self._agreed)

    def watch(self, items: Iterable[T], world: World) -> Iterator[T]:
        """Yield `items`, and leave between two of them if a process is asked to stop.

        Raises:
            Interrupted: it was.
        """
        for item in items:
            self.agree(world)
            self.check()
            yield item

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
