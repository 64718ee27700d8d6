"""Writing a bundle: the network in one or more formats, `inference.yml`, and the proof that each
format repeats the network.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import paddle
import yaml
from paddle import nn
from pydantic import ValidationError

import ppcls
from ppcls.checking import mistakes
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError
from ppcls.exporters.comparison import Comparison, compare_format
from ppcls.exporters.formats import FORMATS, STEM, Shape, check_formats
from ppcls.exporters.paddlex import Portable, portable
from ppcls.exporters.parity import DEFINITIONS, RANDOM_IMAGES, Parity
from ppcls.exporters.staging import check_target, staging
from ppcls.exporters.static import run_dynamic
from ppcls.inference.bundle import PARITY_NAME, build_pipeline, file_record, read_bundle
from ppcls.inference.description import CONFIG_NAME, FORMAT_VERSION, Description
from ppcls.inference.postprocess import TOPK


@dataclass(frozen=True)
class Processing:
    """What stands around the network: the Eval preprocessing, which settles channels and size of
    its input; a class name for each output; and how many classes a prediction shows by default.
    """

    transform: Pipeline
    class_map: ClassMap
    topk: int = TOPK


@dataclass(frozen=True)
class ExportReport:
    """What was written, how well each format repeats the network, and why PaddleX cannot run the
    bundle, if so.
    """

    folder: Path
    files: Dict[str, int]
    parity: Dict[str, Parity]
    paddlex_obstacles: List[str]

    def summary(self) -> str:
        """Return a few lines for the terminal."""
        sizes = ", ".join(f"{name} ({size / 1000:,.0f} kB)" for name, size in self.files.items())
        lines = [f"Exported to {self.folder}: {sizes}"]
        for name, parity in self.parity.items():
            lines.append(
                f"Parity of {name} on {parity.images} images ({parity.kind_of_images}): "
                f"{parity.describe()} (allowed {parity.tolerance:.0e}); "
                f"same top-1 on {parity.top1_agreement:.0%}"
            )
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
) -> ExportReport:
    """Write a network as a bundle, and refuse if the bundle does not give the same answers.

    Args:
        model: the network; its `model_name` is written, its mode (training or evaluation) left as
            it is.
        output_dir: the bundle's folder; its parents are made.
        processing: what comes before and after the network.
        formats: keys of `ppcls.exporters.formats.FORMATS`, the preferred one first.
        images: real images after `processing.transform`, float32 [c, h, w], for the parity check;
            None means random ones.
        provenance: plain values that say where the network comes from: config, checkpoint, metric,
            ...
        overwrite: replace a bundle that is already there.

    Raises:
        UsageError: `output_dir` holds a bundle and `overwrite` is not set, or holds something else;
            or a format is unknown, or the engine that its parity is measured with not installed.
        ExportError: the network, the preprocessing and the labels do not fit together, the bundle
            cannot be written, or it differs from the network by more than
            `ppcls.exporters.parity.TOLERANCE`. Nothing is kept.
    """
    target = Path(output_dir)
    check_formats(formats)
    check_target(target, overwrite)
    shape = _input_shape(model, processing.transform)
    batch, kind = _parity_images(images, shape)
    written = portable(processing.transform.spec())
    _check_same_preprocessing(processing.transform, written)
    logits = run_dynamic(model, batch)
    _check_labels(processing.class_map.names, logits)
    description = _described(model, shape, written, processing, provenance or {})
    with staging(target) as folder:
        _write_network(model, folder, description, formats)
        bundle = read_bundle(folder)
        found = {name: compare_format(model, bundle, name, batch, logits, kind) for name in formats}
        _write_parity(folder, found)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    parity = {name: one.parity for name, one in found.items()}
    return ExportReport(target, files, parity, written.obstacles)


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


def _parity_images(images: Optional[Sequence[np.ndarray]], shape: Shape) -> Tuple[np.ndarray, str]:
    """Return the parity check's images [n, c, h, w], and what kind they are."""
    if images is None or len(images) == 0:
        drawn = np.random.default_rng(0).standard_normal((RANDOM_IMAGES, *shape), dtype=np.float32)
        return drawn, "random numbers, since no real images were given"
    wrong = [image.shape for image in images if image.shape != shape]
    if wrong:
        raise ExportError(
            f"the images for the parity check have shape {wrong[0]}, the network takes {shape}"
        )
    return np.stack(list(images)).astype(np.float32), "real images"


def _check_same_preprocessing(transform: Pipeline, written: Portable) -> None:
    """Run the original pipeline and the one that a reader will rebuild: no number may differ."""
    rebuilt = build_pipeline([{"DecodeImage": written.decode}, *written.transform_ops], CONFIG_NAME)
    height, width = transform.output_size or (0, 0)
    photo = np.random.default_rng(0).integers(
        0, 256, (2 * height + 33, 2 * width + 50, 3), dtype=np.uint8
    )
    if not np.array_equal(transform(photo), rebuilt(photo)):
        raise ExportError(
            f"the Eval transforms cannot be written to {CONFIG_NAME} without changing their result"
        )


def _check_labels(names: Sequence[str], logits: np.ndarray) -> None:
    if len(names) != logits.shape[1]:
        raise ExportError(
            f"the class map has {len(names)} names, but the network has {logits.shape[1]} outputs"
        )


def _described(
    model: nn.Layer,
    shape: Shape,
    written: Portable,
    processing: Processing,
    provenance: Mapping[str, Any],
) -> Description:
    """Return the description without formats and files, of which there are none yet."""
    names = processing.class_map.names
    model_name = getattr(model, "model_name", "") or type(model).__name__
    bundle = {
        "format_version": FORMAT_VERSION,
        "input": dict(zip(("channels", "height", "width"), shape)),
        "output": {"kind": "probabilities", "classes": len(names)},
        "files": {},
        "provenance": {**_versions(), "exported": _now(), **provenance},
    }
    config = {
        "Global": {"model_name": model_name},
        "PreProcess": {"DecodeImage": written.decode, "transform_ops": written.transform_ops},
        "PostProcess": {"Topk": {"topk": min(processing.topk, len(names)), "label_list": names}},
        "Bundle": bundle,
    }
    try:
        return Description.model_validate(config)
    except ValidationError as error:
        raise ExportError("; ".join(mistakes(error))) from None


def _write_network(
    model: nn.Layer, folder: Path, description: Description, formats: Sequence[str]
) -> None:
    """Write the network in each format, and the description of all files."""
    shape, about = description.Bundle.input.shape, description.Bundle
    written = {name: FORMATS[name](model, folder / STEM, shape, True) for name in formats}
    about.formats = {name: [path.name for path in paths] for name, paths in written.items()}
    about.files = {path.name: file_record(path) for paths in written.values() for path in paths}
    try:
        text = yaml.safe_dump(description.model_dump(), sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ExportError(
            f"the bundle's provenance holds more than plain values: {error}"
        ) from None
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _write_parity(folder: Path, found: Mapping[str, Comparison]) -> None:
    report = {
        "formats": {name: one.to_dict() for name, one in found.items()},
        "definitions": DEFINITIONS,
        "versions": _versions(),
        "measured": _now(),
    }
    (folder / PARITY_NAME).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _versions() -> Dict[str, str]:
    return {
        "ppcls": ppcls.__version__,
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
