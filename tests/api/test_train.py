"""Training from Python: the same run as that of the command."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Annotated, Any, Callable, Dict, Iterator, List

import numpy as np
import pytest

import ppcls
from ppcls import registry
from ppcls.config import load_config
from ppcls.data.dataset import ClassMap, Dataset
from ppcls.data.transforms import Pipeline
from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.errors import ConfigError, UsageError
from ppcls.labels import LabelKind, Labels

Recipe = Dict[str, Any]


class Notes(Logger):
    def __init__(self) -> None:
        self.records: List[Record] = []
        self.networks: List[str] = []

    def open(self, run: RunInfo) -> None:
        self.networks.append(run.network)

    def write(self, record: Record) -> None:
        self.records.append(record)


@pytest.mark.slow
def test_a_mapping_a_path_and_a_configuration_train_the_same(
    recipe: Recipe, tmp_path: Path, write_recipe: Callable[..., Path]
) -> None:
    file = write_recipe(recipe)
    folders = []
    for number, config in enumerate([recipe, str(file), file, load_config(str(file))]):
        result = ppcls.train(config, overwrite=number > 0)
        assert result.state.epoch == 2 and result.checkpoint is not None
        kept = tmp_path / f"best{number}.safetensors"
        kept.write_bytes(result.folder.best_model.read_bytes())
        folders.append(kept)
    assert all(filecmp.cmp(folders[0], other, shallow=False) for other in folders[1:])


@pytest.mark.slow
def test_ones_own_logger_gets_every_record(recipe: Recipe) -> None:
    notes = Notes()
    ppcls.train(recipe, loggers=[notes])
    assert notes.networks == ["LeNet"]
    assert [record["event"] for record in notes.records].count("eval") == 2
    assert {"loss", "top1", "top2"} == set(notes.records[-1]["metrics"])


@pytest.mark.slow
def test_a_run_is_continued_from_python(recipe: Recipe) -> None:
    assert ppcls.train(recipe).state.step == 10
    recipe["Global"]["epochs"] = 3
    assert ppcls.train(recipe, resume="auto").state.step == 15
    with pytest.raises(UsageError, match="already holds a run"):
        ppcls.train(recipe)


@pytest.mark.slow
def test_a_run_from_python_keeps_its_log(recipe: Recipe) -> None:
    log = ppcls.train(recipe).folder.log.read_text()
    assert "training LeNet" in log and "epoch 2/2  eval:" in log and "trained 2 epochs" in log


@pytest.mark.slow
def test_what_yaml_cannot_hold_is_refused_before_a_run_is_deleted(recipe: Recipe) -> None:
    best = ppcls.train(recipe).folder.best_model.read_bytes()
    recipe["Optimizer"]["lr"]["learning_rate"] = np.float64(0.1)
    with pytest.raises(
        ConfigError, match=r"np\.float64\(0\.1\), a float64, which YAML cannot|0\.1, a"
    ):
        ppcls.train(recipe, overwrite=True)
    assert (Path(recipe["Global"]["output_dir"]) / "best_model.safetensors").read_bytes() == best


class Memory(Dataset):
    """Forty digits that are no files."""

    def __init__(
        self,
        transform_ops: Annotated[List[registry.Part], registry.PartsOf("transform")],
        class_map: registry.Provided[Any] = None,
    ) -> None:
        labels = Labels(LabelKind.HARD, np.arange(40) % 4)
        names = [f"digit {i}" for i in range(40)]
        super().__init__(names, labels, ClassMap.numbered(4), Pipeline(transform_ops))

    def read(self, index: int) -> bytes:
        """Return a picture whose grey level tells the class."""
        return b"P5 1 1 255 " + bytes([60 * (index % 4) + index])


@pytest.fixture
def memory() -> Iterator[None]:
    registry.register("dataset")(Memory)
    yield
    del registry._entries["dataset", "Memory"]


@pytest.mark.slow
def test_images_need_not_be_files(recipe: Recipe, memory: None) -> None:
    for split in recipe["DataLoader"].values():
        ops = [*split["dataset"]["transform_ops"][:1], {"ResizeImage": {"size": 32}}]
        split["dataset"] = {"name": "Memory", "transform_ops": ops}
    assert ppcls.train(recipe).state.step == 6
    assert ppcls.evaluate(recipe).images == 40
    assert ppcls.export(recipe).parity["paddle"]["paddle"].kind_of_images == "real images"


def test_mistakes_of_a_mapping_are_named(recipe: Recipe) -> None:
    recipe["Global"]["epoch"] = 3
    with pytest.raises(ConfigError, match=r"in the configuration:\n +Global\.epoch"):
        ppcls.train(recipe)


@pytest.mark.slow
def test_what_is_trained_can_be_evaluated(recipe: Recipe) -> None:
    best = ppcls.train(recipe).state.best_value
    found = ppcls.evaluate(recipe)
    assert found.metrics["top1"] == best
    assert (found.images, found.bad, found.arch, found.device) == (40, [], "LeNet", "cpu")
    assert found.weights.name == "best_model.safetensors"
