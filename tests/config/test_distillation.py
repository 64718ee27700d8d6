"""PaddleClas' files for distillation, read as a network and its teacher."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any, Dict

import numpy as np
import paddle
import pytest
import yaml

from ppcls.config import load_config
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels

TEXT = """
Arch:
  name: "DistillationModel"
  class_num: &classes 20
  pretrained_list:
  freeze_params_list: [True, False]
  infer_model_name: "Student"
  models:
    - Teacher: {name: ResNet18, class_num: *classes, pretrained: True, use_ssld: True}
    - Student: {name: MobileNetV1_x0_25, class_num: *classes, pretrained: False}
Loss:
  Train:
    - DistillationCELoss: {weight: 1.0, model_name_pairs: [["Student", "Teacher"]]}
    - DistillationGTCELoss: {weight: 0.5, epsilon: 0.1, model_names: ["Student"]}
    - DistillationDMLLoss: {weight: 2.0, model_name_pairs: [["Student", "Teacher"]]}
    - DistillationKLDivLoss: {weight: 3.0, model_name_pairs: [["Student", "Teacher"]]}
  Eval:
    - CELoss: {weight: 1.0}
Infer:
  PostProcess: {name: DistillationPostProcess, func: Topk, topk: 3}
Metric:
  Train:
    - DistillationTopkAcc: {model_key: "Student", topk: [1, 5]}
  Eval:
    - DistillationTopkAcc: {model_key: "Student", topk: [1, 5]}
"""


def load(folder: Path, data: Any) -> Any:
    path = folder / "c.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    return load_config(str(path))


def test_it_is_a_network_and_its_teacher(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, "ppcls"):
        config = load(tmp_path, TEXT)
    assert config.Arch.name == "MobileNetV1_x0_25" and config.Arch.part.arguments["class_num"] == 20
    assert config.Teacher.part.name == "ResNet18" and config.Teacher.pretrained is True
    losses = [(part.name, part.arguments) for part in config.Loss.Train]
    assert losses == [
        ("DistillationLoss", {"weight": 1.0}),
        ("CELoss", {"weight": 0.5, "epsilon": 0.1}),
        ("DistillationLoss", {"weight": 2.0, "symmetric": True}),
        ("DistillationLoss", {"weight": 3.0, "temperature": 4.0}),
    ]
    for part in (*config.Metric.Train, *config.Metric.Eval):
        assert (part.name, part.arguments) == ("TopkAcc", {"topk": [1, 5]})
    assert (config.Infer.PostProcess.name, config.Infer.PostProcess.arguments) == (
        "Topk",
        {"topk": 3},
    )
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"{tmp_path / 'c.yaml'}:2: Arch: a DistillationModel is read as Arch")
    # What a run keeps of its configuration is read without another word.
    caplog.clear()
    again = load(tmp_path, config.data)
    assert again.Arch == config.Arch and again.Teacher == config.Teacher and not caplog.records


def test_weights_may_be_in_a_list_and_the_teacher_stand_second(tmp_path: Path) -> None:
    data = yaml.safe_load(TEXT)
    data["Arch"].update(freeze_params_list=[False, True], pretrained_list=["a.pdparams", "b.safe"])
    config = load(tmp_path, data)
    assert (config.Arch.name, config.Arch.pretrained) == ("ResNet18", "a.pdparams")
    assert (config.Teacher.part.name, config.Teacher.pretrained) == ("MobileNetV1_x0_25", "b.safe")


def test_the_symmetric_loss_weighs_as_much_as_there(tmp_path: Path) -> None:
    """PaddleClas' formula in NumPy: (kl(p, q) + kl(q, p)) / 2 of every class times the number of
    classes, averaged over all, or summed over classes.
    """
    rng = np.random.default_rng(0)
    logits = [rng.normal(0, 2, (6, 20)) for _ in range(2)]
    p, q = (np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in logits)
    each = 20 * (q * np.log(q / p) + p * np.log(p / q)) / 2
    data = yaml.safe_load(TEXT)
    for summed, theirs in ((False, each.mean()), (True, each.sum(1).mean())):
        loss = {"weight": 2.0, "model_name_pairs": [["Student", "Teacher"]]}
        data["Loss"]["Train"] = [{"DistillationDMLLoss": {**loss, "sum_across_class_dim": summed}}]
        part = load(tmp_path, data).Loss.Train[0]
        student, teacher = (paddle.to_tensor(one.astype("float32")) for one in logits)
        labels = Labels(LabelKind.HARD, paddle.zeros([6], dtype="int64"))
        found = part.build()(student, labels, taught=teacher).item()
        assert found == pytest.approx(2 * theirs, rel=1e-4)
    data["Loss"]["Train"] = [{"DistillationDMLLoss": {"act": "sigmoid"}}]
    with pytest.raises(ConfigError, match="unknown key 'act'"):
        load(tmp_path, data)


def test_no_dropout_there_is_none_here(tmp_path: Path) -> None:
    data = yaml.safe_load(TEXT)
    student = {"name": "MobileNetV3_small_x1_0", "pretrained": False, "dropout_prob": None}
    data["Arch"]["models"][1] = {"Student": student}
    arguments = load(tmp_path, data).Arch.part.arguments
    assert arguments == {"dropout": 0.0, "class_num": 20}


@pytest.mark.parametrize(
    "changes",
    [
        {"freeze_params_list": [False, False]},
        {"freeze_params_list": [True, True]},
        {"freeze_params_list": None},
        {"models": [{"A": {"name": "LeNet"}}]},
        {"models": [{"A": {"name": "LeNet"}, "B": {}}, {"C": {}}]},
        {"models": ["LeNet", "LeNet"]},
        {"models": [{"A": None}, {"B": {"name": "LeNet"}}]},
    ],
)
def test_other_forms_are_refused_with_the_reason(changes: Dict[str, Any], tmp_path: Path) -> None:
    data = copy.deepcopy(yaml.safe_load(TEXT))
    data["Arch"].update(changes)
    with pytest.raises(ConfigError, match=r"c.yaml:\d+: Arch: of a DistillationModel, one network"):
        load(tmp_path, data)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (
            {"DistillationDKDLoss": {"weight": 1.0, "temperature": 1, "alpha": 1.0, "beta": 0.5}},
            ("DKDLoss", {"weight": 1.0, "temperature": 1, "alpha": 1.0, "beta": 0.5}),
        ),
        (
            {"DistillationDKDLoss": {"use_target_as_gt": False, "name": "loss_dkd"}},
            ("DKDLoss", {}),
        ),
        ({"DistillationDISTLoss": {"weight": 2.0}}, ("DISTLoss", {"weight": 2.0})),
        (
            {"DistillationWSLLoss": {"weight": 2.5, "temperature": 2}},
            ("WSLLoss", {"weight": 2.5, "temperature": 2}),
        ),
    ],
)
def test_losses_that_mean_the_same_keep_their_arguments(
    loss: Dict[str, Any], expected: Any, tmp_path: Path
) -> None:
    data = yaml.safe_load(TEXT)
    ((_, arguments),) = loss.items()
    arguments["model_name_pairs"] = [["Student", "Teacher"]]
    data["Loss"]["Train"] = [loss]
    (part,) = load(tmp_path, data).Loss.Train
    assert (part.name, part.arguments) == expected


def test_a_teacher_in_place_of_labels_is_refused(tmp_path: Path) -> None:
    data = yaml.safe_load(TEXT)
    data["Loss"]["Train"] = [{"DistillationDKDLoss": {"use_target_as_gt": True}}]
    with pytest.raises(ConfigError, match="use_target_as_gt"):
        load(tmp_path, data)
