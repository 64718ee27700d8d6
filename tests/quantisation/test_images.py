"""Which images calibrate and which judge, and that they are never the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import List

import numpy as np
import pytest

from ppcls import registry
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.quantisation import images as quantisation_images
from ppcls.quantisation.images import (
    ImageSet,
    Prepared,
    calibration_images,
    judged_images,
    refuse_overlap,
)

LABELS = ["d0", "d1", "d2", "d3"]


def test_calibration_is_spread_over_a_folder_or_list(digits: Path) -> None:
    from_folder = calibration_images(str(digits / "train"), 8)
    assert [Path(path).parent.name for path in from_folder.paths] == [
        name for name in LABELS for _ in range(2)
    ]
    assert len(calibration_images(str(digits / "train.txt"), 1000).paths) == 80


@pytest.mark.parametrize("where", ["val", "val.txt"])
def test_judged_images_have_classes(digits: Path, where: str) -> None:
    found = judged_images(str(digits / where), LABELS)
    assert found.classes is not None
    assert found.classes.tolist() == [number for number in range(4) for _ in range(10)]
    assert all(Path(path).is_file() for path in found.paths)


def test_names_in_a_list_are_classes_too(digits: Path, tmp_path: Path) -> None:
    image = next((digits / "val").glob("d2/*.png"))
    (tmp_path / "list.txt").write_text(f"{image} d2\n{image} d1\n")
    found = judged_images(str(tmp_path / "list.txt"), LABELS)
    assert found.classes is not None and found.classes.tolist() == [2, 1]


def test_wrong_classes_are_named(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val: no class of the .* is called d1, d3\. Did"):
        judged_images(str(digits / "val"), ["d0", "d10", "d2", "3"])
    image = next((digits / "val").glob("d2/*.png"))
    (tmp_path / "list.txt").write_text(f"{image} 4\n")
    with pytest.raises(DataError, match=r"no class of the network is called 4\."):
        judged_images(str(tmp_path / "list.txt"), LABELS)


def test_what_is_not_there_is_named(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("none.png 0\n")
    with pytest.raises(DataError, match=r"1 of 1 images are not there, for example .*none\.png"):
        judged_images(str(tmp_path / "list.txt"), LABELS)
    with pytest.raises(UsageError, match="no such file or folder"):
        calibration_images(str(tmp_path / "nothing"), 8)
    with pytest.raises(UsageError, match="no list file .* and no folder of class"):
        judged_images(str(next((digits / "val").glob("d0/*.png"))), LABELS)
    (tmp_path / "classes/d0").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no image in a folder of its class"):
        judged_images(str(tmp_path / "classes"), LABELS)
    with pytest.raises(DataError, match=rf"with the images inside: {tmp_path}/classes/d0/cat/1\.j"):
        judged_images(str(tmp_path / "classes/d0"), LABELS)


def test_overlap_is_found_by_content(digits: Path, tmp_path: Path) -> None:
    calibration = calibration_images(str(digits / "train"), 1000)
    judged = judged_images(str(digits / "val"), LABELS)
    refuse_overlap(calibration, judged)
    copied = tmp_path / "judged"
    shutil.copytree(digits / "val", copied)
    twin = sorted((digits / "train/d1").iterdir())[0]
    shutil.copy(twin, copied / "d3/renamed.png")
    with pytest.raises(DataError) as caught:
        refuse_overlap(calibration, judged_images(str(copied), LABELS))
    text = str(caught.value)
    assert text.startswith("1 of the 41 images that judge")
    assert f"{copied / 'd3/renamed.png'} (in the calibration: {twin})" in text


def test_an_overlap_of_many_names_some(digits: Path) -> None:
    same = judged_images(str(digits / "val"), LABELS)
    with pytest.raises(DataError, match=r"40 of the 40 images .* and 35 more\. Judged by"):
        refuse_overlap(same, same)


@pytest.fixture
def transform() -> Pipeline:
    """What makes each image one of 32 x 32 pixels in three channels."""
    return Pipeline([registry.parse("transform", {"ResizeImage": {"size": 32}})])


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, transform: Pipeline) -> None:
    (tmp_path / "half.png").write_bytes(b"\x89PNG")
    images = ImageSet("somewhere", [str(tmp_path / "half.png")])
    with pytest.raises(BadImageError, match=r"half\.png: .*; take it out of somewhere"):
        next(images.prepared(transform))
    with pytest.raises(BadImageError, match=r"half\.png: .*; take it out of somewhere"):
        Prepared(images, transform)


@pytest.mark.parametrize("kept", [True, False])
def test_images_are_prepared_once_if_they_are_small(
    digits: Path, transform: Pipeline, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    read: List[str] = []

    def reading(path: str) -> bytes:
        read.append(path)
        return read_image_file(path)

    monkeypatch.setattr(quantisation_images, "read_image_file", reading)
    found = calibration_images(str(digits / "train"), 8)
    (first, *_) = found.prepared(transform)
    size = 8 * first.nbytes - (not kept)
    monkeypatch.setattr(quantisation_images, "KEPT_BYTES", size)
    prepared = Prepared(found, transform)
    before = len(read)
    rounds = [list(prepared) for _ in range(2)]
    assert len(prepared) == len(rounds[0]) == 8 and first.shape[0] == 1
    np.testing.assert_array_equal(rounds[0], rounds[1])
    assert len(read) - before == (0 if kept else 16)
