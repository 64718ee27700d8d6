"""``ppcls models``: the names of the networks."""

from __future__ import annotations

import fnmatch

import pytest

from ppcls.cli import main


def test_names_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    names = capsys.readouterr().out.split()
    assert {"LeNet", "AlexNet", "VGG16", "SqueezeNet1_1", "ResNet50"} <= set(names)
    assert main(["models", "*Res*"]) == 0
    found = capsys.readouterr().out.split()
    assert found == [name for name in names if fnmatch.fnmatchcase(name, "*Res*")]


def test_no_match_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "NoSuchNet*"]) == 1
    assert "NoSuchNet*" in capsys.readouterr().out
