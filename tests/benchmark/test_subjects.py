"""Real engines: those called bare answer as those of the toolkit do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from ppcls.benchmark import networks, start
from ppcls.benchmark.bare import BARE
from ppcls.benchmark.networks import are_random, bundle_of, network_of, published_top1
from ppcls.benchmark.start import cold_start, first_prediction
from ppcls.benchmark.subjects import Plan, open_all
from ppcls.errors import BundleError, UsageError
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import EngineOptions, is_installed


@pytest.mark.slow
def test_bare_engines_give_the_same_answers(bundle: Bundle) -> None:
    images = np.random.default_rng(0).standard_normal((4, *bundle.input_shape), dtype=np.float32)
    opened, left_out = open_all("LeNet", bundle, Plan([], ["fp32"], "cpu", 1, True), 4)
    assert left_out == []
    bare = {one.subject.engine for one in opened if one.subject.bare}
    held = [name for name in BARE if is_installed(name) and _opens(bundle, name)]
    assert bare == set(held)
    answers = [one.run(images) for one in opened]
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)
    (auto,) = [one for one in opened if one.subject.engine == "auto"]
    assert auto.subject.about["name"] in held
    assert auto.predict is not None


def _opens(bundle: Bundle, name: str) -> bool:
    return name == "paddle" or "onnx" in bundle.formats


def test_what_an_engine_cannot_is_left_out_with_its_reason(bundle: Bundle) -> None:
    opened, left_out = open_all("LeNet", bundle, Plan(["paddle"], ["int8"], "cpu", 1, True), 1)
    assert opened == []
    assert len(left_out) == 1 and left_out[0].startswith("LeNet, paddle, int8: ")


@pytest.mark.parametrize("fails_at", ["opening", "a call"])
def test_an_engine_called_bare_fails_as_others_do(
    bundle: Bundle, fails_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> Any:
        raise MemoryError

    opener = fail if fails_at == "opening" else lambda *given: fail
    monkeypatch.setitem(BARE, "paddle", opener)
    plan = Plan(["paddle"], ["fp32"], "cpu", 1, True)
    opened, left_out = open_all("LeNet", bundle, plan, 1)
    where = str(bundle.formats["paddle"][0])
    if fails_at == "opening":
        assert [one.subject.bare for one in opened] == [False]
        assert left_out == [f"LeNet, paddle (bare), fp32: {where}: MemoryError"]
    else:
        with pytest.raises(BundleError, match="MemoryError"):
            opened[1].run(np.zeros((1, *bundle.input_shape), np.float32))


@pytest.mark.slow
def test_a_network_is_exported_once(bundle: Bundle) -> None:
    files = {path: path.stat().st_mtime_ns for path in bundle.folder.iterdir()}
    again = bundle_of("LeNet", bundle.folder.parent)
    assert {path: path.stat().st_mtime_ns for path in again.folder.iterdir()} == files
    assert are_random(again)
    assert network_of(again) == "LeNet"


def test_another_version_of_the_operators_is_another_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "onnx" not in networks._formats():
        pytest.skip("paddle2onnx is not installed")
    folders: List[Path] = []
    monkeypatch.setattr(networks, "read_bundle", folders.append)
    for opset in (14, 15):
        monkeypatch.setattr("ppcls.exporters.form.OPSET", opset)
        bundle_of("LeNet", tmp_path)
    assert len(set(folders)) == 2


def test_unknown_networks_have_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no network 'AlexNett'\. Did you mean 'AlexNet'\?"):
        bundle_of("AlexNett", tmp_path)


def test_published_accuracy_is_known() -> None:
    assert published_top1("AlexNet") == 0.567
    assert published_top1("LeNet") is None
    assert published_top1("nothing") is None


def test_the_times_of_a_start_add_up(bundle: Bundle, photos: Path) -> None:
    given = [str(bundle.folder), str(photos / "images/3/0.png"), "paddle", "cpu", "fp32", "1"]
    found = first_prediction([str(time.monotonic()), *given])
    assert found["total"] == pytest.approx(found["imports"] + found["opening"] + found["first"])
    assert found["first"] > 0 and 50e6 < found["peak_memory"] < 50e9
    given[1] = str(photos / "list.txt")
    with pytest.raises(BundleError):
        first_prediction([str(time.monotonic()), *given])


@pytest.mark.slow
def test_a_new_process_says_how_long_it_took(bundle: Bundle, photos: Path) -> None:
    image = str(photos / "images/3/0.png")
    found = cold_start(bundle, image, "paddle", EngineOptions("cpu", 1), repeats=2)
    assert found.repeats == 2
    assert found.total == pytest.approx(found.imports + found.opening + found.first, rel=0.2)
    assert 50e6 < found.peak_memory < 5e9
    with pytest.raises(BundleError, match="a new process cannot predict"):
        cold_start(bundle, str(photos / "list.txt"), "paddle", EngineOptions(), repeats=1)


def test_a_new_process_is_not_waited_for_for_ever(
    bundle: Bundle, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_LONGEST", 0.01)
    with pytest.raises(BundleError, match=r"did not predict with .*LeNet.* within 0\.01 s"):
        cold_start(bundle, str(photos / "images/3/0.png"), "paddle", EngineOptions(), repeats=1)
