"""One small trained and exported network, for the tests of all commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import yaml

from ppcls import runtime

runtime.prepare()


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its configuration as data and as a file, and its output folder."""

    recipe: Dict[str, Any]
    config: Path
    folder: Path

    @property
    def bundle(self) -> Path:
        """The exported bundle."""
        return self.folder / "inference"


@pytest.fixture(scope="session")
def trained(
    new_recipe: Callable[[Path], Dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> TrainedRun:
    """LeNet after two epochs on four digits, exported; not to be changed."""
    from ppcls.cli import main

    folder = tmp_path_factory.mktemp("commands")
    recipe = new_recipe(folder / "run")
    recipe["Infer"] = {"PostProcess": {"name": "Topk", "topk": 4}}
    config = folder / "recipe.yaml"
    config.write_text(yaml.safe_dump(recipe, sort_keys=False))
    assert main(["train", "-c", str(config)]) == 0
    assert main(["export", "-c", str(config)]) == 0
    return TrainedRun(recipe, config, folder / "run")
