"""Which files may stand for a network, before an engine opens any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

import pytest

from ppcls.errors import BundleError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines import EngineOptions, open_engine
from ppcls.inference.network_files import checked_network
from tests.inference.encoded import field, network_xml, onnx, pdmodel, tensor

CONTENT = {
    ".onnx": onnx(field(4, "Relu")),
    ".xml": network_xml(),
    ".bin": b"",
    ".pdmodel": pdmodel("feed", "fetch"),
    ".json": b'{"ops": []}',
    ".pdiparams": tensor(5, [1], bytes(4)),
}
"""Of files that are right, by suffix."""


def bundle_with(exported: Path, folder: Path, format: str, names: List[str]) -> Bundle:
    """A bundle that lists these files, which are right, each for itself."""
    for name in names:
        (folder / name).write_bytes(CONTENT.get(Path(name).suffix, b""))
    return replace(
        read_bundle(exported), folder=folder, formats={format: [folder / name for name in names]}
    )


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("paddle", ["a.json", "a.pdiparams"]),
        ("paddle", ["a.pdmodel", "a.pdiparams"]),
        ("onnx", ["a.onnx"]),
        ("onnx_int8", ["a.b.onnx"]),
        ("openvino", ["a.xml", "a.bin"]),
        ("openvino_int8", ["a_int8.xml", "a_int8.bin"]),
    ],
)
def test_the_program_comes_first(
    exported: Path, tmp_path: Path, format: str, names: List[str]
) -> None:
    bundle = bundle_with(exported, tmp_path, format, names[::-1])
    assert [path.name for path in checked_network(bundle, format)] == names


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("paddle", []),
        ("paddle", ["a.json"]),
        ("paddle", ["a.pdiparams"]),
        ("paddle", ["a.json", "b.pdiparams"]),
        ("paddle", ["a.json", "a.pdmodel", "a.pdiparams"]),
        ("paddle", ["a.onnx"]),
        ("onnx", ["a.yaml"]),
        ("onnx", ["a.bin"]),
        ("onnx", ["a.onnx", "b.onnx"]),
        ("onnx", ["a.onnx", "a.bin"]),
        ("openvino", ["a.xml"]),
        ("openvino", ["a.bin"]),
        ("openvino", ["a.xml", "b.bin"]),
        ("openvino", ["a.xml", "a.bin", "b.bin"]),
        ("openvino_int8", ["a.onnx"]),
    ],
)
def test_other_files_are_refused(
    exported: Path, tmp_path: Path, format: str, names: List[str]
) -> None:
    bundle = bundle_with(exported, tmp_path, format, names)
    expected = (
        f"^{tmp_path}: a network in the format '{format}' is .*, the bundle lists "
        f"{', '.join(names) or 'none'}; export the network again$"
    )
    with pytest.raises(BundleError, match=expected):
        checked_network(bundle, format)


def test_each_file_is_checked(exported: Path, tmp_path: Path) -> None:
    bundle = bundle_with(exported, tmp_path, "paddle", ["a.pdmodel", "a.pdiparams"])
    (tmp_path / "a.pdiparams").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"a\.pdiparams: the file is damaged"):
        checked_network(bundle, "paddle")


def test_engines_ask_before_they_open(exported: Path, tmp_path: Path) -> None:
    bundle = bundle_with(exported, tmp_path, "paddle", ["a.json"])
    with pytest.raises(BundleError, match="and weights .* of the same name, the bundle lists a.js"):
        open_engine("paddle", bundle, EngineOptions("cpu"))
