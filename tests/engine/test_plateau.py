"""A rate that follows evaluations: it falls in a run, and a resumed run falls with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from safetensors.numpy import load_file

from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.world import World
from ppcls.errors import ConfigError

Run = Callable[..., int]
Recipe = Dict[str, Any]


@pytest.fixture
def waiting(recipe: Recipe) -> Recipe:
    """Top-2 of four classes cannot rise by a half again and again, so that the rate falls soon."""
    plateau = {"patience": 0, "factor": 0.5, "threshold": 0.5, "threshold_mode": "abs"}
    recipe["Optimizer"]["lr"] = {"name": "ReduceOnPlateau", "learning_rate": 0.05, **plateau}
    recipe["Global"].update(epochs=5, save_interval=1, keep_checkpoints=9, print_batch_step=1)
    return recipe


def rates(folder: Path) -> List[float]:
    """The rate of each epoch."""
    lines = (folder / "train_log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    found = {one["epoch"]: one["lr"] for one in records if one["event"] == "train"}
    return [found[epoch] for epoch in sorted(found)]


@pytest.mark.slow
def test_the_rate_falls_and_a_resumed_run_ends_with_the_same_bytes(
    ppcls: Run, waiting: Recipe, tmp_path: Path
) -> None:
    assert ppcls("train", waiting) == 0
    whole = Path(waiting["Global"]["output_dir"])
    assert rates(whole) == pytest.approx([0.05, 0.05, 0.025, 0.0125, 0.00625])
    files = sorted((whole / "checkpoints").glob("*.safetensors"))
    waiting["Global"]["output_dir"] = str(tmp_path / "again")
    assert ppcls("train", waiting, "--resume", str(files[2])) == 0
    again = load_file(tmp_path / "again" / "checkpoints" / files[-1].name)
    for name, array in load_file(files[-1]).items():
        assert array.tobytes() == again[name].tobytes(), name


@pytest.mark.parametrize("without", ["Eval", "eval_during_train", "start_eval_epoch"])
def test_without_evaluations_it_is_refused(without: str, waiting: Recipe) -> None:
    if without == "Eval":
        del waiting["DataLoader"]["Eval"]
    elif without == "eval_during_train":
        waiting["Global"]["eval_during_train"] = False
    else:
        waiting["Global"].update(epochs=5, start_eval_epoch=5)
    with pytest.raises(ConfigError, match="ReduceOnPlateau waits for evaluations"):
        build_job(as_config(waiting), "cpu", World())
