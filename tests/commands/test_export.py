"""``ppcls export``: where the bundle goes and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ppcls.cli import main
from ppcls.exporters import OPSET


@pytest.mark.slow
def test_bundle_is_in_the_run_unless_told_otherwise(trained: Any, tmp_path: Path) -> None:
    assert (trained.bundle / "inference.yml").is_file()
    given = ["export", "-c", str(trained.config)]
    assert main([*given, "-o", f"Global.save_inference_dir={tmp_path / 'first'}"]) == 0
    assert (tmp_path / "first" / "inference.yml").is_file()
    change = f"Global.save_inference_dir={tmp_path / 'unused'}"
    assert main([*given, "--output_dir", str(tmp_path / "second"), "-o", change]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


@pytest.mark.slow
def test_bundle_is_replaced_only_when_asked(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["export", "-c", str(trained.config), "--output_dir", str(tmp_path / "bundle")]
    assert main(given) == 0
    before = (tmp_path / "bundle" / "parity.json").stat().st_mtime_ns
    assert main(given) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "bundle" / "parity.json").stat().st_mtime_ns == before
    assert main([*given, "--overwrite"]) == 0
    assert (tmp_path / "bundle" / "parity.json").stat().st_mtime_ns > before


def test_parity_is_measured_on_images_of_the_evaluation_set(trained: Any) -> None:
    found = json.loads((trained.bundle / "parity.json").read_text())
    found = found["formats"]["paddle"]["paddle"]
    assert found["passed"] is True
    assert found["images"] == 16 and found["kind_of_images"] == "real images"


def test_bundle_says_where_it_comes_from(trained: Any) -> None:
    found = yaml.safe_load((trained.bundle / "inference.yml").read_text())
    assert found["Global"]["model_name"] == "LeNet"
    assert found["PostProcess"]["Topk"] == {"topk": 4, "label_list": ["0", "1", "2", "3"]}
    provenance = found["Bundle"]["provenance"]
    assert provenance["weights"] == "best_model.safetensors"
    assert provenance["arch"] == trained.recipe["Arch"]
    assert provenance["step"] in (5, 10)


@pytest.mark.slow
def test_bundle_holds_five_classes_and_the_names_of_the_recipe(
    trained: Any, tmp_path: Path
) -> None:
    target = tmp_path / "bundle"
    listed = "Infer.PostProcess={name: Topk, label_list: [zero, one, two, three]}"
    given = ["export", "-c", str(trained.config), "--output_dir", str(target), "-o", listed]
    assert main(given) == 0
    found = yaml.safe_load((target / "inference.yml").read_text())["PostProcess"]["Topk"]
    assert found == {"topk": 4, "label_list": ["zero", "one", "two", "three"]}
    from ppcls.api.ranking import topk_of
    from ppcls.config import load_config

    assert topk_of(load_config(trained.config, [listed])) == 5


def export(trained: Any, target: Path, *changes: str) -> int:
    """Export with a changed recipe."""
    given = ["export", "-c", str(trained.config), "--output_dir", str(target)]
    return main([*given, "-o", *changes])


@pytest.mark.slow
@pytest.mark.parametrize("key", ["image_root", "cls_label_path"])
def test_a_missing_evaluation_set_is_passed_over(
    key: str, trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = f"DataLoader.Eval.dataset.{key}={tmp_path / 'nothing'}"
    assert export(trained, tmp_path / "a", change, "~DataLoader.Train") == 0
    said = capsys.readouterr().out
    assert "because there are no images: " in said
    assert f"ppcls predict --model_dir {tmp_path / 'a'} PHOTO" in said
    assert export(trained, tmp_path / "b", change, f"Infer.infer_imgs={digits / 'val'}") == 0
    found = json.loads((tmp_path / "b" / "parity.json").read_text())["formats"]["paddle"]["paddle"]
    assert found["kind_of_images"] == "real images"


@pytest.mark.slow
def test_images_that_are_elsewhere_are_passed_over(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = f"DataLoader.Eval.dataset.image_root={tmp_path}"
    assert export(trained, tmp_path / "a", change, "~DataLoader.Train") == 0
    assert "none of the first" in capsys.readouterr().out


@pytest.mark.slow
def test_wrong_labels_are_not_taken_for_missing_images(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("val/d0/0.png 9\n")
    change = f"DataLoader.Eval.dataset.cls_label_path={tmp_path / 'list.txt'}"
    assert export(trained, tmp_path / "a", change) == 1
    assert "label 9 is beyond the last of the 4 classes" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_without_any_images_the_reason_says_so(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ops = json.dumps(trained.recipe["DataLoader"]["Eval"]["dataset"]["transform_ops"])
    without = ("~DataLoader.Eval", "~DataLoader.Train", f"Infer.transforms={ops}")
    assert export(trained, tmp_path / "a", *without) == 0
    captured = capsys.readouterr()
    assert "neither DataLoader.Eval, Infer.infer_imgs nor" in captured.out + captured.err


@pytest.mark.slow
def test_formats_are_written_and_run_by_their_engines(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    target = tmp_path / "bundle"
    given = ["export", "-c", str(trained.config), "--output_dir", str(target)]
    assert main([*given, "--formats", "onnx, paddle"]) == 0
    found = yaml.safe_load((target / "inference.yml").read_text())
    assert list(found["Bundle"]["formats"]) == ["onnx", "paddle"]
    assert found["Bundle"]["formats"]["onnx"] == ["inference.onnx"]
    image = str(min((digits / "val").rglob("*.png")))
    capsys.readouterr()
    printed = []
    for engine in ([], ["--engine", "onnxruntime"], ["--engine", "paddle"]):
        assert main(["predict", "--model_dir", str(target), image, "--device", "cpu", *engine]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == printed[2]


def test_an_unknown_format_is_refused(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["export", "-c", str(trained.config), "--output_dir", str(tmp_path / "bundle")]
    assert main([*given, "--formats", "paddle,onx"]) == 2
    assert "unknown format 'onx'. Did you mean 'onnx'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_size_type_and_name_of_the_network_are_those_of_the_command(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "bundle"
    given = ["export", "-c", str(trained.config), "--output_dir", str(target), "--format", "paddle"]
    more = ["--input-size", "36", "--uint8", "--no-dynamic-batch", "--model-name", "ResNet50"]
    assert main([*given, *more]) == 0
    assert "knows no model" not in capsys.readouterr().out
    found = yaml.safe_load((target / "inference.yml").read_text())
    assert found["Global"]["model_name"] == "ResNet50"
    expected = {"name": "x", "channels": 1, "height": 36, "width": 36}
    assert found["Bundle"]["input"] == {
        **expected,
        **{"dtype": "uint8", "layout": "hwc", "batch": 1},
    }
    images = sorted(map(str, (digits / "val").rglob("*.png")))[:3]
    assert main(["predict", "--model_dir", str(target), *images, "--device", "cpu"]) == 0
    assert "3 images, 0 errors" in capsys.readouterr().out


def test_the_recipe_can_name_the_network(trained: Any, tmp_path: Path) -> None:
    assert export(trained, tmp_path / "a", "Global.model_name=ResNet18") == 0
    found = yaml.safe_load((tmp_path / "a/inference.yml").read_text())
    assert found["Global"]["model_name"] == "ResNet18"


def test_the_command_writes_the_operators_that_the_library_does() -> None:
    from ppcls.cli import _parse

    assert _parse(["export", "-c", "x.yaml"]).opset == OPSET


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--input-size", "0"], "'0' is no size; write height and width in pixels, as 224,320"),
        (["--input-size", "1,2,3"], "'1,2,3' is no size"),
        (["--input-size", "a"], "'a' is no size"),
        (["--uint8", "nhwc"], "--uint8: unknown 'nhwc'. Did you mean 'hwc'?"),
        (["--opset", "99"], "--opset 99: there is no such version of ONNX' operators here"),
    ],
)
def test_wrong_options_are_refused(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: Any, message: str
) -> None:
    command = ["export", "-c", str(trained.config), "--output_dir", str(tmp_path / "b"), *given]
    try:
        status = main(command)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2 and message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
