"""The recipe of a run on one's own photos, as plain data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ppcls.transfer.recipe import Plan, recipe_of
from ppcls.transfer.sets import Sets
from ppcls.weights.hub.records import find_record

SETS = Sets(Path(), Path("train.txt"), Path("val.txt"), Path("labels.txt"), 400)
PLAN = Plan(
    "EfficientNetLite0", 160, find_record("EfficientNetLite0"), Path("head.safetensors"), 18, 32, 0
)


@pytest.mark.parametrize(("epochs", "first"), [(0, 0), (4, 0), (5, 4), (18, 15), (60, 48)])
def test_the_last_fifth_of_the_epochs_is_judged(epochs: int, first: int) -> None:
    recipe = recipe_of(replace(PLAN, epochs=epochs), SETS, Path("run"))
    assert recipe["Global"]["start_eval_epoch"] == first
    assert recipe["Global"]["eval_at_start"]


def test_only_fine_tuning_mixes_images() -> None:
    tuned, scratch = (
        recipe_of(plan, SETS, Path("run"))
        for plan in (PLAN, replace(PLAN, start=None, record=None))
    )
    assert tuned["DataLoader"]["Train"]["batch_transform_ops"] and not tuned["Metric"]["Train"]
    assert "batch_transform_ops" not in scratch["DataLoader"]["Train"]
    assert scratch["Metric"]["Train"] and scratch["Global"]["start_eval_epoch"] == 0
