"""Calibration of the bundle that a run was exported as."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

import numpy as np

from ppcls import runtime
from ppcls.api.ranking import names_of
from ppcls.calibration import CalibrationOptions, calibrate_bundle
from ppcls.calibration.bundle import USUAL
from ppcls.calibration.report import CalibrationReport
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.data.dataset.files import ImageFiles
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.errors import UsageError
from ppcls.inference.bundle import read_bundle
from ppcls.labels import LabelKind
from ppcls.quantisation.images import ImageSet


def calibrate(
    config: ConfigSource,
    model_dir: Union[str, Path, None] = None,
    images: Optional[str] = None,
    options: CalibrationOptions = USUAL,
) -> CalibrationReport:
    """Calibrate the bundle of a run, and write that into the bundle.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        model_dir: the bundle; by default where `ppcls.export` writes it.
        images: held back from training; by default those of `DataLoader.Eval`.
        options: how.

    Raises:
        ConfigError: the configuration is wrong.
        CheckpointError: there are no trained weights, or they do not fit.
        PpclsError: as `ppcls.calibration.calibrate_bundle` does.
    """
    checked = as_config(config)
    folder = bundle_folder(checked, model_dir)
    found = images or evaluation_images(checked, folder)
    return calibrate_bundle(folder, found, options)


def bundle_folder(config: Config, given: Union[str, Path, None] = None) -> Path:
    """Return where the bundle of a run is, or will be."""
    inside = RunFolder(Path(config.Global.output_dir)).inference
    return Path(given or config.Global.save_inference_dir or inside)


def evaluation_images(config: Config, folder: Path) -> ImageSet:
    """Return the images of `DataLoader.Eval`, with the classes of the bundle in `folder`.

    Raises:
        UsageError: the images are no files, or have no single class each, or the bundle is of
            another run.
    """
    require(config, "DataLoader.Eval")
    names = read_bundle(folder).labels
    runtime.use_device(config.Global.device)
    trained = load_trained(config, eval_transform(config))
    if names_of(config, trained.class_map).names != names:
        raise UsageError(
            f"{folder}: has other classes than {trained.path}; export that run again, or name the "
            "bundle with --model_dir and its images with --images"
        )
    with config.naming("DataLoader", "Eval"):
        dataset = config.DataLoader.Eval.dataset.build(class_map=trained.class_map)  # type: ignore[union-attr]
    where = config.where("DataLoader", "Eval")
    if not isinstance(dataset, ImageFiles) or dataset.label_kind != LabelKind.HARD:
        raise UsageError(
            f"{where}: is no set of image files with one class each; name such images with --images"
        )
    paths = [dataset.path(index) for index in range(len(dataset))]
    return ImageSet(where, paths, np.asarray(dataset.labels.values))
