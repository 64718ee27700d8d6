"""Where a run's figures go: the terminal, a file of JSON lines, VisualDL, and a picture at the
end.
"""

from __future__ import annotations

from typing import Any, Dict, List, Protocol, Sequence

Record = Dict[str, Any]


class Logger(Protocol):
    """Receives every record of a run.

    A record has `event` ("train", "epoch" or "eval"), `epoch` (from 1), `step` (updates so far) and
    figures.
    """

    def write(self, record: Record) -> None:
        """Take one record."""

    def close(self) -> None:
        """Finish: nothing more will come."""


class Loggers:
    """Hands each record to all loggers."""

    def __init__(self, members: Sequence[Logger]) -> None:
        self.members: List[Logger] = list(members)

    def write(self, record: Record) -> None:
        """Hand on one record."""
        for member in self.members:
            member.write(record)

    def close(self) -> None:
        """Close all."""
        for member in self.members:
            member.close()
