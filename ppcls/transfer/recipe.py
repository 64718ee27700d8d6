"""The recipe of a run on one's own photos: plain data, with absolute paths and without `_base_`, so
that it trains again from any folder.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from ppcls.runtime import available_cores
from ppcls.transfer.sets import Sets
from ppcls.weights.hub.records import Record

THREADS = max(2, min(8, available_cores()))
"""That read images."""


@dataclass(frozen=True)
class Plan:
    """How the network is trained.

    Attributes:
        network: its name.
        size: side in pixels of the images that it is judged by, and predicts.
        record: the published weights that it starts from, if any.
        start: the file with those weights and a fitted head; None without one.
        epochs: 0 only judges what it starts from.
        batch: images for each update.
        seed: of everything random.
        refit: whether the model learns once more, from the images held back as well.
        more: epochs of that, where the network is fine-tuned.
        rate: the highest learning rate of fine-tuning.
        margin: by how much the start must be better on the held-back images to stay the model.
        mixed: whether to fine-tune in mixed precision, on CPUs that have the arithmetic.
    """

    network: str
    size: int
    record: Optional[Record]
    start: Optional[Path]
    epochs: int
    batch: int
    seed: int
    refit: bool = False
    more: int = 0
    rate: float = 0.0004
    margin: float = 0.0
    mixed: bool = False


def recipe_of(plan: Plan, sets: Sets, output: Path) -> Dict[str, Any]:
    """Return the content of the recipe.

    Args:
        plan: how to train.
        sets: on what.
        output: the folder of the run.
    """
    fine_tunes = plan.start is not None
    judges_start = fine_tunes and sets.val is not None
    data = {"Train": _split(sets.root, sets.train, training_ops(plan), plan.batch, shuffle=True)}
    if fine_tunes:
        data["Train"]["batch_transform_ops"] = [_MIXUP]
    judging: Dict[str, Any] = {"transforms": judging_ops(plan)}
    if sets.val is not None:
        data["Eval"] = _split(sets.root, sets.val, judging_ops(plan), 32, shuffle=False)
        judging = {}
    return {
        "Global": {
            "output_dir": str(output.absolute()),
            "device": "auto",
            "seed": plan.seed,
            "epochs": plan.epochs,
            "class_id_map_file": str(sets.labels.absolute()),
            **_start_keys(plan),
            "eval_at_start": judges_start,
            **({"start_margin": plan.margin} if judges_start and plan.margin else {}),
            "start_eval_epoch": _first_judged(plan.epochs) if fine_tunes else 0,
        },
        "Arch": {"name": plan.network, **({"freeze_statistics": True} if fine_tunes else {})},
        **({"AMP": _MIXED} if fine_tunes and plan.mixed else {}),
        "EMA": {"decay": 0.99},
        "Loss": {"Train": [{"CELoss": {"epsilon": 0.1}}], "Eval": [{"CELoss": None}]},
        "Optimizer": _fine_tuning(plan) if fine_tunes else _from_scratch(plan),
        "DataLoader": data,
        "Infer": {**judging, "PostProcess": {"name": "Topk", "topk": 3}},
        "Metric": {"Train": None if fine_tunes else [_TOP1], "Eval": [_TOP1]},
    }


def _first_judged(epochs: int) -> int:
    """Return the first epoch that may be the best one: the last fifth, at low rates. Of many
    epochs judged by few images, the best is the luckiest, and seldom the best on others.
    """
    return epochs - epochs // 5 if epochs >= 5 else 0


def _start_keys(plan: Plan) -> Dict[str, Any]:
    return {"pretrained_model": str(plan.start.absolute())} if plan.start else {}


def _fine_tuning(plan: Plan) -> Dict[str, Any]:
    warmup = {"warmup_epoch": _warmup(plan.epochs)} if plan.epochs else {}
    return {
        "name": "AdamW",
        "lr": {"name": "Cosine", "learning_rate": plan.rate, **warmup},
        "weight_decay": 0.05,
        "one_dim_param_no_weight_decay": True,
        "layer_decay": 0.85,
        "clip_norm_global": 5.0,
    }


def _warmup(epochs: int) -> float:
    return min(1.0, round(epochs / 3, 2))


def for_epochs(recipe: Mapping[str, Any], epochs: int) -> Dict[str, Any]:
    """Return a recipe of fine-tuning for another number of epochs, at least 1."""
    changed = copy.deepcopy(dict(recipe))
    changed["Global"]["epochs"] = epochs
    schedule = changed["Optimizer"].get("lr")
    if isinstance(schedule, dict) and "warmup_epoch" in schedule:
        schedule["warmup_epoch"] = _warmup(epochs)
    return changed


def _from_scratch(plan: Plan) -> Dict[str, Any]:
    warmup = {"warmup_epoch": min(2.0, round(plan.epochs / 3, 2))}
    return {
        "name": "Momentum",
        "momentum": 0.9,
        "lr": {"name": "Cosine", "learning_rate": 0.02 * plan.batch / 32, **warmup},
        "regularizer": {"name": "L2", "coeff": 0.0005},
    }


def train_size(size: int) -> int:
    """Return the side in pixels of the crops that training takes, for images of `size`.

    Random crops show things larger than the whole image does, so a network sees them in the same
    size where training takes fewer pixels (Touvron et al. 2019, arXiv:1906.06423); it is faster,
    too.
    """
    return max(32, round(0.8 * size / 16) * 16) if size >= 64 else size


def training_ops(plan: Plan) -> List[Dict[str, Any]]:
    """Return the transforms of training."""
    crop = {"size": train_size(plan.size), "scale": [0.35, 1.0], **_resampling(plan.record)}
    return [
        {"DecodeImage": {**_DECODE["DecodeImage"], "scaled": True}},
        {"RandCropImage": crop},
        {"RandFlipImage": {"flip_code": 1}},
        {"ColorJitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}},
        *_normalised(plan.record),
    ]


def judging_ops(plan: Plan) -> List[Dict[str, Any]]:
    """Return the transforms of evaluation: those that the weights were published with, at the
    plan's size.
    """
    fraction = plan.record.resize / plan.record.crop if plan.record else 256 / 224
    resize = {"resize_short": round(plan.size * fraction), **_resampling(plan.record)}
    return [
        _DECODE,
        {"ResizeImage": resize},
        {"CropImage": {"size": plan.size}},
        *_normalised(plan.record),
    ]


_MIXUP = {"MixupOperator": {"alpha": 0.5}}
"""Few images are learnt by heart in a few epochs otherwise."""

_MIXED = {"use_amp": True, "dtype": "bfloat16"}
"""On a machine without it, the recipe trains in float32, and says so."""

_TOP1: Dict[str, Any] = {"TopkAcc": {"topk": [1]}}
_DECODE: Dict[str, Any] = {"DecodeImage": {"to_rgb": True, "channel_first": False}}


def _resampling(record: Optional[Record]) -> Dict[str, str]:
    if record is None:
        return {}
    return {"interpolation": record.interpolation, "backend": record.backend}


def _normalised(record: Optional[Record]) -> List[Dict[str, Any]]:
    mean = record.mean if record else (0.485, 0.456, 0.406)
    std = record.std if record else (0.229, 0.224, 0.225)
    values = {"mean": list(mean), "std": list(std), "order": ""}
    return [{"NormalizeImage": values}, {"ToCHWImage": {}}]


def _split(
    root: Path, listed: Path, ops: List[Dict[str, Any]], batch: int, shuffle: bool
) -> Dict[str, Any]:
    return {
        "dataset": {
            "name": "ImageNetDataset",
            "image_root": str(root.absolute()),
            "cls_label_path": str(listed.absolute()),
            "transform_ops": ops,
        },
        "sampler": {"name": "DistributedBatchSampler", "batch_size": batch, "shuffle": shuffle},
        "loader": {"num_workers": THREADS},
    }
