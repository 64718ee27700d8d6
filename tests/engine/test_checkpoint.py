"""Checkpoint files: whole or not there, and refused where they do not belong."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from ppcls.engine.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    TrainState,
    found_checkpoint,
    load_checkpoint,
    save_best_model,
    save_checkpoint,
)
from ppcls.errors import CheckpointError
from ppcls.weights import read
from ppcls.weights.formats.safetensors import write_safetensors


def example(step: int = 3, size: int = 10) -> Checkpoint:
    rng = np.random.default_rng(step)
    weights = {"fc.weight": rng.standard_normal((size, 4)).astype(np.float32)}
    state = TrainState(
        epoch=1,
        batch=2,
        step=step,
        best_value=0.1 + 0.2,
        bad_samples=[4],
        running={"loss_sum": 1 / 3},
    )
    return Checkpoint(
        state,
        {"arch": "LeNet", "class_names": ["猫", "dog"]},
        weights,
        {"fc.weight.velocity": weights["fc.weight"] * 2},
    )


def test_what_is_saved_comes_back_exactly(tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "a.safetensors", example()
    save_checkpoint(path, checkpoint)
    found = load_checkpoint(path)
    assert found.state == checkpoint.state
    assert found.metadata == checkpoint.metadata
    assert np.array_equal(found.model["fc.weight"], checkpoint.model["fc.weight"])
    assert np.array_equal(
        found.optimizer["fc.weight.velocity"], checkpoint.optimizer["fc.weight.velocity"]
    )
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", example())
    save_checkpoint(tmp_path / "b", example())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, example())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_checkpoint(path)


def test_an_unreadable_newest_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    folder.save(example(1))
    folder.save(example(2))
    newest = folder.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:50])
    found = folder.newest()
    assert found is not None and found[1].state.step == 1


def test_latest_is_the_newest_of_a_folder(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path / "run/checkpoints", keep=3).save(example(1))
    CheckpointFolder(tmp_path / "run/checkpoints", keep=3).save(example(2))
    CheckpointFolder(tmp_path / "moved", keep=3).save(example(5))
    for name, step in (("run", 2), ("moved", 5)):
        path, checkpoint = found_checkpoint(tmp_path / name / "latest")
        assert checkpoint.state.step == step and path.name == f"step_{step:08d}.safetensors"
        assert found_checkpoint(path)[1].state.step == step
    with pytest.raises(CheckpointError, match=r"none/latest: there is no checkpoint in .*none"):
        found_checkpoint(tmp_path / "none/latest")
    save_checkpoint(tmp_path / "latest", example(9))
    assert found_checkpoint(tmp_path / "latest")[1].state.step == 9


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.save(example(1))
    (before,) = folder.paths()
    content = before.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(
            CheckpointError, match="cannot write .*step_00000002.*intact.*--resume auto"
        ):
            folder.save(example(2, size=5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == [before.name]
    assert before.read_bytes() == content


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    checkpoint = example()
    checkpoint.model["fc.weight"][0, 0] = np.nan
    with pytest.raises(CheckpointError, match=r"fc\.weight holds NaN or Inf"):
        save_checkpoint(tmp_path / "a", checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_the_average_is_what_a_network_is_given(tmp_path: Path) -> None:
    checkpoint = example()
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    given = read(tmp_path / "a.safetensors").network_arrays()
    assert np.array_equal(given["fc.weight"], checkpoint.model["fc.weight"])
    checkpoint.ema = {"fc.weight": checkpoint.model["fc.weight"] + 1}
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    given = read(tmp_path / "a.safetensors").network_arrays()
    assert np.array_equal(given["fc.weight"], checkpoint.ema["fc.weight"])


def test_a_weight_file_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_best_model(path, example().model, {"arch": "LeNet"})
    with pytest.raises(CheckpointError, match=r"holds weights only.*Global\.pretrained_model"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "note",
    [
        *("[1]", "{", '{"kind": "checkpoint"}', '{"kind": "checkpoint", "state": {"x": 1}}'),
        *('{"kind": "checkpoint", "state": null}', '{"kind": "checkpoint", "state": 3}'),
    ],
)
def test_damaged_notes_are_a_clear_error(tmp_path: Path, note: str) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, example().model, {"ppcls": note})
    with pytest.raises(CheckpointError, match="notes in its files is damaged|position of the run"):
        load_checkpoint(path)


def test_a_file_of_a_later_version_is_not_passed_over(tmp_path: Path) -> None:
    later = tmp_path / "step_00000009.safetensors"
    write_safetensors(later, example().model, {"ppcls": '{"format": 99}'})
    CheckpointFolder(tmp_path, keep=3).save(example(1))
    with pytest.raises(CheckpointError, match="upgrade ppcls"):
        CheckpointFolder(tmp_path, keep=3).newest()
