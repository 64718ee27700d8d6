"""Training from Python: the same run as that of the command."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

import ppcls
from ppcls.config import load_config
from ppcls.engine.loggers import Logger, Record, RunInfo
from ppcls.errors import ConfigError, UsageError

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


def test_ones_own_logger_gets_every_record(recipe: Recipe) -> None:
    notes = Notes()
    ppcls.train(recipe, loggers=[notes])
    assert notes.networks == ["LeNet"]
    assert [record["event"] for record in notes.records].count("eval") == 2
    assert {"loss", "top1", "top2"} == set(notes.records[-1]["metrics"])


def test_a_run_is_continued_from_python(recipe: Recipe) -> None:
    assert ppcls.train(recipe).state.step == 10
    recipe["Global"]["epochs"] = 3
    assert ppcls.train(recipe, resume="auto").state.step == 15
    with pytest.raises(UsageError, match="already holds a run"):
        ppcls.train(recipe)


def test_mistakes_of_a_mapping_are_named(recipe: Recipe) -> None:
    recipe["Global"]["epoch"] = 3
    with pytest.raises(ConfigError, match=r"in the configuration:\n +Global\.epoch"):
        ppcls.train(recipe)


def test_what_is_trained_can_be_evaluated(recipe: Recipe) -> None:
    best = ppcls.train(recipe).state.best_value
    found = ppcls.evaluate(recipe)
    assert found.metrics["top1"] == best
    assert (found.images, found.bad, found.arch, found.device) == (40, [], "LeNet", "cpu")
    assert found.weights.name == "best_model.safetensors"
