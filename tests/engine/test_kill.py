"""Real processes, really killed: what is on the disk is always enough to go on, and nothing is
different at the end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from ppcls.engine.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def start(recipe: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "tools/train.py"), "-c", str(recipe), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def finished(process: subprocess.Popen[bytes]) -> str:
    output = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 0, output
    return output


def checkpoints(folder: Path) -> List[Path]:
    return sorted((folder / "checkpoints").glob("step_*.safetensors"))


def wait_for_training(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when the process has begun to train, which its log says, or has ended."""
    log = folder / "train.log"
    before = log.read_text().count("training LeNet") if log.exists() else 0
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_text().count("training LeNet") > before:
            return
        time.sleep(0.01)


@pytest.fixture
def long_recipe(recipe: Dict[str, Any]) -> Dict[str, Any]:
    """200 updates in 40 epochs, saved every other update, with everything that has a state."""
    recipe["Global"].update(epochs=40, save_steps=2, print_batch_step=5)
    recipe["Optimizer"]["name"] = "Adam"
    recipe["Optimizer"]["lr"].update(learning_rate=0.002, warmup_epoch=1)
    recipe["EMA"] = {"decay": 0.99}
    recipe["DataLoader"]["Train"]["loader"]["num_workers"] = 2
    return recipe


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.exhaustive)])
def test_kills_at_random_moments_change_nothing(
    long_recipe: Dict[str, Any], write_recipe: Callable[..., Path], tmp_path: Path, kills: int
) -> None:
    long_recipe["Global"]["output_dir"] = str(tmp_path / "whole")
    began = time.monotonic()
    finished(start(write_recipe(long_recipe, "whole.yaml")))
    seconds = time.monotonic() - began
    long_recipe["Global"]["output_dir"] = str(folder := tmp_path / "killed")
    recipe, rng, steps = write_recipe(long_recipe, "killed.yaml"), random.Random(os.urandom(8)), []
    for _ in range(kills):
        process = start(recipe, "--resume", "auto")
        wait_for_training(process, folder)
        time.sleep(rng.uniform(0, seconds / kills / 2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Every file that has the name of a checkpoint is one.
        steps.append([load_checkpoint(path).state.step for path in checkpoints(folder)])
    output = finished(start(recipe, "--resume", "auto"))
    assert "passed over" not in output
    print("steps on disk after each kill:", steps)
    whole, killed = checkpoints(tmp_path / "whole")[-1], checkpoints(folder)[-1]
    ours, theirs = load_checkpoint(killed), load_checkpoint(whole)
    assert killed.name == whole.name and ours.state == theirs.state
    for group in ("model", "optimizer", "ema"):
        for name, array in getattr(theirs, group).items():
            assert array.tobytes() == getattr(ours, group)[name].tobytes(), name
    best = "best_model.safetensors"
    assert load_bytes(folder / best) == load_bytes(tmp_path / "whole" / best)


def load_bytes(path: Path) -> Dict[str, bytes]:
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(path).items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_and_leaves_with_its_status(
    long_recipe: Dict[str, Any],
    write_recipe: Callable[..., Path],
    number: signal.Signals,
    status: int,
) -> None:
    long_recipe["Global"]["save_steps"] = 10_000
    folder = Path(long_recipe["Global"]["output_dir"])
    process = start(write_recipe(long_recipe))
    wait_for_training(process, folder)
    time.sleep(0.3)
    os.kill(process.pid, number)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == status, output
    assert f"stopped by {number.name}; the state is saved, continue with --resume auto" in output
    assert load_checkpoint(checkpoints(folder)[-1]).state.step > 0
