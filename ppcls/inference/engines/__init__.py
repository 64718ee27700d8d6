"""The engines that run a bundle's network, by name. Each is imported only when it is opened.

A new engine is one module with a class that is made from the files of a format and
`EngineOptions`, and runs like `Engine`; and one row of `ENGINES`.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from ppcls.errors import PADDLE_MISSING, BundleError, UsageError, did_you_mean
from ppcls.inference.bundle import Bundle
from ppcls.inference.programs import check_file
from ppcls.runtime import DEVICES

_HERE = "ppcls.inference.engines"


class EngineRow(NamedTuple):
    """What is known of an engine before it is imported."""

    format: str
    """The format of a bundle that it opens."""
    suffixes: Tuple[str, ...]
    """Those of the format's files, which `ppcls.inference.programs` knows how to check."""
    place: str
    """Module and class."""
    package: str
    """What must be importable."""
    missing: str
    """What to say where `package` is not."""
    on_gpu: bool
    """Whether it runs on GPUs too."""


ENGINES: Dict[str, EngineRow] = {
    "paddle": EngineRow(
        "paddle",
        (".json", ".pdmodel", ".pdiparams"),
        f"{_HERE}.paddle_inference:PaddleEngine",
        "paddle",
        PADDLE_MISSING,
        True,
    ),
    "onnxruntime": EngineRow(
        "onnx",
        (".onnx",),
        f"{_HERE}.onnx_runtime:OnnxRuntimeEngine",
        "onnxruntime",
        "ONNX Runtime is not installed: pip install 'ppcls[onnx]'",
        False,
    ),
}


@dataclass(frozen=True)
class EngineOptions:
    """How an engine runs: `device` is auto, cpu, gpu or gpu:N; `threads` None is one per core.

    Raises:
        UsageError: `device` is something else.
    """

    device: str = "auto"
    threads: Optional[int] = None

    def __post_init__(self) -> None:
        if not re.fullmatch(DEVICES, self.device):
            raise UsageError(f"unknown device '{self.device}'; accepted: auto, cpu, gpu, gpu:N")


class Runner(Protocol):
    """A loaded network. One caller at a time: it is not safe to share between threads."""

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of images, float32 [n, c, h, w]."""


class Engine(Runner, Protocol):
    """A network of a bundle, loaded."""

    def describe(self) -> Dict[str, Any]:
        """Return the engine's name, version, device and settings, as plain values."""


def choose_engine(formats: Iterable[str], device: str = "auto") -> str:
    """Return the name of an installed engine that opens one of the formats, an earlier one if
    possible; for a GPU one that runs there, if there is one.

    Raises:
        UsageError: none of the engines for these formats is installed.
        BundleError: there are no engines for these formats.
    """
    wanted = list(formats)
    known = [name for format in wanted for name, row in ENGINES.items() if row.format == format]
    if not known:
        raise BundleError(
            f"no engine opens the format {' or '.join(map(repr, wanted))}. Accepted: "
            + ", ".join(f"{row.format} (engine {name})" for name, row in ENGINES.items())
        )
    installed = [name for name in known if importlib.util.find_spec(ENGINES[name].package)]
    if not installed:
        raise UsageError(ENGINES[known[0]].missing)
    able = [name for name in installed if ENGINES[name].on_gpu or not device.startswith("gpu")]
    return (able or installed)[0]


def open_engine(name: str, bundle: Bundle, options: EngineOptions) -> Engine:
    """Load a bundle's network with an engine.

    Raises:
        UsageError: no engine has this name, it is not installed, the bundle does not hold the
            format that it opens, or the device is not there.
        BundleError: the engine cannot load the network, or it holds what does more than compute.
    """
    if name not in ENGINES:
        raise UsageError(
            f"unknown engine '{name}'.{did_you_mean(name, ENGINES)} Accepted: {', '.join(ENGINES)}"
        )
    row = ENGINES[name]
    if row.format not in bundle.formats:
        raise UsageError(_format_missing(name, bundle))
    if importlib.util.find_spec(row.package) is None:
        raise UsageError(row.missing)
    if options.device.startswith("gpu") and not row.on_gpu:
        raise UsageError(f"the engine '{name}' runs on CPUs only: --device cpu")
    for path in bundle.formats[row.format]:
        _check(path, row)
    module, _, class_name = row.place.partition(":")
    opened = getattr(importlib.import_module(module), class_name)
    engine: Engine = opened(bundle.formats[row.format], options)
    return engine


def _check(path: Path, row: EngineRow) -> None:
    if path.suffix not in row.suffixes:
        raise BundleError(
            f"{path}: files of the format '{row.format}' end in {' or '.join(row.suffixes)}; "
            "export the network again"
        )
    check_file(path)


def _format_missing(name: str, bundle: Bundle) -> str:
    formats: List[str] = [*bundle.formats, ENGINES[name].format]
    return (
        f"{bundle.folder}: the engine '{name}' opens the format '{formats[-1]}', but the bundle "
        f"holds {', '.join(bundle.formats)}; to add it: "
        f"ppcls export -c CONFIG --formats {','.join(formats)} --overwrite"
    )
