"""Whose folder it is: what keeps a run from beginning in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppcls.engine.run_folder import RunFolder
from ppcls.errors import TrainingError, UsageError


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = RunFolder(tmp_path / "file/run")
    words = "cannot use the output folder .*/file/run: Not a directory"
    with pytest.raises(UsageError, match=words), folder.claim(resume=False, overwrite=False):
        pass


def test_a_folder_that_cannot_hold_checkpoints_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    words = f"cannot use the output folder {tmp_path}: File exists"
    with pytest.raises(UsageError, match=words), RunFolder(tmp_path).claim(False, False):
        pass
    assert not (tmp_path / ".lock").exists(), "another run may try again"


def test_a_folder_that_was_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.claim(resume=False, overwrite=False):
        folder.check_still_there()
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(TrainingError, match="was deleted or replaced .*--resume auto"):
            folder.check_still_there()
        (tmp_path / "run").mkdir()
        with pytest.raises(TrainingError, match="was deleted or replaced"):
            folder.check_still_there()
        (tmp_path / "run").rmdir()
        (tmp_path / "moved").rename(tmp_path / "run")
        folder.check_still_there()


def test_overwriting_deletes_the_run_and_nothing_else(tmp_path: Path) -> None:
    for name in ("checkpoints/step_1.safetensors", "train.log", "mine.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    with pytest.raises(UsageError, match=r"already holds a run \(checkpoints\)"):
        RunFolder(tmp_path).refuse_run(resume=False, overwrite=False)
    with RunFolder(tmp_path).claim(resume=False, overwrite=True):
        left = sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock")
    assert left == ["checkpoints", "mine.txt"] and not list((tmp_path / "checkpoints").iterdir())
