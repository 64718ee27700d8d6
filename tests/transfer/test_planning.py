"""What a run on one's own photos does, planned from what is known of data, weights and time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple

import numpy as np
import pytest

from ppcls.engine.pace import Pace
from ppcls.transfer import planning
from ppcls.transfer.choice import Start
from ppcls.transfer.first_model import FirstModel
from ppcls.transfer.linear_head import LinearHead
from ppcls.transfer.planning import batch_for, first_plan, with_larger_images
from ppcls.transfer.recipe import Plan, recipe_of
from ppcls.transfer.sets import Sets
from ppcls.weights.hub.records import find_record

LITE0 = find_record("EfficientNetLite0")
FLOAT32 = SimpleNamespace(precision=SimpleNamespace(section=None))


@pytest.mark.parametrize(("images", "batch"), [(10, 4), (60, 8), (150, 16), (400, 32), (9999, 32)])
def test_small_sets_take_small_batches(images: int, batch: int) -> None:
    assert batch_for(images) == batch


@pytest.mark.parametrize(
    ("val", "size", "side", "expected"),
    [
        ("val.txt", None, 5 / 7, 160),
        (None, None, 5 / 7, 160),
        ("val.txt", None, 4 / 7, 128),
        ("val.txt", None, 1.0, 224),
        ("val.txt", 96, 5 / 7, 96),
    ],
)
def test_the_size_of_images(
    val: Optional[str], size: Optional[int], side: float, expected: int
) -> None:
    sets = Sets(Path(), Path("train.txt"), Path(val) if val else None, Path("labels.txt"), 50)
    start = Start("EfficientNetLite0", LITE0, Path("w"), "at hand", side)
    assert first_plan(start, sets, size, 0, "cpu", refit=True, mixed=False).size == expected


@pytest.mark.parametrize(
    ("obstacle", "device", "override", "mixed"),
    [
        ("", "cpu", "Global.seed=1", True),
        ("an old processor", "cpu", "Global.seed=1", False),
        ("", "gpu:0", "Global.seed=1", False),
        ("", "cpu", "AMP=null", False),
        ("", "cpu", "AMP.use_amp=False", False),
        ("", "cpu", "AMP.dtype=float16", False),
        ("", "cpu", "AMP={use_amp: true, dtype: bfloat16}", True),
        ("", "cpu", "Global.cpu_kernels=paddle", False),
    ],
)
def test_processors_that_have_bfloat16_train_in_it(
    obstacle: str, device: str, override: str, mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "bfloat16_obstacle", lambda: obstacle)
    sets = Sets(Path(), Path("train.txt"), Path("val.txt"), Path("labels.txt"), 50)
    start = Start("EfficientNetLite0", LITE0, Path("w"), "at hand")
    found = planning.computes_in_bfloat16(device, [override])
    plan = first_plan(start, sets, None, 0, device, refit=True, mixed=found)
    assert plan.mixed is found is mixed
    assert ("AMP" in recipe_of(plan, sets, Path("run"))) is mixed
    scratch = replace(plan, start=None, record=None)
    assert "AMP" not in recipe_of(scratch, sets, Path("run"))


def head(path: Path, likelihood: float) -> FirstModel:
    weight = np.zeros((2, 2), np.float32)
    fitted = LinearHead(weight, weight[0], 1.0, 0.5, likelihood)
    return FirstModel(path, fitted, 1, 2, [], 10.0, "e", path.parent / "final" / path.name)


@pytest.mark.parametrize(
    ("left", "accuracies", "size", "content"),
    [
        (60, (0.7, 0.8), 224, "larger"),
        (60, (0.8, 0.7), 160, "first"),
        (15, (0.7, None), 160, "first"),  # (224 / 160) ** 2 * 10 s do not fit
    ],
)
def test_a_head_on_larger_images_is_taken_if_it_is_better_and_fits_in_time(
    left: float,
    accuracies: Tuple[float, Optional[float]],
    size: int,
    content: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "head.safetensors"
    final = tmp_path / "final" / path.name
    final.parent.mkdir()
    for file in (path, final):
        file.write_text("first")

    def again(plan: Plan, config: Any, source: Path, sets: Any, draft: Path, seconds: float) -> Any:
        assert accuracies[1] is not None, "there is no time"
        for file in (draft, final.with_name(draft.name)):
            file.write_text("larger")
        return replace(plan, start=draft), head(draft, accuracies[1])

    monkeypatch.setattr(planning, "with_start", again)
    plan = Plan("EfficientNetLite0", 160, LITE0, path, 0, 32, 0, refit=True)
    given: List[Any] = [None, Path("w"), head(path, accuracies[0]), None]
    found, model = with_larger_images(plan, *given, time.perf_counter() + left)
    assert (found.size, found.start, model.path) == (size, path, path)
    assert path.read_text() == final.read_text() == content
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {path, final}


@pytest.mark.parametrize(
    ("has_head", "seconds", "epochs"),
    [(True, 60, 0), (True, 80, 5), (False, 60, 4), (False, 1, 1)],
)
def test_a_head_is_not_trained_for_a_few_updates_only(
    has_head: bool, seconds: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "build_job", lambda *given: FLOAT32)
    monkeypatch.setattr(planning, "pace_of", lambda job: Pace(1.0, 2.0, 10))
    config: Any = SimpleNamespace(is_override=lambda *keys: False)
    plan = Plan("EfficientNetLite0", 160, LITE0, Path("head"), 0, 32, 0)
    end = time.perf_counter() + seconds
    assert planning.with_epochs(plan, config, has_head, end, "cpu").epochs == epochs


@pytest.mark.parametrize(
    ("fit", "batches", "judged", "more"),
    [
        (20, 13, 11, 9),
        (6, 13, 4, 2),  # 50 updates are judged at least
        (5, 12, 5, 0),
        (1000, 10, 60, 60),
    ],
)
def test_some_epochs_are_left_to_learn_from_all_images(
    fit: int, batches: int, judged: int, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "build_job", lambda *given: FLOAT32)
    monkeypatch.setattr(planning, "pace_of", lambda job: Pace(1.0, 0.0, batches))
    config: Any = SimpleNamespace(is_override=lambda *keys: False)
    plan = Plan("EfficientNetLite0", 160, LITE0, Path("head"), 0, 32, 0, refit=True)
    end = time.perf_counter() + (fit + 0.5) * batches / 0.85
    found = planning.with_epochs(plan, config, True, end, "cpu")
    assert (found.epochs, found.more) == (judged, more)


@pytest.mark.parametrize(
    ("planned", "left", "epoch", "epochs"),
    [
        (9, 100.0, 10.0, 9),  # 9.5 fit
        (5, 100.0, 5.0, 19),
        (8, -20.0, 10.0, 4),  # half of what was planned all the same
        (1, 19.0, 10.0, 0),  # 13 updates are too few
        (9, 0.0, 0.0, 9),  # a run that is resumed
        (99, 0.0, 0.0, 60),
    ],
)
def test_what_is_left_of_the_budget_is_for_all_images(
    planned: int, left: float, epoch: float, epochs: int
) -> None:
    assert planning.epochs_on_all(planned, 13, left, epoch) == epochs


def test_the_training_on_all_images_goes_on_gently() -> None:
    plan = Plan("EfficientNetLite0", 160, LITE0, Path("head"), 12, 32, 0, refit=True, more=7)
    found = planning.going_on(plan, Path("best"))
    assert (found.start, found.epochs, found.more) == (Path("best"), 7, 0)
    assert found.rate < plan.rate and found.size == plan.size


@pytest.mark.parametrize(
    ("right", "held_back", "margin"),
    [(76, 100, 0.0759), (90, 90, 0.0172), (1, 2, 0.1), (0, 0, 0.0)],
)
def test_the_head_has_to_lead_by_two_standard_errors(
    right: int, held_back: int, margin: float
) -> None:
    first = replace(head(Path("head"), 0.0), right=right, held_back=held_back)
    assert planning._margin(first) == margin
    plan = replace(Plan("EfficientNetLite0", 160, LITE0, Path("head"), 9, 32, 0), margin=margin)
    sets = Sets(Path(), Path("train.txt"), Path("val.txt"), Path("labels.txt"), 50)
    assert recipe_of(plan, sets, Path("run"))["Global"].get("start_margin", 0.0) == margin
    nothing_held_back = replace(sets, val=None)
    assert "start_margin" not in recipe_of(plan, nothing_held_back, Path("run"))["Global"]
