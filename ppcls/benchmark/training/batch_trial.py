"""A few steps with one batch size, in a process that may run out of memory.

``python -m ppcls.benchmark.training.batch_trial ORDER RESULT`` trains as ORDER says, a JSON object
with "config", "overrides" and "imports", and writes a `BatchTrial` as JSON to the file RESULT.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ppcls import runtime
from ppcls.benchmark.training.results import BatchTrial
from ppcls.errors import PpclsError
from ppcls.text import printable

if TYPE_CHECKING:
    from ppcls.benchmark.training.watched import Turn
    from ppcls.config import Config
    from ppcls.engine.job import Job

_WARM_UP = 2
"""Steps that do not count: they take memory, and prepare operators. Nor do those whose batches were
read ahead meanwhile.
"""

_STEPS = 6
"""That count, at least."""

_SECONDS = 2.0
"""That steps are measured for, where they are short; what else the machine does evens out then."""


def measure_batches(config: Config, seconds: float = _SECONDS) -> BatchTrial:
    """Train a few steps as a run does, in its trainer with batches from its loader, of the largest
    images that it has, and write nothing.

    The learning rate is 0, which takes as long: a rate for large batches lets small ones diverge.

    Args:
        config: the recipe.
        seconds: how long to measure, at least; six steps are measured in any case.

    Raises:
        PpclsError: the configuration or the data set is wrong, or the device is not there.
    """
    from ppcls.engine.builder import build_job
    from ppcls.engine.world import World
    from ppcls.registry import create

    runtime.keep_freed_memory()
    device = runtime.use_device(config.Global.device)
    job = build_job(config, device, World())
    job.optimizer.schedule = create("schedule", "Constant", {"learning_rate": 0.0})
    turn = _turn(job, _STEPS)
    if sum(turn.seconds) < seconds:
        turn = _turn(job, math.ceil(seconds / statistics.median(turn.seconds)))
    return BatchTrial(
        images_per_second=turn.images_per_second,
        step=statistics.median(turn.seconds),
        peak_memory=runtime.peak_memory(device),
        images=len(job.train.dataset),
        device_memory=_device_memory(device),
    )


def _turn(job: Job, steps: int) -> Turn:
    """Train so many steps that count, after others."""
    from ppcls.benchmark.training.limits import synchronise
    from ppcls.benchmark.training.measure import train_over
    from ppcls.benchmark.training.watched import Watched

    warm_up = _WARM_UP + job.train.prefetch
    watched = Watched.of(
        job.train,
        warm_up + steps,
        first=job.train.largest_batch()[0],
        settle=partial(synchronise, job.device),
    )
    train_over(job, watched)
    return watched.turn(warm_up)


def _device_memory(device: str) -> Optional[int]:
    """Return how many bytes a GPU has; None for a CPU."""
    if device == "cpu":
        return None
    import paddle

    return int(paddle.device.cuda.get_device_properties(device).total_memory)


def _volunteer() -> None:
    """Let the kernel end this process before any other where memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _main(order: str, result: str) -> int:
    _volunteer()
    runtime.prepare()
    from ppcls.config import load_config

    asked = json.loads(order)
    try:
        found = measure_batches(load_config(asked["config"], asked["overrides"], asked["imports"]))
    except PpclsError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return error.exit_status
    Path(result).write_text(found.model_dump_json(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
