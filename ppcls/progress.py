"""What moves on a terminal while something takes time. Without a terminal nothing of it is written.

Everything is on standard error, in a line that is erased in the end: neither results nor log files
get any of it. Log lines step around it (`ppcls.logs`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any, Iterable, Iterator, Optional, TypeVar

T = TypeVar("T")

_COUNTED = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"
_TIMED = "{desc} ... {elapsed}"
_ROWS = 20
_BEAT = 1.0
"""Seconds after which the clock moves, where nothing else does."""


class Bar:
    """A progress bar whose clock goes on while a step takes long; nothing without a terminal on
    standard error.
    """

    def __init__(
        self,
        what: str,
        total: Optional[int] = None,
        done: int = 0,
        shape: Optional[str] = None,
        **options: Any,
    ) -> None:
        """Show it at once.

        Args:
            what: what takes time; stands in front.
            total: of how many steps; None where only the time can be said.
            done: how many were done before.
            shape: what is shown, in the form of tqdm's `bar_format`.
            options: more of tqdm's, such as the `unit`.
        """
        self._bar: Any = None
        if sys.stderr is None or not sys.stderr.isatty():
            return
        from tqdm import tqdm

        shape = shape or (_TIMED if total is None else _COUNTED)
        options = {"file": _Screen(), "leave": False, "bar_format": shape, **options}
        # Asked itself, tqdm shows nothing on terminals that do not tell their size.
        options.update(ncols=columns() - 1, nrows=_ROWS)
        self._bar = tqdm(desc=what, total=total, initial=done, **options)
        self._closed = threading.Event()
        self._clock = threading.Thread(target=self._go_on, name="ppcls-clock", daemon=True)
        self._clock.start()

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal that shows it."""
        return self._bar is not None

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""
        if self._bar is not None:
            self._bar.update(steps)

    def advance_to(self, done: int) -> None:
        """Count steps up to the number `done`."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def say(self, words: str) -> None:
        """Show `words` behind the bar, from its next movement on."""
        if self._bar is not None:
            self._bar.set_postfix_str(words, refresh=False)

    def close(self) -> None:
        """Erase it; closing twice does no harm."""
        if self._bar is not None:
            self._closed.set()
            self._clock.join()
            self._bar.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _go_on(self) -> None:
        while not self._closed.wait(_BEAT):
            self._bar.refresh()


def columns() -> int:
    """Return how many columns the terminal on standard error has; 80 where it does not say."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stderr.fileno()).columns)
        if found > 0:
            return found
    return 80


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show `what` and how long it has taken while the block runs."""
    with Bar(what):
        yield


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield `items`, of which there are `total`, and show how many are done."""
    with Bar(what, total) as bar:
        for item in items:
            yield item
            bar.advance()


class _Screen:
    """Standard error as it is now, also while it is led elsewhere to keep native code quiet."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._descriptor: Optional[int] = None
        with contextlib.suppress(OSError, ValueError):
            self._descriptor = os.dup(sys.stderr.fileno())

    def write(self, text: str) -> None:
        if self._descriptor is None:
            self._stream.write(text)
            return
        with contextlib.suppress(OSError):  # a terminal that has gone ends no run
            os.write(self._descriptor, text.encode(self.encoding, "replace"))

    def flush(self) -> None:
        if self._descriptor is None:
            self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno() if self._descriptor is None else self._descriptor

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "ascii"

    def __eq__(self, other: object) -> bool:
        # So that tqdm takes it for the terminal, and clears the line for what else goes there.
        return other is self or other is self._stream

    __hash__ = object.__hash__

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
