"""Predictions of a trained network before it is exported, as a configuration says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Union

from ppcls import runtime
from ppcls.api.ranking import limit_of, names_of, threshold_of, topk_of
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.engine.builder import check_images_fit, use_kernels
from ppcls.engine.trained import Trained, eval_transform, load_trained
from ppcls.errors import UsageError
from ppcls.files import read_regular, sha256_of
from ppcls.inference.engines.network import NetworkEngine
from ppcls.inference.lists import MOST_LIST_BYTES, listed_images_of
from ppcls.inference.postprocess import MultiLabelThreshOutput, Ranker, Topk
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
    """Return the files of `Infer.infer_imgs`, a file or a folder; or those that `Infer.infer_list`
    names, whose paths begin there, beside the list or in the working folder.

    Raises:
        ConfigError: there is no such key.
        UsageError: there are no such images, or the list cannot be read.
        DataError: the list names none.
    """
    if config.Infer.infer_list is not None:
        with config.naming("Infer", "infer_list"):
            return _listed(config.Infer.infer_list, config.Infer.infer_imgs)
    require(config, "Infer.infer_imgs")
    with config.naming("Infer", "infer_imgs"):
        return find_images([str(config.Infer.infer_imgs)])


def _listed(path: str, root: Optional[str]) -> List[str]:
    try:
        data = read_regular(path, MOST_LIST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: the list cannot be read: {reason}") from None
    folders = [*([Path(root)] if root else []), Path(path).parent, Path()]
    return list(listed_images_of(data, path, folders))


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
    made_of: Dict[str, Any] = {
        "weights": sha256_of(trained.path),
        "preprocessing": transform.spec(),
    }
    if trained.multi_label:
        made_of["threshold"] = threshold_of(config)
    return Classifier(
        transform,
        (transform.channels, height, width),
        NetworkEngine(trained.network, trained.multi_label),
        _ranker(config, trained, names, topk),
        config.Infer.batch_size,
        {**made_of, "names": names},
    )


def _ranker(config: Config, trained: Trained, names: List[str], topk: Optional[int]) -> Ranker:
    """Return what names the classes of an image: the most probable ones, or all that it has."""
    if trained.multi_label:
        most = topk or limit_of(config)
        return MultiLabelThreshOutput(threshold_of(config), label_list=names, topk=most)
    return Topk(topk=min(topk or topk_of(config), len(names)), label_list=names)
