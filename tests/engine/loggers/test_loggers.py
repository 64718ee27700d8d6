"""Where figures go: lines, JSON, VisualDL and the picture."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any, Dict

import cv2
import pytest

from ppcls.engine.loggers import Loggers
from ppcls.engine.loggers.console import Console, describe_briefly, format_metric
from ppcls.engine.loggers.curves import draw_curves
from ppcls.engine.loggers.jsonl import JsonLines, read_records
from ppcls.logs import log_to_file, log_to_terminal


def train_record(step: int, loss: float = 0.5) -> Dict[str, Any]:
    return {
        "event": "train",
        "epoch": 1,
        "step": step,
        "batch": step,
        "position": step / 10,
        "metrics": {"loss": loss, "top1": 0.25},
        "lr": 0.01,
        "images_per_second": 123.4,
        "data_wait": 0.05,
        "eta_seconds": 3725.0,
    }


def eval_record(step: int) -> Dict[str, Any]:
    figures = {"loss": 0.4, "top1": 0.75}
    where = {"event": "eval", "epoch": 1, "step": step, "position": 1.0}
    return {**where, "metrics": figures, "best": True}


def test_plain_lines_say_everything_a_person_asks(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("ppcls").propagate = True
    console = Console(epochs=3, batches=10)
    with caplog.at_level(logging.INFO, logger="ppcls"):
        console.write(train_record(4))
        console.write(eval_record(10))
        console.close()
    assert caplog.messages == [
        "epoch 1/3 batch 4/10  loss 0.5000  top1 25.00%  lr 0.01  123 images/s  "
        "waiting for data 5%  ETA 1:02:05",
        "epoch 1/3  eval:  loss 0.4000  top1 75.00%  (best so far)",
    ]


def test_the_log_file_has_lines_where_the_terminal_has_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "stdout", terminal)
    log_to_terminal(results_on_stdout=False)
    console = Console(epochs=3, batches=10)
    with log_to_file(tmp_path / "train.log"):
        console.write(train_record(4))
        console.write(eval_record(10))
        console.close()
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" epoch ")[1].split("  ")[0] for line in lines] == ["1/3 batch 4/10", "1/3"]
    assert "batch 4/10" not in terminal.getvalue() and "0/10\r" in terminal.getvalue()
    assert "epoch 1/3  eval:  loss 0.4000" in terminal.getvalue()


def test_the_figures_fit_a_terminal_of_80_columns() -> None:
    record = {**train_record(4, loss=12.345), "lr": 0.00123, "images_per_second": 1234.0}
    words = describe_briefly({**record, "data_wait": 0.15})
    assert words == "loss 12.345 top1 25.0% lr 0.0012 1234 img/s wait 15% ETA 1:02:05"
    assert len(f"epoch 90/90  43%, {words}") <= 82


def test_figures_for_people() -> None:
    assert format_metric("top5", 0.98765) == "98.77%"
    assert format_metric("loss", 1.23456) == "1.2346"


def test_json_lines_survive_a_kill_and_are_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    logger = JsonLines(path, keep=lambda record: True)
    for step in range(1, 5):
        logger.write(train_record(step))
    logger.close()
    with path.open("a") as file:
        file.write('{"event": "train", "st')
    assert [record["step"] for record in read_records(path)] == [1, 2, 3, 4]
    again = JsonLines(path, keep=lambda record: record["step"] <= 2)
    again.write(train_record(3, loss=0.1))
    again.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["metrics"]["loss"]) for line in lines] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.1),
    ]


def test_the_picture_is_one(tmp_path: Path) -> None:
    path, picture = tmp_path / "log.jsonl", tmp_path / "curves.png"
    assert not draw_curves(path, picture, "nothing yet")
    logger = Loggers([JsonLines(path, keep=lambda record: True)])
    for step in range(1, 11):
        logger.write(train_record(step, loss=1 / step))
    logger.write(eval_record(10))
    logger.close()
    assert draw_curves(path, picture, "LeNet")
    image = cv2.imread(str(picture))
    assert image is not None and image.shape[1] > 1000 and image.std() > 5


@pytest.mark.skipif(
    importlib.util.find_spec("visualdl") is None, reason="visualdl is not installed"
)
def test_visualdl_gets_every_figure(tmp_path: Path) -> None:
    from visualdl import LogReader

    from ppcls.engine.loggers.visualdl import VisualDL

    logger = VisualDL(tmp_path)
    logger.write(train_record(1))
    logger.write(eval_record(10))
    logger.close()
    file = next(tmp_path.glob("*.log"))
    tags = LogReader(file_path=str(file)).tags()
    assert {"train/loss", "train/lr", "eval/top1"} <= {
        tag for group in tags.values() for tag in group
    }
