"""``ppcls data``: from the command line to folders; what is in them is tested in tests/data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ppcls.cli import main
from ppcls.config import load_config
from tests.data.photo_files import photo_of


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten photos of cats and four of dogs."""
    for name, count in (("cat", 10), ("dog", 4)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "photos" / name / f"{i}.png").write_bytes(photo_of(f"{name}{i}"))
    return tmp_path / "photos"


def test_photos_are_divided_as_it_is_asked_for(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    given = ["data", "split", str(photos), "--val", "0.3", "--test", "0.2", "--size", "64"]
    given += ["--base", "quick_start/LeNet_digits.yaml", "--output_dir", str(out)]
    assert main(given) == 0
    counts = {path.name: len(path.read_text().splitlines()) for path in out.glob("*_list.txt")}
    assert counts == {
        "train_list.txt": 7,
        "val_list.txt": 4,
        "test_list.txt": 3,
        "label_list.txt": 2,
    }
    config = load_config(str(out / "recipe.yaml"))
    assert config.Arch.name == "LeNet" and "64" in yaml.safe_dump(config.data["DataLoader"])
    printed = capsys.readouterr().out
    assert "2 classes: cat, dog" in printed and f"train with: ppcls train -c {out}/" in printed
    before = (out / "val_list.txt").read_text()
    assert main(given) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*given, "--seed", "3", "--overwrite"]) == 0
    assert (out / "val_list.txt").read_text() != before


def test_what_a_division_is_warned_of_is_on_the_terminal(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "dog/4.png").write_bytes(photo_of("cat0"))
    assert main(["data", "split", str(photos)]) == 0
    assert "warning: " in capsys.readouterr().out
