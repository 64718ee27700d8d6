"""Preprocessing in the words of PaddleX 3.x's image-classification predictor.

PaddleX runs a fixed sequence (read as RGB, ResizeImage, CropImage if given, NormalizeImage,
ToCHWImage) with these arguments; anything else in ``transform_ops`` makes it fail. So the same
preprocessing is written with what it accepts wherever that is possible. What it cannot do is
written as it is, for our own predictor, and named as an obstacle.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

Op = Dict[str, Dict[str, Any]]

_SEQUENCES = (
    ["ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage"],
    ["ResizeImage", "NormalizeImage", "ToCHWImage"],
)
_SHARED_FILTERS = {
    "cv2": ("nearest", "bicubic", "area"),
    "pil": ("nearest", "bilinear", "bicubic", "box"),
}
"""Interpolations with the same name here and there; OpenCV's bilinear, the default, needs none."""

_THEIR_NAMES = {"MobileNetV1": "MobileNetV1_x1_0", "MobileNetV2": "MobileNetV2_x1_0"}
"""Networks that PaddleX calls otherwise than we do; others have the same name, or none there."""


class Portable(NamedTuple):
    """Preprocessing as a bundle holds it, and why PaddleX cannot run it (empty: it can)."""

    decode: Dict[str, Any]
    transform_ops: List[Op]
    obstacles: List[str]


@cache
def paddlex_models() -> FrozenSet[str]:
    """Return the names of the classification models that PaddleX 3.7 knows."""
    text = Path(__file__).with_name("paddlex_models.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def name_for_paddlex(name: str) -> str:
    """Return what PaddleX calls a network of ours; its own name where PaddleX has none for it."""
    return _THEIR_NAMES.get(name, name)


def name_obstacle(name: str) -> Optional[str]:
    """Say that PaddleX does not know a name, and what to do; None where it does."""
    if name in paddlex_models():
        return None
    return (
        f"it knows no model '{name}'; it runs any network under a name that it knows, such as "
        "--model-name ResNet50"
    )


def levels_obstacle() -> str:
    """Say that PaddleX normalises images, which a network that takes levels of uint8 does too."""
    return "the network takes levels of uint8 (--uint8), but PaddleX always normalises images"


def multi_label_obstacle() -> str:
    """Say that PaddleX's image classification names the best of a fixed number of classes."""
    return (
        "images have any number of classes here, and PaddleX's image classification shows a fixed "
        "number of them"
    )


def portable(spec: List[Op]) -> Portable:
    """Rewrite for PaddleX what `Pipeline.spec()` gives: DecodeImage first, every argument named."""
    # Random crops alone have a use for `scaled`.
    decode = {key: value for key, value in next(iter(spec[0].values())).items() if key != "scaled"}
    ops = [_rewritten(op) for op in _normalised_before_transposed(spec[1:])]
    return Portable(decode, ops, [*_decode_obstacles(decode), *_obstacles(ops)])


def _normalised_before_transposed(spec: List[Op]) -> List[Op]:
    """Put NormalizeImage before ToCHWImage, with the order that fits there: the same numbers."""
    names = _names(spec)
    if names[-2:] != ["ToCHWImage", "NormalizeImage"]:
        return spec
    normalize = {**spec[-1]["NormalizeImage"], "order": ""}
    return [*spec[:-2], {"NormalizeImage": normalize}, spec[-2]]


def _rewritten(op: Op) -> Op:
    ((name, arguments),) = op.items()
    given = {key: value for key, value in arguments.items() if value is not None}
    return {name: _REWRITE.get(name, dict)(given)}


def _resize(arguments: Dict[str, Any]) -> Dict[str, Any]:
    kept = {key: value for key, value in arguments.items() if key != "return_numpy"}
    if (kept.get("backend"), kept.get("interpolation")) == ("cv2", "bilinear"):
        # PaddleX has another word for it, but the same default.
        del kept["interpolation"]
    if "resize_short" in kept:
        kept.pop("size", None)  # resize_short wins anyway
    return kept


def _normalize(arguments: Dict[str, Any]) -> Dict[str, Any]:
    kept = dict(arguments)
    if not kept.get("output_fp16"):
        kept.pop("output_fp16", None)
    if kept.get("order") == "hwc":
        kept["order"] = ""
    return kept


_REWRITE: Dict[str, Callable[[Dict[str, Any]], Dict[str, Any]]] = {
    "ResizeImage": _resize,
    "NormalizeImage": _normalize,
}


def _decode_obstacles(decode: Dict[str, Any]) -> List[str]:
    """PaddleX reads every image as RGB with three channels last."""
    expected: List[Tuple[str, Any, str]] = [
        ("channel_num", 3, "grey images"),
        ("to_rgb", True, "channels in the order BGR"),
        ("channel_first", False, "channels first"),
    ]
    return [
        f"PaddleX cannot decode to {words} (DecodeImage.{key}: {decode[key]})"
        for key, value, words in expected
        if decode.get(key, value) != value
    ]


def _obstacles(ops: List[Op]) -> List[str]:
    names = _names(ops)
    if names not in _SEQUENCES:
        accepted = " or ".join(" > ".join(sequence) for sequence in _SEQUENCES)
        return [f"PaddleX runs {accepted}, not {' > '.join(names)}"]
    merged = {name: arguments for op in ops for name, arguments in op.items()}
    return [
        *_resize_obstacles(merged["ResizeImage"]),
        *_normalize_obstacles(merged["NormalizeImage"]),
    ]


def _resize_obstacles(resize: Dict[str, Any]) -> List[str]:
    backend, word = resize.get("backend", "cv2"), resize.get("interpolation")
    if word is None or word in _SHARED_FILTERS[backend]:
        return []
    return [f"PaddleX has no interpolation '{word}' with backend '{backend}' by that name"]


def _normalize_obstacles(normalize: Dict[str, Any]) -> List[str]:
    found = []
    if normalize.get("output_fp16"):
        found.append("PaddleX does not know NormalizeImage.output_fp16")
    if normalize.get("channel_num", 3) != 3 or len(normalize["mean"]) != 3:
        found.append("PaddleX normalises three channels only")
    return found


def _names(ops: List[Op]) -> List[str]:
    return [next(iter(op)) for op in ops]
