"""Predictions of a trained network before it is exported, as a configuration says."""

from __future__ import annotations

from typing import Iterator

from ppcls import runtime
from ppcls.api.ranking import names_of, topk_of
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.engine.builder import check_images_fit
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.inference.engines.network import NetworkEngine
from ppcls.inference.postprocess import Topk
from ppcls.inference.predictor import Classifier, Prediction
from ppcls.inference.sources import find_images


def infer(config: ConfigSource) -> Iterator[Prediction]:
    """Yield a prediction for each image of `Infer.infer_imgs`, by a trained network.

    The weights are those that `ppcls.engine.trained.load_trained` finds.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.

    Raises:
        ConfigError: the configuration is wrong.
        UsageError: there are no such images.
        CheckpointError: there are no weights, or they do not fit.
    """
    config = as_config(config)
    require(config, "Infer.infer_imgs")
    with config.naming("Infer", "infer_imgs"):
        paths = find_images([str(config.Infer.infer_imgs)])
    yield from trained_classifier(config)(paths)


def trained_classifier(config: Config) -> Classifier:
    """Return the trained network of a configuration, ready to predict.

    Raises:
        UsageError: the device is not there.
        CheckpointError: there are no weights, or they do not fit.
        ConfigError: the parts do not fit each other.
    """
    runtime.use_device(config.Global.device)
    transform = eval_transform(config)
    trained = load_trained(config, transform)
    check_images_fit(config, trained.network, transform, "Eval")
    height, width = transform.output_size or (0, 0)
    names = names_of(config, trained.class_map).names
    return Classifier(
        transform,
        (transform.channels, height, width),
        NetworkEngine(trained.network),
        Topk(topk=min(topk_of(config), len(names)), label_list=names),
        config.Infer.batch_size,
    )
