"""Evaluation of a trained network as a configuration says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

import numpy as np
import paddle

from ppcls import runtime
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.data.dataset import ClassMap
from ppcls.engine.ahead import batches_on
from ppcls.engine.builder import (
    build_eval,
    check_images_fit,
    use_kernels,
)
from ppcls.engine.evaluator import Evaluation, Observer, evaluate_network
from ppcls.engine.metric_parts import build_eval_metrics
from ppcls.engine.scoring import Scored, ScoreKeeper
from ppcls.engine.trained import Trained, eval_transform, load_trained
from ppcls.engine.tta import AveragedViews, views_of
from ppcls.engine.world import World
from ppcls.labels import LabelKind
from ppcls.loss import CombinedLoss
from ppcls.metric.confusion import ConfusionCounts
from ppcls.progress import track

_log = logging.getLogger("ppcls")


@dataclass
class EvaluationResult(Evaluation):
    """An evaluation, and what was evaluated.

    Attributes:
        arch: the network's name.
        weights: the file of its weights.
        device: where it ran, "cpu" or "gpu:N".
        class_map: the names of the classes.
        confusion: how often an image of the row's class was taken for the column's, int64
            [classes, classes + 1]; the last column counts images for which the network gave no
            numbers. None where an image has no single class.
        scored: the logits of each image, where they were asked for.
        views: over how many views of each image the answers are averaged, see `TTA`; 1 without it.
    """

    arch: str
    weights: Path
    device: str
    class_map: ClassMap
    confusion: Optional[np.ndarray]
    scored: Optional[Scored]
    views: int


def evaluate(config: ConfigSource, keep_scores: bool = False) -> EvaluationResult:
    """Measure a trained network on the images of `DataLoader.Eval`; with `TTA`, the mean of its
    probabilities over several views of each image.

    The weights are those that `ppcls.engine.trained.load_trained` finds.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        keep_scores: return the logits of each image as well, images x classes floats.

    Raises:
        ConfigError: the configuration is wrong.
        CheckpointError: there are no weights, or they do not fit.
        DataError: the data set is missing or malformed.
    """
    runtime.keep_freed_memory()
    config = as_config(config)
    require(config, "DataLoader.Eval")
    device = runtime.use_device(config.Global.device)
    return _evaluate(config, load_trained(config, eval_transform(config)), device, keep_scores)


def _evaluate(config: Config, trained: Trained, device: str, keep_scores: bool) -> EvaluationResult:
    world, class_map = World(), trained.class_map
    loader = build_eval(config, class_map, world)
    check_images_fit(config, trained.network, loader.dataset.transform, "Eval")
    _log.info("operators: %s", use_kernels(config, trained.network, device))
    network: paddle.nn.Layer = trained.network
    views = views_of(config, trained.network, loader.dataset.transform)
    if views:
        loader.dataset = views.dataset_of(loader.dataset)
        network = AveragedViews(network, views, trained.multi_label)
        _log.info("test-time augmentation: averaged views of each image: %s", views.describe())
    metrics = build_eval_metrics(config, len(class_map), loader.dataset.label_kind)
    loss = CombinedLoss(config.Loss.Eval) if config.Loss.Eval else None
    is_hard = loader.label_kind is LabelKind.HARD
    counts = ConfusionCounts(len(class_map)) if is_hard else None
    keeper = ScoreKeeper(loader.dataset) if keep_scores else None
    observers: List[Observer] = [keeper] if keeper else []
    if counts:
        observers.append(
            lambda batch, outputs: counts.update(outputs, batch.labels.map(paddle.to_tensor))
        )
    batches = track(batches_on(device, loader, 0), "evaluating", len(loader))
    found = evaluate_network(network, batches, metrics, loss, world, observers)
    return EvaluationResult(
        **vars(found),
        arch=trained.network.model_name,
        weights=trained.path,
        device=device,
        class_map=class_map,
        confusion=world.sum(counts.read()) if counts else None,
        scored=keeper.result(found.bad, world) if keeper else None,
        views=views.count if views else 1,
    )
