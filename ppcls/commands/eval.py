"""``ppcls eval``: measure a trained network on the images of DataLoader.Eval."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from ppcls.commands import add_config_arguments, run_with_config
from ppcls.errors import UsageError

if TYPE_CHECKING:
    from ppcls.api.evaluate import EvaluationResult
    from ppcls.config import Config

_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls eval -c my_photos/recipe.yaml",
    "ppcls eval -c my_photos/recipe.yaml --json eval.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write metrics and error rows to FILE as well"
    )
    parser.add_argument(
        "--save-predictions",
        type=Path,
        metavar="FILE.csv",
        help="write a row for each image: name, label, predicted class, probability, whether it "
        "is correct, and the most probable classes",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page that says where the network errs; `ppcls report RUN` says more",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the metrics."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.evaluate import evaluate
    from ppcls.engine.predictions_csv import require_csv, write_predictions

    if arguments.save_predictions:
        require_csv(arguments.save_predictions)
    if arguments.report:
        _check_page(arguments.report)
    _check_one_class(config, arguments)
    found = evaluate(config, keep_scores=bool(arguments.save_predictions))
    if arguments.json:
        _write(arguments.json, found)
    if found.scored is not None:
        write_predictions(arguments.save_predictions, found.scored)
        _log.info("predictions of %d images: %s", len(found.scored), arguments.save_predictions)
    found.check_not_empty()
    _say(found)
    if arguments.report:
        _report(config, arguments.report)
    return 0


def _check_one_class(config: Config, arguments: argparse.Namespace) -> None:
    """Refuse, before anything is computed, what is of images of one class each."""
    from ppcls.engine.label_kinds import expected_kind
    from ppcls.labels import LabelKind

    wanted = {"--report": arguments.report, "--save-predictions": arguments.save_predictions}
    for option, value in wanted.items():
        if value and expected_kind(config) is not LabelKind.HARD:
            raise UsageError(
                f"{option} is for images of one class each, and these have any number of classes; "
                "'ppcls predict --output FILE.csv' writes what the exported network says of each"
            )


def _check_page(page: Path) -> None:
    from ppcls.api.report import require_html

    require_html(page)


def _report(config: Config, page: Path) -> None:
    from ppcls.api.report import describe_report, report_on_evaluation

    _log.info("%s", describe_report(report_on_evaluation(config, page)))


def _say(found: EvaluationResult) -> None:
    from ppcls.api.class_table import describe_classes
    from ppcls.engine.loggers.console import describe_metrics

    if found.confusion is not None:
        _log.info("%s", describe_classes(found.confusion, found.class_map))
    _log.info(
        "%d images in %.1f s: %s", found.images, found.seconds, describe_metrics(found.metrics)
    )
    if found.bad:
        count = "1 image" if len(found.bad) == 1 else f"{len(found.bad)} images"
        bad = found.describe_bad()
        _log.warning("%s could not be read and left out of these metrics:%s", count, bad)


def _write(path: Path, found: EvaluationResult) -> None:
    from ppcls.api.class_table import class_records, confusion_cells
    from ppcls.files import write_text

    report: Dict[str, Any] = {
        "metrics": found.metrics,
        "images": found.images,
        "errors": [
            {"path": image.name, "label": image.label, "error": image.reason} for image in found.bad
        ],
        "seconds": found.seconds,
        "arch": found.arch,
        "weights": str(found.weights),
        "device": found.device,
        "views": found.views,
    }
    if found.confusion is not None:
        report["classes"] = class_records(found.confusion, found.class_map)
        report["confusion"] = confusion_cells(found.confusion, found.class_map)
    write_text(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    _log.info("written to %s", path)
