"""Batches are noted as they are asked for and given."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

from ppcls.benchmark.training.watched import Turn, Watched
from ppcls.config import as_config
from ppcls.data.loader import DataLoader
from ppcls.engine.builder import build_job
from ppcls.engine.world import World


@pytest.fixture(scope="module")
def loader(
    new_recipe: Callable[[Path], Dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> DataLoader:
    recipe = new_recipe(tmp_path_factory.mktemp("watched"))
    return build_job(as_config(recipe), "cpu", World()).train


def test_an_epoch_goes_over_the_borders_of_the_loaders(loader: DataLoader) -> None:
    watched = Watched.of(loader, steps=2 * len(loader) + 1)
    batches = list(watched.epoch(3))
    assert len(watched) == len(batches) == 11
    wanted = [batch for epoch in (3, 4, 5) for batch in loader.epoch(epoch)]
    for found, expected in zip(batches, wanted):
        np.testing.assert_array_equal(found.images, expected.images)
    assert watched.images == [16] * 11


def test_kept_batches_are_handed_out_again_and_again(loader: DataLoader) -> None:
    kept = list(loader.epoch(0))[:2]
    assert list(Watched.of(loader, 5, kept=kept).epoch(0)) == [*kept, *kept, kept[0]]


def test_waiting_and_working_are_told_apart(loader: DataLoader) -> None:
    watched = Watched.of(loader, 4, kept=list(loader.epoch(0))[:1])
    for _ in watched.epoch(0):
        time.sleep(0.02)
    turn = watched.turn(warm_up=1)
    assert len(turn.seconds) == len(turn.waits) == len(turn.images) == 3
    assert all(0.02 <= seconds < 1.0 for seconds in turn.seconds)
    assert all(0.0 <= wait <= seconds - 0.02 for wait, seconds in zip(turn.waits, turn.seconds))


def test_speed_of_a_turn() -> None:
    assert Turn([0.5, 1.5], [0.1, 0.2], [10, 30]).images_per_second == pytest.approx(20.0)


def test_threads_end_with_a_turn_that_is_left(loader: DataLoader) -> None:
    running = Watched.of(replace(loader, num_workers=2), 100).epoch(0)
    next(running)
    assert any(thread.name.startswith("ppcls-data") for thread in threading.enumerate())
    running.close()
    assert not any(thread.name.startswith("ppcls-data") for thread in threading.enumerate())
