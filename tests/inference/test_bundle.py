from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest

from ppcls.errors import BundleError
from ppcls.inference import Predictor
from ppcls.inference.bundle import file_record, read_bundle
from ppcls.inference.description import FORMAT_VERSION

Edit = Callable[[Dict[str, Any]], object]
Edited = Callable[[Edit], Path]


def test_reads_what_export_wrote(exported: Path) -> None:
    bundle = read_bundle(exported)
    assert (bundle.model_name, bundle.topk, bundle.input_shape) == ("LeNet", 3, (3, 32, 32))
    assert len(bundle.labels) == 10 and bundle.labels[3] == "three"
    assert list(bundle.formats) == ["paddle"]
    program, weights = bundle.formats["paddle"]
    assert program.parent == exported and weights.name == "inference.pdiparams"
    assert bundle.pipeline().output_size == (32, 32)
    assert bundle.provenance["ppcls"]


def test_a_bundle_from_before_formats_were_listed_still_opens(edited: Edited) -> None:
    folder = edited(lambda config: config["Bundle"].pop("formats"))
    names = {path.name for path in read_bundle(folder).formats["paddle"]}
    program = "inference.pdmodel" if paddle.__version__.startswith("2.") else "inference.json"
    assert names == {program, "inference.pdiparams"}
    row = Predictor(folder, device="cpu")(np.zeros((40, 40, 3), np.uint8))
    assert row.error is None


def test_keys_of_other_readers_are_passed_over(edited: Edited) -> None:
    def add(config: Dict[str, Any]) -> None:
        config["Hpi"] = {"backend_configs": {}}
        config["Global"]["pdx"] = 3
        config["PostProcess"]["Topk"]["delimiter"] = None

    assert read_bundle(edited(add)).model_name == "LeNet"


def test_missing_folder_and_other_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"gone: there is no such folder; --model_dir"):
        read_bundle(tmp_path / "gone")
    with pytest.raises(BundleError, match=r"holds no inference.yml; 'ppcls export"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Global: {model_name: x", "not valid YAML"),
        ("- a\n- b\n", "found list"),
        ("", "found NoneType"),
        ("Global: {model_name: x}\nPreProcess: {}\n", "'Bundle' is missing"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_malformed_description(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "inference.yml").write_text(text)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(tmp_path)
    assert str(tmp_path / "inference.yml") in str(caught.value)


def test_description_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BundleError, match="not valid YAML"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        "Global.model_name",
        "PreProcess.DecodeImage",
        "PreProcess.transform_ops",
        "PostProcess.Topk",
        "PostProcess.Topk.label_list",
        "Bundle.format_version",
        "Bundle.input.channels",
        "Bundle.output.classes",
        "Bundle.files",
        "Bundle.provenance",
    ],
)
def test_missing_key_is_named(edited: Edited, key: str) -> None:
    def remove(config: Dict[str, Any]) -> None:
        *path, last = key.split(".")
        for name in path:
            config = config[name]
        del config[last]

    with pytest.raises(
        BundleError, match=f"inference.yml: .*{key}: required, but missing; it takes"
    ):
        read_bundle(edited(remove))


_EDITS: Dict[str, Edit] = {
    "PostProcess.Topk.topk: expected a whole number, got '5'": lambda c: c["PostProcess"][
        "Topk"
    ].update(topk="5"),
    "Bundle.input.height: expected a whole number, got True": lambda c: c["Bundle"]["input"].update(
        height=True
    ),
    "PostProcess.Topk.topk: must be greater than or equal to 1, got 0": lambda c: c["PostProcess"][
        "Topk"
    ].update(topk=0),
    "Bundle.input.height: must be greater than or equal to 1, got 0": lambda c: c["Bundle"][
        "input"
    ].update(height=0),
    "label_list.1: takes a name, got False; put it in quotes": lambda c: c["PostProcess"]["Topk"][
        "label_list"
    ].__setitem__(1, False),
    "holds 9 names, but the network has 10 outputs": lambda c: c["PostProcess"]["Topk"][
        "label_list"
    ].pop(),
    f"format {FORMAT_VERSION + 1} by a newer ppcls.* Upgrade": lambda c: c["Bundle"].update(
        format_version=FORMAT_VERSION + 1
    ),
    "Bundle.output.kind: must be 'probabilities' or 'multi-label prob.*', got 'boxes'": lambda c: c[
        "Bundle"
    ]["output"].update(kind="boxes"),
    "gives 'bytes' and 'sha256' of each file, but says nothing of inference.pdiparams, which "
    "Bundle.formats.paddle names": lambda c: c["Bundle"]["files"].pop("inference.pdiparams"),
    "Bundle.files.inference.pdiparams: expected keys with values": lambda c: c["Bundle"][
        "files"
    ].update({"inference.pdiparams": 3}),
    "Bundle.formats.paddle.0: takes names of files inside the bundle, got '../x.json'": lambda c: c[
        "Bundle"
    ]["formats"].update(paddle=["../x.json"]),
    "Bundle.formats: .*at least 1": lambda c: c["Bundle"].update(formats={}),
}


@pytest.mark.parametrize("message", list(_EDITS))
def test_wrong_values_are_named(edited: Edited, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_bundle(edited(_EDITS[message]))


_WRONG_OPS: List[Any] = [
    (
        "transform_ops.0.Resize: unknown transform 'Resize'. Did you mean 'ResizeImage'",
        {"Resize": {}},
    ),
    ("transform_ops.0.CropImage.sise: unknown key 'sise'", {"CropImage": {"sise": 3}}),
    ("transform_ops.0.CropImage.sise: unknown key", {"CropImage": {"sise": 3}}),
    ("transform_ops: CropImage.size: 0 is not a size", {"CropImage": {"size": 0}}),
    ("transform_ops.0: expected one transform", 3),
]


@pytest.mark.parametrize(("message", "op"), _WRONG_OPS)
def test_wrong_transforms_are_named(edited: Edited, message: str, op: Any) -> None:
    folder = edited(lambda config: config["PreProcess"].update(transform_ops=[op]))
    with pytest.raises(BundleError, match="inference.yml: .*PreProcess." + re.escape(message)):
        read_bundle(folder).pipeline()


def test_wrong_decoding_is_named(edited: Edited) -> None:
    folder = edited(lambda config: config["PreProcess"]["DecodeImage"].update(channel_num=2))
    with pytest.raises(BundleError, match="inference.yml: PreProcess.DecodeImage.channel_num: "):
        read_bundle(folder).pipeline()


@pytest.mark.parametrize("name", ["inference.pdiparams", "program"])
def test_missing_truncated_and_damaged_files(copied: Path, name: str) -> None:
    program, _ = read_bundle(copied).formats["paddle"]
    path = program if name == "program" else copied / name
    data = path.read_bytes()
    path.write_bytes(data[:100])
    with pytest.raises(
        BundleError, match=f"{path.name}: the file has 100 bytes, but {len(data)} were"
    ):
        read_bundle(copied)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=f"{path.name}: the file is damaged"):
        read_bundle(copied)
    os.remove(path)
    with pytest.raises(BundleError, match=f"{path.name}: the file is missing"):
        read_bundle(copied)


def test_file_record_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_record(tmp_path / "abc").model_dump() == {"bytes": 3, "sha256": expected}


def test_files_of_other_formats_need_a_list(edited: Edited) -> None:
    def change(config: Dict[str, Any]) -> None:
        config["Bundle"]["formats"].clear()
        del config["Bundle"]["formats"]
        config["Bundle"]["files"]["inference.onnx"] = {"bytes": 0, "sha256": ""}

    with pytest.raises(BundleError, match=r"inference.yml: Bundle.formats: missing, but required"):
        read_bundle(edited(change))


@pytest.mark.parametrize("key", ["channels", "height"])
def test_preprocessing_and_network_must_fit(edited: Edited, key: str) -> None:
    folder = edited(lambda config: config["Bundle"]["input"].update({key: 1}))
    expected = "1x32x32" if key == "channels" else "3x1x32"
    message = f"gives images of 3x32x32, but Bundle.input says that the network takes {expected}"
    with pytest.raises(BundleError, match=message):
        read_bundle(folder).pipeline()
