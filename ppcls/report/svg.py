"""Line and bar charts as SVG, whose colours come from the page and change with its light."""

from __future__ import annotations

import math
from typing import List, NamedTuple, Sequence, Tuple

from ppcls.report.calibration import Bin
from ppcls.report.html import Html, concatenated, element

Point = Tuple[float, float]

_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 28
_MOST_POINTS = 400


class Line(NamedTuple):
    """A line of a chart: its class in the style sheet, and its points."""

    style: str
    points: List[Point]


class _Frame(NamedTuple):
    """The rectangle of values that a chart shows."""

    left: float
    right: float
    low: float
    high: float

    def at(self, x: float, y: float) -> Point:
        """Return where a value stands in the picture."""
        across = (x - self.left) / (self.right - self.left)
        up = (y - self.low) / (self.high - self.low)
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + across * width, _TOP + (1 - up) * height


def line_chart(lines: Sequence[Line], name: str, percent: bool = False) -> Html:
    """Return a chart of lines over a common axis; points that are no finite numbers are left out.

    Args:
        lines: what is drawn, the first one at the bottom.
        name: what programs that read pages aloud say of it.
        percent: write values as percentages.
    """
    kept = [Line(line.style, _thinned(_finite(line.points))) for line in lines]
    points = [point for line in kept for point in line.points]
    if not points:
        return Html("")
    frame = _frame_around(points)
    drawn = [_polyline(line, frame) for line in kept if line.points]
    return _chart([*_axes(frame, percent), *drawn], name)


def reliability_chart(bins: Sequence[Bin], name: str) -> Html:
    """Return bars of the fraction that is right by confidence, each below the number of its images,
    and the line where both agree.
    """
    frame = _Frame(0.0, 1.0, 0.0, 1.0)
    bars = [_bar(one, frame) for one in bins if one.images]
    diagonal = _polyline(Line("ideal", [(0.0, 0.0), (1.0, 1.0)]), frame)
    return _chart([*_axes(frame, True, percent_across=True), *bars, diagonal], name)


def _bar(one: Bin, frame: _Frame) -> Html:
    x, y = frame.at(one.lower, one.accuracy)
    right, bottom = frame.at(one.upper, 0.0)
    words = f"{one.lower:.0%}-{one.upper:.0%}: {one.accuracy:.0%} / {one.images}"
    box = {"x": _short(x + 1), "y": _short(y), "width": _short(right - x - 2)}
    bar = element("rect", element("title", words), class_="bar", height=_short(bottom - y), **box)
    count = _number(str(one.images), (x + right) / 2, max(y - 4, _TOP + 8), "middle")
    return concatenated([bar, count])


def _finite(points: Sequence[Point]) -> List[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _thinned(points: List[Point]) -> List[Point]:
    """Return at most so many points as the eye can tell apart, the last one among them."""
    step = -(-len(points) // _MOST_POINTS) or 1
    return [*points[:-1:step], *points[-1:]]


def _frame_around(points: Sequence[Point]) -> _Frame:
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return _Frame(left, right if right > left else left + 1, low - margin, high + margin)


def _polyline(line: Line, frame: _Frame) -> Html:
    places = [frame.at(*point) for point in line.points]
    written = " ".join(f"{_short(x)},{_short(y)}" for x, y in places)
    dots = [
        element("circle", class_=line.style, cx=_short(x), cy=_short(y), r=2.2)
        for x, y in (places if len(places) <= 60 else [])
    ]
    return concatenated([element("polyline", class_=line.style, points=written), *dots])


def _axes(frame: _Frame, percent: bool, percent_across: bool = False) -> List[Html]:
    """Return lines and numbers of both axes."""
    found = []
    for y in _ticks(frame.low, frame.high):
        x0, at = frame.at(frame.left, y)
        x1, _ = frame.at(frame.right, y)
        found.append(element("line", x1=_short(x0), x2=_short(x1), y1=_short(at), y2=_short(at)))
        found.append(_number(_number_text(y, percent), x0 - 6, at + 4, "end"))
    for x in _ticks(frame.left, frame.right):
        at, bottom = frame.at(x, frame.low)
        found.append(_number(_number_text(x, percent_across), at, bottom + 18, "middle"))
    return found


def _number(text: str, x: float, y: float, anchor: str) -> Html:
    return element("text", text, x=_short(x), y=_short(y), text_anchor=anchor)


def _number_text(value: float, percent: bool) -> str:
    return f"{value:.0%}" if percent else f"{value:g}"


def _ticks(low: float, high: float, most: int = 5) -> List[float]:
    """Return round numbers within an interval: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
    first = math.ceil(low / step)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, math.floor(high / step) + 1)]


def _chart(parts: List[Html], name: str) -> Html:
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return element("svg", parts, viewBox=box, class_="chart", role="img", aria_label=name)


def _short(value: float) -> str:
    return f"{value:.1f}"
