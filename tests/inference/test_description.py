"""A damaged `inference.yml` is read or refused with its place, never anything else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import BundleError
from ppcls.inference.bundle import read_bundle
from ppcls.inference.description import read_description

_SETTINGS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=5),
    st.dates(),
    st.sampled_from([0, -1, 2**70, "inference.json", "../x", "1.0/255.0", "paddle", "x\0y"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_SCALARS, inner, max_size=3),
    max_leaves=5,
)


def _read_or_refuse(folder: Path) -> None:
    """Open a bundle as a predictor does."""
    try:
        read_bundle(folder).pipeline()
    except BundleError as error:
        assert str(folder) in str(error)


def _places(value: Any, path: Tuple[Any, ...] = ()) -> List[Tuple[Any, ...]]:
    """Where something stands in nested lists and mappings."""
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    return [place for key, item in inside for place in [(*path, key), *_places(item, (*path, key))]]


@pytest.mark.slow
@_SETTINGS
@given(data=st.data())
def test_values_that_do_not_belong_there(copied: Path, exported: Path, data: st.DataObject) -> None:
    config: Dict[str, Any] = yaml.safe_load((exported / "inference.yml").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(_places(config)))
        home: Any = config
        for key in path:
            home = home[key]
        if data.draw(st.booleans()):
            del home[last]
        else:
            home[last] = copy.deepcopy(data.draw(_VALUES))
    (copied / "inference.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    _read_or_refuse(copied)


@pytest.mark.slow
@_SETTINGS
@given(data=st.data())
def test_bytes_that_are_cut_changed_or_added(
    copied: Path, exported: Path, data: st.DataObject
) -> None:
    text = (exported / "inference.yml").read_bytes()
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 60))
    marks = st.sampled_from([b"!!bool x", b"!!int ''", b"!!timestamp x", b"&a [*a]", b"<<: 3"])
    put = data.draw(st.binary(max_size=8) | marks)
    (copied / "inference.yml").write_bytes(text[:start] + put + text[start + length :])
    _read_or_refuse(copied)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!bool x",
        "a: !!int ''",
        "a: !!timestamp x",
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "[" * 5000,
        "? [a]\n: b",
        "a: *b",
        "<<: 3",
    ],
    ids=str.split,
)
def test_what_pyyaml_stumbles_over_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "inference.yml").write_text(text)
    with pytest.raises(BundleError, match=r"inference\.yml:\d: this is "):
        read_description(tmp_path)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text(
        "Global: {model_name: 3}\nPreProcess: {DecodeImage: {}}\nBundle: {format_version: 1}\n"
    )
    with pytest.raises(BundleError) as caught:
        read_description(tmp_path)
    for mistake in (
        "Global.model_name: expected text, got 3",
        "PreProcess.transform_ops: required, but missing; it takes a list of values",
        "PostProcess: required, but missing; it takes keys with values",
        "Bundle.input: required, but missing",
    ):
        assert mistake in str(caught.value)
