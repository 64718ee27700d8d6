"""Writing a bundle: the network in one or more formats, `inference.yml`, and the proof that each
format repeats the network in every engine that opens it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import yaml
from paddle import nn

from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError
from ppcls.exporters.comparison import Comparison, Sample, compare_format
from ppcls.exporters.describing import (
    check_same_preprocessing,
    described,
    described_input,
    now,
    versions,
)
from ppcls.exporters.form import AS_IS, ExportOptions, Form, without_normalisation
from ppcls.exporters.formats import FORMATS, MADE_OF_ONNX, STEM, check_formats, writing_order
from ppcls.exporters.paddlex import (
    Portable,
    levels_obstacle,
    multi_label_obstacle,
    name_for_paddlex,
    name_obstacle,
    portable,
)
from ppcls.exporters.parity import DEFINITIONS, RANDOM_IMAGES, Parity
from ppcls.exporters.pooling import refuse_uneven_pooling
from ppcls.exporters.staging import check_target, staging
from ppcls.exporters.static import Shape, run_dynamic
from ppcls.inference.bundle import PARITY_NAME, Bundle, file_record, read_bundle
from ppcls.inference.description import CONFIG_NAME, Description
from ppcls.inference.postprocess import TOPK
from ppcls.progress import waiting


@dataclass(frozen=True)
class Processing:
    """What stands around the network: the Eval preprocessing, which settles channels and size of
    its input; a class name for each output; and how many classes a prediction shows by default.
    Where images have any number of classes, `threshold` is the probability from which on they have
    one, else None.
    """

    transform: Pipeline
    class_map: ClassMap
    topk: int = TOPK
    threshold: Optional[float] = None


@dataclass(frozen=True)
class ExportReport:
    """What was written, and why PaddleX cannot run the bundle, if so.

    Attributes:
        folder: the bundle.
        files: name of a file -> bytes.
        parity: name of a format -> name of an engine -> how well it repeats the network there.
        paddlex_obstacles: in words.
        left_out: why a format that is usually written was not, if so.
    """

    folder: Path
    files: Dict[str, int]
    parity: Dict[str, Dict[str, Parity]]
    paddlex_obstacles: List[str]
    left_out: Optional[str] = None

    def summary(self) -> str:
        """Return a few lines for the terminal."""
        sizes = ", ".join(f"{name} ({size / 1000:,.0f} kB)" for name, size in self.files.items())
        lines = [f"Exported to {self.folder}: {sizes}"]
        rows = [
            (f"{format} in {engine}", parity)
            for format, engines in self.parity.items()
            for engine, parity in engines.items()
        ]
        lines += [f"Parity of {what} on {parity.sentence()}" for what, parity in rows]
        if self.left_out:
            lines.append(f"Written as {', '.join(self.parity)} only: {self.left_out}")
        if self.paddlex_obstacles:
            obstacles = "; ".join(self.paddlex_obstacles)
            lines.append(f"'ppcls predict' runs this bundle, PaddleX cannot: {obstacles}")
        return "\n".join(lines)


def export_bundle(
    model: nn.Layer,
    output_dir: Union[str, Path],
    processing: Processing,
    *,
    formats: Sequence[str] = ("paddle",),
    images: Optional[Sequence[np.ndarray]] = None,
    provenance: Optional[Mapping[str, Any]] = None,
    overwrite: bool = False,
    options: ExportOptions = AS_IS,
) -> ExportReport:
    """Write a network as a bundle, and refuse if the bundle does not give the same answers.

    Args:
        model: the network; its mode (training or evaluation) is left as it is.
        output_dir: the bundle's folder; its parents are made.
        processing: what comes before and after the network.
        formats: keys of `ppcls.exporters.formats.FORMATS`, the preferred one first.
        images: real images after `processing.transform`, float32 [c, h, w], for the parity check;
            None means random ones.
        provenance: plain values that say where the network comes from: config, checkpoint, metric,
            ...
        overwrite: replace a bundle that is already there.
        options: how the network takes its images, and what it is called.

    Raises:
        UsageError: `output_dir` holds a bundle and `overwrite` is not set, or holds something else;
            or a format is unknown, or what it is written or run with is not installed or does not
            fit.
        ExportError: the network, the preprocessing and the labels do not fit together, the bundle
            cannot be written, or it differs from the network by more than
            `ppcls.exporters.parity.TOLERANCE`. Nothing is kept.
    """
    target, transform = Path(output_dir), processing.transform
    check_formats(formats, options.opset)
    check_target(target, overwrite)
    shape = _input_shape(model, transform)
    form = options.form(transform, multi_label=processing.threshold is not None)
    batch, kind = _parity_images(images, shape, form)
    input, written = described_input(shape, form), _portable(transform, form)
    check_same_preprocessing(transform, written, input, form)
    if set(formats) & MADE_OF_ONNX:
        refuse_uneven_pooling(model, batch)
    sample = Sample(batch, kind, run_dynamic(model, batch))
    names = processing.class_map.names
    _check_labels(names, sample.logits)
    name = options.model_name or _name_of(model)
    settled = processing.topk, provenance or {}, processing.threshold
    about = described(name, input, written, names, *settled)
    with staging(target) as folder:
        _write_network(model, folder, about, formats, form)
        bundle = read_bundle(folder)
        found = {one: _compare(model, bundle, one, form, sample) for one in formats}
        _write_parity(folder, found)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    parity = {
        format: {engine: row.parity for engine, row in rows.items()}
        for format, rows in found.items()
    }
    return ExportReport(target, files, parity, _obstacles(written.obstacles, name, form))


def _obstacles(written: Sequence[str], name: str, form: Form) -> List[str]:
    """Return why PaddleX cannot run the bundle; empty if it can."""
    more = [name_obstacle(name), multi_label_obstacle() if form.multi_label else None]
    return [one for one in (*written, *more) if one]


def _name_of(model: nn.Layer) -> str:
    return name_for_paddlex(getattr(model, "model_name", "") or type(model).__name__)


def _portable(transform: Pipeline, form: Form) -> Portable:
    """Return the preprocessing as the bundle holds it."""
    if form.levels is None:
        return portable(transform.spec())
    found = portable(without_normalisation(transform.spec()))
    return found._replace(obstacles=[levels_obstacle()])


def _input_shape(model: nn.Layer, transform: Pipeline) -> Shape:
    if transform.is_random:
        raise ExportError(
            "the Eval transforms are random; a bundle needs preprocessing that repeats itself"
        )
    if transform.output_size is None:
        raise ExportError(
            "the Eval transforms leave images of different sizes, which cannot share a batch; add "
            "CropImage or ResizeImage with 'size' to DataLoader.Eval.dataset.transform_ops"
        )
    channels = getattr(model, "in_channels", transform.channels)
    if channels != transform.channels:
        raise ExportError(
            f"the network takes {channels} channels, but the Eval transforms give "
            f"{transform.channels}; set DecodeImage.channel_num and Arch.in_channels to the same"
        )
    return (transform.channels, *transform.output_size)


def _parity_images(
    images: Optional[Sequence[np.ndarray]], shape: Shape, form: Form
) -> Tuple[np.ndarray, str]:
    """Return the parity check's images [n, c, h, w], and what kind they are."""
    if images is None or len(images) == 0:
        return _drawn(shape, form), "random numbers, since no real images were given"
    wrong = [image.shape for image in images if image.shape != shape]
    if wrong:
        raise ExportError(
            f"the images for the parity check have shape {wrong[0]}, the network takes {shape}"
        )
    return np.stack(list(images)).astype(np.float32), "real images"


def _drawn(shape: Shape, form: Form) -> np.ndarray:
    rng = np.random.default_rng(0)
    if form.levels is None:
        return rng.standard_normal((RANDOM_IMAGES, *shape), dtype=np.float32)
    levels = rng.integers(0, 256, (RANDOM_IMAGES, *form.shape(shape)), dtype=np.uint8)
    return form.levels.normalised(levels)


def _check_labels(names: Sequence[str], logits: np.ndarray) -> None:
    if len(names) != logits.shape[1]:
        raise ExportError(
            f"the class map has {len(names)} names, but the network has {logits.shape[1]} outputs"
        )


def _write_network(
    model: nn.Layer, folder: Path, description: Description, formats: Sequence[str], form: Form
) -> None:
    """Write the network in each format, and the description of all files."""
    shape, about = description.Bundle.input.shape, description.Bundle
    written = {}
    for name in writing_order(formats):
        with waiting(f"writing the network ({name})"):
            written[name] = FORMATS[name](model, folder / STEM, shape, True, form)
    about.formats = {name: [path.name for path in written[name]] for name in formats}
    about.files = {path.name: file_record(path) for paths in written.values() for path in paths}
    try:
        one_class = about.output.answers_above is None
        left_out: Any = {"calibration": True, **({"output": {"threshold"}} if one_class else {})}
        plain = description.model_dump(exclude={"Bundle": left_out})
        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ExportError(
            f"the bundle's provenance holds more than plain values: {error}"
        ) from None
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _compare(
    model: nn.Layer, bundle: Bundle, name: str, form: Form, sample: Sample
) -> Dict[str, Comparison]:
    with waiting(f"comparing what was written ({name}) with the network"):
        return compare_format(model, bundle, name, form, sample)


def _write_parity(folder: Path, found: Mapping[str, Mapping[str, Comparison]]) -> None:
    report = {
        "formats": {
            format: {engine: one.to_dict() for engine, one in rows.items()}
            for format, rows in found.items()
        },
        "definitions": DEFINITIONS,
        "versions": versions(),
        "measured": now(),
    }
    (folder / PARITY_NAME).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
