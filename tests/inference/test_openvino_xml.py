"""Programs of OpenVINO from strangers: what is refused without OpenVINO, and in which words."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Iterator, List

import pytest

from ppcls.errors import BundleError
from ppcls.inference import openvino_xml
from ppcls.inference.openvino_xml import refused_layers
from ppcls.inference.operators import OPENVINO
from ppcls.inference.programs import check_file
from ppcls.inference.protobuf import MalformedError
from tests.inference.encoded import constant, layer, network_xml


def refused(data: bytes, weights: int = 100) -> List[str]:
    return list(refused_layers(data, weights))


def test_programs_that_compute_are_accepted() -> None:
    data = network_xml(
        layer("Parameter"),
        constant("f32", "2, 3", 0, 24),
        constant("i64", "", 24, 8),
        constant("u4", "3", 32, 2),
        layer("Convolution"),
        layer("SoftMax", "opset8"),
        layer("Result"),
    )
    assert refused(data) == []


@pytest.mark.parametrize(
    ("kind", "version", "shown"),
    [
        ("Assign", "opset6", "the operator 'Assign'"),
        ("ReadValue", "opset6", "the operator 'ReadValue'"),
        ("RandomUniform", "opset8", "the operator 'RandomUniform'"),
        ("relu", "opset1", "the operator 'relu'"),
        ("", "opset1", "the operator ''"),
        ("Add", "extension", "operators of 'extension'"),
        ("Add", "opset1 ", "operators of 'opset1 '"),
        ("Add", "", "operators of ''"),
    ],
)
def test_other_operators_are_refused(kind: str, version: str, shown: str) -> None:
    inner = layer("If", inside=f"<then_body><layers>{layer(kind, version)}</layers></then_body>")
    for found in (layer(kind, version), inner):
        assert refused(network_xml(layer("Add"), found)) == [shown]


_ENTITY = b'<!DOCTYPE net [<!ENTITY a "b">]><net/>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not XML: no element found"),
        (b"<net>", "it is not XML"),
        (b"<net/><net/>", "it is not XML: junk after"),
        (b'<net a="1" a="2"/>', "it is not XML: duplicate attribute"),
        ("<net/>".encode("utf-16"), "it is not XML in UTF-8"),
        ("<net/>".encode("utf-16-le"), "it is not XML in UTF-8"),
        (b"<net>\xff</net>", "it is not XML in UTF-8"),
        (b"<net>&a;</net>", "it is not XML: undefined entity"),
        (b"<model/>", "it is <model>, where a network is <net>"),
        (b"<!DOCTYPE net><net/>", "it holds a document type"),
        (b'<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>', "it holds a document type"),
        (_ENTITY, "it holds a document type"),
        (b"<net><layer version='opset1'/></net>", "a layer in it has no type"),
        (b"<net><layer type='Add'/></net>", "a layer in it has no type or no version"),
        (b"<net>" + b"<a>" * 40 + b"</a>" * 40 + b"</net>", "more than 2,000,000 elements, or"),
        (network_xml(constant("f32", "2, 3", 80, 24)), "6 numbers in 24 bytes from 80 on, where"),
        (network_xml(constant("f32", "2, 3", 0, 23)), "a constant in it claims 6 numbers in 23"),
        (network_xml(constant("f32", "9" * 19, 0, 8)), "a constant in it claims 9,999"),
        (network_xml(constant("f32", "2", -8, 8)), "does not say where its numbers are"),
        (network_xml(constant("f32", "2", 0, "")), "does not say where its numbers are"),
        (network_xml(constant("string", "2", 0, 8)), "of a type or shape that weights do not"),
        (network_xml(constant("f32", "-1", 0, 8)), "of a type or shape that weights do not"),
        (network_xml(constant("f32", "1," * 40, 0, 8)), "of a type or shape that weights do not"),
    ],
    ids=range(23),
)
def test_what_is_no_network(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(reason)):
        refused(data)


def test_a_file_has_a_limited_number_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_xml, "MOST_ELEMENTS", 100)
    with pytest.raises(MalformedError, match="it has more than 100 elements"):
        refused(b"<net>" + b"<a/>" * 200 + b"</net>")


def test_a_file_is_checked_with_the_weights_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "inference.xml"
    path.write_bytes(network_xml(constant("f32", "2", 0, 8)))
    with pytest.raises(BundleError, match=r"inference.bin: the file cannot be read: No such file"):
        check_file(path)
    path.with_suffix(".bin").write_bytes(bytes(7))
    with pytest.raises(BundleError, match=r"inference.xml: the file is damaged: a constant in it"):
        check_file(path)
    path.with_suffix(".bin").write_bytes(bytes(8))
    check_file(path)
    check_file(path.with_suffix(".bin"))


def _types() -> Iterator[str]:
    """Types of layers, as OpenVINO's headers name them, and its files."""
    written = {"Constant": "Const", "Relu": "ReLU", "PRelu": "PReLU", "Softmax": "SoftMax"}
    (place,) = find_spec("openvino").submodule_search_locations  # type: ignore[union-attr,misc]
    for header in (Path(place) / "include" / "openvino" / "op").glob("*.hpp"):
        for name in re.findall(r'OPENVINO_OP\("(\w+)", "opset', header.read_text("utf-8")):
            yield written.get(name, name)


def test_what_is_accepted_exists() -> None:
    """Names with a mistake in them would accept nothing."""
    pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    known = set(_types())
    if not known:
        pytest.skip("this version of OpenVINO brings no headers")
    assert OPENVINO - known == set()
    assert not OPENVINO & {"Assign", "ReadValue", "RandomUniform", "Multinomial", "FrameworkNode"}
