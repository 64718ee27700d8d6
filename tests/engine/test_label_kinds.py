"""Labels that a loss or metric does not take are refused before training, with the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy as np
import paddle
import pytest
import yaml

from ppcls import registry
from ppcls.data.dataset import ClassMap, Dataset
from ppcls.data.transforms import Pipeline
from ppcls.engine.label_kinds import accepted_kinds, check_labels_fit, takes
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import Loss
from ppcls.registry import Part, register

HARD, SOFT, MULTI_HOT, MIXED = LabelKind
Run = Callable[..., Tuple[int, str]]


class SoftSet(Dataset):
    """Eight grey images, half of one class and half of the other."""

    def __init__(self, kind: str, class_map: registry.Provided[Any] = None) -> None:
        labels = Labels(LabelKind(kind), np.full((8, 4), 0.25, np.float32))
        ops = [registry.parse("transform", {"DecodeImage": {"channel_num": 1}})]
        ops += [registry.parse("transform", {"ResizeImage": {"size": 32}})]
        super().__init__(list("abcdefgh"), labels, ClassMap.numbered(4), Pipeline(ops))

    def read(self, index: int) -> bytes:
        """Return a picture of one grey level."""
        return b"P5 1 1 255 " + bytes([16 * index])


class Silent(Loss):
    """A loss that does not say what it takes."""

    def forward(self, outputs: Any, labels: Labels) -> paddle.Tensor:
        return outputs.mean()


@pytest.fixture(autouse=True)
def two_parts() -> Iterator[None]:
    register("dataset")(SoftSet)
    register("loss")(Silent)
    yield
    for key in (("dataset", "SoftSet"), ("loss", "Silent")):
        del registry._entries[key]


def test_what_says_nothing_takes_hard_labels() -> None:
    assert accepted_kinds("loss", "Silent") == {HARD}
    assert takes(Part("loss", "CELoss"), SOFT) and not takes(Part("loss", "Silent"), SOFT)


def test_the_message_says_where_and_what_would_be_right() -> None:
    with pytest.raises(ConfigError) as caught:
        check_labels_fit(
            SOFT, "DataLoader.Train", {"c.yaml:7: Loss.Train.0": Part("loss", "Silent")}
        )
    message, _, able = str(caught.value).rpartition(": ")
    assert message == (
        "c.yaml:7: Loss.Train.0: Silent takes hard labels, but those of DataLoader.Train are soft. "
        "Use a loss that takes soft labels"
    )
    assert "CELoss" in able.split(", ") and "Silent" not in able
    with pytest.raises(ConfigError, match="No metric takes soft labels; remove this one"):
        check_labels_fit(SOFT, "DataLoader.Eval", {"here": Part("metric", "TopkAcc")})
    with pytest.raises(ConfigError, match="Use a metric that takes multi-hot labels: AccuracySc"):
        check_labels_fit(MULTI_HOT, "DataLoader.Eval", {"here": Part("metric", "TopkAcc")})
    with pytest.raises(ConfigError, match="are mixed multi-hot. Use a loss that takes .*: Asymm"):
        check_labels_fit(MIXED, "DataLoader.Train", {"here": Part("loss", "CELoss")})


@pytest.fixture
def run(ppcls: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `ppcls train`; return the status and all that was printed."""

    def train(data: Dict[str, Any], *arguments: str) -> Tuple[int, str]:
        status = ppcls("train", data, *arguments)
        return status, "".join(capsys.readouterr())

    return train


def _with(recipe: Dict[str, Any], split: str, kind: str) -> Dict[str, Any]:
    recipe["DataLoader"][split]["dataset"] = {"name": "SoftSet", "kind": kind}
    return recipe


@pytest.mark.parametrize(
    ("split", "kind", "found"),
    [
        ("Train", "multi-hot", "Loss.Train.0: CELoss takes hard or soft labels, but those of"),
        ("Train", "soft", "Metric.Train.0: TopkAcc takes hard labels, but those of DataLoader.Tr"),
        ("Eval", "multi-hot", "Loss.Eval.0: CELoss takes hard or soft labels, but those of"),
        ("Eval", "soft", "Metric.Eval.0: TopkAcc takes hard labels, but those of DataLoader.Eval"),
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["train", "dry run"])
def test_a_run_is_refused_with_file_and_line(
    arguments: List[str], split: str, kind: str, found: str, recipe: Dict[str, Any], run: Run
) -> None:
    data = _with(recipe, split, kind)
    section, key, _ = found.split(".", 2)
    lines = yaml.safe_dump(data, sort_keys=False).splitlines()
    line = lines.index(f"  {key}:", lines.index(f"{section}:")) + 2
    status, output = run(data, *arguments)
    assert status == 2 and f"recipe.yaml:{line}: {found}" in output
    assert not Path(data["Global"]["output_dir"]).exists()


@pytest.mark.slow
def test_training_measures_those_of_evaluations_metrics_that_fit(
    recipe: Dict[str, Any], run: Run
) -> None:
    data = _with(recipe, "Train", "soft")
    del data["Metric"]["Train"]
    data["Global"]["epochs"] = 1
    status, output = run(data)
    assert status == 0
    (train,) = [line for line in output.splitlines() if "epoch 1/1" in line and "train" in line]
    assert "loss" in train and "top1" not in train
    assert any("top1" in line for line in output.splitlines() if "eval" in line)
