"""Finding out what a bundle's scores are worth, and writing that into its `inference.yml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import numpy as np
import yaml

from ppcls.calibration.measures import Measured, measure_calibration
from ppcls.calibration.report import CalibrationReport
from ppcls.calibration.temperature import fit_temperature
from ppcls.calibration.thresholds import LEAST, Thresholds, find_thresholds
from ppcls.errors import BundleError, DataError, UsageError
from ppcls.files import write_text
from ppcls.inference.calibrated import tempered
from ppcls.inference.description import CONFIG_NAME, CalibrationKeys, read_description
from ppcls.inference.predictor import Predictor
from ppcls.progress import track
from ppcls.quantisation.images import ImageSet, judged_images, refuse_overlap
from ppcls.yaml_text import read_value


@dataclass(frozen=True)
class CalibrationOptions:
    """How `calibrate_bundle` finds temperature and thresholds, and where the network runs.

    Attributes:
        judge: a list file or folder like `images`, of others on which the outcome is measured too.
        min_precision: how many of the answers are to be right, as a fraction; 0 is no threshold.
        per_class: whether each class gets a threshold of its own.
        engine, device, threads: as for `ppcls.inference.Predictor`.

    Raises:
        UsageError: `min_precision` is not between 0 and 1.
    """

    judge: Optional[str] = None
    min_precision: float = 0.95
    per_class: bool = False
    engine: str = "auto"
    device: str = "auto"
    threads: Optional[int] = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_precision <= 1:
            raise UsageError(
                "min_precision is a fraction between 0 and 1 (0.95: 19 of 20 answers are right), "
                f"got {self.min_precision:g}"
            )


USUAL = CalibrationOptions()


def calibrate_bundle(
    model_dir: Union[str, Path],
    images: Union[str, ImageSet],
    options: CalibrationOptions = USUAL,
) -> CalibrationReport:
    """Find a temperature and thresholds, and write them into the bundle, or leave it as it was.

    Args:
        model_dir: the bundle.
        images: a list file with classes (``path class`` on each line), a folder of class folders,
            or such images; held back from training.
        options: how.

    Raises:
        BundleError: the bundle cannot be used.
        DataError: the images are not there, malformed, too few or in both sets, or the precision
            is out of reach.
        UsageError: an engine or a file is not there.
    """
    predictor = Predictor(
        model_dir, options.engine, options.device, threads=options.threads, batch_size=1
    )
    if predictor.bundle.threshold is not None:
        raise UsageError(
            f"{model_dir}: its images have any number of classes, and a calibration is of images "
            "of one class each; a threshold for all classes: -o Infer.PostProcess.threshold=0.7 "
            "when exporting"
        )
    labels = predictor.bundle.labels
    fitted, judged = _images(images, options.judge, labels)
    probabilities, classes = _probabilities(predictor, fitted), _classes(fitted)
    fit = fit_temperature(probabilities, classes)
    thresholds = _thresholds(options, tempered(probabilities, fit.temperature), classes)

    def measured(rows: np.ndarray, true: np.ndarray) -> Measured:
        return measure_calibration(rows, true, fit.temperature, _needed(thresholds))

    report = CalibrationReport(
        predictor.bundle.folder,
        labels,
        fit,
        thresholds,
        options.min_precision,
        measured(probabilities, classes),
        measured(_probabilities(predictor, judged), _classes(judged)) if judged else None,
    )
    write_calibration(predictor.bundle.folder, report.keys())
    return report


def _images(
    given: Union[str, ImageSet], judge: Optional[str], labels: Sequence[str]
) -> Tuple[ImageSet, Optional[ImageSet]]:
    images = judged_images(given, labels) if isinstance(given, str) else given
    if len(images.paths) < LEAST:
        raise DataError(
            f"{images.where}: has {len(images.paths)} images; fewer than {LEAST} say nothing of "
            "scores, and some hundreds are better"
        )
    if judge is None:
        return images, None
    judged = judged_images(judge, labels)
    refuse_overlap(images, judged)
    return images, judged


def _classes(images: ImageSet) -> np.ndarray:
    if images.classes is None:
        raise ValueError("images that calibrate have classes")
    return images.classes


def _probabilities(predictor: Predictor, images: ImageSet) -> np.ndarray:
    """Return what the network gives for each image, before any calibration."""
    prepared = track(images.prepared(predictor.transform), images.where, len(images.paths))
    rows = np.concatenate([predictor.engine.run(batch) for batch in prepared])
    if not np.isfinite(rows).all():
        raise BundleError(f"{predictor.bundle.folder}: the network's output is not finite")
    return rows


def _thresholds(
    options: CalibrationOptions, scores: np.ndarray, classes: np.ndarray
) -> Optional[Thresholds]:
    if not options.min_precision:
        return None
    predicted = scores.argmax(axis=1)
    found = find_thresholds(
        scores.max(axis=1),
        predicted,
        predicted == classes,
        options.min_precision,
        scores.shape[1] if options.per_class else 0,
    )
    if found.reached:
        return found
    cut = found.overall
    raise DataError(
        f"a precision of {options.min_precision:.1%} is out of reach: the best that a threshold "
        f"gives is {cut.precision:.1%}, {cut.right} of {cut.answered} answers among "
        f"{len(scores)} images (fewer than {LEAST} answers do not count). The bundle was left as "
        "it was. Ask for less with --min-precision, give more images, or train a better network; "
        "--min-precision 0 calibrates the scores alone"
    )


def _needed(thresholds: Optional[Thresholds]) -> Union[float, Sequence[float]]:
    if thresholds is None:
        return 0.0
    return thresholds.by_class or thresholds.overall.threshold


def write_calibration(folder: Path, keys: CalibrationKeys) -> None:
    """Write a calibration into a bundle's `inference.yml`, in the place of an earlier one; all else
    stays, whatever other readers keep there.

    Raises:
        BundleError: the file cannot be read.
        OSError: it cannot be written; it is as it was.
    """
    path = folder / CONFIG_NAME
    read_description(folder)
    config: Dict[str, Any] = read_value(path)
    config["Bundle"]["calibration"] = keys.model_dump(exclude_none=True)
    write_text(path, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
