"""Tables in columns, and the natural order of names."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.text import (
    distinct,
    duration,
    first_few,
    is_whole_number,
    markdown_table,
    natural_key,
    network_order,
    shortened,
    shown,
    sparkline,
    table,
)


def test_dots_stand_for_more_names() -> None:
    assert first_few(["a", "b", "c"], 2) == "a, b, ..."
    assert first_few(["a", "b", "c"], 3) == "a, b, c"
    assert first_few([]) == ""


def test_numbers_are_sorted_by_value() -> None:
    names = ["a10.png", "b.png", "a9.png", "a9_10.png", "a9_9.png", "10", "9", "B1"]
    expected = ["9", "10", "B1", "a9.png", "a9_9.png", "a9_10.png", "a10.png", "b.png"]
    assert sorted(names, key=natural_key) == expected


def test_networks_are_sorted_by_family_size_and_width() -> None:
    names = ["ResNeXt50_64x4d", "ResNet101", "Net_x0_5", "ResNet50_vd", "ResNet18", "Net_x0_25"]
    names += ["ResNeXt50_32x4d", "Net_x1_0"]
    assert sorted(names, key=network_order) == [
        *["Net_x0_25", "Net_x0_5", "Net_x1_0"],
        *["ResNet18", "ResNet50_vd", "ResNet101", "ResNeXt50_32x4d", "ResNeXt50_64x4d"],
    ]


@given(st.lists(st.text(alphabet="aB1_0x\u0663\u00b2/.")))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key)) == sorted(names)
    assert sorted(sorted(names, key=network_order)) == sorted(names)


def test_columns_are_aligned_to_their_sides() -> None:
    text = table([["name", "n", "state"], ["a", "12", ""], ["longer", "3", "here"]], left=[0, 2])
    assert text.splitlines() == ["name     n  state", "a       12", "longer   3  here"]


def test_columns_are_aligned_with_chinese_too() -> None:
    text = markdown_table([["网络", "n"], ["a", "12"], ["宽度", "3"]], left=[0])
    assert text.splitlines() == [
        "| 网络 |  n |",
        "| ---- | -: |",
        "| a    | 12 |",
        "| 宽度 |  3 |",
    ]


def test_time_stamps_in_nanoseconds_are_told_apart() -> None:
    names = [f"{10**18 + i}.jpg" for i in range(20)]
    mixed = [*names[1::2], *names[::2]]
    assert sorted(mixed, key=natural_key) == names


def test_equal_names_are_told_apart() -> None:
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]


def test_long_values_are_cut() -> None:
    assert shown("a" * 9) == repr("a" * 9)
    assert shown(list(range(9999)), 10) == "[0, 1, 2, ..."
    assert shortened("abcdef", 3) == "abc..."
    assert shortened("abc", 3) == "abc"


def test_sparklines_are_means_of_neighbours_between_the_ends() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], width=2) == "▁█"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline([0.0, float("nan"), 1.0]) == "▁ █"


@given(st.lists(st.floats(width=32), max_size=99), st.integers(1, 50))
def test_sparklines_have_a_bar_for_each_value_or_group(values: List[float], width: int) -> None:
    assert len(sparkline(values, width)) == min(width, len(values))


def test_numbers_of_thousands_of_digits_are_none() -> None:
    assert is_whole_number("0") and is_whole_number("9" * 18)
    assert not any(map(is_whole_number, ("", "-1", "1.0", "x", "9" * 19, "1" * 5001)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0421, "0.042 s"),
        (26.2, "26 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (3224, "54 min"),
        (5969, "99 min"),
        (5971, "1.7 h"),
        (360_000, "100.0 h"),
    ],
)
def test_times_are_said_in_their_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
