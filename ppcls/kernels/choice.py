"""Which library computes a convolution: the faster one, measured once for each shape and machine.

What was chosen is kept in the cache folder, and in every checkpoint: results of two libraries
differ in their last digits, so a resumed run computes as before, also on another machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import time
from pathlib import Path
from typing import Callable, Dict, Literal, Mapping, Optional, Sequence

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn
from pydantic import TypeAdapter, ValidationError

from ppcls.files import cache_folder, read_regular, write_text
from ppcls.kernels.convolution import convolution, convolve
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.geometry import Geometry
from ppcls.kernels.layout import Layout
from ppcls.kernels.onednn import Unavailable, library

Name = Literal["onednn", "paddle"]
Measure = Callable[[Geometry, str, bool], Dict[str, float]]
"""Returns the seconds of both libraries for a convolution of a map that lies in this order; with
its gradients, if the last argument says so.
"""

CLEARLY = 0.9
"""Of oneDNN's time Paddle must take less, to be chosen: near each other, noise would decide."""

_TURNS = 4
"""Of each; the first one does not count."""

_MOST_BYTES = 1 << 20
_Names = TypeAdapter(Dict[str, Name])
_log = logging.getLogger("ppcls")


class Choices:
    """What was chosen for each shape.

    Args:
        path: where it is kept; None for the file of this machine and these versions.
        measure: see `Measure`.

    Attributes:
        used: the description of a convolution -> the library, of those that were asked for.
    """

    def __init__(self, path: Optional[Path] = None, measure: Optional[Measure] = None) -> None:
        self._path = path
        self._measure = measure or measured_seconds
        self._known: Dict[str, Name] = {}
        self.used: Dict[str, Name] = {}

    def paddle_computes(self, geometry: Geometry, order: str, with_gradients: bool) -> bool:
        """Whether Paddle's operator is the faster one for a map in this order of values."""
        if geometry.dtype != "float32":
            return False
        key = describe_convolution(geometry, order, with_gradients)
        if key not in self.used:
            known = self._remembered(key)
            self.used[key] = known or self._new(key, geometry, order, with_gradients)
        return self.used[key] == "paddle"

    def take(self, known: Mapping[str, str]) -> None:
        """Compute from now on with what a run has used before."""
        self.used.update(_Names.validate_python(dict(known)))

    def _remembered(self, key: str) -> Optional[Name]:
        if not self._known:
            self._path = self._path or _usual_path()
            self._known = _read(self._path)
        return self._known.get(key)

    def _new(self, key: str, geometry: Geometry, order: str, with_gradients: bool) -> Name:
        found = self._faster(key, geometry, order, with_gradients)
        assert self._path is not None
        # Another process may have measured meanwhile.
        self._known = {**self._known, **_read(self._path), key: found}
        self._keep(self._path)
        return found

    def _faster(self, key: str, geometry: Geometry, order: str, with_gradients: bool) -> Name:
        try:
            found = self._measure(geometry, order, with_gradients)
        except Unavailable:
            return "paddle"
        if found["paddle"] >= CLEARLY * found["onednn"]:
            return "onednn"
        times = 1e3 * found["paddle"], 1e3 * found["onednn"]
        _log.info("Paddle computes %s: %.3g ms, where oneDNN takes %.3g", key, *times)
        return "paddle"

    def _keep(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(self._known, indent=1))
        except OSError as error:
            _log.debug("what was measured cannot be kept in %s: %s", path, error)


def _usual_path() -> Path:
    about = [platform.machine(), _processor(), paddle.__version__, library().version]
    name = hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    return cache_folder() / "operators" / f"{name}.json"


def _processor() -> str:
    """Return the processor's name and features, and how many threads compute."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    known = [line for line in lines if line.startswith(("model name", "flags"))][:2]
    return " ".join([*(known or lines[:1]), str(paddle.get_flags("FLAGS_paddle_num_threads"))])


def _read(path: Path) -> Dict[str, Name]:
    """Return what a file has; nothing where it is missing or damaged."""
    try:
        return dict(_Names.validate_json(read_regular(path, _MOST_BYTES)))
    except (OSError, ValidationError):
        return {}


def describe_convolution(geometry: Geometry, order: str, with_gradients: bool) -> str:
    """Return a line that two convolutions share only if they take the same time."""
    shapes = ["x".join(map(str, shape)) for shape in (geometry.source, geometry.weight)]
    numbers = [
        f"{letter}{'.'.join(map(str, values))}"
        for letter, values in (
            *(("stride ", geometry.stride), ("padding ", geometry.padding)),
            *(("dilation ", geometry.dilation), ("groups ", (geometry.groups,))),
        )
    ]
    ends = ["bias" if geometry.bias else "no bias", order, "training" if with_gradients else "use"]
    return ", ".join([*shapes, *numbers, *ends])


def measured_seconds(geometry: Geometry, order: str, with_gradients: bool) -> Dict[str, float]:
    """Return the shortest times of both libraries, which take turns, from a map that lies in this
    order to one as oneDNN gives it, so that Paddle pays for the ways there and back.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    plain = geometry._replace(act=None)
    made = convolution(plain)
    x = FeatureMap.of(_values(plain.source)).laid(order).detach()
    weight = _values(plain.weight)
    bias = _values(plain.weight[:1]) if plain.bias else None
    for tensor in (x, weight, *([] if bias is None else [bias])):
        tensor.stop_gradient = not with_gradients

    def by_onednn() -> Tensor:
        source = FeatureMap(x, Layout(plain.source, order))
        return convolve(plain, source.laid(made.source.order), weight, bias)

    def by_paddle() -> Tensor:
        source = FeatureMap(x, Layout(plain.source, order)).plain()
        numbers = map(list, (plain.stride, plain.padding, plain.dilation))
        found = F.conv2d(source, weight, bias, *numbers, plain.groups)
        return FeatureMap.of(found).laid(made.result.order)

    inputs = [one for one in (x, weight, bias) if one is not None]
    shortest = {"onednn": math.inf, "paddle": math.inf}
    for turn in range(_TURNS):
        for name, run in (("onednn", by_onednn), ("paddle", by_paddle)):
            seconds = _seconds(run, inputs, with_gradients)
            shortest[name] = min(shortest[name], seconds) if turn else math.inf
    return shortest


def _seconds(run: Callable[[], Tensor], inputs: Sequence[Tensor], with_gradients: bool) -> float:
    began = time.perf_counter()
    found = run()
    if with_gradients:
        found.backward()
    seconds = time.perf_counter() - began
    for tensor in inputs:
        tensor.clear_gradient()
    return seconds


def _values(shape: Sequence[int]) -> Tensor:
    """Return values that are not drawn, so that training's random numbers stay as they are."""
    return paddle.full(list(shape), 0.01, dtype="float32")


def give_choices(network: nn.Layer, choices: Choices) -> None:
    """Let the convolutions of a network be computed by what was chosen."""
    for layer in network.sublayers(include_self=True):
        if isinstance(layer, nn.Conv2D):
            object.__setattr__(layer, "_choices", choices)


def choices_of(layer: nn.Layer) -> Optional[Choices]:
    """Return the choices of a layer, or of the first convolution in a network, if there are any."""
    found = (getattr(one, "_choices", None) for one in layer.sublayers(include_self=True))
    return next((one for one in found if one is not None), None)
