"""Where a run's metrics go: the terminal, a file of JSON lines, a picture, other programs.

A logger is a part: a class that is registered as ``logger`` in a module of this package, and named
in the section `Loggers` of a configuration.
"""

from __future__ import annotations

import abc
import logging
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Sequence

from ppcls.engine.run_folder import RunFolder
from ppcls.own_parts import their_traceback
from ppcls.registry import Part, is_built_in

Record = Dict[str, Any]
"""What a run says of a moment: `event` ("train", "epoch" or "eval"), `epoch` (from 1), `step`
(updates so far), `position` (in epochs) and `metrics` (loss and metrics by name). Those of "train"
have `batch` (within the epoch, from 1), `lr`, `images_per_second`, `data_wait` (a fraction) and
`eta_seconds` as well; those of "eval" `images` and `best` (whether it is the best so far).
"""

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class RunInfo:
    """What loggers know of the run that they follow.

    Attributes:
        folder: the output folder.
        network: the name of the network.
        epochs: how many the run has.
        batches: how many an epoch has.
        keep: whether a record that an interrupted run left is one that this run, which goes on
            from a checkpoint, will not make again.
        step: how many updates were made before; 0 unless the run goes on from a checkpoint.
    """

    folder: RunFolder
    network: str
    epochs: int
    batches: int
    keep: Callable[[Record], bool]
    step: int = 0


class Logger(abc.ABC):
    """Receives every record of a run. Its constructor takes what a configuration may say, and
    touches no file: the output folder may still be another run's.

    Attributes:
        has_seen_enough: set by a logger that asks the run to end after the evaluation which it was
            told of last, as an early stop does.
    """

    has_seen_enough: bool = False

    def open(self, run: RunInfo) -> None:  # noqa: B027 - not every logger has to
        """Begin: the folder is this run's, and records will come."""

    def advance(self, epoch: int, batch: int, look: Callable[[], Record]) -> None:  # noqa: B027
        """Take note of how far an epoch is: once before its first batch, and after each.

        Args:
            epoch: the epoch, from 1.
            batch: how many of its batches are done.
            look: returns a record of "train" with the values so far, which may be empty; the host
                waits for the device, so ask once in a while.
        """

    @abc.abstractmethod
    def write(self, record: Record) -> None:
        """Take one record."""

    def close(self) -> None:  # noqa: B027
        """Finish: nothing more will come."""


class Loggers(Logger):
    """Hands everything on to all of its members."""

    def __init__(self, members: Sequence[Logger]) -> None:
        self.members: List[Logger] = list(members)

    @property
    def want_to_stop(self) -> bool:
        """Whether one of them has seen enough."""
        return any(member.has_seen_enough for member in self.members)

    def open(self, run: RunInfo) -> None:
        """Open all."""
        self._each(lambda member: member.open(run))

    def advance(self, epoch: int, batch: int, look: Callable[[], Record]) -> None:
        """Tell all how far the epoch is."""
        self._each(lambda member: member.advance(epoch, batch, look))

    def write(self, record: Record) -> None:
        """Hand on one record."""
        self._each(lambda member: member.write(record))

    def _each(self, tell: Callable[[Logger], None]) -> None:
        """Tell all members; one of a user's own that fails is left out from then on, as no run is
        to be lost by it.
        """
        for member in list(self.members):
            try:
                tell(member)
            except Exception as error:
                if is_built_in(type(member)):
                    raise
                self._leave_out(member, error)

    def _leave_out(self, member: Logger, error: Exception) -> None:
        self.members.remove(member)
        name, trace = type(member).__name__, their_traceback(error)
        _log.warning("the logger %s fails, and is left out from now on:\n%s", name, trace)

    def close(self) -> None:
        """Close all; where the disk is full, that is no reason to hide why the run ended."""
        for member in list(self.members):
            try:
                member.close()
            except OSError as error:
                what = error.filename or type(member).__name__
                _log.warning("%s is not up to date: %s", what, error.strerror or error)
            except Exception as error:
                self._leave_out(member, error)


def scalars(record: Record) -> Dict[str, float]:
    """Return the metrics of a record, and its learning rate, by names such as "eval/top1"."""
    rate = {"lr": record["lr"]} if "lr" in record else {}
    return {
        f"{record['event']}/{name}": value for name, value in {**record["metrics"], **rate}.items()
    }


def build_loggers(parts: Sequence[Part], use_visualdl: bool) -> List[Logger]:
    """Build the loggers that a configuration names, and VisualDL where `use_visualdl` asks for it.

    Raises:
        UsageError: a package that one of them needs is not installed.
    """
    if use_visualdl and all(part.name != "VisualDL" for part in parts):
        parts = [*parts, Part("logger", "VisualDL")]
    return [part.build() for part in parts]
