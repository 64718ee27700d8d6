"""What is asked for: which bundle, with and by which images, in what, and how much it may cost."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple, Union

from ppcls.errors import UsageError, did_you_mean
from ppcls.inference.engines import ENGINES, engines_for, is_installed
from ppcls.inference.predictor import refuse_below_one

NEEDS: Dict[str, Tuple[Tuple[str, ...], str]] = {
    "onnx_int8": (("onnx", "onnxruntime", "ml_dtypes"), "int8"),
    "openvino_int8": (("openvino", "nncf"), "nncf"),
}
"""Format -> the packages that write it, and the extra that installs them."""

PRECISIONS = ("int8", "bf16")


@dataclass(frozen=True)
class Request:
    """What `ppcls.quantisation.quantise_bundle` is to do.

    Attributes:
        model_dir: the bundle, which holds the format "onnx".
        calibration: a folder of images, or a list file, for calibration.
        judge: a list file with classes, or class folders, for accuracy before and after.
        output_dir: where the new bundle goes; None means that it takes the place of the old one.
        formats: those to add: "onnx_int8" (which ONNX Runtime and OpenVINO open), "openvino_int8"
            (faster in OpenVINO). None is those whose packages are here; of these, one that costs
            too much accuracy is left out if another does not.
        precisions: those to measure: "int8", "bf16"; the formats are for "int8".
        max_drop: by how much the top-1 accuracy may fall, as a fraction.
        images: how many images of the calibration set are used at most.
        threads: of the engines; None is one per core.
        overwrite: replace a bundle in `output_dir`.

    Raises:
        UsageError: a format or a precision is unknown, what it needs is not installed, or a number
            is out of range.
    """

    model_dir: Union[str, Path]
    calibration: str
    judge: str
    output_dir: Union[str, Path, None] = None
    formats: Optional[Sequence[str]] = None
    precisions: Sequence[str] = ("int8",)
    max_drop: float = 0.01
    images: int = 128
    threads: Optional[int] = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        refuse_below_one(images=self.images, threads=self.threads)
        if not 0 <= self.max_drop <= 1:
            raise UsageError(
                "max_drop is a fraction between 0 and 1 (0.01 is one image in a hundred), got "
                f"{self.max_drop:g}"
            )
        _check_names("precision", self.precisions, PRECISIONS)
        if "int8" in self.precisions:
            _check_names("format", self.wanted, list(NEEDS))
            for name in self.wanted:
                _check_installed(name)
        if "bf16" in self.precisions and not is_installed("openvino"):
            raise UsageError(f"bf16 is measured in OpenVINO. {ENGINES['openvino'].missing}")

    @property
    def wanted(self) -> Sequence[str]:
        """The INT8 formats to add: those that are named, else those that can be written here; if
        there are none of these, the one to install.
        """
        if self.formats is not None:
            return self.formats
        first = next(iter(NEEDS))
        return [name for name in NEEDS if not _missing(name) and engines_here(name)] or [first]


def _check_names(kind: str, names: Sequence[str], accepted: Sequence[str]) -> None:
    for name in names:
        if name not in accepted:
            raise UsageError(
                f"unknown {kind} '{name}'.{did_you_mean(name, accepted)} "
                f"Accepted: {', '.join(accepted)}"
            )
    if not names or len(set(names)) < len(names):
        raise UsageError(f"name each {kind} once. Accepted: {', '.join(accepted)}")


def _check_installed(format: str) -> None:
    extra, missing = NEEDS[format][1], _missing(format)
    if missing:
        raise UsageError(
            f"{format} needs {' and '.join(missing)}, not installed here: "
            f"pip install 'ppcls[{extra}]'"
        )
    if not engines_here(format):
        opening = engines_for([format], "cpu", "int8")
        raise UsageError(f"no engine that opens {format} is here. {ENGINES[opening[0]].missing}")


def _missing(format: str) -> Sequence[str]:
    """Return the packages that write a format and are not installed."""
    return [name for name in NEEDS[format][0] if importlib.util.find_spec(name) is None]


def engines_here(format: str) -> Sequence[str]:
    """Return the names of the installed engines that run an INT8 format on CPUs."""
    return [name for name in engines_for([format], "cpu", "int8") if is_installed(name)]
