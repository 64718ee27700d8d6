"""Images with any number of classes, from a list file to the predictions of a bundle."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import paddle
import pytest
import yaml

from ppcls.api.infer import infer
from ppcls.api.report import report
from ppcls.calibration import calibrate_bundle
from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.engine.world import World
from ppcls.errors import CheckpointError, ConfigError, UsageError
from ppcls.inference import Predictor
from ppcls.inference.output import as_text
from ppcls.labels import LabelKind
from ppcls.quantisation.bundle import quantise_bundle
from ppcls.quantisation.request import Request

pytestmark = pytest.mark.slow

NAMES = ["odd", "above one", "three"]
ANSWERS = ["0,0,0", "1,0,0", "0,1,0", "1,1,1"]
"""Of the digits 0 to 3."""


def test_mixup_needs_a_loss_of_its_kind(several: Dict[str, Any]) -> None:
    split = several["DataLoader"]["Train"]
    split["batch_transform_ops"] = [{"MixupOperator": {"alpha": 1.0}}]
    job = build_job(as_config(copy.deepcopy(several)), "cpu", World())
    assert job.train.label_kind is LabelKind.MIXED_MULTI_HOT and job.metrics.names == []
    values = np.unique(next(job.train.epoch(0)).labels.values)
    assert len(values) > 2 and values.min() >= 0 and values.max() <= 1
    several["Loss"]["Train"] = ["CELoss"]
    with pytest.raises(ConfigError, match=r"after MixupOperator are mixed multi-hot. Use a loss"):
        build_job(as_config(copy.deepcopy(several)), "cpu", World())


@pytest.fixture
def several(recipe: Dict[str, Any], digits: Path, tmp_path: Path) -> Dict[str, Any]:
    """A recipe on digits that are odd, above one and three, or not."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    for split, name in (("Train", "train"), ("Eval", "val")):
        lines = (digits / f"{name}.txt").read_text().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines]
        text = "".join(f"{path}\t{ANSWERS[int(label)]}\n" for path, label in pairs)
        (tmp_path / f"{name}.txt").write_text(text)
        dataset = recipe["DataLoader"][split]["dataset"]
        dataset.update(name="MultiLabelDataset", cls_label_path=str(tmp_path / f"{name}.txt"))
    del recipe["Arch"]["class_num"], recipe["Metric"]
    recipe["Loss"] = {"Train": [{"MultiLabelLoss": {"weight_ratio": True}}]}
    recipe["Global"].update(class_id_map_file=str(tmp_path / "names.txt"), epochs=6)
    return recipe


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_a_run_learns_and_its_bundle_answers_alike(
    several: Dict[str, Any], ppcls: Callable[..., int], digits: Path, tmp_path: Path
) -> None:
    assert ppcls("train", several) == 0
    rows = [
        json.loads(line) for line in (tmp_path / "run/train_log.jsonl").read_text().splitlines()
    ]
    judged = [row["metrics"]["map"] for row in rows if "map" in row.get("metrics", {})]
    assert max(judged) > 0.9, "one class in two or four, by chance"
    assert ppcls("export", several) == 0
    config = as_config(copy.deepcopy(several))
    trained = load_trained(config, eval_transform(config))
    assert trained.multi_label and trained.metadata["labels"] == "multi-hot"
    photos = sorted(str(path) for path in (digits / "val").rglob("*.png"))[::3]
    images = np.stack([eval_transform(config)(Path(photo).read_bytes()) for photo in photos])
    expected = sigmoid(trained.network(paddle.to_tensor(images)).numpy())
    predictor = Predictor(tmp_path / "run/inference")
    assert predictor.bundle.threshold == 0.5
    for found in (list(predictor(photos)), list(infer(config, photos))):
        for row, prediction in zip(expected, found):
            ranked = sorted(np.flatnonzero(row >= 0.5), key=lambda i: -row[i])
            assert prediction.class_ids == ranked
            assert prediction.names == [NAMES[i] for i in ranked]
            np.testing.assert_allclose(prediction.scores, row[ranked], atol=1e-5)
            assert prediction.answer == ", ".join(prediction.names) and not prediction.is_unknown
    counts = {len(prediction.names) for prediction in found}
    assert 0 in counts and max(counts) > 1, "images with none and with several"
    nothing = next(one for one in found if not one.names)
    assert as_text(nothing) == f"{nothing.source}\n  none of the classes"


def test_what_a_bundle_says_of_itself(
    several: Dict[str, Any], ppcls: Callable[..., int], tmp_path: Path
) -> None:
    several["Global"]["epochs"] = 1
    several["Infer"] = {"PostProcess": {"name": "MultiLabelThreshOutput", "threshold": 0.25}}
    assert ppcls("train", several) == 0
    assert ppcls("export", several) == 0
    bundle = tmp_path / "run/inference"
    about = yaml.safe_load((bundle / "inference.yml").read_text())["Bundle"]
    assert about["format_version"] == 3
    assert about["output"] == {
        "kind": "multi-label probabilities", "classes": 3, "threshold": 0.25
    }  # fmt: skip
    parity = json.loads((bundle / "parity.json").read_text())["formats"]
    for engines in parity.values():
        for one in engines.values():
            assert one["passed"] and one["logit_difference"] is not None
    assert list(predictions(tmp_path, "--topk", "1"))[0]["names"].__len__() <= 1
    with pytest.raises(UsageError, match="any number of classes"):
        calibrate_bundle(bundle, str(tmp_path / "val.txt"))
    with pytest.raises(UsageError, match="any number of classes"):
        quantise_bundle(Request(bundle, calibration="a", judge="b"))
    assert ppcls("eval", several) == 0
    for option in ("--report=page.html", "--save-predictions=rows.csv"):
        assert ppcls("eval", several, option) == 2
    with pytest.raises(UsageError, match="any number of classes; `ppcls eval` measures it"):
        report(tmp_path / "run")


def test_a_recipe_may_limit_how_many_are_named(
    several: Dict[str, Any], ppcls: Callable[..., int], digits: Path, tmp_path: Path
) -> None:
    several["Global"]["epochs"] = 1
    several["Infer"] = {
        "PostProcess": {"name": "MultiLabelThreshOutput", "threshold": 0.0, "topk": 2}
    }
    assert ppcls("train", several) == 0
    assert ppcls("export", several) == 0
    photo = str(digits / "val/d3/1.png")
    predictor = Predictor(tmp_path / "run/inference")
    config = as_config(copy.deepcopy(several))
    assert len(predictor(photo).names) == 2, "of three with a probability of 0 at least"
    assert [len(one.names) for one in infer(config, photo)] == [2]
    assert len(Predictor(tmp_path / "run/inference", topk=3)(photo).names) == 3


def predictions(folder: Path, *options: str) -> List[Dict[str, Any]]:
    from ppcls.cli import main

    output = folder / "found.jsonl"
    given = ["--model_dir", str(folder / "run/inference"), "--output", str(output), *options]
    photo = next(Path(line.split("\t")[0]) for line in (folder / "val.txt").read_text().split("\n"))
    root = yaml.safe_load((folder / "recipe.yaml").read_text())
    image = Path(root["DataLoader"]["Eval"]["dataset"]["image_root"]) / photo
    assert main(["predict", *given, str(image)]) == 0
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_what_needs_one_class_is_refused(several: Dict[str, Any]) -> None:
    def job(**changes: Any) -> Any:
        changed = copy.deepcopy(several)
        for key, value in changes.items():
            changed[key] = {**changed.get(key, {}), **value}
        return build_job(as_config(changed), "cpu", World())

    assert job().metrics.names == ["f1"] and job().eval_metrics.names == ["map", "f1"]
    with pytest.raises(ConfigError, match=r"CELoss takes hard or soft labels.*MultiLabelLoss"):
        job(Loss={"Train": ["CELoss"]})
    with pytest.raises(ConfigError, match=r"TopkAcc takes hard labels.*HammingDistance"):
        job(Metric={"Eval": ["TopkAcc"]})
    with pytest.raises(ConfigError, match=r"Metric.Train.0: MultiLabelMAP keeps the scores of all"):
        job(Metric={"Train": ["MultiLabelMAP"]})
    with pytest.raises(ConfigError, match="use_multilabel is False, so that an image has one"):
        job(Global={"use_multilabel": False})
    with pytest.raises(ConfigError, match="DistillationLoss takes hard or soft labels"):
        job(Loss={"Train": ["DistillationLoss"]})


def test_answers_of_several_classes_need_such_labels(recipe: Dict[str, Any]) -> None:
    recipe["Infer"] = {"PostProcess": {"name": "MultiLabelThreshOutput"}}
    with pytest.raises(ConfigError, match="MultiLabelThreshOutput answers with any number of cl"):
        build_job(as_config(copy.deepcopy(recipe)), "cpu", World())


def test_weights_say_what_images_have(
    several: Dict[str, Any], ppcls: Callable[..., int], recipe: Dict[str, Any]
) -> None:
    several["Global"]["epochs"] = 1
    assert ppcls("train", several) == 0
    config = as_config(copy.deepcopy({**several, "DataLoader": {"Eval": None}, "Infer": {
        "transforms": several["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    }}))  # fmt: skip
    assert load_trained(config, eval_transform(config)).multi_label
    several["Global"]["use_multilabel"] = False
    config = as_config(copy.deepcopy(several))
    with pytest.raises(CheckpointError, match="any number of classes.*leave it out"):
        load_trained(config, eval_transform(config))
