"""From a folder of photos to a model: a linear head on published weights within a minute, and
fine-tuning from there within a budget of time.
"""

from __future__ import annotations

import logging
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

from ppcls import runtime, weights
from ppcls.api.train import TrainResult, train
from ppcls.arch.network import Network
from ppcls.arch.pooled_features import last_layer
from ppcls.config import Config, load_config, to_yaml
from ppcls.data.dataset import ClassMap
from ppcls.data.dataset.imagenet import ImageNetDataset
from ppcls.data.division import DivisionRequest
from ppcls.data.groups import column_of
from ppcls.data.layouts import recognise
from ppcls.data.own_recipe import SIZES
from ppcls.engine.builder import build_job, build_network, check_images_fit
from ppcls.engine.checkpoint import TrainState
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.world import World
from ppcls.errors import PpclsError, UsageError
from ppcls.files import write_text
from ppcls.registry import parse
from ppcls.text import printable
from ppcls.transfer import BUDGET
from ppcls.transfer.budget import Pace, pace_of, seconds_of
from ppcls.transfer.choice import Start, choose_start
from ppcls.transfer.first_model import FeatureReader, FirstModel, fit_first_model
from ppcls.transfer.recipe import Plan, judging_ops, recipe_of
from ppcls.transfer.sets import FEWEST, LISTS, Sets, divided, write_sets
from ppcls.weights.network_metadata import metadata_of
from ppcls.weights.weight_file import save_weights

RECIPE = "recipe.yaml"
LINEAR_HEAD = "linear_head.safetensors"
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
    folder = _run_folder(data, output)
    recipe = folder.root / RECIPE
    if resume is not None and (recipe.is_file() or resume != "auto"):
        result = train(load_config(str(recipe), overrides), resume)
        return _concluded(result, options)
    folder.refuse_run(False, overwrite, other="--output ANOTHER_FOLDER")
    runtime.refuse_many_processes()
    runtime.keep_freed_memory()
    images = recognise(data, column_of(options.division.group_by or ""))
    division = divided(images, options.division)
    device = runtime.use_device(_device(overrides))
    start = choose_start(options.network, device)
    first = None
    with folder.claim(resume=False, overwrite=overwrite):
        for old in (RECIPE, LINEAR_HEAD):
            (folder.root / old).unlink(missing_ok=True)
        sets = write_sets(images, division, folder.root)
        plan = _first_plan(start, sets, options, device)
        config = _write_recipe(plan, sets, folder.root, overrides)
        _announce(start, plan, options.budget, recipe)
        if start.path is not None:
            plan, first = _with_start(plan, config, start.path, sets, folder.root, seconds / 4)
        if sets.val is not None or first is None:
            plan = _with_epochs(plan, config, first is not None, end, device)
        config = _write_recipe(plan, sets, folder.root, overrides)
        if first is not None and config.Global.epochs == 0:
            return _concluded(_with_head(config, first, folder, sets), options)
    return _concluded(train(config, overwrite=overwrite), options)


def _run_folder(data: str, output: Optional[str]) -> RunFolder:
    """Return the folder of the run.

    Raises:
        UsageError: it lies in the folder of the photos, where it would be taken for some.
    """
    place = Path(data).resolve()
    name = place.name if place.is_dir() else place.stem
    folder = Path(output or Path("output") / (name or "photos"))
    if place.is_dir() and place in [folder.resolve(), *folder.resolve().parents]:
        raise UsageError(
            f"the output folder {folder} lies in the folder of the photos, {place}; name another "
            "one: --output FOLDER"
        )
    return RunFolder(folder)


def _device(overrides: Sequence[str]) -> str:
    """Return the device that the overrides name, if they do."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("Global.device=")]
    return named[-1] if named else "auto"


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
    plan: Plan, config: Config, source: Path, sets: Sets, output: Path, seconds: float
) -> Tuple[Plan, Optional[FirstModel]]:
    """Fit a linear head, and return a plan that starts from it; where the network has no last
    layer for that, one that starts from the published weights.
    """
    network, train_set, val_set = _parts(plan, config, sets)
    weights.load(network, source, fit="adapt")
    path = output / LINEAR_HEAD
    if last_layer(network) is None:
        noted = {"class_names": list(train_set.class_map.names)}
        save_weights(network, path, {**metadata_of(network), **noted})
        return replace(plan, start=path), None
    device = runtime.use_device(config.Global.device)
    reader = FeatureReader(network, source, device, seconds)
    first = fit_first_model(network, reader, train_set, val_set, path, plan.seed)
    _log.info("%s", _first_told(first, val_set))
    return replace(plan, start=path), first


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
        f"{first.seconds:.0f} s, features by {first.engine or 'an earlier run'}: {first.path}"
    ) + (f"\n{len(first.bad)} images cannot be read:{bad}" if bad else "")


def _with_epochs(plan: Plan, config: Config, has_head: bool, end: float, device: str) -> Plan:
    """Time a few batches, and plan as many epochs as fit until `end`, unless -o says how many."""
    if config.is_override("Global", "epochs"):
        return replace(plan, epochs=config.Global.epochs)
    pace = pace_of(build_job(config, device, World()))
    left = max(0.0, end - time.perf_counter())
    epochs = pace.epochs_within(left) or int(not has_head)
    _log.info("%s", _pace_told(pace, left, epochs))
    return replace(plan, epochs=epochs)


def _pace_told(pace: Pace, left: float, epochs: int) -> str:
    each = f"an epoch takes about {pace.epoch:.0f} s here, {left:.0f} s of the budget are left"
    if not epochs:
        return f"{each}: the linear head is the model; a longer --budget trains more"
    return f"training: {each}: {epochs} epoch{'s' * (epochs > 1)}"


def _write_recipe(plan: Plan, sets: Sets, output: Path, overrides: Sequence[str]) -> Config:
    """Write the recipe, with the overrides in it, and return what it means."""
    path = output / RECIPE
    write_text(path, f"{_HEADER}{to_yaml(recipe_of(plan, sets, output))}")
    config = load_config(str(path), overrides)
    if config.is_override("Global", "output_dir"):
        raise UsageError("the output folder is named by --output, not by -o Global.output_dir")
    if overrides:
        write_text(path, f"{_HEADER}{to_yaml(config.data)}")
    return config


# --- the end -----------------------------------------------------------------------------------


def _with_head(config: Config, first: FirstModel, folder: RunFolder, sets: Sets) -> TrainResult:
    """Make the linear head the model of the run, without running it in Python once more."""
    metrics = {"top1": first.accuracy} if first.held_back else {}
    file = weights.read(first.path)
    noted = {**file.metadata, "epoch": 0, "step": 0, "metrics": metrics}
    save_weights(file.network_arrays(), folder.best_model, noted)
    write_text(folder.config, to_yaml(config.data))
    why = "" if sets.val else f": with fewer than {FEWEST} images of a class none is held back"
    _log.info("the linear head is the model%s: %s", why, folder.best_model)
    return TrainResult(TrainState(finished=True, best_value=metrics.get("top1")), folder, None)


def _concluded(result: TrainResult, options: OwnPhotosOptions) -> TrainResult:
    """Write the report, where there are held-back images; name what is left to do."""
    root = result.folder.root
    listed = root / LISTS
    if options.report and (listed / "val_list.txt").is_file():
        _report(root)
    recipe = shlex.quote(str(root / RECIPE))
    if (listed / "test_list.txt").is_file():
        key = "DataLoader.Eval.dataset.cls_label_path"
        test = shlex.quote(f"{key}={listed / 'test_list.txt'}")
        _log.info("the photos to test with: ppcls eval -c %s -o %s", recipe, test)
    _log.info("what is in a photo:  ppcls infer -c %s PHOTO", recipe)
    _log.info("a bundle to serve:   ppcls export -c %s", recipe)
    return result


def _report(folder: Path) -> None:
    """Write the report; that it cannot be made is no reason to lose the run."""
    from ppcls.api.report import report

    try:
        _log.info("report: %s", report(folder).page)
    except (PpclsError, OSError, ImportError, ValueError, MemoryError) as error:
        _log.warning("the report was not made (ppcls report %s makes it): %s", folder, error)
