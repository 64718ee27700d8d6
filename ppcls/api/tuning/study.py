"""Trials of a recipe with other settings, chosen by Optuna, each an ordinary run in its own folder.

The study lies in `tune.db` of the folder `tune` inside the recipe's output folder. Whatever ends
the process, the next call goes on there: a trial that was interrupted from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence

from ppcls.api.train import train
from ppcls.api.tuning.results import (
    best_trial,
    settings_of,
    table_of_trials,
    trial_folder,
    write_trials,
)
from ppcls.api.tuning.search import Dimension, read_search
from ppcls.config import Config, load_config, require, to_yaml
from ppcls.engine.builder import model_selection
from ppcls.engine.label_kinds import expected_kind
from ppcls.engine.loggers import Logger, Record
from ppcls.engine.loggers.console import format_metric
from ppcls.engine.metric_parts import build_eval_metrics
from ppcls.engine.selection import ModelSelection
from ppcls.errors import ConfigError, TrainingError, UsageError
from ppcls.files import Busy, locked, remove

_log = logging.getLogger("ppcls")

PRUNERS = ("median", "hyperband", "none")
"""What ends trials that promise little: worse than the median of those before them at the same
epoch; Hyperband (Li et al. 2018); nothing."""

Reader = Callable[[Sequence[str]], Config]
"""Reads the recipe with the overrides that it is given."""

_SEARCH, _RECIPE = "search", "recipe"
_ENOUGH_CLASSES = 1000


@dataclass(frozen=True)
class TuneResult:
    """What a study has come to.

    Attributes:
        folder: where all of it lies.
        study: Optuna's own object.
        best: the number of the best trial; None where none was trained to its end.
        recipe: the file of the best trial's recipe, if there is one.
    """

    folder: Path
    study: Any
    best: Optional[int]
    recipe: Optional[Path]


class _Judge(Logger):
    """Tells Optuna how a trial does, and ends the run where that says so."""

    def __init__(self, trial: Any, metric: str) -> None:
        self._trial, self._metric = trial, metric

    def write(self, record: Record) -> None:
        """Report an evaluation."""
        if record["event"] != "eval":
            return
        value, epoch = record["metrics"].get(self._metric, math.nan), record["epoch"]
        with warnings.catch_warnings():  # of an epoch that was reported before an interruption
            warnings.simplefilter("ignore", UserWarning)
            self._trial.report(value, epoch)
        self.has_seen_enough = bool(self._trial.should_prune())


def tune(
    config: str,
    overrides: Sequence[str] = (),
    trials: int = 20,
    search: Sequence[str] = (),
    pruner: str = "median",
    overwrite: bool = False,
    imports: Sequence[str] = (),
) -> TuneResult:
    """Train a recipe again and again with other settings, and say which were the best.

    Args:
        config: the path of a recipe.
        overrides: changes of it, as for ``-o``.
        trials: how many there are to be, those of earlier calls included.
        search: what to try, see `ppcls.api.tuning.search`; by default learning rate, weight decay
            and label smoothing around the recipe's own.
        pruner: one of `PRUNERS`.
        overwrite: delete the study that is there, with its runs.
        imports: files or packages with parts of one's own, as for `ppcls.config.load_config`.

    Raises:
        ConfigError: the recipe is wrong, or does not accept a value that is to be tried.
        UsageError: Optuna is missing, an option makes no sense, or the study of another search
            lies in the folder.
        Interrupted: Ctrl-C or termination, after saving; all trials are kept.
    """
    optuna = _optuna()
    if trials < 1:
        raise UsageError(f"--trials {trials}: there must be one at least")
    if pruner not in PRUNERS:
        raise UsageError(f"unknown pruner '{pruner}'; accepted: {', '.join(PRUNERS)}")
    read = partial(load_config, config, imports=imports)
    recipe = read(overrides)
    require(recipe, "DataLoader.Eval")
    dimensions = read_search(search, recipe)
    _check_values(read, overrides, dimensions)
    metrics = build_eval_metrics(recipe, _ENOUGH_CLASSES, expected_kind(recipe))
    selection = model_selection(recipe, metrics)
    root = Path(recipe.Global.output_dir) / "tune"
    with _claimed(root, overwrite):
        study = _open_study(optuna, root, recipe, selection, pruner)
        _check_same_search(study, dimensions)
        _compare_recipe(study, recipe)
        runner = _Runner(optuna, study, root, read, overrides, dimensions, selection)
        runner.run(trials)
        best = best_trial(study)
    found = root / "best.yaml"
    return TuneResult(root, study, best and best.number, found if found.exists() else None)


@dataclass
class _Runner:
    """Runs the trials of a study one after the other."""

    optuna: Any
    study: Any
    root: Path
    read: Reader
    overrides: Sequence[str]
    dimensions: Sequence[Dimension]
    selection: ModelSelection

    def run(self, trials: int) -> None:
        """Run until there are so many, those that were interrupted first."""
        for trial in self._waiting():
            self._run_one(trial, resume=True)
        done = len(self.study.trials)
        if done:
            _log.info("%d of %d trials are done", done, trials)
        for _ in range(done, trials):
            self._run_one(self.study.ask(), resume=False)
            _log.info("%s\n", table_of_trials(self.study, self.selection.metric))

    def _waiting(self) -> Iterator[Any]:
        for frozen in self.study.trials:
            if frozen.state.name == "RUNNING":
                yield self.optuna.trial.Trial(self.study, frozen._trial_id)

    def _run_one(self, trial: Any, resume: bool) -> None:
        values = [f"{one.key}={one.suggest(trial)}" for one in self.dimensions]
        _log.info("trial %d%s: %s", trial.number, " goes on" * resume, settings_of(trial))
        folder = trial_folder(self.root, trial.number)
        places = [f"Global.output_dir={folder}", "Global.checkpoints=null"]
        judge = _Judge(trial, self.selection.metric)
        try:
            recipe = self.read([*self.overrides, *values, *places])
            found = train(recipe, resume="auto" if resume else None, loggers=[judge])
        except (TrainingError, MemoryError) as error:
            _log.warning("trial %d failed: %s", trial.number, error)
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        else:
            self._tell(trial, found.state.best_value, judge.has_seen_enough)
        finally:
            write_trials(self.study, self.selection.metric, self.root)

    def _tell(self, trial: Any, value: Optional[float], pruned: bool) -> None:
        states = self.optuna.trial.TrialState
        if pruned:
            self.study.tell(trial, state=states.PRUNED)
            _log.info("trial %d is ended, as it promises little", trial.number)
        elif value is None:
            self.study.tell(trial, state=states.FAIL)
        else:
            self.study.tell(trial, value)
            name = self.selection.metric
            _log.info("trial %d: %s %s", trial.number, name, format_metric(name, value))


def _check_values(read: Reader, overrides: Sequence[str], dimensions: Sequence[Dimension]) -> None:
    """Make sure that the recipe accepts the ends of every range, and every choice."""
    for dimension in dimensions:
        for value in dimension.ends():
            try:
                read([*overrides, f"{dimension.key}={value}"])
            except ConfigError as error:
                raise ConfigError(f"--search {dimension}: {error}") from None


@contextlib.contextmanager
def _claimed(root: Path, overwrite: bool) -> Iterator[None]:
    """Keep other processes out of the folder, and empty it where that was asked for."""
    try:
        with locked(root / ".lock"):
            if overwrite:
                _delete_study(root)
            yield
    except Busy as owner:
        raise UsageError(
            f"the folder {root} is in use by {owner}; wait for it, or stop it"
        ) from None


def _delete_study(root: Path) -> None:
    names = ("tune.db", "results.csv", "best.yaml")
    remove(*root.glob("trial_[0-9]*"), *(root / name for name in names))


def _open_study(
    optuna: Any, root: Path, recipe: Config, selection: ModelSelection, pruner: str
) -> Any:
    file = root / "tune.db"
    if not file.exists() and any(root.glob("trial_[0-9]*")):
        raise UsageError(
            f"{root} holds runs of trials, but their study, {file.name}, is gone. Move them, or "
            "delete them with --overwrite"
        )
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
        known = storage.get_all_studies()
        trials = len(storage.get_all_trials(known[0]._study_id)) if known else 0
        return optuna.create_study(
            storage=storage,
            study_name="tune",
            direction="maximize" if selection.higher_is_better else "minimize",
            # Another seed after a break, or the first trials would come again.
            sampler=optuna.samplers.TPESampler(seed=recipe.Global.seed + trials),
            pruner=_pruner(optuna, pruner, recipe.Global.epochs),
            load_if_exists=True,
        )
    except Exception as error:  # SQLAlchemy's and Optuna's are many
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{file} cannot be used: {reason}. To start again, without its trials: --overwrite"
        ) from None


def _pruner(optuna: Any, name: str, epochs: int) -> Any:
    if name == "none":
        return optuna.pruners.NopPruner()
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(1, epochs // 10))


def _check_same_search(study: Any, dimensions: Sequence[Dimension]) -> None:
    """Note the search with the study, or compare it with what is noted.

    Raises:
        UsageError: they differ.
    """
    now: List[str] = [str(one) for one in dimensions]
    before = study.user_attrs.get(_SEARCH)
    if before is None:
        study.set_user_attr(_SEARCH, now)
    elif before != now:
        raise UsageError(
            f"the study that is there tries {' '.join(before)}, not {' '.join(now)}. Give the same "
            "--search to go on with it, --overwrite to delete it, another Global.output_dir to "
            "keep it"
        )


def _compare_recipe(study: Any, recipe: Config) -> None:
    """Note the recipe with the study, and warn where that of earlier trials was another one."""
    now = hashlib.sha256(to_yaml(recipe.data).encode()).hexdigest()
    if study.user_attrs.get(_RECIPE, now) != now:
        _log.warning(
            "the recipe, or a value of -o, is not that of the trials before, whose scores may not "
            "be comparable; to start again: --overwrite"
        )
    study.set_user_attr(_RECIPE, now)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            f"`ppcls tune` needs the package optuna, which cannot be imported ({error}). Install "
            "it with `pip install 'ppcls[tune]'`"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
