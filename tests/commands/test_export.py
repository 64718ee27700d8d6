"""``ppcls export``: where the bundle goes and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ppcls.cli import main


def test_bundle_is_in_the_run_unless_told_otherwise(trained: Any, tmp_path: Path) -> None:
    assert (trained.bundle / "inference.yml").is_file()
    given = ["export", "-c", str(trained.config)]
    assert main([*given, "-o", f"Global.save_inference_dir={tmp_path / 'first'}"]) == 0
    assert (tmp_path / "first" / "inference.yml").is_file()
    change = f"Global.save_inference_dir={tmp_path / 'unused'}"
    assert main([*given, "--output_dir", str(tmp_path / "second"), "-o", change]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


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
    found = found.get("parity", found)
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
