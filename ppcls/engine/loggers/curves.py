"""The picture of a run: loss, accuracy and learning rate over epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.engine.loggers.jsonl import kept_records
from ppcls.files import replacing
from ppcls.registry import register

_STYLES: Dict[str, Dict[str, Any]] = {
    "train": {"color": "#1f77b4", "marker": ".", "ms": 3},
    "eval": {"color": "#d62728", "marker": "o", "ms": 3},
}


@register("logger")
class Curves(Logger):
    """Draws `curves.png` when a run ends, whether finished or not."""

    def open(self, run: RunInfo) -> None:
        """Recall what `train_log.jsonl` says of the run up to here."""
        self._records = kept_records(run)
        self._picture = run.folder.curves
        # The picture's font has Latin letters only.
        name = run.folder.root.name
        self._title = f"{run.network} - {name}" if name.isascii() else run.network

    def write(self, record: Record) -> None:
        """Keep one record for the picture."""
        self._records.append(record)

    def close(self) -> None:
        """Draw, if there is anything to draw."""
        if self._records:
            draw_curves(self._records, self._picture, self._title)


def draw_curves(records: List[Record], picture: Path, title: str) -> None:
    """Write records as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    _loss(panels[0], records)
    _accuracy(panels[1], records)
    _rate(panels[2], records)
    figure.suptitle(title)
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _loss(axes: Any, records: List[Record]) -> None:
    steps, values = _series(records, "train", "loss")
    axes.plot(
        steps, values, color="#1f77b4", alpha=0.35, linewidth=0.8, label="train, per log line"
    )
    _plot(axes, records, "epoch", "loss", label="train, per epoch", **_STYLES["train"])
    _plot(axes, records, "eval", "loss", label="eval", **_STYLES["eval"])
    _finish(axes, "loss")
    if values and min(values) > 0:
        _logarithmic(axes)


def _logarithmic(axes: Any) -> None:
    """Divide the axis by 1, 2 and 5, and write 0.2 rather than a power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _accuracy(axes: Any, records: List[Record]) -> None:
    name = _main_metric(records)
    _plot(axes, records, "epoch", name, label="train", **_STYLES["train"])
    _plot(axes, records, "eval", name, label="eval", **_STYLES["eval"])
    if name.startswith("top"):
        from matplotlib.ticker import PercentFormatter

        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish(axes, name)


def _rate(axes: Any, records: List[Record]) -> None:
    points = [(_epochs(r), r["lr"]) for r in records if r["event"] == "train"]
    axes.plot(*_columns(points), color="#2ca02c", label="learning rate")
    _finish(axes, "learning rate")


def _main_metric(records: List[Record]) -> str:
    found = [name for r in records if r["event"] != "train" for name in r["metrics"]]
    metrics = [name for name in found if name.startswith("top")] or found
    return metrics[0] if metrics else "top1"


def _plot(axes: Any, records: List[Record], event: str, name: str, **style: Any) -> None:
    axes.plot(*_series(records, event, name), **style)


def _series(records: List[Record], event: str, name: str) -> Tuple[List[float], List[float]]:
    return _columns(
        [
            (_epochs(r), r["metrics"][name])
            for r in records
            if r["event"] == event and name in r["metrics"]
        ]
    )


def _columns(points: List[Tuple[float, float]]) -> Tuple[List[float], List[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _epochs(record: Record) -> float:
    """Return the record's position in epochs: 1.0 is the end of the first."""
    return float(record["position"])


def _finish(axes: Any, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(label)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
