"""``ppcls export``: write a trained network as a bundle that predicts without the training code."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ppcls import runtime
from ppcls.commands import add_config_arguments

if TYPE_CHECKING:
    import numpy as np

    from ppcls.config import Config
    from ppcls.data.dataset import ClassMap
    from ppcls.data.transforms import Pipeline
    from ppcls.engine.trained import Trained

HELP = "export a trained network as a bundle"
PARITY_IMAGES = 16
_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--output_dir",
        metavar="DIR",
        help="the bundle (default: Global.save_inference_dir, else OUTPUT_DIR/inference)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a bundle that is already there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, check the bundle against the network, and say where it is."""
    runtime.prepare()
    from ppcls.config import load_config, to_yaml
    from ppcls.engine.trained import eval_transform, load_trained
    from ppcls.export import export_bundle

    config = load_config(arguments.config, arguments.override)
    if arguments.print_config:
        print(to_yaml(config.data), end="")
        return 0
    runtime.use_device(config.Global.device)
    transform = eval_transform(config)
    trained = load_trained(config, transform.channels)
    report = export_bundle(
        trained.network,
        _target(config, arguments.output_dir),
        transform,
        trained.class_map,
        topk=_topk(config),
        images=_real_images(config, trained.class_map, transform),
        provenance=_provenance(config, trained),
        overwrite=arguments.overwrite,
    )
    _log.info("%s", report.summary())
    return 0


def _target(config: Config, given: Optional[str]) -> Path:
    from ppcls.engine.run_folder import RunFolder

    inside = RunFolder(Path(config.Global.output_dir)).inference
    return Path(given or config.Global.save_inference_dir or inside)


def _topk(config: Config) -> int:
    part = config.Infer.PostProcess
    return int(part.arguments.get("topk", 5)) if part else 5


def _real_images(
    config: Config, class_map: ClassMap, transform: Pipeline
) -> Optional[List[np.ndarray]]:
    """Return images of DataLoader.Eval, or of Infer.infer_imgs; None when neither is on this
    machine.
    """
    from ppcls.errors import DataError, UsageError
    from ppcls.inference.sources import find_images

    try:
        if config.DataLoader.Eval is not None:
            dataset = config.DataLoader.Eval.dataset.build(class_map=class_map)
            paths: List[str] = [dataset.path(i) for i in _spread(len(dataset), PARITY_IMAGES)]
        else:
            paths = find_images([str(config.Infer.infer_imgs)])[:PARITY_IMAGES]
    except (DataError, UsageError) as error:
        _log.warning(
            "the check of the bundle uses random numbers, because there are no images: %s", error
        )
        return None
    return _readable(paths, transform) or None


def _spread(total: int, count: int) -> List[int]:
    """Return up to `count` numbers below `total`, evenly spread."""
    return sorted({i * total // count for i in range(count)})


def _readable(paths: List[str], transform: Pipeline) -> List[np.ndarray]:
    from ppcls.errors import BadImageError

    images = []
    for path in paths:
        try:
            images.append(transform(Path(path).read_bytes()))
        except (OSError, BadImageError) as error:
            _log.warning("left out of the check of the bundle: %s: %s", path, error)
    return images


def _provenance(config: Config, trained: Trained) -> Dict[str, Any]:
    known = ("epoch", "step", "metrics", "seed")
    facts: Dict[str, Any] = {key: trained.facts[key] for key in known if key in trained.facts}
    return {"weights": trained.path.name, **facts, "arch": config.data["Arch"]}
