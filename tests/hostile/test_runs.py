"""Folders of runs that strangers made: summarised, or refused in words."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from ppcls.engine.run_text import describe_run, table_of_runs
from ppcls.weights.weight_file import write
from tests.hostile.harness import Limits, attack, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)

CONFIG = (Path(__file__).parents[2] / "configs/quick_start/LeNet_digits.yaml").read_text("utf-8")
LOG = "2026-01-01 10:00:00,000 training LeNet\n2026-01-01 10:00:09,000 error: the end\n"
METRICS = {"loss": 0.5, "top1": 0.9}
RECORD: Dict[str, Any] = {"event": "train", "epoch": 1, "step": 5, "metrics": METRICS, "lr": 0.1}
STATE = {"epoch": 1, "batch": 0, "step": 5, "best_value": 0.9, "best_epoch": 1}
NOTED = {"arch": "LeNet", "class_names": ["a", "b"], "samples": 9, "metrics": METRICS, "epoch": 1}
ODD: List[Any] = [None, True, -1, 10**400, 1e308, "x" * 999, "\x1b[2J", [], {}, [[]], {"": None}]
ODD += [float("nan"), float("inf"), "train", "top1", "\ud800", {"loss": "x"}, {"top1": 1e308}]


def lines_of_log(rng: random.Random) -> str:
    """Records of which some hold other values."""
    found = []
    for event in ("train", "epoch", "eval", "train", "eval"):
        record = {**RECORD, "event": event, "epoch": rng.choice([1, 2, 3]), "best": True}
        for _ in range(rng.choice((0, 0, 1, 2))):
            record[rng.choice([*RECORD, "images", "best"])] = rng.choice(ODD)
        found.append(json.dumps(record))
    found.append(rng.choice(["3", "[]", "null", "[" * 9_000, "{", '"x"', "9" * 9_000, ""]))
    rng.shuffle(found)
    return "\n".join(found)


def test_folders_of_runs(tmp_path: Path) -> None:
    logging.getLogger("ppcls").setLevel(logging.ERROR)
    root = tmp_path / "run"
    arrays = {"model/w": np.ones(1, np.float32)}
    write(
        root / "checkpoints/step_00000005.safetensors",
        arrays,
        "checkpoint",
        {**NOTED, "state": STATE},
    )
    write(root / "best_model.safetensors", arrays, "weights", NOTED)
    weights = [*root.glob("*.safetensors"), *root.glob("checkpoints/*")]
    whole = {path: path.read_bytes() for path in weights}
    describe_run(root)  # all modules are loaded before processes are made

    def make(rng: random.Random) -> Dict[Path, bytes]:
        files = dict(whole)
        files[root / "config.yaml"] = CONFIG.encode()
        files[root / "train.log"] = LOG.encode()
        files[root / "train_log.jsonl"] = lines_of_log(rng).encode("utf-8", "surrogatepass")
        for path in rng.sample(sorted(files), rng.choice((0, 1, 2))):
            files[path] = damaged(files[path], rng)
        return files

    def read(files: Dict[Path, bytes]) -> object:
        for path, content in files.items():
            path.write_bytes(content)
        assert len(describe_run(root)) < 50_000
        return table_of_runs(root)

    found = attack("folders of runs", make, read, tmp_path, LIMITS)
    expect_no_failure(found, tmp_path)
    logging.getLogger("ppcls").setLevel(logging.NOTSET)
