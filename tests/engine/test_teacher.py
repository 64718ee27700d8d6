"""Knowledge distillation: what is learnt from a teacher, which is neither trained nor saved."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch.pooled_features import FeatureTap, PooledFeatures
from ppcls.config import as_config
from ppcls.data.dataset import ClassMap
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import load_checkpoint
from ppcls.engine.step import learn
from ppcls.engine.teacher import refuse_other_classes
from ppcls.engine.world import World
from ppcls.errors import ConfigError, PpclsError
from tests.conftest import TrainedRun

pytestmark = pytest.mark.slow


@pytest.fixture
def taught(recipe: Dict[str, Any], trained: TrainedRun) -> Dict[str, Any]:
    """A recipe whose teacher is a finished run."""
    recipe["Teacher"] = {
        "name": "LeNet",
        "pretrained": str(trained.folder / "best_model.safetensors"),
    }
    recipe["Loss"]["Train"] = [
        {"DistillationLoss": {"temperature": 2.0}},
        {"CELoss": {"weight": 0.5}},
    ]
    return recipe


def job_of(recipe: Dict[str, Any]) -> Any:
    return build_job(as_config(copy.deepcopy(recipe)), "cpu", World())


def test_the_loss_is_that_of_the_formula(taught: Dict[str, Any]) -> None:
    job = job_of(taught)
    teacher = job.loss.teacher.network
    before = {name: value.numpy().copy() for name, value in teacher.state_dict().items()}
    job.network.train()
    batch = next(job.train.epoch(0))
    loss, outputs = learn(job, batch)
    logits = outputs.numpy().astype("float64")
    known = job.loss.teacher(paddle.to_tensor(batch.images)).numpy().astype("float64")

    def log_softmax(values: np.ndarray) -> np.ndarray:
        return values - np.log(np.exp(values).sum(axis=1, keepdims=True))

    p, q = log_softmax(known / 2), log_softmax(logits / 2)
    divergence = 4 * (np.exp(p) * (p - q)).sum(axis=1).mean()
    entropy = -log_softmax(logits)[np.arange(len(batch)), batch.labels.values].mean()
    assert loss.item() == pytest.approx(divergence + 0.5 * entropy, rel=1e-4)
    assert divergence > 0.01
    # The teacher gets no gradient, and its running statistics stay.
    assert all(one.grad is None for one in teacher.parameters())
    after = teacher.state_dict()
    assert all(np.array_equal(after[name].numpy(), value) for name, value in before.items())
    assert any(one.grad is not None for one in job.network.parameters())


def test_a_network_that_is_its_teacher_has_nothing_to_learn(
    taught: Dict[str, Any], trained: TrainedRun
) -> None:
    taught["Loss"]["Train"] = [{"DistillationLoss": {}}]
    taught["Global"]["pretrained_model"] = str(trained.folder / "best_model.safetensors")
    job = job_of(taught)
    job.network.eval()
    assert learn(job, next(job.train.epoch(0)))[0].item() == pytest.approx(0, abs=1e-6)


def test_a_run_learns_from_it_alone_and_resumes_to_the_same_bytes(
    taught: Dict[str, Any], ppcls: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    taught["Loss"]["Train"] = [{"DistillationLoss": {}}]
    taught["Global"].update(epochs=6, keep_checkpoints=9)
    assert ppcls("train", taught) == 0
    text = (Path(taught["Global"]["output_dir"]) / "train.log").read_text()
    assert float(re.findall(r"best top1: ([\d.]+)%", text)[-1]) > 40
    folder = Path(taught["Global"]["output_dir"]) / "checkpoints"
    files = sorted(folder.iterdir())
    whole = load_checkpoint(files[-1])
    assert not [name for name in whole.model if "teacher" in name.lower()]
    for file in files[3:]:
        file.unlink()
    assert ppcls("train", taught, "--resume", str(files[2])) == 0
    again = load_checkpoint(files[-1])
    assert all(np.array_equal(again.model[name], value) for name, value in whole.model.items())
    capsys.readouterr()
    assert ppcls("eval", taught) == 0 and "top1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("section", "changes", "says"),
    [
        ("Teacher", {"pretrained": False}, "nothing can be learnt from a network without weights"),
        ("Teacher", {"class_num": 7}, r"Teacher\.class_num is 7, but .* has 4"),
        (
            "Teacher",
            {"pretrained": "none.safetensors"},
            r"Teacher\.pretrained: .*none\.safetensors",
        ),
        ("Teacher", {"name": "LeNett"}, "Did you mean 'LeNet'"),
        ("Loss", {"Train": [{"CELoss": {}}]}, "no loss of Loss.Train learns from it; add"),
        ("Loss", {"Eval": [{"DistillationLoss": {}}]}, "evaluation never"),
    ],
)
def test_what_makes_no_sense_is_refused(
    taught: Dict[str, Any], section: str, changes: Dict[str, Any], says: str
) -> None:
    taught[section].update(changes)
    with pytest.raises(PpclsError, match=says):
        job_of(taught)


def test_without_a_teacher_the_loss_says_what_is_missing(taught: Dict[str, Any]) -> None:
    del taught["Teacher"]
    with pytest.raises(ConfigError, match="DistillationLoss compares with a teacher, and there is"):
        job_of(taught)


@pytest.mark.parametrize(
    ("noted", "says"),
    [
        (
            ["a", "c", "b"],
            "knows 3 classes, the data has 3; class 1 is 'c' there, 'b' here. A ",
        ),
        (["a", "b"], "knows 2 classes, the data has 3. A teacher must be trained for the same"),
        (["a", "b", "c"], ""),
        (["0", "1", "2"], ""),
        (None, ""),
    ],
)
def test_a_teacher_of_other_classes_is_refused(noted: Any, says: str) -> None:
    class_map, path = ClassMap(["a", "b", "c"]), Path("t.safetensors")
    if not says:
        refuse_other_classes(noted, class_map, path)
        refuse_other_classes(["x", "y", "z"], ClassMap.numbered(3), path)
        return
    with pytest.raises(ConfigError) as caught:
        refuse_other_classes(noted, class_map, path)
    assert says in str(caught.value)


def test_both_directions_have_their_mean(taught: Dict[str, Any]) -> None:
    losses = {}
    for symmetric in (False, True):
        taught["Loss"]["Train"] = [{"DistillationLoss": {"symmetric": symmetric}}]
        job = job_of(taught)
        job.network.eval()
        batch = next(job.train.epoch(0))
        losses[symmetric] = learn(job, batch)[0].item()
    logits = [
        one(paddle.to_tensor(batch.images)).numpy().astype("float64")
        for one in (job.loss.teacher.network, job.network)
    ]
    p, q = (values - np.log(np.exp(values).sum(axis=1, keepdims=True)) for values in logits)
    there = (np.exp(p) * (p - q)).sum(axis=1).mean()
    back = (np.exp(q) * (q - p)).sum(axis=1).mean()
    assert losses[False] == pytest.approx(there, rel=1e-4)
    assert losses[True] == pytest.approx((there + back) / 2, rel=1e-4) and abs(there - back) > 0.01


def test_relations_between_features_are_learnt(taught: Dict[str, Any]) -> None:
    taught["Loss"]["Train"] = [{"RKDLoss": {"distance": 1.0, "angle": 0.0}}]
    job = job_of(taught)
    job.network.eval()
    batch = next(job.train.epoch(0))
    loss, _ = learn(job, batch)
    assert sum(
        float(one.grad.abs().sum()) for one in job.network.parameters() if one.grad is not None
    )
    features = [
        PooledFeatures(one)(paddle.to_tensor(batch.images)).numpy().astype("float64")
        for one in (job.network, job.loss.teacher.network)
    ]
    relative = [np.linalg.norm(one[:, None] - one[None], axis=2) for one in features]
    count = len(batch)
    own, known = (one * count * (count - 1) / one.sum() for one in relative)
    small = np.abs(own - known) < 1
    huber = np.where(small, (own - known) ** 2 / 2, np.abs(own - known) - 0.5)
    assert loss.item() == pytest.approx(huber.sum() / (count * (count - 1)), rel=1e-3)


def test_a_layer_of_ones_own_without_a_head_has_no_features() -> None:
    with pytest.raises(ValueError, match="Conv2D does not end with a fully connected layer"):
        FeatureTap(paddle.nn.Conv2D(3, 4, 3))


def test_features_need_a_last_layer(taught: Dict[str, Any]) -> None:
    taught["Loss"]["Train"] = ["RKDLoss"]
    taught["Arch"] = {"name": "SqueezeNet1_1"}
    with pytest.raises(ConfigError, match=r"Loss.Train.*: RKDLoss .* SqueezeNet1_1 does not end"):
        job_of(taught)
