"""What a run on one's own photos does: from which weights, at which size, for how many epochs."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

from ppcls import runtime, weights
from ppcls.arch.network import Network
from ppcls.arch.pooled_features import last_layer
from ppcls.config import Config, load_config, to_yaml
from ppcls.data.dataset import ClassMap
from ppcls.data.dataset.imagenet import ImageNetDataset
from ppcls.engine.amp import bfloat16_obstacle
from ppcls.engine.builder import build_job, build_network, check_images_fit
from ppcls.engine.pace import Pace, pace_of
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.world import World
from ppcls.errors import UsageError
from ppcls.files import write_text
from ppcls.registry import parse
from ppcls.text import printable
from ppcls.transfer.budget import MOST_EPOCHS
from ppcls.transfer.choice import Start
from ppcls.transfer.first_model import FeatureReader, FirstModel, fit_first_model
from ppcls.transfer.recipe import Plan, judging_ops, recipe_of
from ppcls.transfer.sets import Sets
from ppcls.weights.network_metadata import metadata_of
from ppcls.weights.weight_file import save_weights
from ppcls.yaml_text import parse_value

RECIPE = "recipe.yaml"

_JUDGED = 0.55
"""Of the epochs: those of the training that held-back images judge. What is left is for the one
that learns from all images.
"""

_FEWEST_JUDGED = 50
"""Updates that the former has at least; the latter, half of it."""

_SAFETY = 0.95
"""Of the time that is left then: how long an epoch takes is known."""

_RATE_OF_MORE = 0.0003
"""The highest learning rate of the latter, which goes on from what the former came to."""

_FEWEST_UPDATES = 50
"""Fewer of fine-tuning leave a fitted head no better than it was."""

_DISAGREEING = 0.6
"""As a part of what the head misses: images that only one of it and the fine-tuned network gets
right, as measured on photos.
"""

_MOST_MARGIN = 0.1
"""A handful of images says nothing, but a model that is much worse on them may well be broken."""

_SCRATCH_SIDES = {"cpu": 64, "gpu": 224}
_KEPT = "kept: the linear head on images of %d pixels, as cross-validation says"
_HEADER = """\
# Written by `ppcls train --data`; trains again from any folder: ppcls train -c FILE --overwrite
"""
_log = logging.getLogger("ppcls")


def first_plan(
    start: Start,
    sets: Sets,
    size: Optional[int],
    seed: int,
    device: str,
    refit: bool,
    mixed: bool,
) -> Plan:
    """Return the plan before anything is known of how long training takes.

    Args:
        start: the weights.
        sets: the images.
        size: side of the images in pixels; None chooses.
        seed: of everything random.
        device: "cpu" or "gpu:N".
        refit: whether the model is to learn from what is held back as well.
        mixed: see `computes_in_bfloat16`.
    """
    kind = device.partition(":")[0]
    side = _SCRATCH_SIDES[kind]
    if start.record is not None:
        side = round(start.record.crop * start.side / 16) * 16
    return Plan(
        network=start.network,
        size=size or side,
        record=start.record,
        start=start.path,
        epochs=0,
        batch=batch_for(sets.images),
        seed=seed,
        refit=refit and start.path is not None and sets.val is not None,
        mixed=mixed,
    )


def computes_in_bfloat16(device: str, overrides: Sequence[str]) -> bool:
    """Return whether a CPU is to fine-tune in bfloat16: where it has the arithmetic, unless an
    override says otherwise.
    """
    given = dict(text.partition("=")[::2] for text in overrides)
    values = {key: parse_value(text) for key, text in given.items()}
    refused = (
        values.get("AMP", {}) is None
        or values.get("AMP.use_amp") is False
        or values.get("AMP.dtype") == "float16"
        or values.get("Global.cpu_kernels") == "paddle"
    )
    return device == "cpu" and not refused and not bfloat16_obstacle()


def batch_for(images: int) -> int:
    """Return how many images an update takes: few where there are few, so that an epoch has some
    updates.
    """
    return next((size for size in (4, 8, 16) if images < 12 * size), 32)


def announce(start: Start, plan: Plan, budget: str, recipe: Path) -> None:
    """Say what was chosen, in three lines."""
    _log.info("start:    %s (%s)", start.network, start.reason)
    _log.info("size:     %d pixels, %d images for each update", plan.size, plan.batch)
    _log.info("budget:   %s; recipe: %s", budget, recipe)


def with_start(
    plan: Plan, config: Config, source: Path, sets: Sets, path: Path, seconds: float
) -> Tuple[Plan, Optional[FirstModel]]:
    """Fit a linear head, and return a plan that starts from it; where the network has no last
    layer for that, one that starts from the published weights.

    Args:
        plan: what starts from the published weights.
        config: what its recipe means.
        source: the published weights.
        sets: the images.
        path: the file of weights to write.
        seconds: for the features of each set of images.
    """
    network, train_set, val_set = _parts(plan, config, sets)
    weights.load(network, source, fit="adapt")
    if last_layer(network) is None:
        noted = {"class_names": list(train_set.class_map.names)}
        save_weights(network, path, {**metadata_of(network), **noted})
        return replace(plan, start=path, refit=False), None
    device = runtime.use_device(config.Global.device)
    reader = FeatureReader(network, source, device, seconds)
    refit = _for_refit(path) if plan.refit else None
    first = fit_first_model(
        network, reader, train_set, val_set, path, plan.seed, sets.groups, refit
    )
    _log.info("%s", _first_told(first, val_set))
    refitted = first.refit is not None
    return replace(plan, start=path, refit=refitted, margin=_margin(first)), first


def _margin(first: FirstModel) -> float:
    """Return two standard errors of the difference between the accuracies of the head and of the
    fine-tuned network on the held-back images; 0 without any.

    Fine-tuning gains some percent on other images. On a hundred that are held back, this is less
    than what chance makes of it, and the better of both there is often the worse one elsewhere.
    """
    if not first.held_back:
        return 0.0
    missed = max(1.0 - first.accuracy, 1 / first.held_back)
    return round(min(_MOST_MARGIN, 2 * math.sqrt(_DISAGREEING * missed / first.held_back)), 4)


def _for_refit(path: Path) -> Path:
    """Return the file for the head that learns from all images, beside that of a run's."""
    return RunFolder(path.parent).final / path.name


class _Parts(NamedTuple):
    network: Network
    train: ImageNetDataset
    val: Optional[ImageNetDataset]


def _parts(plan: Plan, config: Config, sets: Sets) -> _Parts:
    class_map = ClassMap.from_label_file(sets.labels)
    ops = [parse("transform", op) for op in judging_ops(plan)]
    train_set, val_set = (
        ImageNetDataset(str(sets.root), str(listed), ops, class_map=class_map) if listed else None
        for listed in (sets.train, sets.val)
    )
    assert train_set is not None
    network = build_network(config, len(class_map), train_set.transform)
    check_images_fit(config, network, train_set.transform, "Eval")
    return _Parts(network, train_set, val_set)


def _first_told(first: FirstModel, val: Optional[ImageNetDataset]) -> str:
    found = []
    if first.held_back and val is not None:
        of_all = f" of {len(val)}" if first.held_back < len(val) else ""
        found.append(
            f"{first.accuracy:.1%} of the {first.held_back}{of_all} held-back images are right"
        )
    if first.head.accuracy is not None:
        found.append(f"{first.head.accuracy:.1%} in cross-validation")
    bad = "".join(f"\n  {image.name}: {image.reason}" for image in first.bad[:10])
    return printable(
        f"linear head: {', '.join(found) or 'too few images to judge it'}; "
        f"{first.seconds:.0f} s, features by {first.engine or 'an earlier run'}"
    ) + (f"\n{len(first.bad)} images cannot be read:{bad}" if bad else "")


def with_epochs(plan: Plan, config: Config, has_head: bool, end: float, device: str) -> Plan:
    """Time a few batches, and plan as many epochs as fit until `end`, a time of
    `time.perf_counter`, unless -o says how many. Some of them are to learn from all images, where
    the plan says so.
    """
    if config.is_override("Global", "epochs"):
        return replace(plan, epochs=config.Global.epochs)
    job = build_job(config, device, World())
    amp = job.precision.section
    pace = pace_of(job)
    left = max(0.0, end - time.perf_counter())
    fit = pace.epochs_within(left) or int(not has_head)
    if has_head and fit * pace.batches < _FEWEST_UPDATES:
        fit = 0
    epochs = min(fit, MOST_EPOCHS)
    if plan.refit:
        epochs = min(epochs, max(round(_JUDGED * fit), -(-_FEWEST_JUDGED // pace.batches)))
    more = min(fit - epochs, MOST_EPOCHS) if plan.refit else 0
    _log.info("%s", _pace_told(pace, left, epochs, plan.refit, f" in {amp.dtype}" if amp else ""))
    return replace(plan, epochs=epochs, more=more)


def going_on(plan: Plan, start: Path) -> Plan:
    """Return the plan of the training that goes on from weights, on all images."""
    return replace(plan, start=start, epochs=max(1, plan.more), more=0, rate=_RATE_OF_MORE)


def epochs_on_all(planned: int, batches: int, left: float, epoch: float) -> int:
    """Return how many epochs the training on all images has; 0 where it would have too few updates
    to make a difference.

    Args:
        planned: how many were planned.
        batches: of an epoch.
        left: seconds of the budget.
        epoch: seconds that an epoch takes; 0 where nobody knows, and what was planned holds.
    """
    epochs = max(planned // 2, int(_SAFETY * left / epoch)) if epoch else planned
    epochs = min(MOST_EPOCHS, epochs)
    return epochs if epochs * batches >= _FEWEST_JUDGED / 2 else 0


def _pace_told(pace: Pace, left: float, epochs: int, refit: bool, mixed: str) -> str:
    each = (
        f"an epoch takes about {pace.epoch:.0f} s here{mixed}, {left:.0f} s of the budget are left"
    )
    if not epochs:
        return f"{each}: the linear head is the model; a longer --budget trains more"
    then = ", then on all images, those held back as well, in what is left" if refit else ""
    return f"training: {each}: {epochs} epoch{'s' * (epochs > 1)}{then}"


def with_larger_images(
    plan: Plan, config: Config, source: Path, first: FirstModel, sets: Sets, end: float
) -> Tuple[Plan, FirstModel]:
    """Return the better of a linear head and another one on images of the size that the weights
    were published for, if that can be had until `end`: the plan's size was chosen for fine-tuning.

    Cross-validation judges, as it looks at more images than are held back, and by the likelihood:
    of ten classes with five photos, the accuracy is off by 7 %.
    """
    assert plan.record is not None
    larger = replace(plan, size=plan.record.crop)
    seconds = first.seconds * (larger.size / plan.size) ** 2
    if larger.size <= plan.size or seconds > end - time.perf_counter():
        return plan, first
    _log.info("the linear head once more, on images of %d pixels", larger.size)
    draft = first.path.with_name(f"larger_{first.path.name}")
    found, second = with_start(larger, config, source, sets, draft, seconds)
    drafts = [draft, *([_for_refit(draft)] if second and second.refit else [])]
    if second is None or _likelihood(second) <= _likelihood(first):
        for one in drafts:
            one.unlink()
        _log.info(_KEPT, plan.size)
        return plan, first
    for one in drafts:
        one.replace(one.with_name(first.path.name))
    _log.info(_KEPT, larger.size)
    return replace(found, start=first.path), replace(second, path=first.path, refit=first.refit)


def _likelihood(model: FirstModel) -> float:
    return -math.inf if model.head.likelihood is None else model.head.likelihood


def write_recipe(
    plan: Plan, sets: Sets, output: Path, overrides: Sequence[str], header: str = _HEADER
) -> Config:
    """Write the recipe, with the overrides in it, and return what it means.

    Raises:
        UsageError: an override names the output folder.
        ConfigError: an override is wrong.
    """
    others = ("Global.best_metric=", "Metric=", "Metric.Eval")
    if any(text.startswith(others) and not text.endswith("=top1") for text in overrides):
        plan = replace(plan, margin=0.0)  # it is one of the accuracy
    path = output / RECIPE
    write_text(path, f"{header}{to_yaml(recipe_of(plan, sets, output))}")
    config = load_config(str(path), overrides)
    if config.is_override("Global", "output_dir"):
        raise UsageError("the output folder is named by --output, not by -o Global.output_dir")
    if overrides:
        write_text(path, f"{header}{to_yaml(config.data)}")
    return config
