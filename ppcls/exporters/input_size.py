"""Another size of images than that of the recipe: preprocessing and network follow."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ppcls.arch.network import Network
from ppcls.data.transforms import Pipeline
from ppcls.errors import ConfigError, UsageError
from ppcls.registry import parse

Size = Tuple[int, int]
"""(height, width) in pixels."""


_SIZING = ("CropImage", "CropImageAtRatio", "ResizeImage")


def resized(transform: Pipeline, size: Size) -> Pipeline:
    """Return the preprocessing of evaluation for images of another size.

    The last op that settles the size (CropImage, CropImageAtRatio or ResizeImage) gives the new
    one. What stands before it keeps its proportion to it: ``resize_short: 256`` before ``CropImage:
    224`` becomes 293 for 256 x 256. Where height and width do not grow alike, the larger factor
    counts, so that the crop fits into every photo.

    Raises:
        UsageError: images come in different sizes out of the preprocessing, or no op can give the
            new one.
    """
    old, spec = transform.output_size, transform.spec()
    sizing = [i for i, op in enumerate(spec) if next(iter(op)) in _SIZING]
    if old is None or not sizing:
        raise UsageError(
            "--input-size: the Eval transforms do not settle one size that could be changed; add "
            "CropImage or ResizeImage with 'size' to DataLoader.Eval.dataset.transform_ops"
        )
    factor = max(size[0] / old[0], size[1] / old[1])
    for index in sizing[:-1]:
        spec[index] = _scaled(spec[index], factor)
    spec[sizing[-1]] = _exactly(spec[sizing[-1]], size)
    try:
        return Pipeline([parse("transform", op) for op in spec])
    except ConfigError as error:
        raise UsageError(f"--input-size {size[0]},{size[1]}: {error}") from None


def _scaled(op: Dict[str, Any], factor: float) -> Dict[str, Any]:
    ((name, arguments),) = op.items()
    changed = {key: _times(arguments.get(key), factor) for key in ("size", "resize_short")}
    return {name: {**arguments, **{key: value for key, value in changed.items() if value}}}


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, list):
        return [_times(side, factor) for side in value]
    return None if value is None else max(1, round(value * factor))


def _exactly(op: Dict[str, Any], size: Size) -> Dict[str, Any]:
    ((name, arguments),) = op.items()
    height, width = size
    if name == "CropImageAtRatio":
        if height != width:
            raise UsageError(
                f"--input-size {height},{width}: CropImageAtRatio cuts out squares; give one side, "
                "or end DataLoader.Eval.dataset.transform_ops with ResizeImage and CropImage"
            )
        pad = round(arguments["pad"] * height / arguments["size"])
        return {name: {**arguments, "size": height, "pad": pad}}
    sides: List[int] = [width, height]
    given = {**arguments, "size": height if height == width else sides}
    return {name: {**given, "resize_short": None} if name == "ResizeImage" else given}


def check_network_takes(network: Network, size: Size) -> None:
    """Refuse a size that is too small for a network's kernels and pooling windows.

    Raises:
        UsageError: it is.
    """
    if min(size) < network.min_input_size:
        raise UsageError(
            f"--input-size {size[0]},{size[1]}: {network.model_name or type(network).__name__} "
            f"takes images of at least {network.min_input_size} x {network.min_input_size} pixels"
        )
