"""Sections of a report whose findings are few, many or unreadable."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import pytest

from ppcls.data.dataset import ClassMap
from ppcls.report.cards import Cards
from ppcls.report.findings import Example, Findings, SplitSize
from ppcls.report.illustrations import Illustrations
from ppcls.report.photos import Photos
from ppcls.report.sections import MOST_CELLS, Sections
from ppcls.report.words import WORDS
from tests.report.test_html import Reader, read

NAMES = [f"class {i:02}" for i in range(40)]


def section(key: str, **found: Any) -> Reader:
    """What a browser sees of one section, where nothing but `found` was found."""
    findings = Findings("run", ClassMap(NAMES), **found)
    made = Sections(findings, Cards(findings, Photos({})), Illustrations(), "report.json")
    rows = {
        "confusion": made._confusion,
        "pairs": made._pairs,
        "mistakes": made._mistakes,
        "hard": made._hard,
        "unreadable": made._unreadable,
    }[key]()
    return read("".join(rows))


def test_of_many_classes_those_with_the_most_mistakes_are_shown() -> None:
    counts = np.diag(np.full(40, 5))
    often = list(range(10, 40))
    assert len(often) == MOST_CELLS
    counts[often, np.roll(often, 1)] += 1
    text = section("confusion", confusion=counts).text
    assert "Of 40 classes the 30 with the most mistakes are shown." in text
    assert [name for name in NAMES if name in text] == [NAMES[label] for label in often]


def test_few_classes_are_all_shown() -> None:
    text = section("confusion", confusion=np.diag(np.full(3, 5))).text
    assert all(name in text for name in NAMES[:3]) and "most mistakes" not in text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("pairs", "nothing_confused"),
        ("mistakes", "nothing_wrong"),
        ("hard", "nothing_right"),
    ],
)
def test_that_there_is_nothing_is_said(key: str, words: str) -> None:
    assert section(key).text == "".join(WORDS[words])


def test_an_image_without_a_picture_has_its_words_all_the_same() -> None:
    example = Example("val", 7, "dogs/7.jpg", 3, 5, 0.75, 0.125, 0.5)
    found = section("mistakes", mistakes=[example])
    assert "img" not in found.tags and WORDS["no_picture"][0] in found.text
    for words in ("dogs/7.jpg", "class 03", "class 05", "75.0%"):
        assert words in found.text


@pytest.mark.parametrize(("count", "listed"), [(0, 0), (3, 3), (60, 50)])
def test_unreadable_images_are_listed_with_their_reasons(count: int, listed: int) -> None:
    bad: List[str] = [f"{i}.jpg: the file is <empty>" for i in range(count)]
    found = section("unreadable", splits={"train": SplitSize(100, 100, bad)})
    assert found.tags.count("li") == listed
    assert found.text.count(".jpg: the file is <empty>") == listed
    assert ("50 of 60 are shown; report.json lists more." in found.text) == (count > listed)
