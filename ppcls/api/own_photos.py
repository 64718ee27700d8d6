"""From a folder of photos to a model: a linear head on published weights within a minute, and
fine-tuning from there within a budget of time.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

from ppcls import runtime, weights
from ppcls.api.train import TrainResult, train
from ppcls.config import Config, load_config, to_yaml
from ppcls.data.division import Division, DivisionRequest
from ppcls.data.groups import column_of
from ppcls.data.layouts import recognise
from ppcls.data.own_recipe import SIZES
from ppcls.engine.checkpoint import TrainState, load_checkpoint, save_best_model
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import PpclsError, UsageError
from ppcls.files import is_leftover, remove, write_text
from ppcls.transfer import BUDGET, planning
from ppcls.transfer.budget import seconds_of
from ppcls.transfer.choice import Start, choose_start, effort_of
from ppcls.transfer.first_model import FirstModel
from ppcls.transfer.planning import RECIPE
from ppcls.transfer.recipe import Plan, for_epochs
from ppcls.transfer.sets import FEWEST, LISTS, Sets, divided, write_sets, write_whole_set
from ppcls.weights.weight_file import save_weights

LINEAR_HEAD = "linear_head.safetensors"
_FEATURES = 1 / 4
"""Of the budget, for the features of a set: most of it is for fine-tuning, where there is any."""

_FINE_TUNED_FROM = 45.0
"""Seconds of a budget; with less, a network is chosen whose features are best, as hardly any set is
fine-tuned then.
"""

_OF_JUDGED_RUNS = ("DataLoader.Eval", "Global.epochs=")
"""How overrides begin that make no sense for a model that learns from all images: nothing is left
to judge it, and its epochs are planned.
"""

_GOING_ON = "going_on.yaml"
"""The recipe of the training on all images, until it is known whether fine-tuning helps."""

_FINAL_FILES = (RECIPE, _GOING_ON, LINEAR_HEAD, f"larger_{LINEAR_HEAD}", LISTS)
"""What the folder of the model that learns from all images has, besides the files of a run."""

_GOING_ON_HEADER = """\
# Written by `ppcls train --data`: goes on from the model that held-back photos have judged, and
# learns from all photos. ppcls infer -c FILE PHOTO and ppcls export -c FILE use what came of it; it
# trains again: ppcls train -c FILE --overwrite
"""

_FINAL_HEADER = """\
# Written by `ppcls train --data`: a linear head that has learnt from all photos, those held back as
# well. ppcls infer -c FILE PHOTO and ppcls export -c FILE use it; there is nothing to train.
"""

_KEPT_BY_CHANCE = (
    "the fine-tuned network is kept: so few held-back images do not tell %.1f%% from the linear "
    "head's %.1f%%, and on others fine-tuning mostly gains"
)
_TOO_FEW = f": with fewer than {FEWEST} images of a class none is held back"

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
        refit: whether the model that is kept learns once more, from the images that are held back
            as well: that is then the model to use, and the other one tells its quality.

    Raises:
        UsageError: the budget is no time, or the size out of range.
    """

    budget: str = BUDGET
    network: Optional[str] = None
    size: Optional[int] = None
    division: DivisionRequest = DivisionRequest()
    report: bool = True
    refit: bool = True

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
    linear head on published weights, and the same fine-tuned. Where images are held back, the
    folder ``final`` has the model that has learnt from these as well: the head, fitted once more,
    or what fine-tuning came to, trained further.

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
    end = time.perf_counter() + seconds_of(options.budget)
    folder = _run_folder(data, output)
    recipe = folder.root / RECIPE
    # Before a run begins, its recipe is a draft: there is nothing to go on with.
    if resume is not None and (folder.config.is_file() or resume != "auto"):
        result = train(load_config(str(recipe), overrides), resume)
        return _concluded(_refitted(result, options, overrides), options)
    folder.refuse_run(False, overwrite, other="--output ANOTHER_FOLDER")
    final = RunFolder(folder.final)
    _refuse_foreign(final.root)
    runtime.refuse_many_processes()
    runtime.keep_freed_memory()
    images = recognise(data, column_of(options.division.group_by or ""))
    division = divided(images, options.division)
    device = runtime.use_device(_device(overrides))
    mixed = planning.computes_in_bfloat16(device, overrides)
    start = _start(division, options, device, mixed)
    with folder.claim(resume=False, overwrite=overwrite):
        remove(folder.root / RECIPE, folder.root / LINEAR_HEAD)
        _clear(final)
        sets = write_sets(images, division, folder.root, options.division.group_by)
        plan, first = _prepared(start, sets, folder.root, options, overrides, device, end, mixed)
        config = planning.write_recipe(plan, sets, folder.root, overrides)
        if first is not None and first.refit is not None:
            whole = write_whole_set(images, division, final.root)
            _write_final(plan, first.refit, whole, folder, overrides)
        if first is not None and config.Global.epochs == 0:
            result = _with_head(config, first.path, folder, first.accuracy_if_judged)
            why = "" if sets.val else _TOO_FEW
            _log.info("the linear head is the model%s: %s", why, folder.best_model)
            return _concluded(_refitted(result, options), options)
    return _concluded(_fine_tuned(config, options, overwrite, end, first), options)


def _start(division: Division, options: OwnPhotosOptions, device: str, mixed: bool) -> Start:
    """Choose the weights and the size of images that the budget has time for."""
    seconds = seconds_of(options.budget)
    fine_tunes = "val" in division and seconds >= _FINE_TUNED_FROM
    each = seconds / len(division["train"]) if fine_tunes else None
    return choose_start(options.network, device, effort_of(device, each, mixed))


def _fine_tuned(
    config: Config,
    options: OwnPhotosOptions,
    overwrite: bool,
    end: float,
    first: Optional[FirstModel],
) -> TrainResult:
    """Fine-tune as planned, and then, until `end`, on all images."""
    began = time.perf_counter()
    result = train(config, overwrite=overwrite)
    found, head = result.state.best_value, first.accuracy_if_judged if first else None
    is_close = result.state.best_epoch and config.Global.start_margin > 0
    if is_close and head is not None and found is not None and found < head:
        _log.info(_KEPT_BY_CHANCE, 100 * found, 100 * head)
    epoch = (time.perf_counter() - began) / max(1, result.state.epoch)
    return _refitted(result, options, time_left=_TimeLeft(end, epoch))


def _prepared(
    start: Start,
    sets: Sets,
    output: Path,
    options: OwnPhotosOptions,
    overrides: Sequence[str],
    device: str,
    end: float,
    mixed: bool,
) -> Tuple[Plan, Optional[FirstModel]]:
    """Fit the linear head where there are weights for one, and see how many epochs fit until `end`,
    a time of `time.perf_counter`; return what to do, and the head.
    """
    seed = options.division.seed
    plan = planning.first_plan(start, sets, options.size, seed, device, options.refit, mixed)
    config = planning.write_recipe(plan, sets, output, overrides)
    planning.announce(start, plan, options.budget, output / RECIPE)
    first = None
    if start.path is not None:
        head = output / LINEAR_HEAD
        given = seconds_of(options.budget) * (_FEATURES if sets.val else 1)
        plan, first = planning.with_start(plan, config, start.path, sets, head, given)
        if first is not None:
            _log.info("the first model: %s", head)
        # What is timed is what will be trained.
        config = planning.write_recipe(plan, sets, output, overrides)
    if sets.val is not None or first is None:
        plan = planning.with_epochs(plan, config, first is not None, end, device)
    if first and start.path and not plan.epochs and options.size is None:
        plan, first = planning.with_larger_images(plan, config, start.path, first, sets, end)
    return plan, first


def _write_final(
    plan: Plan, head: Path, sets: Sets, run: RunFolder, overrides: Sequence[str]
) -> None:
    """Write the recipe of the head that has learnt from all images, and that of the training which
    takes its place if fine-tuning does better.
    """
    others = [text for text in overrides if not text.startswith(_OF_JUDGED_RUNS)]
    home = run.final
    if plan.epochs:
        further = planning.going_on(plan, run.best_model)
        planning.write_recipe(further, sets, home, others, _GOING_ON_HEADER)
        (home / RECIPE).replace(home / _GOING_ON)
    alone = replace(plan, start=head, epochs=0)
    planning.write_recipe(alone, sets, home, others, _FINAL_HEADER)


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
    for own in (RunFolder(folder).final, folder / LISTS):
        if own.resolve() in [place, *place.parents]:
            raise UsageError(
                f"the photos lie in {own}, where the run writes; name another folder: "
                "--output FOLDER"
            )
    return RunFolder(folder)


def _refuse_foreign(final: Path) -> None:
    """Make sure that the folder for the head of all images is one, if it is there.

    Raises:
        UsageError: something else is in it, which is not to be overwritten.
    """
    if not final.exists():
        return
    known = {*RunFolder(final).all_paths(), *(final / name for name in _FINAL_FILES)}
    inside = [final] if final.is_file() else [*final.iterdir(), *final.glob(f"{LISTS}/*")]
    if any(
        path not in known and path.suffix != ".txt" and not is_leftover(path) for path in inside
    ):
        raise UsageError(
            f"{final} is in the way: the model that learns from all photos is written there, and "
            "this is no such model. Move it, name another folder (--output), or use --no-refit"
        )


def _device(overrides: Sequence[str]) -> str:
    """Return the device that the overrides name, if they do."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("Global.device=")]
    return named[-1] if named else "auto"


# --- the end -----------------------------------------------------------------------------------


def _with_head(
    config: Config, head: Path, folder: RunFolder, accuracy: Optional[float]
) -> TrainResult:
    """Make the linear head the model of the run, without running it in Python once more."""
    metrics = {} if accuracy is None else {"top1": accuracy}
    file = weights.read(head)
    noted = {**file.metadata, "epoch": 0, "step": 0, "metrics": metrics}
    save_weights(file.network_arrays(), folder.best_model, noted)
    write_text(folder.config, to_yaml(config.data))
    return TrainResult(TrainState(finished=True, best_value=accuracy), folder, None)


class _TimeLeft(NamedTuple):
    """Until when to train, a time of `time.perf_counter`, and the seconds that an epoch of the
    training before took.
    """

    end: float
    epoch: float


def _refitted(
    result: TrainResult,
    options: OwnPhotosOptions,
    overrides: Sequence[str] = (),
    time_left: Optional[_TimeLeft] = None,
) -> TrainResult:
    """Make the model that learns from all images: the linear head, if the head is the model, or
    else a training that goes on from the best one. That it fails is no reason to lose the run.

    Args:
        result: of the training that held-back images have judged.
        options: whether that is wanted.
        overrides: of a run that is resumed, for what is left to train.
        time_left: for the training; None where it was interrupted, and goes on as it was planned.
    """
    folder = RunFolder(result.folder.final)
    recipe, further, head = (folder.root / name for name in (RECIPE, _GOING_ON, LINEAR_HEAD))
    is_judged = result.state.best_value is not None and options.refit
    is_head = is_judged and result.state.best_epoch == 0
    if is_head and recipe.is_file():
        further.unlink(missing_ok=True)
        _with_head(load_config(str(recipe)), head, folder, None)
        return result
    if is_judged and further.is_file() and _is_worth_it(further, result, time_left):
        further.replace(recipe)
        head.unlink(missing_ok=True)
    if head.is_file():
        _clear(folder)
    elif options.refit and recipe.is_file() and not folder.best_model.is_file():
        others = [text for text in overrides if not text.startswith(_OF_JUDGED_RUNS)]
        try:
            _train_on_all(load_config(str(recipe), others), folder)
        except (PpclsError, OSError) as error:
            told = f"the model that was judged is whole: {result.folder.best_model}"
            _log.warning("the training on all images failed: %s\n%s", error, told)
    return result


def _is_worth_it(recipe: Path, result: TrainResult, time_left: Optional[_TimeLeft]) -> bool:
    """Note in the recipe how many epochs over all images fit into the time that is left, if there
    is one; return whether they are enough.
    """
    content = load_config(str(recipe)).data
    judged, whole = (_count(folder) for folder in (result.folder.root, recipe.parent))
    batches = -(-whole // content["DataLoader"]["Train"]["sampler"]["batch_size"])
    left = epoch = 0.0
    if time_left is not None:
        left, epoch = time_left.end - time.perf_counter(), time_left.epoch * whole / judged
    epochs = planning.epochs_on_all(content["Global"]["epochs"], batches, left, epoch)
    if epochs:
        write_text(recipe, f"{_GOING_ON_HEADER}{to_yaml(for_epochs(content, epochs))}")
    return epochs > 0


def _count(folder: Path) -> int:
    """Return how many images a run learns from."""
    return len((folder / LISTS / "train_list.txt").read_bytes().splitlines())


def _train_on_all(config: Config, folder: RunFolder) -> None:
    """Go on from the best model with all images, and make the last weights the model: nothing is
    held back that could tell a better one.
    """
    _log.info("now on all images, those held back as well: %d epochs", config.Global.epochs)
    result = train(config, resume="auto" if folder.contents() else None)
    assert result.checkpoint is not None
    last = load_checkpoint(result.checkpoint)
    noted = {**last.metadata, "epoch": last.state.epoch, "step": last.state.step, "metrics": {}}
    save_best_model(folder.best_model, last.ema or last.model, noted)


def _clear(folder: RunFolder) -> None:
    """Delete what a run on photos writes, and the folder if nothing else is in it."""
    remove(*folder.contents(), *(folder.root / name for name in _FINAL_FILES))
    with contextlib.suppress(OSError):
        folder.root.rmdir()


def _concluded(result: TrainResult, options: OwnPhotosOptions) -> TrainResult:
    """Write the report, where there are held-back images; name what is left to do."""
    root = result.folder.root
    listed = root / LISTS
    if options.report and (listed / "val_list.txt").is_file():
        _report(root)
    recipe, used = root / RECIPE, result.folder.final / RECIPE
    if RunFolder(used.parent).best_model.is_file():
        _log.info(
            "the model to use is in %s: it has learnt from all photos. The held-back ones judged "
            "the one in %s%s",
            used.parent,
            root,
            _accuracy_told(result.folder),
        )
    else:
        used = recipe
    if (listed / "test_list.txt").is_file():
        key = "DataLoader.Eval.dataset.cls_label_path"
        test = shlex.quote(f"{key}={listed / 'test_list.txt'}")
        _log.info("the photos to test with: ppcls eval -c %s -o %s", _quoted(recipe), test)
    _log.info("what is in a photo:  ppcls infer -c %s PHOTO", _quoted(used))
    _log.info("a bundle to serve:   ppcls export -c %s", _quoted(used))
    return result


def _accuracy_told(folder: RunFolder) -> str:
    """Return what the best model gets right, if it says so."""
    with contextlib.suppress(PpclsError, OSError):
        top1 = weights.read(folder.best_model).metadata.get("metrics", {}).get("top1")
        if top1 is not None:
            return f", which gets {top1:.1%} of them right"
    return ""


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _report(folder: Path) -> None:
    """Write the report; that it cannot be made is no reason to lose the run."""
    from ppcls.api.report import report

    try:
        _log.info("report: %s", report(folder).page)
    except (PpclsError, OSError, ImportError, ValueError, MemoryError) as error:
        _log.warning("the report was not made (ppcls report %s makes it): %s", folder, error)
