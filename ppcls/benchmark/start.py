"""A cold start: a process that imports the toolkit, opens a bundle and predicts one image file.

``python -m ppcls.benchmark.start BEGUN MODEL_DIR IMAGE ENGINE DEVICE PRECISION THREADS`` prints
when what was done, in seconds after BEGUN (of the monotonic clock, which processes share), and its
memory.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any, Dict, List, Sequence

from ppcls import runtime
from ppcls.benchmark.own_process import environment_for
from ppcls.benchmark.results import Start
from ppcls.errors import BundleError
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import EngineOptions

_LONGEST = 600


def cold_start(
    bundle: Bundle, image: str, engine: str, options: EngineOptions, repeats: int
) -> Start:
    """Start `repeats` processes that predict one image, and return the medians of their times.

    Files are in the system's cache after the first one, as they are on a machine that serves.

    Raises:
        BundleError: a process fails, then the message has its last line; or takes for ever.
    """
    arguments = [str(bundle.folder), image, engine]
    arguments += [options.device, options.precision, str(options.threads or 0)]
    found = [_process(arguments) for _ in range(repeats)]
    middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
    memory = int(middle.pop("peak_memory"))
    return Start(repeats=repeats, peak_memory=memory, **middle)


def _process(arguments: Sequence[str]) -> Dict[str, float]:
    command = [sys.executable, "-m", "ppcls.benchmark.start", str(time.monotonic()), *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment_for(),
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BundleError(
            f"a new process did not predict with {arguments[0]} within {_LONGEST} s"
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise BundleError(f"a new process cannot predict with {arguments[0]}: {lines[-1]}")
    times: Dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def first_prediction(arguments: List[str]) -> Dict[str, Any]:
    """Do what the process is for, and return seconds and bytes; see the module."""
    begun = float(arguments[0])
    folder, image, engine, device, precision, threads = arguments[1:]
    from ppcls.inference.predictor import Predictor

    imported = time.monotonic()
    predictor = Predictor(
        folder,
        engine=engine,
        device=device,
        precision=precision,
        threads=int(threads) or None,
        batch_size=1,
    )
    opened = time.monotonic()
    prediction = predictor(image)
    ended = time.monotonic()
    if prediction.error is not None:
        raise BundleError(prediction.error)
    return {
        "imports": imported - begun,
        "opening": opened - imported,
        "first": ended - opened,
        "total": ended - begun,
        "peak_memory": runtime.peak_memory("cpu"),
    }


if __name__ == "__main__":
    print(json.dumps(first_prediction(sys.argv[1:])))
