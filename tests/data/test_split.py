"""Dividing a folder of class folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.config import load_config
from ppcls.data.split import left_out, split_folder, write_recipe
from ppcls.data.transforms import Pipeline
from ppcls.errors import DataError, UsageError

BASE = "quick_start/own_images.yaml"


def photos(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"photo {i}.jpg").write_bytes(b"not read")
    return folder


def listed(path: Path) -> list:
    return [line.rsplit(" ", 1) for line in path.read_text().splitlines()]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=4), st.floats(0.01, 0.99), st.integers(0, 9)
)
def test_every_image_is_on_one_list_and_no_class_is_missing(
    tmp_path_factory: pytest.TempPathFactory, counts: list, share: float, seed: int
) -> None:
    folder = photos(tmp_path_factory.mktemp("p"), **{f"c{i}": n for i, n in enumerate(counts)})
    report = split_folder(folder, share, seed)
    train, val = listed(folder / "train_list.txt"), listed(folder / "val_list.txt")
    paths = [path for path, _ in train + val]
    assert len(paths) == len(set(paths)) == sum(counts) == report.train + report.val
    for label in range(len(counts)):
        held = sum(int(number) == label for _, number in val)
        assert 1 <= held <= counts[label] - 1
        assert held == pytest.approx(share * counts[label], abs=1)
    assert all(
        (folder / path).exists() and path.startswith(f"c{label}/") for path, label in train + val
    )


def test_the_recipe_is_valid_and_points_at_the_lists(tmp_path: Path) -> None:
    folder = photos(tmp_path / "my: photos #1", cat=5, dog=4)
    split_folder(folder)
    config = load_config(str(write_recipe(folder, BASE)))
    assert config.DataLoader.Train is not None
    assert config.DataLoader.Train.dataset.arguments["cls_label_path"] == f"{folder}/train_list.txt"
    assert (folder / "label_list.txt").read_text() == "0 cat\n1 dog\n"
    assert config.Arch.name == "ResNet18"


def test_the_size_of_the_images_can_be_chosen(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=5, dog=4)
    split_folder(folder)
    config = load_config(str(write_recipe(folder, BASE, size=56)))
    for split in (config.DataLoader.Train, config.DataLoader.Eval):
        assert split is not None
        assert Pipeline(split.dataset.arguments["transform_ops"]).output_size == (56, 56)
    assert {"ResizeImage": {"resize_short": 64}} in config.data["DataLoader"]["Eval"]["dataset"][
        "transform_ops"
    ]


def test_the_same_seed_divides_alike(tmp_path: Path) -> None:
    folder = photos(tmp_path, cat=20, dog=20)
    split_folder(folder, seed=1)
    first = (folder / "val_list.txt").read_text()
    split_folder(folder, seed=1, overwrite=True)
    assert (folder / "val_list.txt").read_text() == first
    split_folder(folder, seed=2, overwrite=True)
    assert (folder / "val_list.txt").read_text() != first


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        split_folder(tmp_path / "none")
    folder = photos(tmp_path / "p", cat=5, dog=1)
    with pytest.raises(DataError, match="two images at least.*dog"):
        split_folder(folder)
    with pytest.raises(UsageError, match="between 0 and 1"):
        split_folder(folder, 1.0)
    (folder / "dog" / "2.jpg").write_bytes(b"")
    split_folder(folder)
    with pytest.raises(UsageError, match="divided already"):
        split_folder(folder)


def test_a_divided_data_set_and_a_single_class_are_no_class_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="look like parts of a divided data set.*train"):
        split_folder(photos(tmp_path / "parts", train=3, val=3))
    with pytest.raises(DataError, match="one class only, cat"):
        split_folder(photos(tmp_path / "one", cat=3))
    (tmp_path / "my_photos").mkdir()
    with pytest.raises(DataError, match="Did you mean 'my_photos'"):
        split_folder(tmp_path / "my_phots")
    with pytest.raises(UsageError, match="at least 0"):
        split_folder(tmp_path, seed=-1)


@pytest.mark.parametrize("size", [0, -5, 7, 10_000])
def test_sizes_that_make_no_sense_are_refused(tmp_path: Path, size: int) -> None:
    folder = photos(tmp_path / "p", cat=5, dog=4)
    with pytest.raises(UsageError, match=f"8 to 2048 pixels, got {size}"):
        write_recipe(folder, BASE, size=size)


def test_files_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=2, dog=2)
    (folder / "cat" / "a.HEIC").write_bytes(b"x")
    (folder / "dog" / "b.heic").write_bytes(b"x")
    (folder / "dog" / ".hidden").write_bytes(b"x")
    assert left_out(folder, ["cat", "dog"]) == {".heic": 2}
