"""The fastest engine is found by measuring, and remembered as long as nothing changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from ppcls import runtime
from ppcls.errors import BundleError, UsageError
from ppcls.inference import read_bundle
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import EngineOptions, auto, open_engine

ONE_THREAD = EngineOptions("cpu", 1)


class Clock:
    """A clock that only engines move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """An engine that takes a known time, and longer where the one before was another."""

    last: Any = None

    def __init__(self, clock: Clock, milliseconds: float) -> None:
        self.clock, self.milliseconds, self.runs = clock, milliseconds, 0

    def run(self, images: np.ndarray) -> np.ndarray:
        Engine.last, is_first = self, Engine.last is not self
        self.clock.now += (self.milliseconds + 50 * is_first) / 1000
        self.runs += 1
        return images

    def describe(self) -> Dict[str, Any]:
        return {}


@pytest.fixture
def bundle(bundled: Callable[[List[str]], Path], monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A bundle that several engines open, and little time for their comparison."""
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    monkeypatch.setattr(auto, "SECONDS", 0.0)
    monkeypatch.setattr(auto, "TURN_SECONDS", 0.0)
    return read_bundle(bundled(["paddle", "onnx"]))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "home"))
    return tmp_path / "home/engines"


def test_medians_without_the_first_run_of_a_turn() -> None:
    clock = Clock()
    engines = {name: Engine(clock, ms) for name, ms in (("slow", 9.0), ("fast", 5.0), ("no", 40.0))}
    found = auto._measured(engines, np.zeros(1), clock)
    assert found == pytest.approx({"slow": 9.0, "fast": 5.0, "no": 40.0})
    assert engines["no"].runs == 3, "one that takes so long gets no second turn"
    assert clock.now == pytest.approx(auto.SECONDS, abs=0.5)


def test_engines_that_are_close_are_measured_for_longer() -> None:
    clock = Clock()
    engines = {name: Engine(clock, ms) for name, ms in (("a", 5.2), ("b", 5.0), ("c", 9.0))}
    assert auto._measured(engines, np.zeros(1), clock) == pytest.approx({"a": 5.2, "b": 5, "c": 9})
    assert clock.now == pytest.approx(2 * auto.SECONDS, abs=0.5)


class Disturbed(Engine):
    """An engine that something else slows down most of the time."""

    def run(self, images: np.ndarray) -> np.ndarray:
        if self.runs % 5:
            self.clock.now += 0.01
        return super().run(images)


def test_what_else_the_machine_does_is_no_part_of_an_engine() -> None:
    clock = Clock()
    engines = {"slow": Engine(clock, 7.0), "fast": Disturbed(clock, 4.0)}
    found = auto._measured(engines, np.zeros(1), clock)
    assert found == pytest.approx({"slow": 7.0, "fast": 4.0})


def test_slow_networks_take_their_least_number_of_turns() -> None:
    clock = Clock()
    engines = {name: Engine(clock, ms) for name, ms in (("a", 900.0), ("b", 1000.0))}
    assert auto._measured(engines, np.zeros(1), clock) == pytest.approx({"a": 900, "b": 1000})
    assert engines["a"].runs == engines["b"].runs == auto.TURNS * 3


@pytest.mark.slow
def test_the_answer_is_kept_and_told(
    bundle: Bundle, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = auto.open_fastest(bundle, ONE_THREAD)
    assert "ms for a batch, measured once on this machine; " in first.reason
    (path,) = home.iterdir()
    medians = json.loads(path.read_text())
    assert {"paddle", "onnxruntime"} <= set(medians)
    assert first.engine.describe()["name"] == min(medians, key=medians.__getitem__)
    # What is remembered is believed: nobody measures again.
    path.write_text(json.dumps({"paddle": 2.0, "onnxruntime": 3.0}))
    monkeypatch.setattr(auto, "_measured", None)
    again = auto.open_fastest(bundle, ONE_THREAD)
    assert again.engine.describe()["name"] == "paddle"
    assert again.reason == (
        "2 ms for a batch, measured once on this machine; onnxruntime takes 1.50 times as long"
    )


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"other": 1.0}', '{"paddle": "x"}', "{}"])
def test_what_is_damaged_is_measured_again(bundle: Bundle, home: Path, text: str) -> None:
    auto.open_fastest(bundle, ONE_THREAD)
    (path,) = home.iterdir()
    path.write_text(text)
    auto.open_fastest(bundle, ONE_THREAD)
    assert {"paddle", "onnxruntime"} <= set(json.loads(path.read_text()))


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_does_not_matter(bundle: Bundle, home: Path) -> None:
    home.parent.mkdir()
    home.write_text("a file where the folder should be")
    assert auto.open_fastest(bundle, ONE_THREAD).engine.describe()["threads"] == 1


@pytest.mark.slow
def test_a_remembered_engine_that_does_not_open_any_more_is_not_the_end(
    bundle: Bundle, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto.open_fastest(bundle, ONE_THREAD)
    (path,) = home.iterdir()
    path.write_text(json.dumps({"paddle": 2.0, "onnxruntime": 1.0}))

    def opened(name: str, *given: Any) -> Any:
        if name == "onnxruntime":
            raise BundleError("it is broken now")
        return open_engine(name, *given)

    monkeypatch.setattr(auto, "open_engine", opened)
    assert auto.open_fastest(bundle, ONE_THREAD).engine.describe()["name"] != "onnxruntime"
    assert "onnxruntime" not in json.loads(path.read_text())


@pytest.mark.slow
def test_the_fingerprint_changes_with_all_that_matters(
    bundle: Bundle, edited: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["paddle", "onnxruntime"]
    seen = [auto.fingerprint(bundle, ONE_THREAD, names)]
    for options in (
        EngineOptions("cpu", 2),
        EngineOptions("cpu", 1, "bf16"),
        EngineOptions("cpu", 1, batch_size=1),
    ):
        seen.append(auto.fingerprint(bundle, options, names))
    seen.append(auto.fingerprint(bundle, ONE_THREAD, [*names, "openvino"]))
    other = replace(bundle, folder=edited(lambda config: None))
    seen.append(auto.fingerprint(other, ONE_THREAD, names))
    monkeypatch.setattr(runtime, "cpu_model", lambda: "another processor")
    seen.append(auto.fingerprint(bundle, ONE_THREAD, names))
    monkeypatch.setattr(auto.metadata, "version", lambda name: "0.0.1")
    seen.append(auto.fingerprint(bundle, ONE_THREAD, names))
    assert len({json.dumps(one) for one in seen}) == len(seen)
    assert "unknown" not in seen[0]["versions"]


@pytest.mark.slow
def test_an_engine_that_does_not_open_is_left_out(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def opened(name: str, *given: Any) -> Any:
        if name != "paddle":
            raise BundleError(f"{name} is broken")
        return open_engine(name, *given)

    class Broken:
        def run(self, images: np.ndarray) -> np.ndarray:
            raise BundleError("it opens, but does not run")

    if "openvino" in auto.installed_engines(bundle.formats, "cpu"):
        broken: Dict[str, Any] = {"openvino": Broken()}
        monkeypatch.setattr(
            auto, "open_engine", lambda name, *_: broken.get(name) or open_engine(name, *_)
        )
        auto.open_fastest(bundle, EngineOptions("cpu", 1, batch_size=3))
        assert "the engine 'openvino' is left out: it opens, but does not run" in caplog.text
    monkeypatch.setattr(auto, "open_engine", opened)
    assert auto.open_fastest(bundle, ONE_THREAD).engine.describe()["name"] == "paddle"
    assert "the engine 'onnxruntime' is left out: onnxruntime is broken" in caplog.text
    monkeypatch.setattr(auto, "open_engine", lambda *_: opened("x"))
    with pytest.raises(
        BundleError,
        match="none of the installed engines can: paddle: x is broken; onnxruntime: x is",
    ):
        auto.open_fastest(bundle, EngineOptions("cpu", 2))


@pytest.mark.slow
def test_precision_is_never_lowered_unasked(bundle: Bundle) -> None:
    assert auto.open_fastest(bundle, ONE_THREAD).engine.describe()["precision"] == "fp32"
    with pytest.raises((UsageError, BundleError), match="and no INT8 network"):
        auto.open_fastest(bundle, EngineOptions("cpu", precision="int8"))
