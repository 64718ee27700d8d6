"""``ppcls eval``: measure a trained network on the images of DataLoader.Eval."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from ppcls import runtime
from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config
    from ppcls.engine.evaluator import Evaluation
    from ppcls.engine.trained import Trained

HELP = "evaluate a trained network"
_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write figures and error rows to FILE as well"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the figures; status 1 when no image could be read."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.config import require
    from ppcls.engine.trained import eval_transform, load_trained

    require(config, "DataLoader.Eval")
    device = runtime.use_device(config.Global.device)
    trained = load_trained(config, eval_transform(config).channels)
    found = _evaluate(config, trained)
    _say(found)
    if arguments.json:
        _write(arguments.json, found, trained, device)
    return 0 if found.images else 1


def _evaluate(config: Config, trained: Trained) -> Evaluation:
    from tqdm import tqdm

    from ppcls.engine.builder import build_eval, build_eval_metrics, check_images_fit
    from ppcls.engine.evaluator import evaluate
    from ppcls.loss import CombinedLoss

    split = build_eval(config, trained.class_map)
    check_images_fit(config, trained.network, split.dataset.transform, "DataLoader.Eval")
    metrics = build_eval_metrics(config, len(trained.class_map))
    loss = CombinedLoss(config.Loss.Eval) if config.Loss.Eval else None
    batches = tqdm(
        split.loader.epoch(0),
        total=len(split.sampler),
        desc="evaluating",
        leave=False,
        disable=None,
    )
    return evaluate(trained.network, batches, metrics, loss)


def _say(found: Evaluation) -> None:
    from ppcls.engine.loggers.console import format_figure

    for image in found.bad:
        _log.error("%s: %s", image.path, image.reason)
    figures = "  ".join(
        f"{name} {format_figure(name, value)}" for name, value in found.figures.items()
    )
    _log.info("%d images in %.1f s: %s", found.images, found.seconds, figures)
    if found.bad:
        count = "1 image" if len(found.bad) == 1 else f"{len(found.bad)} images"
        _log.warning("%s could not be read and left out of these figures", count)


def _write(path: Path, found: Evaluation, trained: Trained, device: str) -> None:
    from ppcls.files import write_text

    report: Dict[str, Any] = {
        "metrics": found.figures,
        "images": found.images,
        "errors": [
            {"path": image.path, "label": image.label, "error": image.reason} for image in found.bad
        ],
        "seconds": found.seconds,
        "arch": trained.network.model_name,
        "weights": str(trained.path),
        "device": device,
    }
    write_text(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    _log.info("written to %s", path)
