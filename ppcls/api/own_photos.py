"""From a folder of photos to a model: a linear head on published weights within a minute, and
fine-tuning from there within a budget of time.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

from ppcls import runtime, weights
from ppcls.api.train import TrainResult, train
from ppcls.arch import build
from ppcls.arch.network import Network
from ppcls.arch.pooled_features import last_layer
from ppcls.config import Config, as_config, load_config, to_yaml
from ppcls.data.dataset import ClassMap
from ppcls.data.dataset.imagenet import ImageNetDataset
from ppcls.data.division import Division, DivisionRequest, divide, joined
from ppcls.data.layouts import OwnImages, recognise
from ppcls.data.own_recipe import SIZES
from ppcls.data.split import list_texts
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import TrainState
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.world import World
from ppcls.errors import PpclsError, UsageError
from ppcls.files import write_text
from ppcls.registry import Part, parse
from ppcls.text import first_few, printable
from ppcls.transfer import BUDGET
from ppcls.transfer.budget import Pace, pace_of, seconds_of
from ppcls.transfer.choice import Start, choose_start
from ppcls.transfer.first_model import FeatureReader, FirstModel, fit_first_model
from ppcls.transfer.recipe import Plan, Sets, judging_ops, recipe_of
from ppcls.weights.network_metadata import metadata_of
from ppcls.weights.weight_file import save_weights

RECIPE = "recipe.yaml"
LINEAR_HEAD = "linear_head.safetensors"
LISTS = "lists"

FEWEST = 8
"""Images of a class below which nothing is held back: one or two images judge nothing, and are
missed in training.
"""

_SIDES = {"cpu": 5 / 7, "gpu": 1.0}
"""Of the side that the weights were published for: accuracy against time."""

_SCRATCH_SIDES = {"cpu": 64, "gpu": 224}
_HEADER = """\
# Written by `ppcls train --data`; trains again from any folder: ppcls train -c FILE --overwrite
"""
_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class OwnPhotosOptions:
    """What may be chosen; the defaults suit a folder of photos and a machine that is not known.

    Attributes:
        budget: of time for all that is computed, such as 90s, 5m or 1h.
        network: whose published weights training starts from; None chooses.
        size: side in pixels of the images that the network sees; None chooses.
        division: how images are held back, where the data do not say it.
        report: whether to write the report on the run at the end.

    Raises:
        UsageError: the budget is no time, or the size out of range.
    """

    budget: str = BUDGET
    network: Optional[str] = None
    size: Optional[int] = None
    division: DivisionRequest = DivisionRequest()
    report: bool = True

    def __post_init__(self) -> None:
        seconds_of(self.budget)
        if self.size is not None and self.size not in SIZES:
            limits = f"{SIZES[0]} to {SIZES[-1]}"
            raise UsageError(f"the images' size must be {limits} pixels, got {self.size}")


def train_on_photos(
    data: str,
    output: Optional[str] = None,
    options: OwnPhotosOptions = OwnPhotosOptions(),  # noqa: B008 - it cannot be changed
    overrides: Sequence[str] = (),
    resume: Optional[str] = None,
    overwrite: bool = False,
) -> TrainResult:
    """Train on a folder of photos, a list or a CSV file, and keep the better of two models: a
    linear head on published weights, and the same fine-tuned.

    All is written into the output folder, with a recipe that trains again from any folder.

    Args:
        data: what `ppcls.data.layouts.recognise` understands; it is not changed.
        output: the folder of the run; None is ``output/NAME`` with the name of the data.
        options: what may be chosen.
        overrides: of the recipe, ``a.b.0.c=value``.
        resume: go on with the run that the folder holds: "auto", or a checkpoint's path.
        overwrite: delete the run that it holds.

    Raises:
        DataError: the data are not understood, or cannot be read.
        UsageError: an option makes no sense, or the folder holds a run.
        PpclsError: see `ppcls.api.train.train`.
    """
    seconds = seconds_of(options.budget)
    end = time.perf_counter() + seconds
    folder = RunFolder(Path(output or Path("output") / Path(data).absolute().stem))
    recipe = folder.root / RECIPE
    if resume is not None and recipe.is_file():
        return train(load_config(str(recipe), overrides), resume)
    folder.refuse_run(False, overwrite, other="--output ANOTHER_FOLDER")
    runtime.refuse_many_processes()
    runtime.keep_freed_memory()
    device = runtime.use_device("auto")
    sets = _write_sets(recognise(data), options.division, folder.root)
    start = choose_start(options.network, device)
    plan = _first_plan(start, sets, options, device)
    _announce(start, plan, options.budget, recipe)
    first = None
    if start.path is not None:
        plan, first = _with_start(plan, start.path, sets, folder.root, device, seconds / 4)
    if sets.val is not None or first is None:
        plan = _with_epochs(plan, sets, folder.root, end, device)
    config = _write_recipe(plan, sets, folder.root, overrides)
    if first is not None and config.Global.epochs == 0:
        result = _conclude_with_head(config, first, folder, overwrite)
    else:
        result = train(config, overwrite=overwrite)
    if options.report and sets.val is not None:
        _report(folder.root)
    return result


# --- the data ----------------------------------------------------------------------------------


def _write_sets(images: OwnImages, request: DivisionRequest, folder: Path) -> Sets:
    """Divide the images if need be, and write lists of them."""
    for warning in images.warnings:
        _log.warning("%s", warning)
    division = divide(images, request)[0]
    if _is_few(images):
        everything = joined(division["train"], division["val"])
        division = {"train": everything, **{k: division[k] for k in ("test",) if k in division}}
    home = folder / LISTS
    home.mkdir(parents=True, exist_ok=True)
    for name, text in list_texts(images, division).items():
        write_text(home / name, text)
    _log.info("%s", _told(images, division))
    val = home / "val_list.txt" if "val" in division else None
    train_list, labels = home / "train_list.txt", home / "label_list.txt"
    return Sets(Path(images.root), train_list, val, labels, len(division["train"]))


def _is_few(images: OwnImages) -> bool:
    """Whether no image can be spared."""
    return images.val is None and int(images.counts.min()) < FEWEST


def _told(images: OwnImages, division: Division) -> str:
    counts = images.counts.tolist()
    shown = [f"{name} {count}" for name, count in zip(images.class_names, counts)]
    held = f"{len(division['val'])} held back" if "val" in division else "none held back"
    return printable(
        f"photos:   {images.how}; {len(shown)} classes: {first_few(shown)}; "
        f"{len(division['train'])} to learn from, {held}"
    )


# --- the plan ----------------------------------------------------------------------------------


def _first_plan(start: Start, sets: Sets, options: OwnPhotosOptions, device: str) -> Plan:
    kind = device.partition(":")[0]
    side = _SCRATCH_SIDES[kind]
    if start.record is not None:
        side = round(start.record.crop * _SIDES[kind] / 16) * 16
    return Plan(
        network=start.network,
        size=options.size or side,
        record=start.record,
        start=None,
        epochs=0,
        batch=batch_for(sets.images),
        seed=options.division.seed,
    )


def batch_for(images: int) -> int:
    """Return how many images an update takes: few where there are few, so that an epoch has some
    updates.
    """
    return next((size for size in (4, 8, 16) if images < 12 * size), 32)


def _announce(start: Start, plan: Plan, budget: str, recipe: Path) -> None:
    _log.info("start:    %s (%s)", start.network, start.reason)
    _log.info("size:     %d pixels, %d images for each update", plan.size, plan.batch)
    _log.info("budget:   %s; recipe: %s", budget, recipe)


def _with_start(
    plan: Plan, source: Path, sets: Sets, output: Path, device: str, seconds: float
) -> Tuple[Plan, Optional[FirstModel]]:
    """Fit a linear head, and return a plan that starts from it; where the network has no last
    layer for that, one that starts from the published weights.
    """
    network, train_set, val_set = _parts(plan, sets)
    weights.load(network, source, fit="adapt")
    path = output / LINEAR_HEAD
    if last_layer(network) is None:
        path = output / "start.safetensors"
        noted = {"class_names": list(train_set.class_map.names)}
        save_weights(network, path, {**metadata_of(network), **noted})
        return replace(plan, start=path), None
    reader = FeatureReader(network, source, device, seconds)
    first = fit_first_model(network, reader, train_set, val_set, path)
    _log.info("%s", _first_told(first))
    return replace(plan, start=path), first


class _Parts(NamedTuple):
    network: Network
    train: ImageNetDataset
    val: Optional[ImageNetDataset]


def _parts(plan: Plan, sets: Sets) -> _Parts:
    class_map = ClassMap.from_label_file(sets.labels)
    ops = [parse("transform", op) for op in judging_ops(plan)]
    network = build(Part("arch", plan.network, {"class_num": len(class_map)}))
    train_set, val_set = (
        ImageNetDataset(str(sets.root), str(listed), ops, class_map=class_map) if listed else None
        for listed in (sets.train, sets.val)
    )
    assert train_set is not None
    return _Parts(network, train_set, val_set)


def _first_told(first: FirstModel) -> str:
    found = []
    if first.held_back:
        found.append(f"{first.accuracy:.1%} of the {first.held_back} held-back images are right")
    if first.head.accuracy is not None:
        found.append(f"{first.head.accuracy:.1%} in cross-validation")
    bad = "".join(f"\n  {image.name}: {image.reason}" for image in first.bad[:10])
    return printable(
        f"linear head: {', '.join(found) or 'too few images to judge it'}; "
        f"{first.seconds:.0f} s, features by {first.engine or 'an earlier run'}: {first.path}"
    ) + (f"\n{len(first.bad)} images cannot be read:{bad}" if bad else "")


def _with_epochs(plan: Plan, sets: Sets, output: Path, end: float, device: str) -> Plan:
    """Time a few batches, and plan as many epochs as fit until `end`."""
    trial = as_config(recipe_of(replace(plan, epochs=1), sets, output))
    pace = pace_of(build_job(trial, device, World()))
    left = max(0.0, end - time.perf_counter())
    epochs = pace.epochs_within(left)
    _log.info("%s", _pace_told(pace, left, epochs, plan.start is not None))
    return replace(plan, epochs=epochs or int(plan.start is None))


def _pace_told(pace: Pace, left: float, epochs: int, has_start: bool) -> str:
    each = f"an epoch of training takes about {pace.epoch:.0f} s here, {left:.0f} s are left"
    if epochs:
        return f"fine-tuning: {each}: {epochs} epochs"
    what = "the linear head is the model" if has_start else "a single epoch is trained"
    return f"{each}: {what}; a longer --budget trains more"


def _write_recipe(plan: Plan, sets: Sets, output: Path, overrides: Sequence[str]) -> Config:
    """Write the recipe, with the overrides in it, and return what it means."""
    path = output / RECIPE
    write_text(path, f"{_HEADER}{to_yaml(recipe_of(plan, sets, output))}")
    config = load_config(str(path), overrides)
    if overrides:
        write_text(path, f"{_HEADER}{to_yaml(config.data)}")
    return config


# --- the end -----------------------------------------------------------------------------------


def _conclude_with_head(
    config: Config, first: FirstModel, folder: RunFolder, overwrite: bool
) -> TrainResult:
    """Make the linear head the model of the run, without running it in Python once more."""
    metrics = {"top1": first.accuracy} if first.held_back else {}
    with folder.claim(resume=False, overwrite=overwrite):
        file = weights.read(first.path)
        noted = {**file.metadata, "epoch": 0, "step": 0, "metrics": metrics}
        save_weights(file.network_arrays(), folder.best_model, noted)
        write_text(folder.config, to_yaml(config.data))
    why = (
        "" if first.held_back else f": a class has fewer than {FEWEST} images, so none is held back"
    )
    _log.info("the linear head is the model%s: %s", why, folder.best_model)
    state = TrainState(finished=True, best_value=metrics.get("top1"))
    return TrainResult(state, folder, None)


def _report(folder: Path) -> None:
    """Write the report; that it cannot be made is no reason to lose the run."""
    from ppcls.api.report import report

    try:
        _log.info("report: %s", report(folder).page)
    except (PpclsError, OSError) as error:
        _log.warning("the report was not made (ppcls report %s): %s", folder, error)
