"""A small exported bundle and photos, for the tests of inference."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import pytest
import yaml

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[List[str]], Path]:
    """Export LeNet for 32 x 32 colour images, untrained, in some formats."""
    import paddle

    from ppcls import registry
    from ppcls.arch import create_model
    from ppcls.data.dataset import ClassMap
    from ppcls.data.transforms import Pipeline
    from ppcls.exporters import Processing, export_bundle

    def write(formats: List[str]) -> Path:
        ops: List[Dict[str, Any]] = [
            {"ResizeImage": {"size": 32}},
            {"NormalizeImage": {"order": ""}},
        ]
        transform = Pipeline([registry.parse("transform", op) for op in ops])
        folder = tmp_path_factory.mktemp("exported") / "bundle"
        paddle.seed(0)
        network = create_model("LeNet", in_channels=3)
        around = Processing(transform, ClassMap(NAMES), topk=3)
        export_bundle(network, folder, around, formats=formats)
        return folder

    return write


@pytest.fixture(scope="session")
def exported(bundled: Callable[[List[str]], Path]) -> Path:
    """A bundle of one format; not to be changed."""
    return bundled(["paddle"])


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may break."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


Edit = Callable[[Dict[str, Any]], object]


@pytest.fixture
def edited(copied: Path) -> Callable[[Edit], Path]:
    """Change the description of a copy of the bundle."""

    def change(edit: Edit) -> Path:
        path = copied / "inference.yml"
        config = yaml.safe_load(path.read_text())
        edit(config)
        path.write_text(yaml.safe_dump(config))
        return copied

    return change


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three PNGs, one of them deeper, a truncated one and a text file."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    drawn = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    for name, image in zip(["2.png", "10.png", "deeper/a.PNG"], drawn):
        data = cv2.imencode(".png", image)[1].tobytes()
        (folder / name).write_bytes(data)
    (folder / "3.png").write_bytes(data[: len(data) // 2])
    (folder / "notes.txt").write_text("no image")
    return folder
