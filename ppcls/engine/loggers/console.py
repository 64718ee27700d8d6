"""What a person sees of a run: a progress bar on a terminal, plain lines everywhere else, which is
also in the log file.
"""

from __future__ import annotations

import logging
import shutil
import sys
from datetime import timedelta
from typing import Mapping, Optional

from tqdm import tqdm

from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.logs import FILE_ONLY
from ppcls.registry import register

_log = logging.getLogger("ppcls")

_WIDE = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt}{postfix}"
_NARROW = "{desc} {percentage:3.0f}%{postfix}"
_WIDE_FROM = 115
"""How many columns a terminal needs for a bar besides the metrics."""


@register("logger")
class Console(Logger):
    """Shows loss, learning rate, top-1, images per second, the fraction of time spent waiting for
    data, and ETA.
    """

    def __init__(self) -> None:
        self._epochs = self._batches = 0
        self._bar: Optional[tqdm[None]] = None

    def open(self, run: RunInfo) -> None:
        """Take note of how long the run is."""
        self._epochs, self._batches = run.epochs, run.batches

    def write(self, record: Record) -> None:
        """Show one record."""
        handle = {"train": self._train, "epoch": self._epoch, "eval": self._eval}[record["event"]]
        handle(record)

    def close(self) -> None:
        """Leave the terminal on a line of its own."""
        self._drop_bar()

    def _train(self, record: Record) -> None:
        with_bar = sys.stdout.isatty()
        if with_bar:
            self._advance(record)
        place = f"epoch {record['epoch']}/{self._epochs} batch {record['batch']}/{self._batches}"
        _log.info("%s  %s", place, describe_step(record), extra={FILE_ONLY: with_bar})

    def _advance(self, record: Record) -> None:
        if self._bar is None:
            shape = _WIDE if shutil.get_terminal_size().columns >= _WIDE_FROM else _NARROW
            self._bar = tqdm(total=self._batches, bar_format=shape, file=sys.stdout, leave=False)
            self._bar.set_description_str(f"epoch {record['epoch']}/{self._epochs}")
        self._bar.set_postfix_str(describe_briefly(record), refresh=False)
        self._bar.update(record["batch"] - self._bar.n)

    def _epoch(self, record: Record) -> None:
        self._drop_bar()
        _log.info(
            "epoch %d/%d  train: %s",
            record["epoch"],
            self._epochs,
            describe_metrics(record["metrics"]),
        )

    def _eval(self, record: Record) -> None:
        self._drop_bar()
        mark = "  (best so far)" if record.get("best") else ""
        metrics = describe_metrics(record["metrics"])
        _log.info("epoch %d/%d  eval:  %s%s", record["epoch"], self._epochs, metrics, mark)

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def describe_step(record: Record) -> str:
    """Describe one training record."""
    eta = str(timedelta(seconds=int(record["eta_seconds"])))
    return (
        f"{describe_metrics(record['metrics'])}  lr {record['lr']:.4g}  "
        f"{record['images_per_second']:.0f} images/s  "
        f"waiting for data {record['data_wait']:.0%}  ETA {eta}"
    )


def describe_briefly(record: Record) -> str:
    """Describe it in so few characters that they fit a terminal of 80 columns."""
    loss, *others = record["metrics"].items()
    main = "".join(f" {name} {value:.1%}" for name, value in others[:1])
    eta = str(timedelta(seconds=int(record["eta_seconds"])))
    speed = f"{record['images_per_second']:.0f} img/s wait {record['data_wait']:.0%}"
    return f"loss {loss[1]:.3f}{main} lr {record['lr']:.2g} {speed} ETA {eta}"


def describe_metrics(metrics: Mapping[str, float]) -> str:
    """Return loss and metrics in one line, as `format_metric` writes them."""
    return "  ".join(f"{name} {format_metric(name, value)}" for name, value in metrics.items())


def format_metric(name: str, value: float) -> str:
    """Write a metric for people: accuracies in percent, all else with four decimals."""
    return f"{value:.2%}" if name.startswith("top") else f"{value:.4f}"
