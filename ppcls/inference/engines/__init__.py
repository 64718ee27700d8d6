"""The engines that run a bundle's network, by name. Each is imported only when it is opened.

A new engine is one module with a class that is made from the files of a format (the program first),
`EngineOptions` and `NetworkInput`, and runs like `Engine`; and one row of `ENGINES`.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from ppcls.errors import PADDLE_MISSING, BundleError, UsageError, did_you_mean
from ppcls.inference.bundle import Bundle
from ppcls.inference.network_files import checked_network
from ppcls.runtime import DEVICES

_HERE = "ppcls.inference.engines"
_NO_ONNXRUNTIME = "ONNX Runtime is not installed: pip install 'ppcls[onnx]'"

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""In which numbers a network may be computed. Nothing but fp32 is ever chosen unasked."""


class EngineRow(NamedTuple):
    """What is known of an engine before it is imported."""

    place: str
    """Module and class."""
    formats: Tuple[str, ...]
    """Those of a bundle that it opens, the preferred one first; see `formats_at`."""
    package: str
    """What must be importable."""
    missing: str
    """What to say where `package` is not."""
    on_cpu: Tuple[str, ...]
    """In which precisions it computes on CPUs; none if it does not run there."""
    on_gpu: Tuple[str, ...]
    """The same for GPUs."""
    in_auto: bool
    """Whether `auto` tries it."""

    def precisions(self, device: str) -> Tuple[str, ...]:
        """Return what it computes in on a device; `auto` may become any."""
        if device == "auto":
            return tuple(one for one in PRECISIONS if one in self.on_cpu + self.on_gpu)
        return self.on_cpu if device == "cpu" else self.on_gpu

    def formats_at(self, precision: str) -> Tuple[str, ...]:
        """Return the formats that it opens: INT8 networks are files of their own."""
        ending = "_int8" if precision == "int8" else ""
        return tuple(f"{name}{ending}" for name in self.formats)


ENGINES: Dict[str, EngineRow] = {
    "paddle": EngineRow(
        f"{_HERE}.paddle_inference:PaddleEngine",
        ("paddle",),
        "paddle",
        PADDLE_MISSING,
        ("fp32", "bf16"),
        ("fp32", "fp16", "bf16"),
        True,
    ),
    "onnxruntime": EngineRow(
        f"{_HERE}.onnx_runtime:OnnxRuntimeEngine",
        ("onnx",),
        "onnxruntime",
        _NO_ONNXRUNTIME,
        ("fp32", "int8"),
        ("fp32",),
        True,
    ),
    "openvino": EngineRow(
        f"{_HERE}.openvino_runtime:OpenVinoEngine",
        ("openvino", "onnx"),
        "openvino",
        "OpenVINO is not installed: pip install 'ppcls[openvino]'",
        ("fp32", "bf16", "int8"),
        (),
        True,
    ),
    "paddle_plain": EngineRow(
        f"{_HERE}.paddle_inference:PaddlePlainEngine",
        ("paddle",),
        "paddle",
        PADDLE_MISSING,
        ("fp32",),
        (),
        False,
    ),
    "paddle_tensorrt": EngineRow(
        f"{_HERE}.paddle_inference:PaddleTensorRtEngine",
        ("paddle",),
        "paddle",
        PADDLE_MISSING,
        (),
        ("fp32", "fp16"),
        False,
    ),
    "onnxruntime_tensorrt": EngineRow(
        f"{_HERE}.onnx_runtime:OnnxRuntimeTensorRtEngine",
        ("onnx",),
        "onnxruntime",
        _NO_ONNXRUNTIME,
        (),
        ("fp32", "fp16", "int8"),
        False,
    ),
}
"""`auto` leaves out what builds for minutes (TensorRT) or is never faster (`paddle_plain`)."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine runs.

    Attributes:
        device: auto, cpu, gpu or gpu:N.
        threads: of the CPU; None is one per core.
        precision: one of `PRECISIONS`.
        batch_size: how many images come at once, mostly; any number up to it may.

    Raises:
        UsageError: `device` or `precision` is something else.
    """

    device: str = "auto"
    threads: Optional[int] = None
    precision: str = "fp32"
    batch_size: int = 8

    def __post_init__(self) -> None:
        if not re.fullmatch(DEVICES, self.device):
            raise UsageError(f"unknown device '{self.device}'; accepted: auto, cpu, gpu, gpu:N")
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"unknown precision '{self.precision}'.{did_you_mean(self.precision, PRECISIONS)} "
                f"Accepted: {', '.join(PRECISIONS)}"
            )


class NetworkInput(NamedTuple):
    """What a network takes: its input's name, the shape of an image, the type of its numbers."""

    name: str
    shape: Tuple[int, ...]
    dtype: str = "float32"

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return images, [n, *shape], as an array that engines take."""
        return np.ascontiguousarray(images, dtype=self.dtype)

    def range_of_shapes(self, batch_size: int) -> Tuple[List[int], List[int], List[int]]:
        """Return the smallest, the usual and the largest shape of a batch."""
        sizes = (1, batch_size, batch_size)
        one, usual, most = ([size, *self.shape] for size in sizes)
        return one, usual, most


class Runner(Protocol):
    """A loaded network. One caller at a time: it is not safe to share between threads."""

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of preprocessed images, [n, ...]."""


class Engine(Runner, Protocol):
    """A network of a bundle, loaded."""

    def describe(self) -> Dict[str, Any]:
        """Return the engine's name, version, device and settings, as plain values.

        `report` is what the engine itself says of what it enabled.
        """


def engines_for(formats: Iterable[str], device: str = "auto", precision: str = "fp32") -> List[str]:
    """Return the names of all engines, installed or not, that open one of a bundle's formats and
    compute so on that device; those of an earlier format first.
    """
    able = {name: row for name, row in ENGINES.items() if precision in row.precisions(device)}
    ordered = [
        name
        for format in formats
        for name, row in able.items()
        if format in row.formats_at(precision)
    ]
    return list(dict.fromkeys(ordered))


def is_installed(name: str) -> bool:
    """Whether an engine's package can be imported here."""
    return importlib.util.find_spec(ENGINES[name].package) is not None


def installed_engines(
    formats: Iterable[str], device: str = "auto", precision: str = "fp32"
) -> List[str]:
    """Return the names of the installed engines that `auto` is about, see `engines_for`.

    Raises:
        UsageError: none of the engines for these formats is installed.
        BundleError: there are no engines for these formats.
    """
    wanted = list(formats)
    known = [name for name in engines_for(wanted, device, precision) if ENGINES[name].in_auto]
    if not known:
        raise _nothing_opens(wanted, device, precision)
    installed = [name for name in known if is_installed(name)]
    if not installed:
        raise UsageError(ENGINES[known[0]].missing)
    return installed


def _nothing_opens(formats: List[str], device: str, precision: str) -> BundleError:
    held = " or ".join(map(repr, formats))
    if precision == "int8" and not any(name.endswith("_int8") for name in formats):
        return BundleError(
            f"the bundle holds {held}, and no INT8 network, which 'ppcls quantize' adds"
        )
    accepted = [
        f"{format} (engine {name})"
        for name, row in ENGINES.items()
        if precision in row.precisions(device)
        for format in row.formats_at(precision)
    ]
    how = f"in {precision} on {'this device' if device == 'auto' else device}"
    return BundleError(
        f"no engine opens the format {held} {how}. Accepted: {', '.join(accepted) or 'nothing'}"
    )


def open_engine(name: str, bundle: Bundle, options: EngineOptions) -> Engine:
    """Load a bundle's network with an engine.

    Raises:
        UsageError: no engine has this name, it is not installed, the bundle does not hold the
            format that it opens, or the device or the precision is not there.
        BundleError: the engine cannot load the network, or it holds what does more than compute.
    """
    if name not in ENGINES:
        raise UsageError(
            f"unknown engine '{name}'.{did_you_mean(name, ENGINES)} "
            f"Accepted: auto, {', '.join(ENGINES)}"
        )
    row = ENGINES[name]
    _check_abilities(name, row, options)
    if options.device == "auto" and options.precision not in row.on_cpu:
        options = replace(options, device="gpu")
    elif options.device == "auto" and options.precision not in row.on_gpu:
        options = replace(options, device="cpu")
    held = [format for format in row.formats_at(options.precision) if format in bundle.formats]
    if not held:
        raise UsageError(_format_missing(name, bundle, options.precision))
    if not is_installed(name):
        raise UsageError(row.missing)
    files = checked_network(bundle, held[0])
    module, _, class_name = row.place.partition(":")
    opened = getattr(importlib.import_module(module), class_name)
    taken = bundle.input
    if taken.batch is not None:
        options = replace(options, batch_size=taken.batch)
    network_input = NetworkInput(taken.name, taken.image_shape, taken.dtype)
    engine: Engine = opened(files, options, network_input)
    return engine


def _check_abilities(name: str, row: EngineRow, options: EngineOptions) -> None:
    """Refuse a device or a precision that an engine has not."""
    kind = options.device.partition(":")[0]
    if kind != "auto" and not row.precisions(kind):
        other = "cpu" if kind == "gpu" else "gpu"
        raise UsageError(f"the engine '{name}' runs on {other.upper()}s only: --device {other}")
    if options.precision not in row.precisions(kind):
        able = [
            f"{other} ({', '.join(its.precisions(kind))})"
            for other, its in ENGINES.items()
            if options.precision in its.precisions(kind)
        ]
        raise UsageError(
            f"the engine '{name}' does not compute in {options.precision}"
            f"{'' if kind == 'auto' else f' on a {kind.upper()}'}, but in "
            f"{', '.join(row.precisions(kind))}; engines that do: {', '.join(able) or 'none'}"
        )


def _format_missing(name: str, bundle: Bundle, precision: str) -> str:
    wanted = ENGINES[name].formats_at(precision)
    opens = " or ".join(f"'{format}'" for format in wanted)
    formats = [format for format in bundle.formats if not format.endswith("_int8")]
    how = (
        f"ppcls quantize --model_dir {bundle.folder} --calibration PHOTOS --judge LIST"
        if precision == "int8"
        else f"ppcls export -c CONFIG --format {','.join([*formats, wanted[-1]])} --overwrite"
    )
    return (
        f"{bundle.folder}: the engine '{name}' opens the format {opens}, but the bundle holds "
        f"{', '.join(bundle.formats)}; to add it: {how}"
    )
