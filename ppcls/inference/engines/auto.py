"""`--engine auto`: the fastest of the installed engines, measured once for a machine and a bundle.

Which engine is the fastest depends on the network, the processor and the number of images at once,
so it is measured and not guessed. The answer is kept in the cache folder, in a file whose name is a
hash of all that it depends on. The precision is the one asked for: nothing is computed in fewer
bits to be faster.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import statistics
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Callable, Dict, List, NamedTuple, Sequence, Union

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

import ppcls
from ppcls import runtime
from ppcls.errors import BundleError, UsageError
from ppcls.files import cache_folder, read_regular, sha256_of, write_text
from ppcls.inference.bundle import Bundle
from ppcls.inference.description import CONFIG_NAME
from ppcls.inference.engines import ENGINES, Engine, EngineOptions, installed_engines, open_engine

SECONDS = 1.5
"""For all engines together, once they are open; slow networks take their least number of turns."""

CLOSE = 1.1
"""Where the two fastest engines are nearer to each other, twice the seconds are taken."""

TURNS = 3
"""How often each engine's turn comes, at least."""

TURN_SECONDS = 0.06
HOPELESS = 2.0
"""An engine that takes so many times as long as another gets no more than its first turn."""

DISTRIBUTIONS = {
    "paddle": ("paddlepaddle-gpu", "paddlepaddle"),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "openvino": ("openvino",),
}
"""What the engines' packages are called where they are installed from."""

_MOST_BYTES = 1 << 16
_METHOD = 2
"""Of measuring: what another one found is measured again."""
_log = logging.getLogger("ppcls")
_Medians = TypeAdapter(Dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]])


class Choice(NamedTuple):
    """The engine that was chosen, and why, in a sentence."""

    engine: Engine
    reason: str


def open_fastest(bundle: Bundle, options: EngineOptions) -> Choice:
    """Open a bundle with the fastest of the engines that are installed.

    Raises:
        UsageError: no engine for it is installed, or the device or precision is not there.
        BundleError: no engine opens the bundle.
    """
    names = installed_engines(bundle.formats, options.device, options.precision)
    if len(names) == 1:
        return Choice(open_engine(names[0], bundle, options), "no other is installed for it")
    path = _place(bundle, options, names)
    known = _recalled(path, names)
    if known:
        with contextlib.suppress(BundleError, UsageError):  # then it is measured again
            name = min(known, key=known.__getitem__)
            return Choice(open_engine(name, bundle, options), _told(known))
    _log.info("measuring which is the fastest here, once: %s", ", ".join(names))
    images = _batch(bundle, options)
    opened = _open_all(names, bundle, options, images)
    medians = _measured(opened, images)
    _remember(path, medians)
    return Choice(opened[min(medians, key=medians.__getitem__)], _told(medians))


def _told(medians: Dict[str, float]) -> str:
    """Say by how much the fastest engine is ahead."""
    (_, best), *others = sorted(medians.items(), key=lambda item: item[1])
    behind = ", ".join(f"{name} takes {value / best:.2f} times as long" for name, value in others)
    return f"{best:.3g} ms for a batch, measured once on this machine; {behind}"


def _open_all(
    names: Sequence[str], bundle: Bundle, options: EngineOptions, images: np.ndarray
) -> Dict[str, Engine]:
    """Open all engines that can run some images; what is wrong with the others is logged."""
    opened: Dict[str, Engine] = {}
    wrong: Dict[str, Union[BundleError, UsageError]] = {}
    for name in names:
        try:
            engine = open_engine(name, bundle, options)
            engine.run(images)
            opened[name] = engine
        except (BundleError, UsageError) as error:
            wrong[name] = error
    if not opened:
        reasons = "; ".join(f"{name}: {error}" for name, error in wrong.items())
        raise type(next(iter(wrong.values())))(f"none of the installed engines can: {reasons}")
    for name, reason in wrong.items():
        _log.warning("the engine '%s' is left out: %s", name, reason)
    return opened


def _batch(bundle: Bundle, options: EngineOptions) -> np.ndarray:
    """Return images of noise: no engine's time depends on what is in them."""
    drawn, taken = np.random.default_rng(0), bundle.input
    shape = (taken.batch or options.batch_size, *taken.image_shape)
    if taken.dtype == "uint8":
        return drawn.integers(0, 256, shape, dtype=np.uint8)
    return drawn.standard_normal(shape, dtype=np.float32)


def _measured(
    engines: Dict[str, Engine],
    images: np.ndarray,
    clock: Callable[[], float] = time.perf_counter,
) -> Dict[str, float]:
    """Return the time of each engine for a batch, in ms: the median of the shortest of each turn.

    They take turns, so that whatever else the machine does hits all alike; and it only ever adds,
    so the shortest time of a turn is the one that says most of the engine. The first run of a turn
    is not counted: another engine's threads may still be waiting for work then.
    """
    times: Dict[str, List[float]] = {name: [] for name in engines}
    began = clock()
    turn = 0
    while turn < TURNS or clock() - began < SECONDS * (2 if _are_close(times) else 1):
        medians = {name: statistics.median(found) for name, found in times.items() if found}
        best = min(medians.values(), default=0.0)
        for name, engine in engines.items():
            if best and medians[name] > HOPELESS * best:
                continue
            times[name].append(min(_turn(engine, images, clock)))
        turn += 1
    return {name: 1000 * statistics.median(found) for name, found in times.items()}


def _are_close(times: Dict[str, List[float]]) -> bool:
    """Whether it is not clear yet which engine is the fastest."""
    first, *others = sorted(statistics.median(found) for found in times.values())
    return bool(others) and others[0] < CLOSE * first


def _turn(engine: Engine, images: np.ndarray, clock: Callable[[], float]) -> List[float]:
    engine.run(images)
    found: List[float] = []
    while len(found) < 2 or sum(found) < TURN_SECONDS:
        start = clock()
        engine.run(images)
        found.append(clock() - start)
    return found


def _place(bundle: Bundle, options: EngineOptions, names: Sequence[str]) -> Path:
    """Return the file that remembers: its name is a hash of all that the answer depends on."""
    text = json.dumps(fingerprint(bundle, options, names), sort_keys=True)
    return cache_folder() / "engines" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def fingerprint(bundle: Bundle, options: EngineOptions, names: Sequence[str]) -> Dict[str, Any]:
    """Return all that decides which engine is the fastest: machine, versions, bundle, options."""
    return {
        "method": _METHOD,
        "machine": [runtime.cpu_model(), runtime.available_cores(), *runtime.nvidia_gpus()],
        "versions": [ppcls.__version__, *(_version(ENGINES[name].package) for name in names)],
        "engines": list(names),
        # It holds the checksums of all other files.
        "bundle": sha256_of(bundle.folder / CONFIG_NAME),
        "options": [options.device, options.threads, options.precision, options.batch_size],
    }


def _version(package: str) -> str:
    """Return the version of what is imported as `package`, without importing it."""
    for name in DISTRIBUTIONS[package]:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _recalled(path: Path, names: Sequence[str]) -> Dict[str, float]:
    """Return the medians of an earlier measurement; nothing if there is none, or an odd one."""
    try:
        found = _Medians.validate_json(read_regular(path, _MOST_BYTES))
    except (OSError, ValueError, ValidationError):
        return {}
    return found if found and set(found) <= set(names) else {}


def _remember(path: Path, medians: Dict[str, float]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(medians))
    except OSError as error:
        _log.info("which engine is the fastest is not remembered: %s", error)
