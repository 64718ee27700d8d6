"""Predictions of a trained network before it is exported, as a configuration says."""

from __future__ import annotations

import logging
from typing import Iterable, Iterator, List, Optional, Union

from ppcls import runtime
from ppcls.api.ranking import names_of, topk_of
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.engine.builder import check_images_fit, use_kernels
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.files import sha256_of
from ppcls.inference.engines.network import NetworkEngine
from ppcls.inference.postprocess import Topk
from ppcls.inference.predictor import Classifier, Image, Prediction, refuse_below_one
from ppcls.inference.sources import find_images

_log = logging.getLogger("ppcls")


def infer(
    config: ConfigSource,
    images: Union[Image, Iterable[Image], None] = None,
    topk: Optional[int] = None,
) -> Iterator[Prediction]:
    """Yield a prediction for each image, by a trained network.

    The weights are those that `ppcls.engine.trained.load_trained` finds.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        images: what `ppcls.inference.Predictor` takes; by default the files of `Infer.infer_imgs`.
        topk: classes of a prediction; by default as `Infer.PostProcess` says.

    Raises:
        ConfigError: the configuration is wrong.
        UsageError: there are no images in `Infer.infer_imgs`.
        CheckpointError: there are no weights, or they do not fit.
    """
    config = as_config(config)
    chosen = images_of_recipe(config) if images is None else images
    yield from trained_classifier(config, topk).predictions(chosen)


def images_of_recipe(config: Config) -> List[str]:
    """Return the files of `Infer.infer_imgs`, a file or a folder.

    Raises:
        ConfigError: there is no such key.
        UsageError: there are no such images.
    """
    require(config, "Infer.infer_imgs")
    with config.naming("Infer", "infer_imgs"):
        return find_images([str(config.Infer.infer_imgs)])


def trained_classifier(config: Config, topk: Optional[int] = None) -> Classifier:
    """Return the trained network of a configuration, ready to predict.

    Raises:
        ConfigError: the configuration is wrong.
        UsageError: `topk` is below 1.
        CheckpointError: there are no weights, or they do not fit.
    """
    refuse_below_one(topk=topk)
    device = runtime.use_device(config.Global.device)
    transform = eval_transform(config)
    trained = load_trained(config, transform)
    check_images_fit(config, trained.network, transform, "Eval")
    _log.info("operators: %s", use_kernels(config, trained.network, device))
    height, width = transform.output_size or (0, 0)
    names = names_of(config, trained.class_map).names
    return Classifier(
        transform,
        (transform.channels, height, width),
        NetworkEngine(trained.network),
        Topk(topk=min(topk or topk_of(config), len(names)), label_list=names),
        config.Infer.batch_size,
        {"weights": sha256_of(trained.path), "preprocessing": transform.spec(), "names": names},
    )
