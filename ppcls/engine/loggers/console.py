"""What a person sees of a run: a progress bar on a terminal, plain lines everywhere else, which is
also in the log file.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from typing import Annotated, Callable, Dict, Mapping, Optional

from pydantic import Field

from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.logs import FILE_ONLY
from ppcls.progress import Bar, columns
from ppcls.registry import register

_log = logging.getLogger("ppcls")

_WIDE = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
_NARROW = "{desc} {percentage:3.0f}% {elapsed}{postfix}"
_WIDE_FROM = 125
"""How many columns a terminal needs for a bar besides the metrics."""

_LOOK = 0.5
"""Seconds after which the metrics behind the bar are renewed."""


@register("logger")
class Console(Logger):
    """Shows loss, learning rate, top-1, images per second, the fraction of time spent waiting for
    data, and ETA.

    Args:
        interval: epochs between two that have lines on the terminal; the last one always has. With
            more than 1 batches have none. The log file has all.
    """

    def __init__(self, interval: Annotated[int, Field(gt=0)] = 1) -> None:
        self.interval = interval
        self._epochs = self._batches = 0
        self._bar: Optional[Bar] = None
        self._looked = 0.0

    def open(self, run: RunInfo) -> None:
        """Take note of how long the run is."""
        self._epochs, self._batches = run.epochs, run.batches

    def advance(self, epoch: int, batch: int, look: Callable[[], Record]) -> None:
        """Move the bar, which stands before the first batch, and renew what is behind it."""
        if self._bar is None:
            self._bar = self._new_bar(epoch, batch)
        if self._bar.is_shown and time.monotonic() - self._looked > _LOOK:
            self._say(look())
        self._bar.advance_to(batch)

    def write(self, record: Record) -> None:
        """Show one record."""
        handle = {"train": self._train, "epoch": self._epoch, "eval": self._eval}[record["event"]]
        handle(record)

    def close(self) -> None:
        """Leave the terminal on a line of its own."""
        self._drop_bar()

    def _train(self, record: Record) -> None:
        with_bar = sys.stdout.isatty() and self._bar is not None and self._bar.is_shown
        if with_bar:
            self._say(record)
        place = f"epoch {record['epoch']}/{self._epochs} batch {record['batch']}/{self._batches}"
        _log.info(
            "%s  %s", place, describe_step(record), extra={FILE_ONLY: with_bar or self.interval > 1}
        )

    def _new_bar(self, epoch: int, batch: int) -> Bar:
        shape = _WIDE if columns() >= _WIDE_FROM else _NARROW
        return Bar(f"epoch {epoch}/{self._epochs}", self._batches, batch, shape)

    def _say(self, record: Record) -> None:
        if record and self._bar is not None:
            self._looked = time.monotonic()
            words, room = describe_briefly(record), columns()
            taken = len(f"epoch {record['epoch']}/{self._epochs} 100% 0:00:00, ")
            self._bar.say(words if room >= _WIDE_FROM else words[: max(0, room - taken)])

    def _epoch(self, record: Record) -> None:
        self._drop_bar()
        _log.info(
            "epoch %d/%d  train: %s",
            record["epoch"],
            self._epochs,
            describe_metrics(record["metrics"]),
            extra=self._extra(record),
        )

    def _eval(self, record: Record) -> None:
        self._drop_bar()
        mark = "  (best so far)" if record.get("best") else ""
        metrics = describe_metrics(record["metrics"])
        words = ("epoch %d/%d  eval:  %s%s", record["epoch"], self._epochs, metrics, mark)
        _log.info(*words, extra=self._extra(record))

    def _extra(self, record: Record) -> Dict[str, bool]:
        """Say whether the terminal shows what is logged of an epoch."""
        epoch = record["epoch"]
        return {FILE_ONLY: bool(epoch % self.interval) and epoch != self._epochs}

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def describe_step(record: Record) -> str:
    """Describe one training record."""
    eta = str(timedelta(seconds=int(record["eta_seconds"])))
    return (
        f"{describe_metrics(record['metrics'])}  lr {record['lr']:.4g}  "
        f"{_rate(record)} images/s  "
        f"waiting for data {record['data_wait']:.0%}  ETA {eta}"
    )


def describe_briefly(record: Record) -> str:
    """Describe it in so few characters that they fit a terminal of 80 columns."""
    loss, *others = record["metrics"].items()
    main = "".join(f" {name} {value:.1%}" for name, value in others[:1])
    eta = str(timedelta(seconds=int(record["eta_seconds"])))
    speed = f"{_rate(record)} img/s ETA {eta} wait {record['data_wait']:.0%}"
    return f"loss {loss[1]:.3f}{main} lr {record['lr']:.2g} {speed}"


def _rate(record: Record) -> str:
    rate = record["images_per_second"]
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def describe_metrics(metrics: Mapping[str, float]) -> str:
    """Return loss and metrics in one line, as `format_metric` writes them."""
    return "  ".join(f"{name} {format_metric(name, value)}" for name, value in metrics.items())


def format_metric(name: str, value: float) -> str:
    """Write a metric for people: accuracies in percent, all else with four decimals."""
    return f"{value:.2%}" if name.startswith("top") else f"{value:.4f}"
