"""``ppcls infer``: predict the images of Infer.infer_imgs with a trained network, before it is
exported.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ppcls import runtime
from ppcls.api.ranking import names_of, topk_of
from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config
    from ppcls.engine.trained import Trained
    from ppcls.inference.postprocess import Topk
    from ppcls.inference.predictor import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; status 1 when every image failed."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.config import require
    from ppcls.inference.output import as_text
    from ppcls.inference.sources import find_images

    require(config, "Infer.infer_imgs")
    runtime.use_device(config.Global.device)
    with config.naming("Infer", "infer_imgs"):
        paths = find_images([str(config.Infer.infer_imgs)])
    failed = 0
    for prediction in _classifier(config)(paths):
        print(as_text(prediction))
        failed += prediction.error is not None
    return int(failed == len(paths))


def _classifier(config: Config) -> Classifier:
    from ppcls.engine.builder import check_images_fit
    from ppcls.engine.trained import eval_transform, load_trained
    from ppcls.inference.engines.network import NetworkEngine
    from ppcls.inference.predictor import Classifier

    transform = eval_transform(config)
    trained = load_trained(config, transform.channels)
    check_images_fit(config, trained.network, transform, "DataLoader.Eval")
    height, width = transform.output_size or (0, 0)
    return Classifier(
        transform,
        (transform.channels, height, width),
        NetworkEngine(trained.network),
        _topk(config, trained),
        config.Infer.batch_size,
    )


def _topk(config: Config, trained: Trained) -> Topk:
    """Return the post-processing of the file, with a name for each class."""
    from ppcls.inference.postprocess import Topk

    names = names_of(config, trained.class_map).names
    return Topk(topk=min(topk_of(config), len(names)), label_list=names)
