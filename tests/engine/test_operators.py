"""Which operators a run computes by: what the key says, and what the log says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
from paddle import nn

from ppcls.api import infer
from ppcls.arch import acceleration
from ppcls.config import as_config
from ppcls.engine.builder import use_kernels
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.kernels.onednn import Library

Run = Callable[..., int]
Recipe = Dict[str, Any]


def network() -> nn.Layer:
    return nn.Sequential(nn.Conv2D(3, 8, 3), nn.ReLU())


def kinds(layers: nn.Layer) -> list:
    return [type(one) for one in layers.sublayers(include_self=True)]


@pytest.mark.slow
def test_a_run_on_a_cpu_computes_by_onednn_and_says_so(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Global"]["epochs"] = 1
    for verb in ("train", "eval"):
        assert ppcls(verb, recipe) == 0
        said = capsys.readouterr()
        assert (said.out + said.err).count("operators: oneDNN 3.") == 1


@pytest.mark.slow
def test_predictions_are_computed_by_the_same(
    ppcls: Run, recipe: Recipe, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe["Global"]["epochs"] = 1
    assert ppcls("train", recipe) == 0
    said, found = [], []

    def noted(*given: Any) -> str:
        said.append(use_kernels(*given))
        return said[-1]

    monkeypatch.setattr(infer, "use_kernels", noted)
    photos = sorted(str(path) for path in digits.rglob("*.png"))[:5]
    for key in ("auto", "paddle"):
        recipe["Global"]["cpu_kernels"] = key
        found.append([one.scores for one in infer.infer(as_config(recipe), photos)])
    assert said[0].startswith("oneDNN 3.") and said[1] == "Paddle"
    assert found[0] == [pytest.approx(scores, abs=1e-5) for scores in found[1]]


@pytest.mark.parametrize(("device", "key"), [("cpu", "paddle"), ("gpu:0", "auto")])
def test_switched_off_nothing_is_touched(device: str, key: str, recipe: Recipe) -> None:
    layers, recipe["Global"]["cpu_kernels"] = network(), key
    assert use_kernels(as_config(recipe), layers, device) == "Paddle"
    assert kinds(layers) == [nn.Sequential, nn.Conv2D, nn.ReLU]


def test_a_missing_library_is_said_and_paddle_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe: Recipe
) -> None:
    missing = tmp_path / "libdnnl.so.3"
    monkeypatch.setattr(acceleration, "library", lambda: Library(missing))
    layers = network()
    said = use_kernels(as_config(recipe), layers, "cpu")
    assert said.startswith("Paddle, as its oneDNN is of no use: ") and "libdnnl.so.3" in said
    assert kinds(layers) == [nn.Sequential, nn.Conv2D, nn.ReLU]


@pytest.mark.slow
def test_what_was_measured_is_in_every_checkpoint(
    ppcls: Run, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "cache"))
    recipe["Global"].update(cpu_kernels="measured", save_steps=3, keep_checkpoints=9)
    assert ppcls("train", recipe) == 0
    run = tmp_path / "run"
    (kept,) = (tmp_path / "cache/operators").iterdir()
    paths = sorted((run / "checkpoints").iterdir())
    known = json.loads(kept.read_text())
    assert load_checkpoint(paths[-1]).state.operators == known and len(known) > 3
    # On a machine that would choose otherwise, the run goes on as it began, to the same bytes.
    other = {"onednn": "paddle", "paddle": "onednn"}
    kept.write_text(json.dumps({key: other[name] for key, name in known.items()}))
    last = paths[-1].read_bytes()
    recipe["Global"]["output_dir"] = str(tmp_path / "again")
    assert ppcls("train", recipe, "--resume", str(paths[0])) == 0
    again = tmp_path / "again/checkpoints" / paths[-1].name
    found = load_checkpoint(again).state.operators
    learnt = [key for key in known if key.endswith("training")]
    assert learnt and all(found[key] == known[key] for key in learnt)
    same = load_checkpoint(again).model, load_checkpoint(paths[-1]).model
    assert all(np.array_equal(same[0][name], same[1][name]) for name in same[0])
    assert last == paths[-1].read_bytes()
