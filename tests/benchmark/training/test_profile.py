"""Where the time of a step goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from ppcls.benchmark.training.profile import (
    PHASES,
    Cost,
    Profile,
    _costs,
    profile,
    profile_as_markdown,
)
from ppcls.cli import main
from ppcls.config import as_config
from ppcls.errors import DataError
from ppcls.kernels import onednn


def event(name: str, begin: float, length: float, category: str = "Operator") -> Dict[str, Any]:
    """An event of a trace, in microseconds."""
    return {"name": name, "ts": begin, "dur": length, "cat": category, "pid": 1, "tid": 1}


def test_time_within_an_operator_is_not_counted_twice() -> None:
    events = [
        event("forward[1 ms]", 0, 1000, "PythonUserDefined"),
        event("conv2d dygraph[0.6 ms]", 100, 600),
        event("conv2d kernel launch[0.5 ms]", 150, 500, "DygraphKernelLaunch"),
        event("oneDNN convolution_forward[0.1 ms]", 800, 100, "UserDefined"),
        event("backward", 1000, 3000, "PythonUserDefined"),
        {**event("other thread", 100, 500), "tid": 2},
    ]
    phases, costs = _costs(events, steps=2)
    assert phases == pytest.approx({"data": 0, "forward": 5e-4, "backward": 15e-4, "update": 0})
    found = {cost.name: (cost.calls, round(1e6 * cost.seconds)) for cost in costs}
    assert found == {
        "Python code around the backward": (0.5, 1500),
        "Paddle conv2d": (1.0, 300),
        "Paddle other thread": (0.5, 250),
        "Python code around the forward": (0.5, 150),
        "oneDNN convolution forward": (0.5, 50),
    }
    assert [cost.seconds for cost in costs] == sorted((c.seconds for c in costs), reverse=True)
    assert costs[0].fraction == pytest.approx(0.75)


def test_python_and_cpp_of_a_thread_are_one() -> None:
    """Paddle writes them as two."""
    events = [
        {**event("backward", 0, 1000, "PythonUserDefined"), "tid": "12(Python)"},
        {**event("backward", 10, 980, "UserDefined"), "tid": "12(C++)"},
        {**event("Global_GradNodePyLayer__Convolve", 100, 700), "tid": "12(C++)"},
        {**event("oneDNN reorder", 150, 600, "PythonUserDefined"), "tid": "12(Python)"},
    ]
    phases, costs = _costs(events, steps=1)
    assert phases["backward"] == pytest.approx(1e-3)
    assert {cost.name: round(1e6 * cost.seconds) for cost in costs} == {
        "oneDNN reorder": 600,
        "Python code around the backward": 300,
        "Python code around oneDNN, backward of convolve": 100,
    }
    assert sum(cost.fraction for cost in costs) == pytest.approx(1)


def test_a_recipe_is_profiled(
    recipe: Dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "recipe.yaml", tmp_path / "found"
    file.write_text(yaml.safe_dump(recipe))
    assert main(["profile", "-c", str(file), "--steps", "2", "--output", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "# Where a step of LeNet goes" in told and str(folder / "trace.json") in told
    assert told.endswith((folder / "profile.md").read_text())
    events: List[Dict[str, Any]] = json.loads((folder / "trace.json").read_text())["traceEvents"]
    spans = [one for one in events if one["ph"] == "X"]
    assert all({"name", "ts", "dur", "pid", "tid"} <= one.keys() for one in spans)
    for phase in PHASES:
        assert sum(one["name"].startswith(phase + "[") for one in spans) >= 2
    assert not (tmp_path / "run").exists() and not onednn._observers


def test_images_that_cannot_be_read(recipe: Dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"broken")
    (tmp_path / "list.txt").write_text("".join(f"bad.png {i % 4}\n" for i in range(80)))
    recipe["DataLoader"]["Train"]["dataset"].update(
        image_root=str(tmp_path), cls_label_path=str(tmp_path / "list.txt")
    )
    with pytest.raises(DataError, match="none of the images of a batch can be read"):
        profile(as_config(recipe), 1, tmp_path / "found")


def test_the_table_has_ten_rows_and_the_rest() -> None:
    costs = [Cost(f"operator {i}", 1.0, 0.01, 0.05) for i in range(20)]
    told = profile_as_markdown(
        Profile(dict.fromkeys(PHASES, 0.05), costs, Path("trace.json")), "LeNet"
    )
    assert "operator 9" in told and "operator 10" not in told
    assert "All others together: 50.0%" in told
    assert "A step takes 200.0 ms under the profiler: data 25%, forward 25%" in told
