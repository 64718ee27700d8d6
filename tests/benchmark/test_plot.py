"""The picture: what is drawn, and that no name lies on another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import cv2
import pytest

from ppcls.benchmark import plot
from ppcls.benchmark.plot import draw_plot, points_of
from ppcls.benchmark.results import (
    Accuracy,
    Answers,
    Measurement,
    NetworkFacts,
    Quantile,
    Results,
    Subject,
)

NETWORKS = {"AlexNet": 0.567, "SqueezeNet1_0": 0.596, "SqueezeNet1_1": 0.601, "ResNet50": 0.765}


def results(**changes: Any) -> Results:
    """Networks in two engines, almost as fast as each other."""
    subjects: List[Subject] = []
    measurements = []
    for number, network in enumerate(NETWORKS):
        for engine, bare in (("paddle", False), ("openvino", False), ("openvino", True)):
            median = Quantile(percent=50, count=9, value=0.01 + 0.0001 * number)
            place = {"scenario": "single", "batch_size": 1, "preprocessing": False}
            measurements.append(
                Measurement(subject=len(subjects), queries=9, seconds=0.1, median=median, **place)
            )
            subjects.append(Subject(network=network, engine=engine, precision="fp32", bare=bare))
    facts = {"folder": "x", "input_shape": [3, 224, 224], "classes": 1000, "formats": ["onnx"]}
    values: Any = {
        "created": "today",
        "command": [],
        "environment": {"cpu": "A processor", "threads": 2},
        "settings": {},
        "mlperf_length": False,
        "networks": [
            NetworkFacts(name=name, weights="random", published_top1=top1, **facts)
            for name, top1 in NETWORKS.items()
        ],
        "subjects": subjects,
        "measurements": measurements,
        **changes,
    }
    return Results(**values)


def test_measured_accuracy_goes_before_published() -> None:
    measured = Answers(subject=0, accuracy=Accuracy(images=100, top1=0.61, top5=0.8))
    first, second, *_ = points_of(results(answers=[measured]))
    assert (first.top1, first.measured) == (61.0, True)
    assert (second.top1, second.measured) == (pytest.approx(56.7), False)
    assert first.milliseconds == pytest.approx(10)
    assert len(points_of(results())) == 8, "engines called bare are not drawn"


def test_names_do_not_lie_on_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = []
    place = plot._placed

    def note(figure: Any, axes: Any, text: Any, *rest: Any) -> Any:
        box = place(figure, axes, text, *rest)
        boxes.append((text.get_text(), box, axes.bbox.extents))
        return box

    monkeypatch.setattr(plot, "_placed", note)
    assert draw_plot(results(), tmp_path / "plot.png")
    assert cv2.imread(str(tmp_path / "plot.png")).shape == (780, 1200, 3)
    last = {name: box for name, box, _ in boxes}
    assert set(last) == set(NETWORKS)
    for name, box in last.items():
        assert all(plot._overlap(box, other) == 0 for key, other in last.items() if key != name)
        x0, y0, x1, y1 = boxes[0][2]
        assert x0 <= box[0] and box[2] <= x1 and y0 <= box[1] and box[3] <= y1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a$\\frac$b", "$x_1$", "狗", "", "a\nb"])
def test_any_name_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    found = results()
    found.networks[0].name = name
    for one in found.subjects[:3]:
        one.network = name
    found.environment["cpu"] = name
    assert draw_plot(found, tmp_path / "plot.png")


def test_nothing_is_drawn_of_networks_without_accuracy(tmp_path: Path) -> None:
    found = results()
    for one in found.networks:
        one.published_top1 = None
    assert not draw_plot(found, tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()
