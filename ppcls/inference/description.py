"""`inference.yml`: the keys with which a bundle describes itself, in PaddleX 3.x's layout.

PaddleX reads ``Global.model_name``, ``PreProcess.transform_ops`` and ``PostProcess.Topk``. What it
has no word for stands where it does not look: ``PreProcess.DecodeImage`` and the section
``Bundle``. Other readers may have keys of their own, so unknown ones are passed over here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Mapping, Optional, Tuple

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from ppcls.checking import Section, mistake, mistakes
from ppcls.errors import BundleError, ConfigError
from ppcls.text import shown
from ppcls.yaml_text import read_value

CONFIG_NAME = "inference.yml"
FORMAT_VERSION = 3
"""Goes up by one whenever older readers could not read a bundle any more: the second has networks
that take levels of uint8, or one image at a time, the third those for images with any number of
classes.
"""

ONE_CLASS, MULTI_LABEL = "probabilities", "multi-label probabilities"
"""What a network gives: shares of 1, or a probability of each class on its own."""

ORIGINAL_FORMAT = "paddle"
"""The format of all files of a bundle that does not list its formats, as the first ones did not."""


def _class_name(value: Any) -> Any:
    if not isinstance(value, str):
        raise mistake(f"takes a name, got {shown(value)}; put it in quotes")
    return value


def _file_name(value: str) -> str:
    if value in ("", ".", "..") or any(letter in value for letter in "/\\\0"):
        raise mistake(f"takes names of files inside the bundle, got {shown(value)}")
    return value


ClassName = Annotated[str, BeforeValidator(_class_name)]
FileName = Annotated[str, AfterValidator(_file_name)]
Positive = Annotated[int, Field(ge=1)]


class _Keys(Section):
    model_config = ConfigDict(extra="ignore")


class GlobalKeys(_Keys):
    """`Global`."""

    model_name: str


class PreProcessKeys(_Keys):
    """`PreProcess`: the arguments of DecodeImage, and the transforms that follow it."""

    DecodeImage: Dict[str, Any]
    transform_ops: List[Any]


class TopkKeys(_Keys):
    """`PostProcess.Topk`: how many classes a prediction shows, and the name of each output."""

    topk: Positive
    label_list: List[ClassName]


class PostProcessKeys(_Keys):
    """`PostProcess`."""

    Topk: TopkKeys


class InputKeys(_Keys):
    """`Bundle.input`: images, [n, channels, height, width] or, with `layout` hwc, channels last;
    levels of uint8, or normalised float32. `batch` is how many at once; null is any number.
    """

    name: str = "x"
    channels: Positive
    height: Positive
    width: Positive
    dtype: Literal["float32", "uint8"] = "float32"
    layout: Literal["chw", "hwc"] = "chw"
    batch: Optional[Literal[1]] = None

    @property
    def shape(self) -> Tuple[int, int, int]:
        """The shape of an image, (c, h, w)."""
        return self.channels, self.height, self.width

    @property
    def image_shape(self) -> Tuple[int, int, int]:
        """The shape of an image as the network takes it."""
        height_first = (self.height, self.width, self.channels)
        return height_first if self.layout == "hwc" else self.shape

    @property
    def is_usual(self) -> bool:
        """Whether the network takes what readers of the first format know: any number of images,
        float32 [n, c, h, w].
        """
        return (self.dtype, self.layout, self.batch) == ("float32", "chw", None)


Probability = Annotated[float, Field(ge=0, le=1)]


class OutputKeys(_Keys):
    """`Bundle.output`: the probability of each class, [n, classes]. Of images with any number of
    classes, those are the answer whose probability is `threshold` at least.
    """

    kind: Literal["probabilities", "multi-label probabilities"]
    classes: int
    threshold: Optional[Probability] = None

    @property
    def answers_above(self) -> Optional[float]:
        """The threshold, where images have any number of classes."""
        usual = 0.5 if self.threshold is None else self.threshold
        return usual if self.kind == MULTI_LABEL else None


def format_version(input: InputKeys, output: OutputKeys) -> int:
    """Return the format in which a bundle is written: the oldest whose readers understand it."""
    if output.kind == MULTI_LABEL:
        return 3
    return 1 if input.is_usual else 2


class FileKeys(_Keys):
    """What a bundle notes of one of its files."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class CalibrationKeys(_Keys):
    """`Bundle.calibration`: what `ppcls calibrate` found out.

    Scores are softmax(log(probabilities) / `temperature`). The answer is "unknown" where the most
    probable class has a score below `threshold` or, where they are given, below its own of
    `class_thresholds`, one for each class. `measured` says how well that goes, in plain values.
    """

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    threshold: Probability = 0.0
    class_thresholds: Optional[List[Probability]] = None
    measured: Dict[str, Any] = {}


FileNames = Annotated[List[FileName], Field(min_length=1)]


class BundleKeys(_Keys):
    """`Bundle`: what PaddleX has no word for.

    `formats` lists the files of each format that the network is written in, the preferred one
    first; `provenance` says where the network comes from, in plain values; `calibration` is of
    `ppcls calibrate`, so that a new export has none.
    """

    format_version: int
    input: InputKeys
    output: OutputKeys
    formats: Annotated[Optional[Dict[str, FileNames]], Field(min_length=1)] = None
    files: Dict[FileName, FileKeys]
    provenance: Dict[str, Any]
    calibration: Optional[CalibrationKeys] = None


class Description(_Keys):
    """The whole of `inference.yml`."""

    Global: GlobalKeys
    PreProcess: PreProcessKeys
    PostProcess: PostProcessKeys
    Bundle: BundleKeys

    def files_of_formats(self) -> Dict[str, List[str]]:
        """Return the names of the files of each format."""
        return self.Bundle.formats or {ORIGINAL_FORMAT: list(self.Bundle.files)}


def read_description(folder: Path) -> Description:
    """Read and check a bundle's `inference.yml`.

    Raises:
        BundleError: the folder is missing or no bundle, was written in a newer format, or the file
            is malformed; the message names the file, and every key that is wrong.
    """
    config = _read_yaml(folder)
    where = folder / CONFIG_NAME
    _check_version(config, where)
    try:
        return Description.model_validate(config)
    except ValidationError as error:
        raise BundleError(f"{where}: {'; '.join(mistakes(error))}") from None


def _read_yaml(folder: Path) -> Dict[Any, Any]:
    if not folder.is_dir():
        raise BundleError(
            f"{folder}: there is no such folder; --model_dir names an exported bundle"
        )
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise BundleError(
            f"{folder}: not an exported bundle, it holds no {CONFIG_NAME}; "
            f"'ppcls export -c CONFIG' writes one"
        )
    try:
        config = read_value(path)
    except ConfigError as error:
        raise BundleError(str(error)) from None
    if not isinstance(config, dict):
        raise BundleError(
            f"{path}: expected the sections of a bundle, found {type(config).__name__}"
        )
    return config


def _check_version(config: Mapping[Any, Any], where: Path) -> None:
    if "Bundle" not in config and "Global" in config:
        raise BundleError(
            f"{where}: the key 'Bundle' is missing, so ppcls did not write this bundle, or the key "
            "was removed; export the network again with 'ppcls export'"
        )
    section = config.get("Bundle")
    version = section.get("format_version") if isinstance(section, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f"{where}: written in bundle format {version} by a newer ppcls; this one reads format "
            f"{FORMAT_VERSION}. Upgrade ppcls, or export the network again with this one"
        )
