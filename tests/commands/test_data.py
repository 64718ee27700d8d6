"""``ppcls data``: from the command line to folders; what is in them is tested in tests/data."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppcls.cli import main


@pytest.mark.slow
def test_digits_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "digits"
    given = ["data", "prepare", "digits", "--output_dir", str(folder)]
    assert main(given) == 0
    assert len((folder / "train_list.txt").read_text().splitlines()) == 1438
    assert len((folder / "val_list.txt").read_text().splitlines()) == 359
    assert str(folder) in capsys.readouterr().out
    before = (folder / "train_list.txt").stat().st_mtime_ns
    assert main(given) == 0
    assert (folder / "train_list.txt").stat().st_mtime_ns == before


def test_a_folder_with_other_things_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["data", "prepare", "digits", "--output_dir", str(tmp_path)]) == 2
    assert "holds other things" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"
