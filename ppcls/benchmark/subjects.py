"""Bundles in engines, opened and ready to be timed: with the toolkit, and bare."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

import numpy as np

from ppcls.benchmark.bare import BARE
from ppcls.benchmark.results import Subject
from ppcls.errors import BundleError, PpclsError, UsageError, did_you_mean
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import (
    ENGINES,
    EngineOptions,
    engines_for,
    is_installed,
    open_engine,
)
from ppcls.inference.engines.auto import open_fastest
from ppcls.inference.network_files import checked_network
from ppcls.inference.postprocess import Topk
from ppcls.inference.predictor import Classifier
from ppcls.runtime import available_cores

AUTO = "auto"
Result = TypeVar("Result")
_log = logging.getLogger("ppcls")


class Plan(NamedTuple):
    """What to open of each bundle.

    Attributes:
        engines: names, "auto" among them; empty for all that are installed, and auto.
        precisions: in which each of them computes.
        device: cpu, gpu, gpu:N or auto.
        threads: None is one per core.
        bare: whether engines are called without the toolkit too, which this program does on CPUs.
    """

    engines: List[str]
    precisions: List[str]
    device: str
    threads: Optional[int]
    bare: bool

    def options(self, precision: str, batch: int) -> EngineOptions:
        """Return how an engine is opened."""
        return EngineOptions(self.device, self.threads, precision, batch)


@dataclass(frozen=True)
class Opened:
    """An engine with a network.

    Attributes:
        subject: what it is called.
        run: prepared images -> probabilities.
        predict: paths of image files -> predictions; None where the toolkit is not asked.
    """

    subject: Subject
    run: Callable[[np.ndarray], np.ndarray]
    predict: Optional[Callable[[Sequence[str]], object]] = None


def check_engines(names: Sequence[str]) -> None:
    """Refuse names that are no engines, and engines that are not installed.

    Raises:
        UsageError: there is one.
    """
    accepted = [AUTO, *ENGINES]
    for name in names:
        if name not in accepted:
            raise UsageError(
                f"unknown engine '{name}'.{did_you_mean(name, accepted)} "
                f"Accepted: all, {', '.join(accepted)}"
            )
        if name != AUTO and not is_installed(name):
            raise UsageError(ENGINES[name].missing)


def open_all(
    network: str, bundle: Bundle, plan: Plan, batch: int
) -> Tuple[List[Opened], List[str]]:
    """Open a bundle with each engine in each precision; say what was left out, and why.

    Args:
        network: what the bundle is called here.
        bundle: the network.
        plan: engines and precisions.
        batch: images at once, for which an engine may be compiled.
    """
    opened: List[Opened] = []
    left_out: List[str] = []
    if bundle.input.batch not in (None, batch):
        return [], [f"{network}, batch {batch}: it takes batches of {bundle.input.batch} only"]
    for precision in plan.precisions:
        options = plan.options(precision, batch)
        unable = set()
        ways = [(name, False) for name in _engines(bundle, plan, precision)]
        ways += [(name, True) for name in _bare_engines(bundle, plan, precision)]
        for name, bare in ways:
            subject = Subject(network=network, engine=name, precision=precision, bare=bare)
            if name in unable:
                continue
            try:
                opened.append((_open_bare if bare else _open)(subject, bundle, options))
            except PpclsError as error:
                left_out.append(f"{subject.title}: {error}")
                unable.add(name)
    return opened, left_out


def _engines(bundle: Bundle, plan: Plan, precision: str) -> List[str]:
    """Return the named engines, or those that can."""
    if plan.engines:
        return plan.engines
    able = engines_for(bundle.formats, plan.device, precision)
    found = [name for name in able if is_installed(name) and ENGINES[name].in_auto]
    return [*found, AUTO]


def _bare_engines(bundle: Bundle, plan: Plan, precision: str) -> List[str]:
    """Return the engines to call bare: those that are measured, and for `auto` all that may be
    faster.
    """
    if not plan.bare or plan.device != "cpu":
        return []
    able = engines_for(bundle.formats, "cpu", precision)
    wanted = _engines(bundle, plan, precision)
    rivals = able if AUTO in wanted else wanted
    return [name for name in able if name in rivals and name in BARE and is_installed(name)]


def _open(subject: Subject, bundle: Bundle, options: EngineOptions) -> Opened:
    name = subject.engine
    engine, reason = (
        open_fastest(bundle, options) if name == AUTO else (open_engine(name, bundle, options), "")
    )
    several = bundle.threshold is not None
    names = Topk(bundle.topk, label_list=bundle.labels) if several else bundle.ranker()
    size = options.batch_size
    classify = Classifier(bundle.pipeline(), bundle.input.image_shape, engine, names, size)
    about = {**_plain(engine.describe()), **({"reason": reason} if reason else {})}
    described = subject.model_copy(update={"about": about})
    return Opened(described, engine.run, lambda paths: list(classify(paths)))


def _plain(about: Dict[str, Any]) -> Dict[str, Any]:
    import json

    return dict(json.loads(json.dumps(about, default=str)))


def _open_bare(subject: Subject, bundle: Bundle, options: EngineOptions) -> Opened:
    precision, threads = options.precision, options.threads or available_cores()
    formats = ENGINES[subject.engine].formats_at(precision)
    files = checked_network(bundle, next(one for one in formats if one in bundle.formats))
    opener = with_our_errors(BARE[subject.engine], files[0])
    run = opener(files, threads, precision, options.batch_size)
    return Opened(subject, with_our_errors(run, files[0]))


def with_our_errors(function: Callable[..., Result], path: Path) -> Callable[..., Result]:
    """Return a function that raises `BundleError`, with the name of a file, where `function` raises
    whatever its engine does.
    """

    def call(*arguments: Any) -> Result:
        try:
            return function(*arguments)
        except Exception as error:  # MemoryError and IndexError are among them
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BundleError(f"{path}: {reason}") from None

    return call
