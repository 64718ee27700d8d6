"""Real processes, really killed: what is on the disk is always enough to go on, and nothing is
different at the end.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

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
    recipe["DataLoader"]["Train"]["loader"]["num_workers"] = 4
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
    expect_the_same(tmp_path / "whole", folder)


def expect_the_same(whole: Path, folder: Path) -> None:
    """Compare all weights and the states that two runs ended with, bit by bit."""
    last, other = checkpoints(whole)[-1], checkpoints(folder)[-1]
    ours, theirs = load_checkpoint(other), load_checkpoint(last)
    assert other.name == last.name and ours.state == theirs.state
    for group in ("model", "optimizer", "ema"):
        for name, array in getattr(theirs, group).items():
            assert array.tobytes() == getattr(ours, group)[name].tobytes(), name
    best = "best_model.safetensors"
    assert load_bytes(folder / best) == load_bytes(whole / best)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB, where this process may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True
    )
    if made.returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_a_disk_that_fills_at_random_moments_changes_nothing(
    long_recipe: Dict[str, Any],
    write_recipe: Callable[..., Path],
    tmp_path: Path,
    small_disk: Path,
) -> None:
    long_recipe["Global"]["output_dir"] = str(tmp_path / "whole")
    began = time.monotonic()
    finished(start(write_recipe(long_recipe, "whole.yaml")))
    seconds = time.monotonic() - began
    long_recipe["Global"]["output_dir"] = str(folder := small_disk / "run")
    recipe, rng, stops = write_recipe(long_recipe, "full.yaml"), random.Random(os.urandom(8)), 0
    for _ in range(10):
        process = start(recipe, "--resume", "auto")
        wait_for_training(process, folder)
        time.sleep(rng.uniform(0, seconds / 20))
        fill(small_disk / "filler")
        output = process.communicate(timeout=240)[0].decode()
        (small_disk / "filler").unlink()
        stops += process.returncode == 1
        assert process.returncode == 0 or "No space left on device" in output, output
        assert "Traceback" not in output
    assert stops > 3
    finished(start(recipe, "--resume", "auto"))
    expect_the_same(tmp_path / "whole", folder)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 12))


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
