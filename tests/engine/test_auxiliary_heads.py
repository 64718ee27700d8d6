"""Networks with auxiliary heads, trained through the command line's own function."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

Run = Callable[..., int]
Recipe = Dict[str, Any]


@pytest.fixture
def googlenet(recipe: Recipe) -> Recipe:
    """One epoch on 32x32 images of four digits."""
    recipe["Arch"] = {"name": "GoogLeNet_tv"}
    recipe["Global"].update(epochs=1, print_batch_step=1)
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 8
    return recipe


@pytest.mark.slow
@pytest.mark.parametrize(("aux", "heads"), [(True, 1 + 2 * 0.3), (False, 1)])
def test_every_head_counts_in_a_training_step(
    aux: bool, heads: float, ppcls: Run, googlenet: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """All logits are small at first, so that each cross entropy is about log(classes)."""
    googlenet["Arch"]["aux"] = aux
    assert ppcls("train", googlenet, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "[8, 4]" in printed
    loss = re.search(r"\bloss:? +([\d.]+),", printed)
    assert loss and float(loss[1]) == pytest.approx(heads * math.log(4), rel=0.1)


@pytest.mark.slow
def test_metrics_and_evaluation_see_the_main_head_only(ppcls: Run, googlenet: Recipe) -> None:
    assert ppcls("train", googlenet, "-o", "DataLoader.Train.sampler.batch_size=40") == 0
    lines = (Path(googlenet["Global"]["output_dir"]) / "train_log.jsonl").read_text().splitlines()
    records = {record["event"]: record["metrics"] for record in map(json.loads, lines)}
    assert set(records["train"]) == set(records["eval"]) == {"loss", "top1", "top2"}
    assert records["eval"]["loss"] == pytest.approx(math.log(4), rel=0.2)


@pytest.mark.slow
def test_paddleclas_names_mean_the_same(
    ppcls: Run, googlenet: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for loss, metric in (("CELoss", "TopkAcc"), ("GoogLeNetLoss", "GoogLeNetTopkAcc")):
        googlenet["Loss"] = {part: [{loss: {"weight": 1.0}}] for part in ("Train", "Eval")}
        googlenet["Metric"] = {part: [{metric: {"topk": [1, 2]}}] for part in ("Train", "Eval")}
        assert ppcls("train", googlenet, "--dry-run") == 0
        found.append(re.search(r"\bloss:? +([\d.]+),", capsys.readouterr().out))
    assert found[0] and found[1] and found[0][1] == found[1][1]
