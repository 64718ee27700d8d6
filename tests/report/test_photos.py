"""Pictures in a page: only of what can be read, and no more than there is room for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np
import pytest

from ppcls.config import as_config
from ppcls.data.dataset import ClassMap
from ppcls.errors import BadImageError, ConfigError
from ppcls.report import photos
from ppcls.report.findings import Example, Findings
from ppcls.report.gather import Gathered
from ppcls.report.illustrations import illustrate
from ppcls.report.photos import Photos, variants
from tests.data.photo_files import photo_of


def unreadable(index: int) -> bytes:
    """What a data set says of an image that is damaged."""
    raise BadImageError(f"image {index} is damaged")


def dataset(read: Callable[[int], bytes]) -> Any:
    """A data set of which only the files are needed."""
    return SimpleNamespace(read=read)


def test_what_cannot_be_read_has_no_picture() -> None:
    made = Photos({"val": dataset(unreadable)})
    assert made.photo("val", 0) is None and made.photo("train", 0) is None


def test_when_the_room_is_used_up_there_are_no_more_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    uri = Photos({}).picture(pixels)
    assert uri and uri.startswith("data:image/jpeg;base64,")
    monkeypatch.setattr(photos, "MOST_BYTES", 2 * len(uri) + 1)
    made = Photos({})
    assert [made.picture(pixels) for _ in range(3)] == [uri, uri, None]


def test_an_image_is_read_once_however_often_it_is_shown() -> None:
    asked = []

    def read(index: int) -> bytes:
        asked.append(index)
        return photo_of(str(index))

    made = Photos({"val": dataset(read)})
    first, again, other = (made.photo("val", index) for index in (3, 3, 4))
    assert first == again != other and asked == [3, 4]


def test_without_a_training_set_nothing_is_augmented(recipe: Any) -> None:
    recipe["DataLoader"]["Train"] = None
    with pytest.raises(ConfigError, match="the configuration has no DataLoader.Train"):
        variants(as_config(recipe), dataset(unreadable), 0, 3)


def test_why_there_are_no_illustrations_is_in_the_findings(recipe: Any, tmp_path: Path) -> None:
    """Everything else of the report is made all the same."""
    one = Example("val", 5, "5.png", 0, 1, 0.9, 0.1, 0.8)
    found = Findings("run", ClassMap(["a", "b"]), mistakes=[one], augmented=one)
    judged: Any = SimpleNamespace(dataset=dataset(unreadable))
    network: Any = None
    made = illustrate(
        Gathered(found, {"val": judged, "train": judged}), as_config(recipe), network, Photos({})
    )
    assert (made.attention, made.augmented) == ([], [])
    assert found.empty == {
        "attention": "image 5 is damaged",
        "augmentation": "image 5 is damaged",
    }
