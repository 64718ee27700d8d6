from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
import yaml
from sklearn.metrics import log_loss

from ppcls.calibration import CalibrationOptions, calibrate_bundle
from ppcls.errors import BundleError, DataError, UsageError
from ppcls.inference import Predictor, read_bundle
from ppcls.inference.calibrated import tempered
from ppcls.inference.description import CalibrationKeys


@pytest.fixture
def bundle(trained: Any, tmp_path: Path) -> Path:
    """A copy of the bundle of a network that tells four digits apart, more or less."""
    return Path(shutil.copytree(trained.bundle, tmp_path / "bundle"))


def described(bundle: Path) -> Dict[str, Any]:
    found: Dict[str, Any] = yaml.safe_load((bundle / "inference.yml").read_text("utf-8"))
    return found


def predict(bundle: Path, images: Path) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Scores of all classes in their order, true classes, and the predictions."""
    paths = sorted(map(str, images.glob("*/*.png")))
    rows = list(Predictor(bundle, engine="paddle", device="cpu", batch_size=1, topk=4)(paths))
    scores = np.array([[row.scores[row.class_ids.index(i)] for i in range(4)] for row in rows])
    return scores, np.array([int(Path(path).parent.name[1:]) for path in paths]), rows


@pytest.mark.slow
def test_a_bundle_predicts_with_calibrated_scores(bundle: Path, digits: Path) -> None:
    before, classes, earlier = predict(bundle, digits / "val")
    options = CalibrationOptions(str(digits / "train.txt"), 0.5, engine="paddle")
    report = calibrate_bundle(bundle, str(digits / "val.txt"), options)
    after, _, rows = predict(bundle, digits / "val")
    np.testing.assert_allclose(after, tempered(before, report.fit.temperature), rtol=1e-4)
    assert [row.class_ids for row in rows] == [row.class_ids for row in earlier]
    assert report.fitted.log_loss == pytest.approx(
        (log_loss(classes, before), log_loss(classes, after)), rel=1e-4
    )
    assert report.fitted.log_loss[1] <= report.fitted.log_loss[0]
    cut = read_bundle(bundle).calibration
    assert cut is not None
    for row in rows:
        assert row.is_unknown == (row.scores[0] < cut.threshold)
        assert row.answer == ("unknown" if row.is_unknown else row.names[0])
    answered = [row for row in rows if not row.is_unknown]
    assert len(answered) == report.fitted.answered
    assert report.judged is not None and report.judged.images == 80
    summary = report.summary()
    assert "40 images are few" in summary and "on other images (80" in summary


def test_all_else_stays_in_the_bundle(bundle: Path, digits: Path) -> None:
    config = described(bundle)
    config["Hpi"] = {"of": "another reader"}
    config["Bundle"]["quantisation"] = {"kept": 1}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    calibrate_bundle(
        bundle, str(digits / "val.txt"), CalibrationOptions(min_precision=0, engine="paddle")
    )
    found = described(bundle)
    keys = found["Bundle"].pop("calibration")
    assert found == config and sorted(keys) == ["measured", "temperature", "threshold"]
    assert found["Bundle"]["format_version"] == 1
    json.dumps(keys, allow_nan=False)
    calibrate_bundle(
        bundle,
        str(digits / "val.txt"),
        CalibrationOptions(min_precision=0.3, per_class=True, engine="paddle"),
    )
    again = described(bundle)["Bundle"]["calibration"]
    assert again["temperature"] == pytest.approx(keys["temperature"], rel=1e-6), "from the network"
    assert len(again["class_thresholds"]) == 4


def test_what_cannot_be_done_leaves_the_bundle(bundle: Path, digits: Path, tmp_path: Path) -> None:
    before = (bundle / "inference.yml").read_bytes()
    few = tmp_path / "few.txt"
    few.write_text("".join(f"{digits}/val/d0/{i}.png 0\n" for i in range(9)))
    with pytest.raises(DataError, match="few.txt: has 9 images; fewer than 10 say nothing"):
        calibrate_bundle(bundle, str(few), CalibrationOptions(engine="paddle"))
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(
        "".join(f"{digits}/val/d{i}/{j}.png {(i + 1) % 4}\n" for i in range(4) for j in range(9))
    )
    with pytest.raises(DataError, match=r"a precision of 99.0% is out of reach: the best .*%, "):
        calibrate_bundle(
            bundle, str(wrong), CalibrationOptions(min_precision=0.99, engine="paddle")
        )
    with pytest.raises(DataError, match="are among those of the calibration"):
        options = CalibrationOptions(str(digits / "val.txt"), engine="paddle")
        calibrate_bundle(bundle, str(digits / "val.txt"), options)
    with pytest.raises(UsageError, match="min_precision is a fraction between 0 and 1"):
        CalibrationOptions(min_precision=95)
    assert (bundle / "inference.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0}, "calibration.temperature: must be greater than 0"),
        ({"temperature": float("nan")}, "calibration.temperature: must be"),
        ({"threshold": 1.5}, "calibration.threshold: must be less than or equal to 1"),
        ({"class_thresholds": [0.5]}, "class_thresholds: has 1 numbers, but the network has 4"),
    ],
)
def test_odd_calibrations_are_refused(bundle: Path, change: Dict[str, Any], words: str) -> None:
    config = described(bundle)
    config["Bundle"]["calibration"] = {"temperature": 1.0, **change}
    (bundle / "inference.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(BundleError, match=words):
        read_bundle(bundle)


def test_probabilities_that_are_not_finite_stay_errors(trained: Any) -> None:
    from ppcls.inference.calibrated import CalibratedTopk

    ranker = CalibratedTopk(2, ["a", "b"], CalibrationKeys(temperature=2.0))
    assert ranker(np.empty((0, 0))) == []
    assert len(ranker(np.array([[np.nan, 0.5]]))) == 1
