"""Runs with Mixup: they learn, resume to the same bytes, and are refused where parts do not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from ppcls.arch import create_model
from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.mixup import Mix, MixupOperator
from ppcls.data.transforms import Pipeline
from ppcls.engine.share import on_device
from ppcls.labels import LabelKind, Labels
from ppcls.loss import CELoss
from ppcls.registry import parse

Recipe = Dict[str, Any]
Run = Callable[..., int]


@pytest.fixture
def mixed(recipe: Recipe) -> Recipe:
    """The usual small run, with Mixup, and without a metric that would need hard labels."""
    recipe["DataLoader"]["Train"]["batch_transform_ops"] = [{"MixupOperator": {"alpha": 0.2}}]
    recipe["DataLoader"]["Train"]["loader"]["num_workers"] = 2
    recipe["Global"].update(save_steps=3, keep_checkpoints=9)
    del recipe["Metric"]["Train"]
    return recipe


def _folder(recipe: Recipe) -> Path:
    return Path(recipe["Global"]["output_dir"])


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bytes(ppcls: Run, mixed: Recipe, tmp_path: Path) -> None:
    assert ppcls("train", mixed) == 0
    lines = (_folder(mixed) / "train_log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {
        key for record in records for key in record["metrics"] if record["event"] != "eval"
    } == {"loss"}
    assert {"loss", "top1", "top2"} == set(records[-1]["metrics"])
    losses = [record["metrics"]["loss"] for record in records if record["event"] == "epoch"]
    assert losses[1] < losses[0]
    last = sorted((_folder(mixed) / "checkpoints").glob("*.safetensors"))[-1].name
    first = _folder(mixed) / "checkpoints"
    mixed["Global"]["output_dir"] = str(tmp_path / "again")
    mixed["DataLoader"]["Train"]["loader"]["num_workers"] = 0
    assert ppcls("train", mixed, "--resume", str(first / "step_00000003.safetensors")) == 0
    again = load_file(_folder(mixed) / "checkpoints" / last)
    for name, array in load_file(first / last).items():
        assert array.tobytes() == again[name].tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"cache": "files"}, {"cache": "pixels", "isolate": True}])
def test_memory_and_a_process_of_its_own_change_no_byte(
    more: Dict[str, Any], ppcls: Run, mixed: Recipe, tmp_path: Path
) -> None:
    assert ppcls("train", mixed) == 0
    plain = load_file(_folder(mixed) / "best_model.safetensors")
    mixed["Global"]["output_dir"] = str(tmp_path / "other")
    for split in ("Train", "Eval"):
        mixed["DataLoader"][split]["loader"] = {"num_workers": 1, **more}
    assert ppcls("train", mixed) == 0
    other = load_file(_folder(mixed) / "best_model.safetensors")
    assert {name: array.tobytes() for name, array in plain.items()} == {
        name: array.tobytes() for name, array in other.items()
    }


def test_a_dry_run_says_what_labels_are(ppcls: Run, mixed: Recipe, capsys: Any) -> None:
    assert ppcls("train", mixed, "--dry-run") == 0
    assert "[16, 1, 32, 32], float32; soft labels of 4 classes" in capsys.readouterr().out


def test_a_metric_that_needs_hard_labels_is_refused(ppcls: Run, mixed: Recipe, capsys: Any) -> None:
    mixed["Metric"]["Train"] = ["TopkAcc"]
    assert ppcls("train", mixed) == 2
    assert re.search(
        r"recipe.yaml:\d+: Metric.Train.0: TopkAcc takes hard labels, but those of "
        "DataLoader.Train after MixupOperator are soft. No metric takes soft labels; remove this",
        capsys.readouterr().err,
    )
    assert not _folder(mixed).exists()


@pytest.mark.parametrize(
    "inside", [False, True], ids=["beside dataset", "inside, as in PaddleClas"]
)
def test_evaluation_refuses_them(inside: bool, ppcls: Run, mixed: Recipe, capsys: Any) -> None:
    split = mixed["DataLoader"]["Eval"]
    (split["dataset"] if inside else split)["batch_transform_ops"] = [{"MixupOperator": None}]
    lines = yaml.safe_dump(mixed, sort_keys=False).splitlines()
    line = [i for i, text in enumerate(lines, 1) if "batch_transform_ops:" in text][1]
    assert ppcls("train", mixed) == 2
    where = "DataLoader.Eval.dataset" if inside else "DataLoader.Eval"
    message = f"recipe.yaml:{line}: {where}.batch_transform_ops: evaluation judges images"
    assert message in capsys.readouterr().err


def test_labels_that_an_op_does_not_take_are_refused(
    ppcls: Run, mixed: Recipe, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MixupOperator, "accepts", frozenset({LabelKind.MULTI_HOT}))
    assert ppcls("train", mixed) == 2
    assert re.search(
        r"recipe.yaml:\d+: DataLoader.Train.batch_transform_ops: MixupOperator takes multi-hot "
        "labels, but gets hard ones; remove it",
        capsys.readouterr().err,
    )


def test_a_process_without_images_computes_a_stand_in_of_the_same_kind() -> None:
    empty = Labels(LabelKind.SOFT, np.zeros((0, 4), np.float32))
    batch = Batch(np.zeros((0, 1, 32, 32), np.float32), empty, np.zeros(0, np.int64), number=0)
    network = create_model("LeNet", class_num=4)
    with on_device(batch, network) as share:
        assert share.labels.kind is LabelKind.SOFT and list(share.labels.values.shape) == [1, 4]
        loss = CELoss()(network(share.images), share.labels)
        assert share.scaled(loss, total=3, batches=1).item() == 0


def test_a_stand_in_of_levels_is_finished_too() -> None:
    ops = [{"CropImage": {"size": 32}}, {"NormalizeImage": {"order": ""}}]
    finish = Pipeline([parse("transform", op) for op in ops]).finish
    assert finish is not None
    hard = Labels(LabelKind.HARD, np.zeros(0, np.int64))
    none, order = np.zeros(0, np.int64), np.arange(0)
    levels = np.zeros((0, 32, 32, 3), np.uint8)
    batch = Batch(levels, hard, none, 0, left=(finish, Mix(order, 0.5)))
    network = create_model("LeNet", class_num=4, in_channels=3)
    with on_device(batch, network) as share:
        assert share.images.shape == [1, 3, 32, 32] and share.count == 0
