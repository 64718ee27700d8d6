"""``ppcls.export(config)``: a trained network as a bundle that needs no training code."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ppcls import runtime
from ppcls.api.calibrate import bundle_folder
from ppcls.api.ranking import limit_of, names_of, threshold_of, topk_of
from ppcls.config import Config, ConfigSource, as_config
from ppcls.data.dataset import ClassMap
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.engine.trained import Trained, eval_transform, load_trained
from ppcls.errors import BadImageError, BundleError, DataError, UsageError
from ppcls.exporters import ExportOptions, ExportReport, Processing, export_bundle
from ppcls.exporters.form import AS_IS
from ppcls.exporters.formats import check_formats, format_obstacle
from ppcls.exporters.input_size import Size, check_network_takes, resized
from ppcls.inference.description import read_description
from ppcls.inference.sources import find_images
from ppcls.registry import is_built_in, lookup

Readers = Dict[str, Callable[[], bytes]]
"""What reads an image file, by the image's name."""

PARITY_IMAGES = 16
_log = logging.getLogger("ppcls")


def export(
    config: ConfigSource,
    output_dir: Union[str, Path, None] = None,
    formats: Optional[Sequence[str]] = None,
    overwrite: bool = False,
    input_size: Optional[Size] = None,
    options: ExportOptions = AS_IS,
) -> ExportReport:
    """Write the trained network of a configuration as a bundle that is proved to repeat it.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        output_dir: the bundle; by default `Global.save_inference_dir`, else the folder `inference`
            of the run.
        formats: in which formats the bundle holds the network, the preferred one first: "paddle",
            "onnx", "openvino". None is "paddle", and "onnx" where that can be written here.
        overwrite: replace a bundle that is already there.
        input_size: (height, width) of the images in pixels, where it is not that of
            DataLoader.Eval; preprocessing follows.
        options: how the network takes its images, and what it is called; by default as
            `Global.model_name` says.

    Raises:
        ConfigError: the configuration is wrong.
        UsageError: the device, a format or what it needs, or the place of the bundle is not there;
            or the network does not take images of `input_size`.
        CheckpointError: there are no trained weights, or they do not fit.
        DataError: the evaluation set is here, but wrong.
        ExportError: the network cannot be written, or what was written differs from it.
    """
    checked = as_config(config)
    chosen, left_out = _formats(formats)
    check_formats(chosen, options.opset)
    runtime.use_device(checked.Global.device)
    usual = eval_transform(checked)
    trained = load_trained(checked, usual)
    transform = usual if input_size is None else resized(usual, input_size)
    _warn_of_own_transforms(transform)
    if input_size is not None:
        check_network_takes(trained.network, input_size)
    names = names_of(checked, trained.class_map)
    target = bundle_folder(checked, output_dir)
    was_calibrated = _is_calibrated(target)
    report = export_bundle(
        trained.network,
        target,
        _processing(checked, trained, transform, names),
        formats=chosen,
        images=_real_images(checked, trained.class_map, transform),
        provenance=_provenance(checked, trained),
        overwrite=overwrite,
        options=replace(options, model_name=options.model_name or checked.Global.model_name),
    )
    if was_calibrated:
        _log.warning(
            "the bundle that was in %s had calibrated scores, and the new one has not: run 'ppcls "
            "calibrate' again, since they belong to the network that they were found with",
            report.folder,
        )
    return replace(report, left_out=left_out)


def _processing(
    config: Config, trained: Trained, transform: Pipeline, names: ClassMap
) -> Processing:
    """Return what stands around the network."""
    if not trained.multi_label:
        return Processing(transform, names, topk_of(config))
    most = limit_of(config) or len(names)
    return Processing(transform, names, most, threshold_of(config))


def _warn_of_own_transforms(transform: Pipeline) -> None:
    """Say that a bundle needs a user's code where its preprocessing does: it holds no code."""
    own = [
        name
        for op in transform.spec()
        for name in op
        if not is_built_in(lookup("transform", name).constructor)
    ]
    if own:
        _log.warning(
            "this bundle prepares images with %s of your own: it opens only in Python programs "
            "that import it before (ppcls.import_parts), or where an installed package offers it",
            ", ".join(own),
        )


def _is_calibrated(folder: Path) -> bool:
    """Whether there is a bundle with a calibration; one that is damaged has none."""
    try:
        return read_description(folder).Bundle.calibration is not None
    except BundleError:
        return False


def _formats(given: Optional[Sequence[str]]) -> Tuple[List[str], Optional[str]]:
    """Return the formats to write, and why the usual ones are not all among them."""
    if given is not None:
        return list(given), None
    obstacle = format_obstacle("onnx")
    return (["paddle"], obstacle) if obstacle else (["paddle", "onnx"], None)


def _real_images(
    config: Config, class_map: ClassMap, transform: Pipeline
) -> Optional[List[np.ndarray]]:
    """Return images of DataLoader.Eval, else of Infer.infer_imgs, else of DataLoader.Train; None
    when none are on this machine.

    Raises:
        DataError: the evaluation set is here, but wrong: a label outside the class map, ...
    """
    reasons: List[str] = []
    finders = (partial(_split_images, "Eval"), _infer_images, partial(_split_images, "Train"))
    for find in finders:
        readers = find(config, class_map, reasons)
        if readers:
            return _readable(readers, transform) or None
    _log.warning(
        "the check of the bundle uses random numbers, because there are no images: %s",
        "; ".join(reasons)
        or "neither DataLoader.Eval, Infer.infer_imgs nor DataLoader.Train is given",
    )
    return None


def _split_images(split: str, config: Config, class_map: ClassMap, reasons: List[str]) -> Readers:
    """Return images of DataLoader.Eval or Train; none, and a reason more, where its files are
    missing.
    """
    section = getattr(config.DataLoader, split)
    if section is None:
        return {}
    part = section.dataset
    try:
        with config.naming("DataLoader", split):
            dataset = part.build(class_map=class_map)
    except DataError as error:
        if not _is_elsewhere(part.arguments):
            raise
        reasons.append(str(error))
        return {}
    chosen = _spread(len(dataset), PARITY_IMAGES)
    return {dataset.name(index): partial(dataset.read, index) for index in chosen}


def _is_elsewhere(dataset: Dict[str, Any]) -> bool:
    """Tell a data set that is not on this machine, by its arguments, from one with mistakes."""
    if "image_root" not in dataset:
        return False
    root, lines = Path(dataset["image_root"]), dataset.get("cls_label_path")
    if not root.is_dir():
        return True
    if lines is None:
        return False
    if not Path(lines).is_file():
        return True
    images = ListFile(lines, dataset.get("delimiter")).paths
    return not any((root / images[i]).exists() for i in range(min(len(images), PARITY_IMAGES)))


def _infer_images(config: Config, _: ClassMap, reasons: List[str]) -> Readers:
    """Return images of Infer.infer_imgs; none, and a reason more, where there is no such file."""
    if config.Infer.infer_imgs is None:
        return {}
    try:
        with config.naming("Infer", "infer_imgs"):
            paths = find_images([config.Infer.infer_imgs])[:PARITY_IMAGES]
    except UsageError as error:
        reasons.append(str(error))
        return {}
    return {path: Path(path).read_bytes for path in paths}


def _spread(total: int, count: int) -> List[int]:
    """Return up to `count` numbers below `total`, evenly spread."""
    return sorted({i * total // count for i in range(count)})


def _readable(readers: Readers, transform: Pipeline) -> List[np.ndarray]:
    images = []
    for name, read in readers.items():
        try:
            images.append(transform(read()))
        except (OSError, BadImageError) as error:
            _log.warning("left out of the check of the bundle: %s: %s", name, error)
    return images


def _provenance(config: Config, trained: Trained) -> Dict[str, Any]:
    known = ("epoch", "step", "metrics", "seed")
    found: Dict[str, Any] = {key: trained.metadata[key] for key in known if key in trained.metadata}
    return {"weights": trained.path.name, **found, "arch": config.data["Arch"]}
