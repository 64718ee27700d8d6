"""The picture: how good a network is, over how long it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ppcls.benchmark.results import Results
from ppcls.files import replacing

_COLOURS = {"paddle": "#1f77b4", "onnxruntime": "#ff7f0e", "openvino": "#2ca02c"}
_COLOURS.update({"auto": "#111111", "paddle_plain": "#9467bd"})
_OTHER = "#7f7f7f"
_SHAPES = {"fp32": "o", "fp16": "D", "bf16": "s", "int8": "^"}
_SIZE = 42


class Point(NamedTuple):
    """A network in an engine: milliseconds for one batch, and its top-1 in percent."""

    network: str
    engine: str
    precision: str
    milliseconds: float
    top1: float
    measured: bool


def points_of(results: Results) -> List[Point]:
    """Return what can be drawn: medians of the single stream at the smallest batch, preprocessing
    excluded, of networks whose accuracy was measured or published.
    """
    smallest = min((one.batch_size for one in results.measurements), default=1)
    measured = {one.subject: one.accuracy.top1 for one in results.answers if one.accuracy}
    published = {one.name: one.published_top1 for one in results.networks}
    points = []
    for one in results.measurements:
        subject = results.subjects[one.subject]
        drawn = (one.scenario, one.preprocessing, one.batch_size) == ("single", False, smallest)
        top1 = measured.get(one.subject, published[subject.network])
        seconds = one.seconds / one.queries if one.queries else None
        if one.median and one.median.value:
            seconds = one.median.value
        if drawn and not subject.bare and seconds and top1 is not None:
            is_measured = one.subject in measured
            row = (subject.network, subject.engine, subject.precision)
            points.append(Point(*row, 1e3 * seconds, 100 * top1, is_measured))
    return points


def draw_plot(results: Results, path: Path) -> bool:
    """Write the picture as a PNG; False where there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = points_of(results)
    if not points:
        return False
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_points(axes, points)
    _draw_axes(axes, results)
    _draw_legend(axes, points)
    _draw_names(figure, axes, points)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return True


def _draw_points(axes: Any, points: List[Point]) -> None:
    for network in dict.fromkeys(point.network for point in points):
        own = [point for point in points if point.network == network]
        times, heights = [p.milliseconds for p in own], [p.top1 for p in own]
        if max(heights) - min(heights) < 1e-9:
            axes.plot([min(times), max(times)], heights[:1] * 2, color="#dddddd", zorder=1)
    for point in points:
        colour = _COLOURS.get(point.engine, _OTHER)
        axes.scatter(
            [point.milliseconds],
            [point.top1],
            s=_SIZE,
            marker=_SHAPES[point.precision],
            facecolors=colour if point.measured else "none",
            edgecolors=colour,
            zorder=2,
        )


def _draw_axes(axes: Any, results: Results) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    smallest = min(one.batch_size for one in results.measurements)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    images = "1 image" if smallest == 1 else f"{smallest} images"
    axes.set_xlabel(f"median time for {images} in ms, without preprocessing (logarithmic)")
    axes.set_ylabel("top-1 accuracy (%)")
    found = results.environment
    axes.set_title(f"{found['cpu']}, {found['threads']} threads", fontsize=10, parse_math=False)
    axes.grid(True, color="#eeeeee")
    axes.margins(x=0.16, y=0.12)


def _draw_legend(axes: Any, points: List[Point]) -> None:
    from matplotlib.lines import Line2D

    def key(label: str, marker: str, colour: str, filled: bool = True) -> Any:
        face = colour if filled else "none"
        style = {"marker": marker, "markerfacecolor": face, "markeredgecolor": colour}
        return Line2D([], [], linestyle="none", label=label, **style)  # type: ignore[arg-type]

    engines = dict.fromkeys(point.engine for point in points)
    keys = [key(name, "o", _COLOURS.get(name, _OTHER)) for name in engines]
    keys += [key(p, _SHAPES[p], _OTHER) for p in _SHAPES if p in {q.precision for q in points}]
    kinds = {point.measured for point in points}
    words = {True: "accuracy measured here", False: "accuracy as published"}
    keys += [key(words[kind], "o", _OTHER, kind) for kind in sorted(kinds, reverse=True)]
    axes.legend(handles=keys, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


# --- names that do not lie on each other -------------------------------------------------------

Box = Tuple[float, float, float, float]
_SHIFTS = [(side, step) for step in (0, 1, -1, 2, -2, 3, -3, 4, -4) for side in ("right", "left")]


def _draw_names(figure: Any, axes: Any, points: List[Point]) -> None:
    """Write each network's name beside its points, where there is room."""
    figure.draw_without_rendering()
    taken = [*_outside(axes), *(_around(axes, point) for point in points)]
    for network, own in _by_network(points).items():
        style = {"fontsize": 9, "textcoords": "offset points", "parse_math": False}
        text = axes.annotate(network, (0, 0), (0, 0), **style)
        best: Optional[Tuple[float, Box]] = None
        for side, step in _SHIFTS:
            box = _placed(figure, axes, text, own, side, step)
            cost = sum(_overlap(box, other) for other in taken)
            if best is None or cost < best[0]:
                best, place = (cost, box), (side, step)
            if not cost:
                break
        taken.append(_placed(figure, axes, text, own, *place))


def _by_network(points: List[Point]) -> Dict[str, List[Point]]:
    found: Dict[str, List[Point]] = {}
    for point in points:
        found.setdefault(point.network, []).append(point)
    return dict(sorted(found.items(), key=lambda item: -item[1][0].top1))


def _placed(figure: Any, axes: Any, text: Any, own: List[Point], side: str, step: int) -> Box:
    """Put a name right of the slowest point, or left of the fastest, some steps up or down."""
    is_right = side == "right"
    choose = max if is_right else min
    end = choose(own, key=lambda point: point.milliseconds)
    text.xy = (end.milliseconds, end.top1)
    text.set_position((8 if is_right else -8, 10 * step))
    text.set_horizontalalignment("left" if is_right else "right")
    text.set_verticalalignment("center")
    box = text.get_window_extent(figure.canvas.get_renderer())
    return box.x0 - 2, box.y0 - 1, box.x1 + 2, box.y1 + 1


def _outside(axes: Any) -> List[Box]:
    """Return what lies around the axes, where no name belongs."""
    x0, y0, x1, y1 = axes.bbox.extents
    far = 1e5
    beside = [(-far, -far, x0, far), (x1, -far, far, far)]
    return [*beside, (-far, -far, far, y0), (-far, y1, far, far)]


def _around(axes: Any, point: Point) -> Box:
    x, y = axes.transData.transform((point.milliseconds, point.top1))
    return x - 6, y - 6, x + 6, y + 6


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
