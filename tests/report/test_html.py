"""HTML that nothing can break, in two languages."""

from __future__ import annotations

import re
import string
from html.parser import HTMLParser
from typing import Any, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from ppcls.report.html import element, said
from ppcls.report.svg import Line, line_chart
from ppcls.report.words import LANGUAGES, WORDS


class Reader(HTMLParser):
    """Notes what a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: List[str] = []
        self.attributes: List[Tuple[str, Any]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@given(st.text(alphabet=string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", "")))
def test_text_stays_text(text: str) -> None:
    found = read(element("p", text, title=text))
    assert found.tags == ["p"] and found.text == text
    assert found.attributes == [("title", text)]


@given(st.text())
def test_any_name_can_be_written_to_a_file(text: str) -> None:
    page = element("p", text, said("label_is", name=text))
    assert page.encode("utf-8") and read(page).tags == ["p", "span", "span"]


def test_attributes() -> None:
    assert element("img", alt='a"b', class_="x", hidden=True, id=None, checked=False) == (
        '<img alt="a&quot;b" class="x" hidden>'
    )
    assert element("p", "a", None, ["b", element("b", "<")]) == "<p>ab<b>&lt;</b></p>"


def test_both_languages_say_the_same_things() -> None:
    for key, both in WORDS.items():
        assert len(both) == len(LANGUAGES) and all(both), key
        english, chinese = (sorted(re.findall(r"{(\w+)}", words)) for words in both)
        assert english == chinese, key
    assert said("label_is", name="<cat>") == (
        '<span class="en" lang="en">label &lt;cat&gt;</span>'
        '<span class="zh" lang="zh">标签 &lt;cat&gt;</span>'
    )


def test_a_chart_of_anything() -> None:
    assert line_chart([Line("train", [])], "loss") == ""
    nan = float("nan")
    assert line_chart([Line("train", [(0.0, nan)])], "loss") == ""
    for points in ([(1.0, 0.0)], [(0.0, 1e-9), (1.0, 1e9)], [(0.0, -2.0), (1.0, -2.0)]):
        chart = line_chart([Line("train", points)], "loss", percent=True)
        assert "nan" not in chart and read(chart).tags.count("polyline") == 1


def test_a_long_line_is_thinned() -> None:
    points = [(float(i), float(i)) for i in range(10_001)]
    (polyline,) = re.findall(
        '<polyline class="train" points="([^"]+)"', line_chart([Line("train", points)], "x")
    )
    assert 200 < len(polyline.split()) <= 402
    assert polyline.split()[-1].startswith("408.0,")
