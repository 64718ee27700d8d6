"""Lists and recipes for images of one's own, which nobody's files give way to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from ppcls.config import load_config
from ppcls.data.dataset import ClassMap, ImageNetDataset
from ppcls.data.division import DivisionRequest
from ppcls.data.layouts import recognise
from ppcls.data.split import label_words, split
from ppcls.data.transforms import Pipeline
from ppcls.errors import DataError, UsageError
from tests.data.photo_files import photo_of


def photos(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"photo {i}.jpg").write_bytes(photo_of(f"{name}{i}"))
    return folder


def listed(path: Path) -> List[List[str]]:
    return [line.rsplit(" ", 1) for line in path.read_text().splitlines()]


def contents(folder: Path) -> Dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_the_recipe_is_valid_and_points_at_the_lists(tmp_path: Path) -> None:
    folder = photos(tmp_path / "my: photos #1", cat=5, dog=4)
    report = split(folder)
    (recipe,) = report.recipes
    config = load_config(str(recipe))
    assert config.DataLoader.Train is not None
    assert config.DataLoader.Train.dataset.arguments["cls_label_path"] == f"{folder}/train_list.txt"
    assert (folder / "label_list.txt").read_text() == "0 cat\n1 dog\n"
    assert config.Arch.name == "ResNet18"
    assert len(listed(folder / "train_list.txt")) == 7 and len(listed(folder / "val_list.txt")) == 2
    assert str(report).splitlines() == [
        "recognised a folder for each class",
        "2 classes: cat, dog",
        "7 images to learn from, 2 held back to choose the best model by",
        f"lists and recipe are in {folder}",
        f"train with: ppcls train -c '{recipe}'",
    ]


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path / "photos", cat=5, dog=4)
    monkeypatch.chdir(tmp_path)
    split("photos", base="quick_start/LeNet_digits.yaml")
    monkeypatch.chdir("/")
    config = load_config(str(tmp_path / "photos/recipe.yaml"))
    for section in (config.DataLoader.Train, config.DataLoader.Eval):
        assert section is not None
        dataset = section.dataset.build(class_map=ClassMap(["cat", "dog"]), class_num=2)
        assert Path(dataset.path(0)).is_file()
    assert config.Infer.infer_imgs is not None and Path(config.Infer.infer_imgs).is_file()


def test_the_size_of_the_images_can_be_chosen(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=5, dog=4)
    config = load_config(str(split(folder, size=56).recipes[0]))
    for section in (config.DataLoader.Train, config.DataLoader.Eval):
        assert section is not None
        assert Pipeline(section.dataset.arguments["transform_ops"]).output_size == (56, 56)
    assert {"ResizeImage": {"resize_short": 64}} in config.data["DataLoader"]["Eval"]["dataset"][
        "transform_ops"
    ]


@pytest.mark.parametrize("size", [0, -5, 7, 10_000])
def test_sizes_that_make_no_sense_are_refused(tmp_path: Path, size: int) -> None:
    folder = photos(tmp_path / "p", cat=5, dog=4)
    with pytest.raises(UsageError, match=f"8 to 2048 pixels, got {size}"):
        split(folder, size=size)
    assert contents(folder) == {}


def test_the_same_seed_divides_alike(tmp_path: Path) -> None:
    folder = photos(tmp_path, cat=20, dog=20)
    split(folder, DivisionRequest(seed=1))
    first = contents(folder)
    split(folder, DivisionRequest(seed=1), overwrite=True)
    assert contents(folder) == first
    split(folder, DivisionRequest(seed=2), overwrite=True)
    assert contents(folder)["val_list.txt"] != first["val_list.txt"]


def test_dividing_again_is_asked_for_and_sees_new_photos(tmp_path: Path) -> None:
    folder = photos(tmp_path, cat=5, dog=5)
    split(folder, DivisionRequest(test=0.2))
    assert (folder / "test_list.txt").is_file()
    (folder / "dog" / "new.jpg").write_bytes(photo_of("new"))
    with pytest.raises(UsageError, match="divided already.*--overwrite"):
        split(folder)
    report = split(folder, overwrite=True)
    assert len(report.images.train) == 11 and not (folder / "test_list.txt").exists()
    assert recognise(folder).how.startswith("the lists train_list.txt and val_list.txt")


def test_folds_have_a_recipe_each(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=4, dog=5)
    report = split(folder, DivisionRequest(folds=3))
    held: List[str] = []
    for i, recipe in enumerate(report.recipes, 1):
        assert recipe == folder / f"fold{i}_recipe.yaml"
        config = load_config(str(recipe))
        assert config.Global.output_dir == f"output/p/fold{i}"
        train, val = (
            section.dataset.build(class_map=ClassMap(["cat", "dog"]))
            for section in (config.DataLoader.Train, config.DataLoader.Eval)
            if section is not None
        )
        assert len(train) + len(val) == 9
        held += [val.name(j) for j in range(len(val))]
    assert len(held) == len(set(held)) == 9
    assert "and so on to fold3_recipe.yaml" in str(report)


def test_lists_of_others_are_kept(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=4, dog=4)
    lines = [f"{name}/photo {i}.jpg\t{name}\n" for name in ("cat", "dog") for i in range(4)]
    (folder / "train_list.txt").write_text("".join(lines[:2] + lines[4:6]))
    (folder / "val_list.txt").write_text("".join(lines[2:4] + lines[6:]))
    theirs = contents(folder)
    for overwrite in (False, True):
        report = split(folder, overwrite=overwrite)
        assert theirs.items() <= contents(folder).items()
        assert report.recipes == [folder / "split_recipe.yaml"]
        assert sorted(listed(folder / "split_val_list.txt")) == [
            ["cat/photo 2.jpg", "0"],
            ["cat/photo 3.jpg", "0"],
            ["dog/photo 2.jpg", "1"],
            ["dog/photo 3.jpg", "1"],
        ]
    with pytest.raises(UsageError, match="keeps its 4 images of val; leave --val out"):
        split(folder, DivisionRequest(val=0.3), overwrite=True)
    (folder / "split_recipe.yaml").write_text("mine")
    with pytest.raises(UsageError, match="--output_dir"):
        split(folder)
    report = split(folder, output_dir=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/recipe.yaml").is_file() and report.folder.name == "elsewhere"


def test_a_table_is_divided_by_its_column(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=12, dog=12)
    rows = [f"{c}/photo {i}.jpg,{c},{i // 3}" for c in ("cat", "dog") for i in range(12)]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,cage", *rows]))
    report = split(
        tmp_path / "all.csv", DivisionRequest(val=0.25, group_by="column:cage"), output_dir=folder
    )
    train, val = (set(report.divisions[0][part].columns["cage"]) for part in ("train", "val"))
    assert len(val) == 1 and len(train) == 3 and not train & val
    assert report.groups == 4 and "; 4 groups stay whole" in str(report) and not report.warnings


def test_the_part_to_test_has_a_command(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=10, dog=10)
    report = split(folder, DivisionRequest(test=0.2, group_by="photo (.)"))
    (line,) = (line for line in str(report).splitlines() if line.startswith("judge it with: "))
    assert line.endswith(f"-o DataLoader.Eval.dataset.cls_label_path={folder}/test_list.txt")
    with pytest.raises(UsageError, match="divided already"):
        split(folder)


def test_groups_that_the_set_itself_tears(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p/train", cat=3, dog=3).parent
    photos(folder / "val", cat=1, dog=1)
    report = split(folder, DivisionRequest(group_by="photo (.)"))
    torn = "1 of 3 groups are in two parts, because the set has these already"
    assert torn in report.warnings


@pytest.mark.parametrize(
    ("names", "words"),
    [(["cat", "1"], ["0", "1"]), (["0", "1"], ["0", "1"]), (["2", "10"], ["2", "10"])],
)
def test_classes_that_are_called_by_numbers(
    tmp_path: Path, names: List[str], words: List[str], parts: Any
) -> None:
    assert label_words(names) == words
    folder = photos(tmp_path, **dict.fromkeys(names, 3))
    images = split(folder).images
    class_map = ClassMap.from_label_file(folder / "label_list.txt")
    assert class_map.names == images.class_names
    found = ImageNetDataset(
        str(folder), str(folder / "train_list.txt"), parts("DecodeImage"), class_map=class_map
    )
    for i, label in enumerate(found.labels.values.tolist()):
        assert Path(found.name(i)).parent.name == class_map.names[label]


def test_odd_names_of_files(tmp_path: Path, parts: Any) -> None:
    folder = photos(tmp_path, cat=2, dog=2)
    (folder / "cat").rename(folder / " cat")
    split(folder)
    classes = ClassMap.from_label_file(folder / "label_list.txt")
    found = ImageNetDataset(
        str(folder), str(folder / "train_list.txt"), parts("DecodeImage"), class_map=classes
    )
    assert all(Path(found.path(i)).is_file() for i in range(len(found)))
    (folder / "dog" / "a\nb.jpg").write_bytes(photo_of("odd"))
    with pytest.raises(DataError, match="has a line break.*rename it"):
        split(folder, overwrite=True)


def test_what_is_wrong_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = photos(tmp_path / "p", cat=5, dog=5)
    with pytest.raises(DataError, match="there is no folder"):
        split(tmp_path / "none")
    with pytest.raises(UsageError, match="--group-by 'x' has 0 groups"):
        split(folder, DivisionRequest(group_by="x"))
    assert contents(folder) == {}
