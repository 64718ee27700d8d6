"""``ppcls train --data``: what it hands over, and what it refuses; the training is in tests/api."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ppcls.api import own_photos
from ppcls.cli import main
from ppcls.engine.interrupt import Interrupted


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """What the command hands over, in place of training."""
    found: Dict[str, Any] = {}

    def train(*arguments: Any) -> None:
        keys = ("data", "output", "options", "overrides", "resume", "overwrite")
        found.update(zip(keys, arguments))

    monkeypatch.setattr(own_photos, "train_on_photos", train)
    return found


def test_every_option_arrives(given: Dict[str, Any], tmp_path: Path) -> None:
    options = ["--budget", "90s", "--model", "VGG16", "--size", "96", "--val", "0.3", "--seed", "7"]
    further = ["--output", "runs/a", "--no-report", "--no-refit", "--overwrite", "-o", "EMA=null"]
    assert main(["train", "--data", str(tmp_path), *options, *further]) == 0
    assert (given["data"], given["output"]) == (str(tmp_path), "runs/a")
    assert (given["overrides"], given["resume"], given["overwrite"]) == (["EMA=null"], None, True)
    chosen = given["options"]
    assert (chosen.budget, chosen.network, chosen.size) == ("90s", "VGG16", 96)
    assert (chosen.division.val, chosen.division.seed, chosen.report) == (0.3, 7, False)
    assert not chosen.refit


def test_nothing_needs_to_be_chosen(given: Dict[str, Any], tmp_path: Path) -> None:
    assert main(["train", "--data", str(tmp_path)]) == 0
    chosen = given["options"]
    assert (chosen.budget, chosen.network, chosen.size, chosen.report) == ("5m", None, None, True)
    assert chosen.refit
    assert chosen.division.val is None and chosen.division.group_by is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "train what?"),
        (["-c", "x.yaml", "--data", "photos"], "not both"),
        (["-c", "x.yaml", "--budget", "1m"], "--budget belongs to --data"),
        (["--data", "photos", "--dry-run"], "--dry-run belongs to -c"),
        (["--data", "photos", "--print-config"], "--print-config belongs to -c"),
        (
            ["--data", "photos", "--resume", "auto", "--size", "96"],
            "a run that goes on keeps to its recipe",
        ),
        (["--data", "photos", "--budget", "soon"], "--budget takes a time such as 90s, 5m or 1h"),
        (["--data", "photos", "--size", "5"], "the images' size must be"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: List[str], says: str, given: Dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options]) == 2
    assert says in capsys.readouterr().err and not given


def test_an_interruption_has_its_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*arguments: Any) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(own_photos, "train_on_photos", interrupted)
    assert main(["train", "--data", str(tmp_path)]) == 130
