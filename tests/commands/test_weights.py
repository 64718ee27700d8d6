"""``ppcls weights``: listing, fetching from a folder, and verifying."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from ppcls.cli import main

HOST = "https://paddle-imagenet-models-name.bj.bcebos.com/"


def weights(name: str) -> bytes:
    """A file of one array, of another content for each name."""
    return pickle.dumps({name: np.zeros(3, np.float32)}, protocol=4)


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the outside world, and a cache of one's own."""
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PPCLS_MIRRORS", f"{HOST}={tmp_path}/mirror")
    folder = tmp_path / "mirror/dygraph/legendary_models"
    folder.mkdir(parents=True)
    for name in ("ResNet18", "ResNet50", "MobileNetV1"):
        (folder / f"{name}_pretrained.pdparams").write_bytes(weights(name))
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the network refuse, at once and for sure."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")


def cached(tmp_path: Path, name: str) -> Path:
    return tmp_path / f"cache/weights/{name}.pdparams"


def rows(text: str) -> Dict[str, List[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def test_list_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "pull", "ResNet18"])
    capsys.readouterr()
    assert main(["weights", "list", "*Net1*"]) == 0
    text = capsys.readouterr().out
    found = rows(text)
    assert found["name"] == ["top-1", "top-5", "resize", "crop", "size", "state"]
    assert found["ResNet18"] == ["70.98%", "89.92%", "256", "224", "0.0", "MB", "cached"]
    assert found["ResNet101"] == ["77.56%", "93.64%", "256", "224", "not", "fetched"]
    assert max(map(len, text.splitlines())) <= 80
    assert main(["weights", "list"]) == 0
    assert len(rows(capsys.readouterr().out)) > 70


def test_list_as_json_has_all_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "list", "EfficientNetLite0", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["state"] in ("installed", "not installed")
    assert (facts["top1"], facts["top5"], facts["crop"]) == (0.751, None, 224)
    assert facts["mean"] == [0.5, 0.5, 0.5]
    assert facts["source"].startswith("https://github.com/tensorflow/tpu/")


def test_pull_prints_where_the_files_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "pull", "ResNet50", "MobileNetV1"]) == 0
    captured = capsys.readouterr()
    expected = [cached(tmp_path, "ResNet50"), cached(tmp_path, "MobileNetV1")]
    assert captured.out.splitlines() == list(map(str, expected))
    assert [path.read_bytes() for path in expected] == [weights("ResNet50"), weights("MobileNetV1")]
    assert "SHA-256" in captured.err


def test_pull_goes_on_after_a_file_that_is_wrong(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["weights", "pull", "ResNet18"])
    cached(tmp_path, "ResNet18").write_bytes(weights("other"))
    capsys.readouterr()
    assert main(["weights", "pull", "ResNet18", "ResNet50"]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(cached(tmp_path, "ResNet50"))]
    assert "error: " in captured.err and "ppcls weights verify ResNet18 --repin" in captured.err
    (mirror / "ResNet18_pretrained.pdparams").write_bytes(weights("newer"))
    assert main(["weights", "pull", "ResNet18", "--repin"]) == 0
    assert cached(tmp_path, "ResNet18").read_bytes() == weights("newer")


@pytest.mark.slow
def test_pull_offline_stops_with_one_message(
    tmp_path: Path,
    offline: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("PPCLS_MIRRORS")
    assert main(["weights", "pull", "ResNet152*", "--timeout", "2"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("error: ") == 1
    assert "no answer (Connection refused)" in captured.err
    assert f"as {cached(tmp_path, 'ResNet152')}" in captured.err


@pytest.mark.slow
def test_folder_without_the_file_is_no_way_out(
    offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "pull", "ResNet152", "ResNet18"]) == 1
    captured = capsys.readouterr()
    assert "ResNet152_pretrained.pdparams; trying https://" in captured.err
    assert "/ResNet18.pdparams" in captured.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "ResNet51"], "no published weights are known for 'ResNet51'. Did you mean"),
        (["pull", "NoSuch*"], "no published weights match 'NoSuch*'"),
        (["verify", "resnet50"], "Did you mean 'ResNet50'?"),
        (["pull", "ResNet18", "--timeout", "0"], "--timeout must be"),
        (["pull", "ResNet18", "--timeout", "nan"], "--timeout must be"),
        (["pull", "EfficientNetLite0", "--repin"], "there is nothing to pin again"),
    ],
)
def test_wrong_command_line(
    arguments: List[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_list_without_a_match_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "NoSuch*"]) == 1
    captured = capsys.readouterr()
    assert "'NoSuch*'" in captured.err and captured.out == ""
    assert main(["weights", "list", "NoSuch*", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "pull", "ResNet18", "ResNet50"])
    capsys.readouterr()
    assert main(["weights", "verify", "ResNet*"]) == 1  # most are not here
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ResNet18: ok, SHA-256 ")
    assert lines[1] == "NOT HERE: ResNet18_vd: `ppcls weights pull ResNet18_vd` gets it"
    assert main(["weights", "verify"]) == 0
    cached(tmp_path, "ResNet50").write_bytes(weights("other"))
    assert main(["weights", "verify"]) == 1
    found = capsys.readouterr().out
    assert "WRONG: ResNet50: " in found and "`ppcls weights pull ResNet50` fetches it ag" in found
    assert main(["weights", "verify", "ResNet50", "--repin"]) == 0
    assert main(["weights", "verify"]) == 0


def test_verify_of_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == f"no published weights are in {tmp_path}/cache/weights\n"
