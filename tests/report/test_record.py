"""What `report.json` says of where labels can be corrected, and what of it is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import numpy as np
import pytest

from ppcls.config import as_config
from ppcls.data.dataset import ClassMap, ImageFolder, ImageNetDataset
from ppcls.report.findings import DoubtfulLabel, Example, Findings
from ppcls.report.gather import Gathered
from ppcls.report.record import record_of, write_record

OPS = [{"DecodeImage": {"channel_num": 1}}]
NAMES = ["0", "1", "2", "3"]


def sources(recipe: Dict[str, Any], dataset: Any) -> Any:
    """Where the labels of the images to evaluate with are written, as the record has it."""
    judged: Any = SimpleNamespace(split="val", dataset=dataset)
    gathered = Gathered(Findings("run", ClassMap(NAMES), doubtful={"val": []}), {"val": judged})
    return record_of(gathered, as_config(recipe))["sources"]


@pytest.fixture
def listed(digits: Path, tmp_path: Path) -> Path:
    """A list of the digits to evaluate with that may be changed."""
    return Path(shutil.copy(digits / "val.txt", tmp_path / "val.txt"))


@pytest.fixture
def dataset(recipe: Dict[str, Any], listed: Path) -> Any:
    """The images of that list, which the recipe names too."""
    given = recipe["DataLoader"]["Eval"]["dataset"]
    given["cls_label_path"] = str(listed)
    return ImageNetDataset(given["image_root"], str(listed), OPS, class_map=ClassMap(NAMES))


def test_labels_of_folders_and_lists_can_be_corrected(
    recipe: Dict[str, Any], dataset: Any, digits: Path, listed: Path
) -> None:
    folder = str(digits / "val")
    images = ImageFolder(folder, OPS)
    assert sources(recipe, images) == {"val": {"kind": "folders", "folder": folder}}
    found = sources(recipe, dataset)["val"]
    assert (found["kind"], found["list"]) == ("list", str(listed))
    assert found["words"] == {name: name for name in NAMES}


@pytest.mark.parametrize("text", [None, "val/d0/0.png 0\n", "\0"])
def test_a_list_that_has_changed_is_not_corrected(
    text: Any, recipe: Dict[str, Any], dataset: Any, listed: Path
) -> None:
    listed.unlink()
    if text is not None:
        listed.write_text(text)
    assert not sources(recipe, dataset)


def test_data_sets_of_ones_own_have_no_labels_to_correct(recipe: Dict[str, Any]) -> None:
    assert not sources(recipe, SimpleNamespace())


def test_images_that_are_gone_get_no_fix(
    recipe: Dict[str, Any], dataset: Any, tmp_path: Path
) -> None:
    (tmp_path / "here.png").write_bytes(b"here")
    paths = [str(tmp_path / "here.png"), str(tmp_path / "gone.png"), None, "no \udc80 text.png"]
    scored = SimpleNamespace(paths=paths, indices=np.arange(4))
    judged: Any = SimpleNamespace(split="val", dataset=dataset, scored=scored)
    doubtful = [
        DoubtfulLabel(Example("val", index, f"{index}.png", 0, 1, 0.9, 0.1, 0.8), 1, 0.9)
        for index in range(4)
    ]
    findings = Findings("run", ClassMap(NAMES), doubtful={"val": doubtful})
    found = record_of(Gathered(findings, {"val": judged}), as_config(recipe))["fixes"]
    assert [one["image"] for one in found] == [str(tmp_path / "here.png")]
    assert found[0]["confirmed"] is False and (found[0]["label"], found[0]["to"]) == ("0", "1")


def test_what_people_confirmed_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert write_record(path, {"confirmed": True, "number": 1}) is None
    first = path.read_text()
    assert write_record(path, {"confirmed": True, "number": 2}) == tmp_path / "report.1.json"
    second = path.read_text()
    assert write_record(path, {"confirmed": False}) == tmp_path / "report.2.json"
    assert write_record(path, {"number": 3}) is None, "nobody confirmed anything"
    assert (tmp_path / "report.1.json").read_text() == first
    assert (tmp_path / "report.2.json").read_text() == second
