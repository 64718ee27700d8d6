"""Training through the command line's own function: what is written, kept, resumed and refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file

from ppcls import registry
from ppcls.engine import trainer as trainer_module
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.engine.interrupt import StopRequest
from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.engine.world import World
from ppcls.files import locked
from ppcls.weights import read

Run = Callable[..., int]
Recipe = Dict[str, Any]


def run_folder(recipe: Recipe) -> Path:
    return Path(recipe["Global"]["output_dir"])


def records(recipe: Recipe) -> List[Dict[str, Any]]:
    return [
        json.loads(line)
        for line in (run_folder(recipe) / "train_log.jsonl").read_text().splitlines()
    ]


def final_checkpoint(recipe: Recipe) -> Path:
    return sorted((run_folder(recipe) / "checkpoints").glob("step_*.safetensors"))[-1]


def stop_after(monkeypatch: pytest.MonkeyPatch, updates: int) -> None:
    """Ask the run to stop when it has made so many updates, as Ctrl-C would."""
    original, count = trainer_module.Trainer._update, [0]

    def update(self: Any, images: int) -> None:
        count[0] += 1
        if count[0] == updates:
            self.stop.number = 2
        original(self, images)

    monkeypatch.setattr(trainer_module.Trainer, "_update", update)


@pytest.mark.slow
def test_a_run_leaves_all_that_is_promised(ppcls: Run, recipe: Recipe) -> None:
    assert ppcls("train", recipe) == 0
    folder = run_folder(recipe)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "best_model.safetensors",
        "checkpoints",
        "config.yaml",
        "curves.png",
        "train.log",
        "train_log.jsonl",
    }
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    events = [(r["event"], r["epoch"], r["step"]) for r in records(recipe)]
    assert events == [
        ("train", 1, 2), ("train", 1, 4), ("epoch", 1, 5), ("eval", 1, 5),
        ("train", 2, 6), ("train", 2, 8), ("train", 2, 10), ("epoch", 2, 10), ("eval", 2, 10),
    ]  # fmt: skip
    assert {"loss", "top1", "top2"} == set(records(recipe)[-1]["metrics"])


@pytest.mark.slow
def test_the_checkpoint_holds_everything(ppcls: Run, recipe: Recipe) -> None:
    assert ppcls("train", recipe) == 0
    checkpoint = load_checkpoint(final_checkpoint(recipe))
    assert (checkpoint.state.epoch, checkpoint.state.batch, checkpoint.state.step) == (2, 0, 10)
    assert checkpoint.metadata["class_names"] == ["0", "1", "2", "3"]
    assert checkpoint.metadata["arch"] == "LeNet"
    assert "Cosine" in checkpoint.metadata["config"]
    assert set(checkpoint.model) == {
        name.rsplit(".", 1)[0] for name in checkpoint.optimizer if "velocity" in name
    }


@pytest.mark.parametrize(
    "updates",
    [
        *(3, pytest.param(5, marks=pytest.mark.slow)),
        *(pytest.param(n, marks=[pytest.mark.slow, pytest.mark.exhaustive]) for n in (1, 7)),
    ],
)
@pytest.mark.parametrize("optimizer", ["Momentum", pytest.param("Adam", marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_bit_identical(
    ppcls: Run,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    updates: int,
    optimizer: str,
) -> None:
    recipe["Optimizer"]["name"] = optimizer
    recipe["EMA"] = {"decay": 0.9}
    assert ppcls("train", recipe) == 0
    whole = tmp_path / "whole.safetensors"
    shutil.copy(final_checkpoint(recipe), whole)
    whole_records = [
        (r["event"], r["step"], r["metrics"]) for r in records(recipe) if r["event"] != "train"
    ]
    with monkeypatch.context() as patch:
        stop_after(patch, updates)
        assert ppcls("train", recipe, "--overwrite") == 130
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert final_checkpoint(recipe).read_bytes() == whole.read_bytes()
    resumed = [
        (r["event"], r["step"], r["metrics"]) for r in records(recipe) if r["event"] != "train"
    ]
    assert resumed == whole_records


@pytest.mark.slow
def test_a_stop_during_the_evaluation_is_saved_and_goes_on(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert ppcls("train", recipe) == 0
    whole = tmp_path / "whole.safetensors"
    shutil.copy(final_checkpoint(recipe), whole)
    original = StopRequest.watch

    def watch(self: StopRequest, items: Any, world: World) -> Any:
        self.number = 2
        return original(self, items, world)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "watch", watch)
        assert ppcls("train", recipe, "--overwrite") == 130
    state = load_checkpoint(final_checkpoint(recipe)).state
    assert (state.epoch, state.batch) == (0, 5)
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert final_checkpoint(recipe).read_bytes() == whole.read_bytes()
    assert [r["step"] for r in records(recipe) if r["event"] == "epoch"] == [5, 10]


@pytest.mark.slow
def test_a_finished_run_resumed_changes_nothing(ppcls: Run, recipe: Recipe) -> None:
    assert ppcls("train", recipe) == 0
    before = final_checkpoint(recipe).read_bytes()
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert final_checkpoint(recipe).read_bytes() == before


@pytest.mark.slow
def test_resume_auto_in_an_empty_folder_starts(ppcls: Run, recipe: Recipe) -> None:
    assert ppcls("train", recipe, "--resume", "auto") == 0


@pytest.mark.slow
def test_an_output_folder_with_a_run_is_not_touched(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    before = final_checkpoint(recipe).read_bytes()
    assert ppcls("train", recipe) == 2
    message = capsys.readouterr().err
    assert (
        "already holds a run" in message and "--resume auto" in message and "--overwrite" in message
    )
    assert final_checkpoint(recipe).read_bytes() == before


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_between_named_steps(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Global"].update(save_steps=1, keep_checkpoints=20)
    recipe["Optimizer"] = {
        "name": "SGD",
        "lr": {"name": "Piecewise", "decay_epochs": [1], "values": [0.01, 1e30]},
    }
    assert ppcls("train", recipe) == 1
    message = capsys.readouterr().err
    assert "became NaN or Inf between steps" in message or "holds NaN or Inf" in message
    kept = sorted((run_folder(recipe) / "checkpoints").glob("*.safetensors"))
    assert len(kept) >= 5
    assert all(np.isfinite(array).all() for path in kept for array in load_file(path).values())


@pytest.mark.slow
def test_only_the_newest_checkpoints_are_kept(ppcls: Run, recipe: Recipe) -> None:
    recipe["Global"].update(save_steps=1, keep_checkpoints=2)
    assert ppcls("train", recipe) == 0
    names = [path.name for path in sorted((run_folder(recipe) / "checkpoints").iterdir())]
    assert names == ["step_00000009.safetensors", "step_00000010.safetensors"]


@pytest.mark.slow
def test_accumulated_gradients_equal_the_large_batch(ppcls: Run, recipe: Recipe) -> None:
    recipe["DataLoader"]["Train"]["sampler"]["shuffle"] = False
    recipe["Optimizer"] = {"name": "SGD", "lr": 0.1}
    recipe["Global"]["epochs"] = 1
    assert ppcls("train", recipe) == 0
    large = load_file(final_checkpoint(recipe))
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 4
    recipe["Global"]["update_freq"] = 4
    assert ppcls("train", recipe, "--overwrite") == 0
    small = load_file(final_checkpoint(recipe))
    assert all(np.allclose(small[name], large[name], atol=2e-6) for name in large)


@pytest.mark.slow
def test_no_improvement_stops_early(ppcls: Run, recipe: Recipe) -> None:
    recipe["Global"].update(epochs=50, early_stop={"patience": 2}, best_metric="loss")
    recipe["Optimizer"]["lr"] = {"name": "Constant", "learning_rate": 0.0}
    assert ppcls("train", recipe) == 0
    state = load_checkpoint(final_checkpoint(recipe)).state
    assert state.finished and state.epoch == 3 and state.best_epoch == 1


@pytest.mark.slow
def test_the_best_model_is_the_one_with_the_best_metric(
    ppcls: Run, recipe: Recipe, tmp_path: Path
) -> None:
    recipe["Global"].update(epochs=4, best_metric="loss")
    assert ppcls("train", recipe) == 0
    losses = [r["metrics"]["loss"] for r in records(recipe) if r["event"] == "eval"]
    assert load_checkpoint(final_checkpoint(recipe)).state.best_epoch == 1 + int(np.argmin(losses))
    report = tmp_path / "eval.json"
    assert ppcls("eval", recipe, "--json", str(report)) == 0
    assert json.loads(report.read_text())["metrics"]["loss"] == pytest.approx(min(losses), rel=1e-6)


def spoil(recipe: Recipe, tmp_path: Path, split: str, count: int) -> List[str]:
    """Point the recipe at a copy of the images, `count` of which are cut in half; return their
    names.
    """
    section = recipe["DataLoader"][split]["dataset"]
    copy = tmp_path / "spoilt"
    shutil.copytree(section["image_root"], copy)
    name = Path(section["cls_label_path"]).name
    paths = [copy / line.split()[0] for line in (copy / name).read_text().splitlines()[:count]]
    for path in paths:
        path.write_bytes(path.read_bytes()[:40])
    section.update(image_root=str(copy), cls_label_path=str(copy / name))
    return [str(path) for path in paths]


@pytest.mark.slow
def test_bad_images_are_skipped_counted_and_named(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = spoil(recipe, tmp_path, "Train", 2)
    recipe["Global"]["max_bad_samples"] = 0.05
    assert ppcls("train", recipe) == 0
    log = (run_folder(recipe) / "train.log").read_text()
    for path in bad:
        assert log.count(path) == 1
    assert len(load_checkpoint(final_checkpoint(recipe)).state.bad_samples) == 2


@pytest.mark.slow
def test_too_many_bad_images_stop_the_run(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = spoil(recipe, tmp_path, "Train", 3)
    recipe["Global"]["max_bad_samples"] = 0.03
    assert ppcls("train", recipe) == 1
    message = capsys.readouterr().err
    assert "3 of 80 training images could not be read" in message
    assert all(path in message for path in bad)


@pytest.mark.slow
def test_evaluation_reports_bad_images_as_rows(ppcls: Run, recipe: Recipe, tmp_path: Path) -> None:
    assert ppcls("train", recipe) == 0
    bad = spoil(recipe, tmp_path, "Eval", 3)
    report = tmp_path / "eval.json"
    assert ppcls("eval", recipe, "--json", str(report)) == 0
    found = json.loads(report.read_text())
    assert found["images"] == 37
    assert [row["path"] for row in found["errors"]] == bad
    assert all(row["error"] for row in found["errors"])


@pytest.mark.slow
def test_float16_is_refused_on_a_cpu(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["AMP"] = {}
    assert ppcls("train", recipe) == 2
    assert "needs a GPU; a CPU takes bfloat16: -o AMP.dtype=bfloat16" in capsys.readouterr().err
    assert ppcls("train", recipe, "-o", "AMP=null") == 0


@pytest.mark.skipif(paddle.device.is_compiled_with_cuda(), reason="this Paddle computes on GPUs")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_paddle_itself_still_computes_in_float32_on_a_cpu(dtype: str) -> None:
    """The reason for layers of our own there; a Paddle that can do it should be used."""
    with paddle.amp.auto_cast(level="O1", dtype=dtype):
        assert paddle.nn.Linear(2, 2)(paddle.ones([1, 2])).dtype == paddle.float32


@pytest.mark.slow
def test_the_average_of_weights_is_what_is_evaluated(ppcls: Run, recipe: Recipe) -> None:
    recipe["EMA"] = {"decay": 0.5}
    assert ppcls("train", recipe) == 0
    checkpoint = load_checkpoint(final_checkpoint(recipe))
    best = load_file(run_folder(recipe) / "best_model.safetensors")
    if checkpoint.state.best_epoch == 2:
        assert all(np.array_equal(best[name], checkpoint.ema[name]) for name in best)
    assert any(
        not np.array_equal(checkpoint.ema[name], checkpoint.model[name])
        for name in checkpoint.model
    )


@pytest.mark.slow
def test_changed_settings_are_named_when_a_run_goes_on(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    recipe["Global"]["epochs"] = 3
    recipe["Optimizer"]["lr"]["learning_rate"] = 0.01
    assert ppcls("train", recipe, "--resume", "auto") == 0
    printed = capsys.readouterr().out
    assert "resumed with another Global.epochs: it was 2 and is 3 now" in printed
    assert "another Optimizer.lr.learning_rate: it was 0.05 and is 0.01 now" in printed
    assert printed.count("resumed with another") == 2


@pytest.mark.slow
def test_another_data_set_or_seed_cannot_be_resumed(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    assert ppcls("train", recipe, "--resume", "auto", "-o", "Global.seed=1") == 1
    assert "its seed (Global.seed) is 0, but the configuration gives 1" in capsys.readouterr().err
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 8
    assert ppcls("train", recipe, "--resume", "auto") == 1
    assert "batches per epoch is 5, but the configuration gives 10" in capsys.readouterr().err


@pytest.mark.slow
def test_an_older_checkpoint_is_not_mixed_with_newer_ones(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert ppcls("train", recipe) == 0
    first = sorted((run_folder(recipe) / "checkpoints").iterdir())[0]
    assert ppcls("train", recipe, "--resume", str(first)) == 1
    assert "holds checkpoints of later steps (step_00000010.safetensors)" in capsys.readouterr().err
    whole = final_checkpoint(recipe)
    branch = tmp_path / "branch"
    assert ppcls("train", recipe, "--resume", str(first), "-o", f"Global.output_dir={branch}") == 0
    ours, theirs = load_checkpoint(branch / "checkpoints" / whole.name), load_checkpoint(whole)
    assert all(np.array_equal(ours.model[name], theirs.model[name]) for name in theirs.model)


def test_many_processes_are_refused(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    assert ppcls("train", recipe) == 2
    assert "several processes is not supported yet" in capsys.readouterr().err


@pytest.mark.slow
def test_weights_are_not_judged_by_other_images_without_a_word(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    assert ppcls("eval", recipe) == 0
    assert "prepared otherwise" not in capsys.readouterr().out
    recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"][1] = {"ResizeImage": {"size": 40}}
    assert ppcls("eval", recipe) == 0
    printed = capsys.readouterr().out
    assert "images are prepared otherwise than when" in printed and "config.yaml" in printed


def after_updates(
    monkeypatch: pytest.MonkeyPatch, updates: int, action: Callable[[Any], Any]
) -> None:
    """Do something when a run has made so many updates."""
    original, count = trainer_module.Trainer._update, [0]

    def update(self: Any, images: int) -> None:
        original(self, images)
        count[0] += 1
        if count[0] == updates:
            action(self)

    monkeypatch.setattr(trainer_module.Trainer, "_update", update)


@pytest.mark.slow
def test_images_that_vanish_end_the_run_and_come_back_as_good_ones(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    dataset = recipe["DataLoader"]["Train"]["dataset"]
    dataset["image_root"] = shutil.copytree(dataset["image_root"], str(tmp_path / "images"))
    recipe["DataLoader"]["Train"]["loader"]["outage_patience"] = 0
    assert ppcls("train", recipe) == 0
    whole = final_checkpoint(recipe).read_bytes()
    images, away = Path(dataset["image_root"]), tmp_path / "away"
    with monkeypatch.context() as patch:
        after_updates(patch, 7, lambda _: images.rename(away))
        assert ppcls("train", recipe, "--overwrite") == 1
    assert "cannot be reached any more" in capsys.readouterr().err
    state = load_checkpoint(final_checkpoint(recipe)).state
    assert (state.step, state.bad_samples) == (7, [])
    away.rename(images)
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert final_checkpoint(recipe).read_bytes() == whole


@pytest.mark.slow
def test_a_stop_while_images_are_waited_for_is_heard(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dataset = recipe["DataLoader"]["Train"]["dataset"]
    dataset["image_root"] = shutil.copytree(dataset["image_root"], str(tmp_path / "images"))

    def vanish(trainer: Any) -> None:
        shutil.rmtree(tmp_path / "images")
        threading.Timer(0.3, lambda: setattr(trainer.stop, "number", 2)).start()

    after_updates(monkeypatch, 3, vanish)
    assert ppcls("train", recipe) == 130
    assert load_checkpoint(final_checkpoint(recipe)).state.step == 3


@pytest.mark.slow
def test_an_evaluation_without_images_is_an_error(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: Any
) -> None:
    assert ppcls("train", recipe) == 0
    dataset = recipe["DataLoader"]["Eval"]["dataset"]
    names = [line.split()[0] for line in Path(dataset["cls_label_path"]).read_text().splitlines()]
    for name in names:
        (tmp_path / "empty" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "empty" / name).touch()
    dataset["image_root"] = str(tmp_path / "empty")
    capsys.readouterr()
    assert ppcls("eval", recipe) == 1
    said = capsys.readouterr().err
    assert "none of the images for evaluation can be read:" in said
    assert "the file is empty" in said and "... and 30 more" in said
    assert ppcls("train", recipe, "--overwrite") == 1
    assert load_checkpoint(final_checkpoint(recipe)).state.step == 5


@pytest.mark.slow
def test_an_output_folder_that_is_deleted_is_an_error(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for updates in (3, 10):
        with monkeypatch.context() as patch:
            after_updates(patch, updates, lambda _: shutil.rmtree(run_folder(recipe)))
            assert ppcls("train", recipe, "--overwrite") == 1
        assert "was deleted or replaced while the run wrote to it" in capsys.readouterr().err
        assert load_checkpoint(final_checkpoint(recipe)).state.step == (5 if updates == 3 else 10)
    assert ppcls("train", recipe, "--resume", "auto") == 0


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder(ppcls: Run, recipe: Recipe, capsys: Any) -> None:
    assert ppcls("train", recipe) == 0
    before = final_checkpoint(recipe).read_bytes()
    with locked(run_folder(recipe) / ".lock"):
        for option in (["--overwrite"], ["--resume", "auto"], []):
            assert ppcls("train", recipe, *option) == 2
            assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err
    assert final_checkpoint(recipe).read_bytes() == before


@pytest.mark.slow
def test_repaired_images_count_no_longer(ppcls: Run, recipe: Recipe, tmp_path: Path) -> None:
    good = Path(recipe["DataLoader"]["Train"]["dataset"]["image_root"])
    recipe["Global"]["max_bad_samples"] = 0.03
    bad = spoil(recipe, tmp_path, "Train", 3)
    assert ppcls("train", recipe) == 1
    assert ppcls("train", recipe, "--resume", "auto") == 1
    for path in bad:
        shutil.copy(good / Path(path).relative_to(tmp_path / "spoilt"), path)
    assert ppcls("train", recipe, "--resume", "auto") == 0


@pytest.mark.slow
def test_a_stop_for_bad_images_is_saved_and_in_the_log(
    ppcls: Run, recipe: Recipe, tmp_path: Path
) -> None:
    spoil(recipe, tmp_path, "Train", 3)
    recipe["Global"]["max_bad_samples"] = 0.03
    assert ppcls("train", recipe) == 1
    assert "could not be read" in (run_folder(recipe) / "train.log").read_text().splitlines()[
        -1
    ] or ("error: 3 of 80" in (run_folder(recipe) / "train.log").read_text())
    assert ppcls("train", recipe, "--resume", "auto", "-o", "Global.max_bad_samples=0.1") == 0


@pytest.mark.slow
def test_a_stop_during_the_evaluation_of_averages_keeps_the_weights(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe["EMA"] = {"decay": 0.9}
    assert ppcls("train", recipe) == 0
    whole = tmp_path / "whole.safetensors"
    shutil.copy(final_checkpoint(recipe), whole)
    original = StopRequest.watch

    def watch(self: StopRequest, items: Any, world: World) -> Any:
        self.number = 2
        return original(self, items, world)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "watch", watch)
        assert ppcls("train", recipe, "--overwrite") == 130
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert final_checkpoint(recipe).read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_the_weights_of_the_run_go_before_those_it_started_from(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    start = tmp_path / "start.safetensors"
    shutil.copy(run_folder(recipe) / "best_model.safetensors", start)
    recipe["Global"].update(output_dir=str(tmp_path / "tuned"), pretrained_model=str(start))
    assert ppcls("eval", recipe) == 0
    assert f"weights: {start}" in capsys.readouterr().out
    assert ppcls("train", recipe) == 0
    assert ppcls("eval", recipe) == 0
    printed = capsys.readouterr().out
    assert f"weights: {tmp_path / 'tuned' / 'best_model.safetensors'}" in printed
    assert "the weights of this run are used, not those of" in printed
    assert ppcls("eval", recipe, "-o", f"Global.pretrained_model={start}") == 0
    assert f"weights: {start}" in capsys.readouterr().out


@pytest.mark.slow
def test_damaged_checkpoints_are_set_aside_and_never_win(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["Global"]["keep_checkpoints"] = 2
    assert ppcls("train", recipe) == 0
    newest = final_checkpoint(recipe)
    whole = newest.read_bytes()
    newest.write_bytes(whole[:1000])
    assert ppcls("train", recipe, "--resume", "auto") == 0
    assert "passed over a checkpoint" in capsys.readouterr().out
    assert final_checkpoint(recipe).read_bytes() == whole
    assert newest.with_name(f"{newest.name}.unreadable").exists()


@pytest.mark.slow
def test_no_readable_checkpoint_is_no_reason_to_start_again(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    paths = sorted((run_folder(recipe) / "checkpoints").iterdir())
    for path in paths:
        path.write_bytes(path.read_bytes()[:1000])
    assert ppcls("train", recipe, "--resume", "auto") == 1
    assert "none of the 2 checkpoints" in capsys.readouterr().err
    assert sorted((run_folder(recipe) / "checkpoints").iterdir()) == paths


@pytest.mark.slow
def test_a_branch_takes_the_best_model_along_or_looks_for_one_anew(
    ppcls: Run, recipe: Recipe, tmp_path: Path
) -> None:
    recipe["Global"].update(epochs=3, best_metric="loss")
    assert ppcls("train", recipe) == 0
    for path in sorted((run_folder(recipe) / "checkpoints").iterdir()):
        folder = tmp_path / path.stem
        output = f"Global.output_dir={folder}"
        assert ppcls("train", recipe, "--resume", str(path), "-o", output, "Global.epochs=4") == 0
        best = folder / "best_model.safetensors"
        epoch = load_checkpoint(sorted((folder / "checkpoints").iterdir())[-1]).state.best_epoch
        assert read(best).metadata["epoch"] == epoch


@pytest.mark.slow
def test_a_branch_does_not_take_the_best_model_of_another_run_for_its_own(
    ppcls: Run, recipe: Recipe, tmp_path: Path
) -> None:
    assert ppcls("train", recipe) == 0
    other = f"Global.output_dir={tmp_path / 'other'}"
    assert ppcls("train", recipe, "-o", other, "Global.epochs=1", "Optimizer.lr=0.0") == 0
    assert ppcls("train", recipe, "--resume", str(final_checkpoint(recipe)), "-o", other) == 0
    ours, theirs = (
        folder / "best_model.safetensors" for folder in (tmp_path / "other", run_folder(recipe))
    )
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_the_best_model_of_another_run_does_not_stand_for_that_of_a_branch(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe["Global"].update(best_metric="loss", save_steps=6)
    assert ppcls("train", recipe) == 0
    assert load_checkpoint(final_checkpoint(recipe)).state.best_epoch == 2
    branch = run_folder(recipe) / "checkpoints" / "step_00000006.safetensors"
    other = f"Global.output_dir={tmp_path / 'other'}"
    assert ppcls("train", recipe, "-o", other, "Global.epochs=1") == 0
    stop_after(monkeypatch, 1)
    assert ppcls("train", recipe, "--resume", str(branch), "-o", other) == 130
    assert not (tmp_path / "other" / "best_model.safetensors").exists()


@pytest.mark.slow
def test_a_request_that_comes_after_saving_waits_for_the_next_step(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StopRequest.agree

    def late(self: StopRequest, world: World) -> bool:
        found = original(self, world)
        self.number = 15
        return found

    monkeypatch.setattr(StopRequest, "agree", late)
    assert ppcls("train", recipe) == 143
    assert load_checkpoint(final_checkpoint(recipe)).state.step == 2


@pytest.mark.slow
def test_overwrite_does_not_delete_what_is_to_be_resumed(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    recipe["Global"]["checkpoints"] = str(final_checkpoint(recipe))
    assert ppcls("train", recipe, "--overwrite") == 2
    assert "Global.checkpoints" in capsys.readouterr().err
    assert final_checkpoint(recipe).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"update_freq": 2}, "batches per update (Global.update_freq) is 1"),
        ({}, "checksum of its training images' names and labels"),
    ],
)
def test_what_would_make_another_run_of_it_is_refused(
    ppcls: Run,
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Dict[str, Any],
    message: str,
) -> None:
    assert ppcls("train", recipe) == 0
    recipe["Global"].update(change)
    if not change:
        dataset = recipe["DataLoader"]["Train"]["dataset"]
        lines = Path(dataset["cls_label_path"]).read_text().splitlines()
        dataset["cls_label_path"] = str(tmp_path / "other.txt")
        (tmp_path / "other.txt").write_text("\n".join(reversed(lines)))
    assert ppcls("train", recipe, "--resume", "auto") == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_evaluation_leaves_nothing_out_and_says_when_it_is_random(
    ppcls: Run, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe["DataLoader"]["Eval"]["sampler"]["drop_last"] = True
    assert ppcls("train", recipe) == 2
    assert "evaluation judges every image" in capsys.readouterr().err
    recipe["DataLoader"]["Eval"]["sampler"]["drop_last"] = False
    recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"][1] = {"RandCropImage": {"size": 32}}
    assert ppcls("train", recipe) == 0
    assert "transform_ops is random" in capsys.readouterr().out


@pytest.mark.slow
def test_training_and_evaluation_measure_the_same(
    ppcls: Run, recipe: Recipe, tmp_path: Path
) -> None:
    recipe["Metric"] = {"Train": [{"TopkAcc": {"topk": 2}}]}
    assert ppcls("train", recipe) == 0
    assert ppcls("eval", recipe, "--json", str(tmp_path / "eval.json")) == 0
    assert set(json.loads((tmp_path / "eval.json").read_text())["metrics"]) == {"loss", "top2"}
    assert set(records(recipe)[-1]["metrics"]) == {"loss", "top2"}


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_named_before_they_are_judged(
    ppcls: Run,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = trainer_module.Trainer._update

    def update(self: Any, images: int) -> None:
        original(self, images)
        if self.state.step == 10:
            weight = self.job.network.parameters()[0]
            weight.set_value(weight.numpy() * np.nan)

    monkeypatch.setattr(trainer_module.Trainer, "_update", update)
    assert ppcls("train", recipe) == 1
    message = capsys.readouterr().err
    assert "the weights became NaN or Inf between steps 9 and 10" in message
    assert "step_00000005.safetensors" in message


@pytest.mark.slow
def test_weights_are_not_judged_by_classes_of_other_names(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\nhorse\ntruck\nzebra\n")
    recipe["Global"]["class_id_map_file"] = str(labels)
    assert ppcls("train", recipe) == 0
    assert ppcls("eval", recipe) == 0
    labels.write_text("horse\ntruck\nyak\nzebra\n")
    assert ppcls("eval", recipe) == 1
    assert "class 0 is 'cat' there, 'horse' here" in capsys.readouterr().err


@pytest.mark.slow
def test_a_label_file_is_named_where_it_was_written(
    ppcls: Run, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("cat\nhorse\n")
    recipe["Infer"] = {
        "PostProcess": {"name": "Topk", "class_id_map_file": str(tmp_path / "labels.txt")}
    }
    recipe["Arch"]["class_num"] = 4
    assert ppcls("train", recipe) == 2
    error = capsys.readouterr().err
    assert re.search(r"names 2 classes \(\S+:\d+: Infer.PostProcess.class_id_map_file\)", error)


@pytest.mark.slow
def test_a_logger_of_ones_own_follows_a_run_by_its_name(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))

    @registry.register("logger")
    class Diary(Logger):
        def __init__(self, file: str) -> None:
            self.file = file

        def open(self, run: RunInfo) -> None:
            self.path = run.folder.root / self.file
            self.lines = [f"{run.network}, {run.epochs} x {run.batches}"]

        def write(self, record: Record) -> None:
            self.lines.append(f"{record['event']} {record['step']}")

        def close(self) -> None:
            self.path.write_text("\n".join(self.lines))

    recipe["Loggers"] = [{"Diary": {"file": "diary.txt"}}]
    assert ppcls("train", recipe) == 0
    lines = (run_folder(recipe) / "diary.txt").read_text().splitlines()
    assert lines[0] == "LeNet, 2 x 5"
    assert [line for line in lines if "eval" in line] == ["eval 5", "eval 10"]
    assert not (run_folder(recipe) / "curves.png").exists()


@pytest.mark.slow
def test_a_missing_package_of_a_logger_deletes_no_run(
    ppcls: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ppcls("train", recipe) == 0
    before = sorted(path.name for path in run_folder(recipe).iterdir())
    monkeypatch.setitem(sys.modules, "visualdl", None)
    recipe["Global"]["use_visualdl"] = True
    assert ppcls("train", recipe, "--overwrite") == 2
    assert "package visualdl cannot be imported" in capsys.readouterr().err
    assert sorted(path.name for path in run_folder(recipe).iterdir()) == before
