"""Bundles get INT8 networks that predict, with what they cost; or stay as they were."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import yaml

from ppcls.cli import main
from ppcls.errors import BundleError, DataError, ExportError, UsageError
from ppcls.inference import Predictor, read_bundle
from ppcls.inference.bundle import file_record
from ppcls.quantisation import Request, quantise_bundle
from ppcls.quantisation.accuracy import Change
from ppcls.quantisation.attempts import ATTEMPTS
from ppcls.quantisation.bundle import WRITERS
from ppcls.quantisation.judge import Trial
from ppcls.quantisation.report import Outcome, describe_doubt, describe_refusal

pytestmark = pytest.mark.slow


def needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def request_for(bundle: Path, digits: Path, **changes: Any) -> Request:
    needs("onnx", "ml_dtypes")
    given: Dict[str, Any] = {"calibration": str(digits / "train"), "judge": str(digits / "val.txt")}
    return Request(bundle, **{**given, "formats": ["onnx_int8"], **changes})


def content(folder: Path) -> Dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): sha(path) for path in files}


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def right(folder: Path, digits: Path, **how: Any) -> List[bool]:
    """Which of the judged images a predictor gets right."""
    files = sorted((digits / "val").glob("*/*.png"))
    found = Predictor(folder, device="cpu", **how)(map(str, files))
    return [row.names[0] == file.parent.name for row, file in zip(found, files)]


def test_a_bundle_in_place(bundle: Path, digits: Path) -> None:
    before = content(bundle)
    report = quantise_bundle(request_for(bundle, digits, max_drop=0.1, images=20))
    after = content(bundle)
    assert {name for name in after if after[name] != before.get(name)} == {
        "inference.yml",
        "inference_int8.onnx",
    }
    assert list(read_bundle(bundle).formats) == ["onnx", "onnx_int8"]
    sizes = [(bundle / f"inference{end}.onnx").stat().st_size for end in ("", "_int8")]
    assert sizes[1] < 0.5 * sizes[0]
    (outcome,) = report.outcomes
    assert outcome.attempts == ["min-max"] and report.calibrated == 20
    trial = next(one for one in outcome.trials if one.engine == "onnxruntime")
    # What was measured is what a user gets.
    exact = right(bundle, digits, engine="onnxruntime")
    int8 = right(bundle, digits, engine="onnxruntime", precision="int8")
    assert trial.change.top1_before == np.mean(exact) > 0.7
    assert trial.change.top1_after == np.mean(int8)
    assert trial.change.lost == sum(a and not b for a, b in zip(exact, int8))


def test_what_it_costs_stands_in_the_bundle(bundle: Path, digits: Path) -> None:
    config = yaml.safe_load((bundle / "inference.yml").read_text())
    config["Bundle"]["of_another_reader"] = {"kept": True}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    report = quantise_bundle(request_for(bundle, digits, max_drop=0.1))
    text = (bundle / "inference.yml").read_text()
    section = yaml.safe_load(text)["Bundle"]
    assert section["of_another_reader"] == {"kept": True} and "&id" not in text
    found = section["quantisation"]["onnx_int8"]
    (outcome,) = report.outcomes
    assert found["attempts"] == outcome.attempts and found["calibration_images"] == 80
    for trial in outcome.trials:
        noted = found["engines"][trial.engine]
        assert noted["drop"] == trial.change.drop and noted["images"] == 40
        assert noted["engine"]["precision"] == "int8"
    assert found["versions"]["onnx"]
    assert "lost" in section["quantisation"]["definitions"]
    # A second run adds to the first.
    needs("openvino")
    try:
        quantise_bundle(request_for(bundle, digits, precisions=["bf16"]))
    except UsageError as error:
        assert "does not compute in bfloat16" in str(error)
        return
    again = yaml.safe_load((bundle / "inference.yml").read_text())["Bundle"]["quantisation"]
    assert again["onnx_int8"] == found and again["bf16"]["engines"]["openvino"]["images"] == 40
    assert list(read_bundle(bundle).formats) == ["onnx", "onnx_int8"]


def test_openvino_has_a_format_of_its_own(bundle: Path, digits: Path, tmp_path: Path) -> None:
    needs("openvino", "nncf")
    target = tmp_path / "new"
    before = content(bundle)
    wanted = {"formats": ["openvino_int8", "onnx_int8"], "max_drop": 0.1, "output_dir": target}
    report = quantise_bundle(request_for(bundle, digits, **wanted))
    assert content(bundle) == before
    files = {path.name for path in target.iterdir()}
    assert {"inference_int8.xml", "inference_int8.bin", "inference_int8.onnx"} <= files
    names = {one.name: {trial.engine for trial in one.trials} for one in report.outcomes}
    assert names == {"openvino_int8": {"openvino"}, "onnx_int8": {"onnxruntime", "openvino"}}
    trial = report.outcomes[0].trials[0]
    int8 = right(target, digits, engine="openvino", precision="int8")
    assert trial.change.top1_after == np.mean(int8)
    with pytest.raises(UsageError, match="lies inside the bundle"):
        quantise_bundle(request_for(bundle, digits, output_dir=bundle / "int8"))
    with pytest.raises(UsageError, match="already holds a bundle"):
        quantise_bundle(request_for(bundle, digits, output_dir=target))


def change_with(lost: int) -> Change:
    return Change(40, 1.0, 1 - lost / 40, 1.0, 1.0, 1 - lost / 40, lost, 0)


def judged_as(monkeypatch: pytest.MonkeyPatch, drops: List[int]) -> None:
    """Let the attempts lose so many images, whatever they really do."""
    left = iter(drops)

    def judge(bundle: Any, engine: str, precision: str, *_: Any) -> Trial:
        return Trial(engine, precision, change_with(next(left)), 2.0, 1.0, {"name": engine})

    monkeypatch.setattr("ppcls.quantisation.bundle.judge_precision", judge)
    monkeypatch.setattr("ppcls.quantisation.bundle.engines_here", lambda _: ["onnxruntime"])


def test_too_large_a_drop_leaves_the_bundle_as_it_was(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, [8] * len(ATTEMPTS["onnx_int8"]))
    before = content(bundle)
    with pytest.raises(ExportError, match=r"costs more than 1\.00% of top-1") as caught:
        quantise_bundle(request_for(bundle, digits, images=8))
    assert content(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    for attempt in ATTEMPTS["onnx_int8"]:
        assert attempt.name in str(caught.value)
    assert "One image is 2.50%" in str(caught.value)


def test_the_next_attempt_is_taken_where_one_costs_too_much(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, [8, 4, 0])
    report = quantise_bundle(request_for(bundle, digits, images=8))
    assert report.outcomes[0].attempts == [row.name for row in ATTEMPTS["onnx_int8"][:3]]
    assert "before that these cost too much: min-max; min-max, first and last" in report.summary()


def test_a_format_that_nobody_named_may_be_left_out_for_another(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino", "nncf")
    lost_by_openvino = [8] * len(ATTEMPTS["openvino_int8"])
    judged_as(monkeypatch, [0, *lost_by_openvino, 0, *lost_by_openvino])
    said: List[str] = []
    request = request_for(bundle, digits, images=8, formats=None)
    report = quantise_bundle(request, said.append)
    assert [outcome.name for outcome in report.outcomes] == ["onnx_int8"]
    assert [line for line in said if line.startswith("openvino_int8 is left out: openvino_int8 ")]
    assert list(read_bundle(bundle).formats) == ["onnx", "onnx_int8"]
    assert not list(bundle.glob("inference_int8.xml")) + list(bundle.glob("inference_int8.bin"))
    before = content(bundle)
    with pytest.raises(ExportError, match="openvino_int8 costs more"):
        quantise_bundle(request_for(bundle, digits, images=8, formats=list(ATTEMPTS)))
    assert content(bundle) == before


def test_a_format_that_was_there_stays_where_it_is_left_out(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino", "nncf")
    onnx, openvino = ([8] * len(rows) for rows in ATTEMPTS.values())
    judged_as(monkeypatch, [0, 0, 0, *openvino, *onnx, *openvino])
    quantise_bundle(request_for(bundle, digits, images=8, formats=list(ATTEMPTS)))
    networks = {name: value for name, value in content(bundle).items() if ".bin" in name}
    assert networks
    quantise_bundle(request_for(bundle, digits, images=6, formats=None))
    assert list(read_bundle(bundle).formats) == ["onnx", *ATTEMPTS]
    assert networks.items() <= content(bundle).items()
    before = content(bundle)
    with pytest.raises(ExportError, match="onnx_int8 costs more .*; openvino_int8 costs more"):
        quantise_bundle(request_for(bundle, digits, images=8, formats=None))
    assert content(bundle) == before


def test_a_writer_that_fails_leaves_no_file(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino", "nncf")

    def fails(source: Path, folder: Path, *_: Any) -> List[Path]:
        (folder / "inference_int8.xml").write_text("half")
        raise ExportError("no room")

    monkeypatch.setitem(WRITERS, "openvino_int8", fails)
    said: List[str] = []
    quantise_bundle(request_for(bundle, digits, images=8, formats=None, max_drop=1.0), said.append)
    assert "openvino_int8 is left out: no room" in said
    assert list(read_bundle(bundle).formats) == ["onnx", "onnx_int8"]
    assert not (bundle / "inference_int8.xml").exists()


def test_bfloat16_that_costs_too_much_leaves_the_bundle_as_it_was(
    bundle: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino")
    judged_as(monkeypatch, [1, 1])
    before = content(bundle)
    expected = (
        r"^bf16 costs more than 0\.00% .*\. openvino, top-1 .* a drop of 2\.50% .*"
        r" Leave bf16 out of --precisions, or accept more with --max-drop$"
    )
    with pytest.raises(ExportError, match=expected):
        quantise_bundle(request_for(bundle, digits, precisions=["int8", "bf16"], max_drop=0.0))
    assert content(bundle) == before
    found = quantise_bundle(request_for(bundle, digits, precisions=["bf16"], max_drop=0.03))
    assert found.outcomes[0].worst.change.drop == 0.025
    assert "do not prove that the drop is at most 3.00%" in found.summary()


def test_an_overlap_is_refused(bundle: Path, digits: Path) -> None:
    before = content(bundle)
    with pytest.raises(DataError, match="80 of the 80 images that judge"):
        quantise_bundle(request_for(bundle, digits, judge=str(digits / "train")))
    assert content(bundle) == before


def test_damaged_and_missing_networks_are_refused(bundle: Path, digits: Path) -> None:
    path = bundle / "inference.onnx"
    damaged = path.read_bytes()[:-1000]
    path.write_bytes(damaged)
    with pytest.raises(BundleError, match=r"inference\.onnx: the file has .* bytes"):
        quantise_bundle(request_for(bundle, digits))
    config = yaml.safe_load((bundle / "inference.yml").read_text())
    config["Bundle"]["files"]["inference.onnx"] = file_record(path).model_dump()
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    before = content(bundle)
    with pytest.raises(BundleError, match=r"inference\.onnx: the file is damaged"):
        quantise_bundle(request_for(bundle, digits))
    assert content(bundle) == before
    config["Bundle"]["formats"] = {"onnx": ["inference.onnx", "inference.onnx"]}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(
        BundleError, match=r"in the format 'onnx' is one file \(\.onnx\), the bundle"
    ):
        quantise_bundle(request_for(bundle, digits))
    config["Bundle"]["formats"] = {"paddle": ["inference.onnx"]}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(UsageError, match="what is quantised is the format 'onnx': ppcls export"):
        quantise_bundle(request_for(bundle, digits))


def test_the_command(bundle: Path, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("onnx", "ml_dtypes")
    given = ["quantize", "--model_dir", str(bundle), "--calibration", str(digits / "train")]
    assert main([*given, "--judge", str(digits / "val"), "--max-drop", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert "onnx_int8: inference_int8.onnx" in printed and "calibrated with 80 images" in printed
    assert "onnxruntime: top-1" in printed and "on 40 images, a drop of" in printed
    assert "do not prove that the drop is at most 10.00%" in printed or "interval" in printed
    assert main([*given, "--judge", str(digits / "train")]) == 1
    assert "Judged by images that it was calibrated with" in capsys.readouterr().err
    assert main([*given, "--judge", str(digits / "val"), "--max-drop", "1.5"]) == 2
    assert "fraction between 0 and 1" in capsys.readouterr().err


def test_doubt_and_refusal_in_words() -> None:
    few = change_with(0)
    assert describe_doubt(few, 0.01) == (
        "40 images do not prove that the drop is at most 1.00%: one image is 2.50%, and the "
        "interval goes up to 6.60%; about 1,830 would"
    )
    assert describe_doubt(few, 0.07) == ""
    assert describe_doubt(change_with(5), 0.01) == ""  # that is refused
    trial = Trial("openvino", "int8", change_with(2), 2.0, 3.0, {})
    text = describe_refusal([Outcome("openvino_int8", ["symmetric"], [trial], {})], 0.01)
    assert text.startswith("openvino_int8 costs more than 1.00% of top-1 accuracy (--max-drop)")
    assert "symmetric: openvino, top-1 100.0% -> 95.0% on 40 images, a drop of 5.00%" in text
    assert "2 -> 3 ms an image (1.50, which is slower than float32 on this machine)" in text
