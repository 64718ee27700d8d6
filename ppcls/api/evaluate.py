"""Evaluation of a trained network as a configuration says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ppcls import runtime
from ppcls.config import Config, ConfigSource, as_config, require
from ppcls.engine.builder import build_eval, build_eval_metrics, check_images_fit
from ppcls.engine.evaluator import Evaluation, evaluate_network
from ppcls.engine.trained import Trained, eval_transform, load_trained
from ppcls.engine.world import World
from ppcls.loss import CombinedLoss


@dataclass
class EvaluationResult(Evaluation):
    """An evaluation, and what was evaluated.

    Attributes:
        arch: the network's name.
        weights: the file of its weights.
        device: where it ran, "cpu" or "gpu:N".
    """

    arch: str
    weights: Path
    device: str


def evaluate(config: ConfigSource) -> EvaluationResult:
    """Measure a trained network on the images of `DataLoader.Eval`.

    The weights are those that `ppcls.engine.trained.load_trained` finds.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.

    Raises:
        ConfigError: the configuration is wrong.
        CheckpointError: there are no weights, or they do not fit.
        DataError: the data set is missing or malformed.
    """
    config = as_config(config)
    require(config, "DataLoader.Eval")
    device = runtime.use_device(config.Global.device)
    trained = load_trained(config, eval_transform(config))
    found = _evaluate(config, trained)
    name = trained.network.model_name
    return EvaluationResult(**vars(found), arch=name, weights=trained.path, device=device)


def _evaluate(config: Config, trained: Trained) -> Evaluation:
    world = World()
    loader = build_eval(config, trained.class_map, world)
    check_images_fit(config, trained.network, loader.dataset.transform, "Eval")
    metrics = build_eval_metrics(config, len(trained.class_map))
    loss = CombinedLoss(config.Loss.Eval) if config.Loss.Eval else None
    batches = tqdm(loader.epoch(0), "evaluating", len(loader), leave=False, disable=None)
    return evaluate_network(trained.network, batches, metrics, loss, world)
