"""Which metrics a configuration asks for, and which are usual where it asks for none."""

from __future__ import annotations

from typing import List

from ppcls.config import Config
from ppcls.engine.label_kinds import takes
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind
from ppcls.metric import CombinedMetric
from ppcls.registry import Part, lookup


def eval_metric_parts(config: Config, labels: LabelKind) -> List[Part]:
    """Return the metrics of evaluation: those of training where there are none, else what is usual
    for the kind of labels.
    """
    usual = ["MultiLabelMAP", "F1"] if labels is LabelKind.MULTI_HOT else ["TopkAcc"]
    return config.Metric.Eval or config.Metric.Train or [Part("metric", name) for name in usual]


def train_metric_parts(config: Config, labels: LabelKind) -> List[Part]:
    """Return the metrics of training; where there are none, those of evaluation that can be
    measured there, and take the kind of labels that training has.

    Raises:
        ConfigError: one that is written cannot be measured there.
    """
    written = config.Metric.Train or []
    for i, part in enumerate(written):
        if not _is_in_training(part):
            raise ConfigError(
                f"{config.where('Metric', 'Train', i)}: {part.name} keeps the scores of all "
                "images, which is too much while training; write it in Metric.Eval alone"
            )
    usual = [part for part in eval_metric_parts(config, labels) if _is_in_training(part)]
    return written or [part for part in usual if takes(part, labels)]


def _is_in_training(part: Part) -> bool:
    """Whether a metric can be measured while training; one's own need not extend `Metric`."""
    return getattr(lookup("metric", part.name).constructor, "in_training", True)


def build_eval_metrics(config: Config, class_num: int, labels: LabelKind) -> CombinedMetric:
    """Build the metrics of evaluation, the same while training and afterwards, for labels of that
    kind.

    Raises:
        ConfigError: a metric makes no sense for that many classes.
    """
    with config.naming("Metric"):
        return CombinedMetric(eval_metric_parts(config, labels), class_num=class_num)
