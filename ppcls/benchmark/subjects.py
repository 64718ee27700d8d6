"""Bundles in engines, opened and ready to be timed: with the toolkit, and bare."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ppcls.benchmark.bare import BARE
from ppcls.benchmark.results import Subject
from ppcls.errors import PpclsError, UsageError, did_you_mean
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import (
    ENGINES,
    EngineOptions,
    engines_for,
    is_installed,
    open_engine,
)
from ppcls.inference.engines.auto import open_fastest
from ppcls.inference.postprocess import Topk
from ppcls.inference.predictor import Classifier
from ppcls.runtime import available_cores

AUTO = "auto"
_log = logging.getLogger("ppcls")


class Plan(NamedTuple):
    """What to open of each bundle.

    Attributes:
        engines: names, "auto" among them; empty for all that are installed, and auto.
        precisions: in which each of them computes.
        threads: None is one per core.
        bare: whether engines are called without the toolkit too.
    """

    engines: List[str]
    precisions: List[str]
    threads: Optional[int]
    bare: bool


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


def open_all(bundle: Bundle, plan: Plan, batch: int) -> Tuple[List[Opened], List[str]]:
    """Open a bundle with each engine in each precision; say what was left out, and why.

    Args:
        bundle: the network.
        plan: engines and precisions.
        batch: images at once, for which an engine may be compiled.
    """
    opened: List[Opened] = []
    left_out: List[str] = []
    for precision in plan.precisions:
        for name in _engines(bundle, plan, precision):
            try:
                opened.append(_open(bundle, name, precision, plan.threads, batch))
            except PpclsError as error:
                left_out.append(f"{bundle.model_name}, {name}, {precision}: {error}")
        for name in _bare_engines(bundle, plan, precision):
            opened.append(_open_bare(bundle, name, precision, plan.threads, batch))
    return opened, left_out


def _engines(bundle: Bundle, plan: Plan, precision: str) -> List[str]:
    """Return the named engines, or those that can."""
    if plan.engines:
        return plan.engines
    able = engines_for(bundle.formats, "auto", precision)
    found = [name for name in able if is_installed(name) and ENGINES[name].in_auto]
    return [*found, AUTO]


def _bare_engines(bundle: Bundle, plan: Plan, precision: str) -> List[str]:
    """Return the engines to call bare: those that are measured, and for `auto` all that may be
    faster.
    """
    if not plan.bare:
        return []
    able = engines_for(bundle.formats, "cpu", precision)
    wanted = _engines(bundle, plan, precision)
    rivals = able if AUTO in wanted else wanted
    return [name for name in able if name in rivals and name in BARE and is_installed(name)]


def _open(bundle: Bundle, name: str, precision: str, threads: Optional[int], batch: int) -> Opened:
    options = EngineOptions(threads=threads, precision=precision, batch_size=batch)
    engine, reason = (
        open_fastest(bundle, options) if name == AUTO else (open_engine(name, bundle, options), "")
    )
    names = Topk(min(bundle.topk, len(bundle.labels)), label_list=bundle.labels)
    classify = Classifier(bundle.pipeline(), bundle.input.image_shape, engine, names, batch)
    about = {**_plain(engine.describe()), **({"reason": reason} if reason else {})}
    subject = Subject(network=bundle.model_name, engine=name, precision=precision, about=about)
    return Opened(subject, engine.run, lambda paths: list(classify(paths)))


def _plain(about: Dict[str, Any]) -> Dict[str, Any]:
    import json

    return dict(json.loads(json.dumps(about, default=str)))


def _open_bare(
    bundle: Bundle, name: str, precision: str, threads: Optional[int], batch: int
) -> Opened:
    formats = ENGINES[name].formats_at(precision)
    files = next(bundle.formats[one] for one in formats if one in bundle.formats)
    run = BARE[name](files, threads or available_cores(), precision, batch)
    subject = Subject(network=bundle.model_name, engine=name, precision=precision, bare=True)
    return Opened(subject, run)
