"""Packed strings behave as a list does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.dataset.packed import PackedStrings

# Names of files are bytes, which need not be UTF-8, and reach Python like this.
NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
STRINGS = st.lists(st.one_of(NAMES, st.text(st.characters(blacklist_categories=["Cs"]))))


@given(STRINGS, st.slices(10))
def test_is_a_list(strings: list, part: slice) -> None:
    packed = PackedStrings(strings)
    assert list(packed) == strings and len(packed) == len(strings)
    assert packed[part] == strings[part]
    for index in range(-len(strings), len(strings)):
        assert packed[index] == strings[index]
    with pytest.raises(IndexError):
        packed[len(strings)]
