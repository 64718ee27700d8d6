"""Writing a bundle: program, weights, `inference.yml`, and the proof that it repeats the network.

The folder appears at once and complete, or not at all: everything is written into a hidden folder
beside it, checked there, and renamed at the end.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import paddle
import yaml
from paddle import nn

import ppcls
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError, UsageError
from ppcls.exporters.paddlex import Portable, portable
from ppcls.exporters.parity import RANDOM_IMAGES, Parity, is_saturated, measure
from ppcls.exporters.static import device_of, run_dynamic, write_program
from ppcls.inference.bundle import (
    CONFIG_NAME,
    FORMAT_VERSION,
    PARITY_NAME,
    PROGRAM_NAMES,
    WEIGHTS_NAME,
    Bundle,
    build_pipeline,
    file_record,
    read_bundle,
)
from ppcls.inference.engines import Engine, EngineOptions, open_engine

Shape = Tuple[int, int, int]


@dataclass(frozen=True)
class ExportReport:
    """What was written, how well it repeats the network, and why PaddleX cannot run it, if so."""

    folder: Path
    files: Dict[str, int]
    parity: Parity
    paddlex_obstacles: List[str]

    def summary(self) -> str:
        """Return a few lines for the terminal."""
        sizes = ", ".join(f"{name} ({size / 1000:,.0f} kB)" for name, size in self.files.items())
        parity, obstacles = self.parity, "; ".join(self.paddlex_obstacles)
        lines = [
            f"Exported to {self.folder}: {sizes}",
            f"Parity on {parity.images} images ({parity.kind_of_images}): {parity.words()} "
            f"(allowed {parity.tolerance:.0e}); "
            f"same top-1 on {parity.top1_agreement:.0%}",
        ]
        if obstacles:
            lines.append(f"'ppcls predict' runs this bundle, PaddleX cannot: {obstacles}")
        return "\n".join(lines)


def export_bundle(
    model: nn.Layer,
    output_dir: Union[str, Path],
    transform: Pipeline,
    class_map: ClassMap,
    *,
    topk: int = 5,
    images: Optional[Sequence[np.ndarray]] = None,
    provenance: Optional[Mapping[str, Any]] = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a network as a bundle, and refuse if the bundle does not give the same answers.

    Args:
        model: the network; its `model_name` is written, its mode (training or evaluation) left as
            it is.
        output_dir: the bundle's folder; its parents are made.
        transform: the Eval preprocessing; it settles channels and size of the network's input.
        class_map: the class names, one per output.
        topk: how many classes a prediction shows by default.
        images: real images after `transform`, float32 [c, h, w], for the parity check; None means
            random ones.
        provenance: plain values that say where the network comes from: config, checkpoint, metric,
            ...
        overwrite: replace a bundle that is already there.

    Raises:
        UsageError: `output_dir` holds a bundle and `overwrite` is not set, or holds something else.
        ExportError: the network, the preprocessing and the labels do not fit together, the bundle
            cannot be written, or it differs from the network by more than
            `ppcls.exporters.parity.TOLERANCE`. Nothing is kept.
    """
    target = Path(output_dir)
    _check_target(target, overwrite)
    shape = _input_shape(model, transform)
    batch, kind = _parity_images(images, shape)
    written = portable(transform.spec())
    _check_same_preprocessing(transform, written)
    logits = run_dynamic(model, batch)
    _check_labels(class_map.names, logits, topk)
    with _staging(target) as folder:
        write_program(model, folder / "inference", shape)
        config = _config(model, shape, written, class_map.names, topk)
        _write_config(folder, config, provenance or {})
        parity = _check_parity(model, folder, batch, logits, kind)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return ExportReport(target, files, parity, written.obstacles)


def _check_target(target: Path, overwrite: bool) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target}: is a file; name a folder for the bundle")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not (target / CONFIG_NAME).is_file():
        raise UsageError(
            f"{target}: the folder holds something else than a bundle; name another or an empty one"
        )
    if not overwrite:
        raise UsageError(
            f"{target}: already holds a bundle; --overwrite replaces it, or name another folder"
        )


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


def _check_labels(names: Sequence[str], logits: np.ndarray, topk: int) -> None:
    if len(names) != logits.shape[1]:
        raise ExportError(
            f"the class map has {len(names)} names, but the network has {logits.shape[1]} outputs"
        )
    if topk < 1:
        raise ExportError(f"topk is at least 1, got {topk}")


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Give a hidden folder that takes the place of `target` at the end, or vanishes on an error."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        )
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror}") from None
    try:
        folder = hidden / "new"
        folder.mkdir()
        yield folder
        _take_place(folder, target, hidden / "old")
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error}; nothing was kept") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _take_place(folder: Path, target: Path, old: Path) -> None:
    """Rename `folder` to `target`; what is there goes to `old`, or stays if that fails."""
    if not target.exists():
        folder.rename(target)
        return
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        old.rename(target)
        raise


def _config(
    model: nn.Layer, shape: Shape, written: Portable, names: Sequence[str], topk: int
) -> Dict[str, Any]:
    channels, height, width = shape
    return {
        "Global": {"model_name": getattr(model, "model_name", "") or type(model).__name__},
        "PreProcess": {"DecodeImage": written.decode, "transform_ops": written.transform_ops},
        "PostProcess": {"Topk": {"topk": min(topk, len(names)), "label_list": list(names)}},
        "Bundle": {
            "format_version": FORMAT_VERSION,
            "input": {
                "name": "x",
                "channels": channels,
                "height": height,
                "width": width,
                "dtype": "float32",
            },
            "output": {"kind": "probabilities", "classes": len(names)},
        },
    }


def _write_config(folder: Path, config: Dict[str, Any], provenance: Mapping[str, Any]) -> None:
    names = [name for name in (*PROGRAM_NAMES, WEIGHTS_NAME) if (folder / name).is_file()]
    config["Bundle"]["files"] = {name: file_record(folder / name) for name in names}
    config["Bundle"]["provenance"] = {**_versions(), "exported": _now(), **provenance}
    try:
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ExportError(
            f"the bundle's provenance holds more than plain values: {error}"
        ) from None
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _check_parity(
    model: nn.Layer, folder: Path, images: np.ndarray, logits: np.ndarray, kind: str
) -> Parity:
    """Compare the written bundle with the network and write parity.json.

    Raises:
        ExportError: they differ.
    """
    bundle = read_bundle(folder)
    engine = open_engine("paddle", bundle, EngineOptions(device_of(model)))
    static_logits = _static_logits(model, bundle, images) if is_saturated(logits).any() else None
    parity = measure(logits, _run(engine, images), kind, static_logits)
    if not parity.passed:
        raise ExportError(
            f"the exported program differs from the network by {parity.worst:.1e} on "
            f"{parity.images} images, {parity.tolerance:.0e} is allowed ({parity.words()}); "
            "nothing was kept. Weights that amplify rounding, as those of a deep untrained network "
            "do, can be the reason: does `ppcls eval` find this network good?"
        )
    report = {
        **parity.to_dict(),
        "engine": engine.describe(),
        "versions": _versions(),
        "measured": _now(),
    }
    (folder / PARITY_NAME).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return parity


def _static_logits(model: nn.Layer, bundle: Bundle, images: np.ndarray) -> np.ndarray:
    """Run the program without softmax, which shows what a saturated softmax hides."""
    with tempfile.TemporaryDirectory(dir=bundle.folder.parent) as aside:
        write_program(model, Path(aside) / "inference", bundle.input_shape, softmax=False)
        program, weights = Path(aside) / bundle.program.name, Path(aside) / bundle.weights.name
        plain = replace(bundle, program=program, weights=weights)
        return _run(open_engine("paddle", plain, EngineOptions(device_of(model))), images)


def _run(engine: Engine, images: np.ndarray) -> np.ndarray:
    """Run one image alone and the others in batches of eight: the program must take both."""
    starts = [0, *range(1, len(images), 8)]
    batches = [images[start:end] for start, end in zip(starts, [*starts[1:], len(images)])]
    return np.concatenate([engine.run(batch) for batch in batches])


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
