"""The exported bundle: a folder that holds everything which a prediction needs.

- ``inference.yml``: preprocessing, labels, input size, formats and provenance, see
  `ppcls.inference.description`
- the network in one or more formats, each with its own files: ``inference.json`` (Paddle 3.x) or
  ``inference.pdmodel`` (Paddle 2.6) with the weights ``inference.pdiparams``; ``inference.onnx``;
  ``inference.xml`` (OpenVINO) with the weights ``inference.bin``
- ``parity.json``: how closely each format repeats the network that it was made from
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from pydantic import ValidationError

from ppcls import registry
from ppcls.checking import mistakes, moved
from ppcls.data.transforms import Pipeline
from ppcls.errors import BundleError, ConfigError
from ppcls.files import sha256_of
from ppcls.inference.calibrated import CalibratedTopk
from ppcls.inference.description import (
    CONFIG_NAME,
    CalibrationKeys,
    Description,
    FileKeys,
    InputKeys,
    read_description,
)
from ppcls.inference.postprocess import MultiLabelThreshOutput, Ranker, Topk

PARITY_NAME = "parity.json"
_PADDLES = {".json", ".pdmodel", ".pdiparams"}
"""Suffixes of the only files that a bundle without a list of formats holds."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are present, complete and consistent.

    `formats` gives the files of each format, the preferred one first; `transform_ops` starts with
    DecodeImage; `input` says how the network takes images; `labels` has one name per output of the
    network; the network's output is the probability of each class; `calibration` is None where
    these are the scores. Where images have any number of classes, `threshold` is the probability
    from which on a class is one of them, else None.
    """

    folder: Path
    model_name: str
    formats: Mapping[str, List[Path]]
    transform_ops: List[Dict[str, Any]]
    labels: List[str]
    topk: int
    input: InputKeys
    provenance: Mapping[str, Any]
    calibration: Optional[CalibrationKeys] = None
    threshold: Optional[float] = None

    @property
    def input_shape(self) -> Tuple[int, int, int]:
        """The shape of an image, (channels, height, width)."""
        return self.input.shape

    def ranker(self, topk: Optional[int] = None) -> Ranker:
        """Return what ranks and names the classes, `topk` of them, else as many as the bundle
        says, with calibrated scores where it is calibrated; or, where images have any number of
        classes, what finds those, `topk` of them at most.
        """
        if self.threshold is not None:
            most = topk or self.topk
            return MultiLabelThreshOutput(self.threshold, label_list=self.labels, topk=most)
        count = min(topk or self.topk, len(self.labels))
        if self.calibration is not None:
            return CalibratedTopk(count, self.labels, self.calibration)
        return Topk(count, label_list=self.labels)

    def pipeline(self) -> Pipeline:
        """Build the preprocessing.

        Raises:
            BundleError: a transform is unknown here, or does not accept its arguments, or what
                comes out is not what the network takes.
        """
        where = str(self.folder / CONFIG_NAME)
        pipeline = build_pipeline(self.transform_ops, where, self.input)
        given = (pipeline.channels, *(pipeline.output_size or (None, None)))
        if given != self.input.shape:
            shown = ["x".join(map(str, one)) for one in (given, self.input.shape)]
            raise BundleError(
                f"{where}: PreProcess gives images of {shown[0].replace('None', '?')}, but "
                f"Bundle.input says that the network takes {shown[1]} (channels, height, width); "
                "export the network again"
            )
        return pipeline


def build_pipeline(
    transform_ops: List[Dict[str, Any]], where: str, input: Optional[InputKeys] = None
) -> Pipeline:
    """Build preprocessing from plain `{Name: {argument: value}}`, of which DecodeImage is the
    first.

    `where` names the file in errors; `input` says what the network takes, by default float32
    [n, c, h, w].

    Raises:
        BundleError: a transform is unknown here, or does not accept its arguments.
    """
    found: List[str] = []
    parts: List[registry.Part] = []
    for index, op in enumerate(transform_ops):
        section = ("PreProcess", "transform_ops", str(index - 1)) if index else ("PreProcess",)
        try:
            parts.append(registry.parse("transform", op))
        except ValidationError as error:
            found += mistakes(moved(error, section))
    if found:
        raise BundleError(f"{where}: {'; '.join(found)}")
    try:
        return Pipeline(parts, input.dtype, input.layout) if input else Pipeline(parts)
    except ConfigError as error:
        raise BundleError(f"{where}: PreProcess.transform_ops: {error}") from None


def read_bundle(folder: Union[str, Path]) -> Bundle:
    """Read and check a bundle's description and the size and checksum of its files.

    Raises:
        BundleError: the folder is missing, is not a bundle, was written in a newer format, or a
            file in it is malformed, missing or damaged.
    """
    folder = Path(folder)
    description = read_description(folder)
    about, topk = description.Bundle, description.PostProcess.Topk
    if len(topk.label_list) != about.output.classes:
        raise BundleError(
            label_mismatch(folder / CONFIG_NAME, len(topk.label_list), about.output.classes)
        )
    decode = {"DecodeImage": description.PreProcess.DecodeImage}
    return Bundle(
        folder=folder,
        model_name=description.Global.model_name,
        formats=_checked_files(folder, description),
        transform_ops=[decode, *description.PreProcess.transform_ops],
        labels=topk.label_list,
        topk=topk.topk,
        input=about.input,
        provenance=about.provenance,
        calibration=_checked_calibration(folder / CONFIG_NAME, description),
        threshold=about.output.answers_above,
    )


def _checked_calibration(where: Path, description: Description) -> Optional[CalibrationKeys]:
    found, classes = description.Bundle.calibration, description.Bundle.output.classes
    thresholds = found.class_thresholds if found else None
    if thresholds is not None and len(thresholds) != classes:
        raise BundleError(
            f"{where}: Bundle.calibration.class_thresholds: has {len(thresholds)} numbers, but the "
            f"network has {classes} classes; run 'ppcls calibrate' again"
        )
    return found


def file_record(path: Path) -> FileKeys:
    """Return what a bundle notes of one of its files."""
    return FileKeys(bytes=path.stat().st_size, sha256=sha256_of(path))


def label_mismatch(where: Path, labels: int, outputs: int) -> str:
    """Say that a bundle's labels do not fit its network."""
    return (
        f"{where}: PostProcess.Topk.label_list holds {labels} names, but the network has {outputs} "
        "outputs; give one name per output, or export the network again"
    )


def _checked_files(folder: Path, description: Description) -> Dict[str, List[Path]]:
    records = description.Bundle.files
    if (
        description.Bundle.formats is None
        and not {Path(name).suffix for name in records} <= _PADDLES
    ):
        raise BundleError(
            f"{folder / CONFIG_NAME}: Bundle.formats: missing, but required where a bundle holds "
            f"more than a program of Paddle and its weights ({', '.join(records)}); it takes the "
            "names of the files of each format"
        )
    formats = description.files_of_formats()
    for name, files in formats.items():
        for file in files:
            if file not in records:
                raise BundleError(
                    f"{folder / CONFIG_NAME}: 'Bundle.files' gives 'bytes' and 'sha256' of each "
                    f"file, but says nothing of {file}, which Bundle.formats.{name} names"
                )
            _check_file(folder / file, records[file])
    return {name: [folder / file for file in files] for name, files in formats.items()}


def _check_file(path: Path, record: FileKeys) -> None:
    if not path.is_file():
        raise BundleError(
            f"{path}: the file is missing from the bundle; copy the whole folder again"
        )
    size = path.stat().st_size
    if size != record.bytes:
        raise BundleError(
            f"{path}: the file has {size} bytes, but {record.bytes} were exported; "
            "copy the bundle again"
        )
    if sha256_of(path) != record.sha256:
        raise BundleError(
            f"{path}: the file is damaged (its SHA-256 differs); copy the bundle again"
        )
