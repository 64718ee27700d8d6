"""`ppcls show`: what a run's folder says, whole, unfinished and damaged."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import yaml

from ppcls.cli import main
from ppcls.engine.checkpoint import load_checkpoint, save_checkpoint
from ppcls.engine.run_summary import find_runs, read_run
from ppcls.engine.run_text import describe_run, table_of_runs
from ppcls.errors import UsageError
from tests.conftest import TrainedRun


@pytest.fixture
def copy(trained: TrainedRun, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return Path(shutil.copytree(trained.folder, tmp_path / "output/digits"))


def lines(text: str) -> Dict[str, str]:
    """The labelled lines of a summary."""
    found = [line.split("  ", 1) for line in text.splitlines() if "  " in line.strip()]
    return {name: rest.strip() for name, rest in found}


def records(folder: Path, event: str) -> List[Dict[str, Any]]:
    text = (folder / "train_log.jsonl").read_text()
    return [one for one in map(json.loads, text.splitlines()) if one["event"] == event]


@pytest.mark.slow
def test_a_finished_run(trained: TrainedRun) -> None:
    text = describe_run(trained.folder)
    found = lines(text)
    assert found["network"] == "LeNet, 4 classes (0, 1, 2, 3)"
    assert found["weights"] == "started at random"
    assert found["trained on"].endswith("train.txt (80 images, batches of 16)")
    assert found["judged by"].endswith("val.txt (40 images)")
    assert found["state"] == "finished after 2 epochs"
    best = max(records(trained.folder, "eval"), key=lambda record: record["metrics"]["top1"])
    top1 = f"{best['metrics']['top1']:.2%}"
    assert found["best"].startswith(f"top1 {top1} in epoch {best['epoch']}  (loss ")
    assert found["to evaluate"] == f"ppcls eval -c {trained.folder}/config.yaml"
    assert found["to predict"] == f"ppcls predict --model_dir {trained.bundle} PHOTO.jpg"
    assert "to go on" not in found and "unreadable" not in found
    losses = [f"{record['metrics']['loss']:.4f}" for record in records(trained.folder, "train")]
    curve = found["training loss"].split()
    assert (curve[0], curve[-1]) == (losses[0], losses[-1])
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("1 ", "2 "))]
    train = [f"{record['metrics']['loss']:.4f}" for record in records(trained.folder, "epoch")]
    assert [row[:2] for row in rows] == [["1", train[0]], ["2", train[1]]]


def test_a_run_that_stopped_says_how_to_go_on(copy: Path) -> None:
    (copy / "checkpoints/step_00000010.safetensors").unlink()
    shutil.rmtree(copy / "inference")
    with (copy / "train.log").open("a") as log:
        log.write("2026-01-01 00:00:00,000 error: the disk is full\n")
    found = lines(describe_run(copy))
    assert (
        found["state"]
        == "stopped after epoch 1 of 2; can be resumed; what ended it: the disk is full"
    )
    moved = f"-o Global.output_dir={copy}"
    assert found["to go on"] == f"ppcls train -c {copy}/config.yaml --resume auto {moved}"
    assert found["to export"] == f"ppcls export -c {copy}/config.yaml {moved}"
    assert found["to predict"].startswith(f"ppcls infer -c {copy}/config.yaml -o Infer.infer_imgs=")


def test_a_run_without_a_checkpoint_begins_again(copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    (copy / "best_model.safetensors").unlink()
    found = lines(describe_run(copy))
    assert (
        found["state"] == "not finished, before its first checkpoint; it came to epoch 2, step 10"
    )
    assert found["again"].startswith(f"ppcls train -c {copy}/config.yaml --overwrite")
    assert "to evaluate" not in found


def test_a_run_that_is_going_on(copy: Path) -> None:
    with (copy / ".lock").open("w") as lock:
        lock.write("process 7 on here\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = lines(describe_run(copy))
    assert found["state"] == "training now, by process 7 on here; it came to epoch 2, step 10"
    assert "to go on" not in found and "to evaluate" not in found
    assert lines(describe_run(copy))["state"] == "finished after 2 epochs"


DAMAGE: Dict[str, Callable[[Path], object]] = {
    "config.yaml": lambda path: path.write_text("Global: ["),
    "best_model.safetensors": lambda path: path.write_bytes(b"\0" * 20),
    "checkpoints/step_00000010.safetensors": lambda path: path.write_bytes(b"x"),
    "train_log.jsonl": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_damaged_is_one_sentence_and_the_rest_still_tells(name: str, copy: Path) -> None:
    DAMAGE[name](copy / name)
    text = describe_run(copy)
    problem = [line for line in text.splitlines() if line.startswith("unreadable")]
    assert len(problem) == 1 and name in problem[0]
    assert lines(text)["network"] == "LeNet, 4 classes (0, 1, 2, 3)"
    assert "Traceback" not in text


def test_a_checkpoint_that_says_no_position_is_passed_over(copy: Path) -> None:
    newest = copy / "checkpoints/step_00000010.safetensors"
    shutil.copy(copy / "best_model.safetensors", newest)
    text = describe_run(copy)
    assert f"{newest}: the position of the run is not in it" in text
    assert lines(text)["state"] == "stopped after epoch 1 of 2; can be resumed"


def test_a_configuration_without_sections_is_said(copy: Path) -> None:
    (copy / "config.yaml").write_text("- Global\n- Arch\n")
    text = describe_run(copy)
    assert f"{copy}/config.yaml is no configuration: it has no sections" in text
    assert lines(text)["network"] == "LeNet, 4 classes (0, 1, 2, 3)"


def changed(copy: Path, section: str, **keys: Any) -> Dict[str, str]:
    """What is said of a run whose configuration has these keys in a section."""
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config[section].update(keys)
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    return lines(describe_run(copy))


def test_what_a_run_started_from_is_told(copy: Path) -> None:
    assert changed(copy, "Arch", pretrained=True)["weights"] == "started from the published ones"
    assert changed(copy, "Arch", pretrained="a.pdparams")["weights"] == "started from a.pdparams"
    found = changed(copy, "Global", pretrained_model="own.safetensors")
    assert found["weights"] == "started from own.safetensors"


def test_the_short_spelling_of_a_sampler_is_understood(copy: Path) -> None:
    config = yaml.safe_load((copy / "config.yaml").read_text())
    train = {**config["DataLoader"]["Train"], "sampler": {"ASampler": {"batch_size": 7}}}
    found = changed(copy, "DataLoader", Train=train)
    assert found["trained on"].endswith("train.txt (80 images, batches of 7)")


def test_an_early_stop_is_told(copy: Path) -> None:
    newest = copy / "checkpoints/step_00000010.safetensors"
    checkpoint = load_checkpoint(newest)
    checkpoint.state.finished = True
    save_checkpoint(newest, checkpoint)
    assert changed(copy, "Global", epochs=5)["state"] == "finished early, after 2 of 5 epochs"


def test_a_run_that_has_just_begun(copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    for name in ("best_model.safetensors", "train_log.jsonl"):
        (copy / name).unlink()
    with (copy / ".lock").open("w") as lock:
        lock.write("process 7 on here\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = lines(describe_run(copy))
    assert found["state"] == "training now, by process 7 on here"
    assert "best" not in found and "training loss" not in found


def test_moments_that_are_none_count_nothing(copy: Path) -> None:
    moments = ["01-01 10:00:00,000 training LeNet", "01-01 10:00:07,000 epoch 1/2"]
    moments += ["13-45 11:00:00,000 epoch 2/2"]
    (copy / "train.log").write_text("\n".join(f"2026-{moment}" for moment in moments[:2]))
    assert read_run(copy).seconds == 7.0
    (copy / "train.log").write_text("\n".join(f"2026-{moment}" for moment in moments))
    assert read_run(copy).seconds == 0.0


def test_times_leave_breaks_out(copy: Path) -> None:
    moments = ["10:00:00,000 training LeNet", "10:00:07,000 epoch 1/2", "error text without time"]
    moments += ["11:00:00,000 training LeNet", "11:00:05,500 trained 2 epochs"]
    log = "\n".join(f"2026-01-01 {moment}" for moment in moments)
    (copy / "train.log").write_text(log)
    assert read_run(copy).seconds == 12.0


def test_runs_are_listed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(copy, copy.parent / "deeper/other")
    (copy.parent / "empty").mkdir()
    assert find_runs(copy.parent) == [copy.parent / "deeper/other", copy]
    rows = [line.split() for line in table_of_runs(copy.parent).splitlines()]
    assert [row[:2] for row in rows[1:]] == [
        [str(copy.parent / "deeper/other"), "LeNet"],
        [str(copy), "LeNet"],
    ]
    assert main(["show", str(copy.parent)]) == 0
    assert "finished after 2 epochs" in capsys.readouterr().out


def test_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="holds no run: none of config.yaml, train_log.jsonl"):
        read_run(tmp_path)
    assert main(["show", str(tmp_path)]) == 2
    assert main(["show", str(tmp_path / "none")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: there is no run in {tmp_path}; `ppcls train -c FILE` makes")
    assert second.startswith(f"error: there is no folder {tmp_path / 'none'};")


def test_showing_loads_no_paddle(trained: TrainedRun, run_python: Callable[..., Any]) -> None:
    code = (
        f"import sys; from ppcls.cli import main; main(['show', {str(trained.folder)!r}])\n"
        "print(*sorted({'paddle', 'matplotlib', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = run_python("-c", code, env={"PYTHONIOENCODING": "ascii"})
    assert done.stderr == "\n"
    assert "training loss" in done.stdout


def test_bars_on_a_terminal_without_them(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ppcls.text import encodable

    assert encodable("1.0 \u2588\u2581", "ascii") == "1.0 #_"
    assert encodable("\u2588 \u4e2d", sys.stdout.encoding or "utf-8")
    assert encodable("\u4e2d", "latin-1") == "\\u4e2d"
