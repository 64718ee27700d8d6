"""``--find-batch-size``: which batch sizes a recipe may have here, found by trying them.

Each size is trained for a few steps in a process of its own, so that running out of memory ends
only that one. The learning rate that goes with a size follows from the linear scaling rule of Goyal
et al. 2017, "Accurate, Large Minibatch SGD", arXiv:1706.02677: k times the batch size, k times the
rate.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ppcls import runtime
from ppcls.benchmark.own_process import Ended, available_memory, run_within
from ppcls.benchmark.training.results import BatchTrial
from ppcls.config import Config, require
from ppcls.config.document import KeyPath
from ppcls.engine.schedule_keys import rates_changed
from ppcls.errors import ConfigError, PpclsError
from ppcls.progress import waiting
from ppcls.registry import lookup
from ppcls.text import shortened, table

MOST_MEMORY = 0.9
"""Of the memory that is available, or that a GPU has: a run needs some more now and then."""

_NEAR = 0.95
"""Of the best throughput: what is as good as the best."""

_OUT_OF_MEMORY = re.compile(
    r"MemoryError|bad_alloc|ResourceExhausted|out[ _]of[ _]memory|cannot allocate memory",
    re.IGNORECASE,
)
"""What Python, C++, Paddle, CUDA and the system say where there is no more memory."""

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)

_RULE_IS_FOR = ("SGD", "Momentum")
"""Optimizers that the linear scaling rule was found with."""


class Tried(NamedTuple):
    """A batch size, and what came of it.

    Attributes:
        size: images in a batch.
        found: what was measured; None where that failed.
        failure: why it failed.
        is_memory: whether memory ran out.
    """

    size: int
    found: Optional[BatchTrial] = None
    failure: str = ""
    is_memory: bool = False


Measure = Callable[[int], Tried]
"""Tries a batch size."""


@dataclass(frozen=True)
class SizeSearch:
    """What came of all sizes.

    Attributes:
        tried: in the order in which they were.
        current: the recipe's own batch size.
        key: of the batch size, as for -o.
        rates: for a factor, the keys of the highest learning rates with so many times their values.
        optimizer: the name of the recipe's.
        warms_up: whether the recipe's schedule has a warm-up.
    """

    tried: List[Tried]
    current: int
    key: str
    rates: Callable[[float], Mapping[KeyPath, Any]] = field(repr=False)
    optimizer: str
    warms_up: bool

    @property
    def fitting(self) -> List[Tuple[int, BatchTrial]]:
        """The sizes that fit into memory."""
        return [(one.size, one.found) for one in self.tried if one.found]

    @property
    def largest(self) -> int:
        """The largest size that fits."""
        return max(size for size, _ in self.fitting)

    @property
    def fast(self) -> int:
        """The smallest size that is within 5 % of the best throughput."""
        best = max(found.images_per_second for _, found in self.fitting)
        near = _NEAR * best
        return min(size for size, found in self.fitting if found.images_per_second >= near)

    def summary(self) -> str:
        """Return lines for the terminal."""
        rows = [("batch size", "images/s", "s/step", "peak memory [GiB]", "")]
        rows += [_row(one) for one in self.tried]
        return "\n".join([table(rows, left=[4]), "", *self._advice()])

    def _advice(self) -> List[str]:
        lines = [
            f"{self._end()}; the largest that fits is {self.largest}, and {self.fast} is the "
            f"smallest within 5 % of the best throughput. The recipe's is {self.current}",
            "with the learning rate by the linear scaling rule (Goyal et al. 2017, "
            "arXiv:1706.02677):",
        ]
        lines += [self._options(size) for size in sorted({self.fast, self.largest})]
        if self.optimizer not in _RULE_IS_FOR:
            lines.append(
                f"the rule was found with SGD; {self.optimizer} may want less of a change: "
                "--find-lr with the new batch size tells"
            )
        if self.largest > self.current and not self.warms_up:
            lines.append("a higher rate may need a warm-up: warmup_epoch: 5 in Optimizer.lr")
        return lines

    def _options(self, size: int) -> str:
        """Return what to give to -o for a size."""
        rates = self.rates(size / self.current)
        changed = {".".join(map(str, key)): value for key, value in rates.items()}
        words = [f"-o {key}={_shown(value)}" for key, value in {self.key: size, **changed}.items()]
        return f"  {' '.join(words)}"

    def _end(self) -> str:
        last = self.tried[-1]
        if last.is_memory:
            return f"memory runs out at {last.size}"
        if last.failure:
            return f"a batch of {last.size} cannot be trained ({last.failure})"
        return f"the training set has {self.fitting[-1][1].images} images, too few for more"


def find_batch_size(
    path: str,
    overrides: Sequence[str],
    imports: Sequence[str],
    config: Config,
    measure: Optional[Measure] = None,
) -> SizeSearch:
    """Try batch sizes 1, 2, 4, ... until memory runs out or the training set has no more images.

    Args:
        path: of the recipe.
        overrides: changes of it, as for ``-o``.
        imports: files or packages with parts of one's own.
        config: the recipe, read with these.
        measure: tries a size; by default in a process of its own.

    Raises:
        ConfigError: sections are missing, or the sampler has no batch size.
        PpclsError: no size can be trained.
        UsageError: this is one of several processes.
    """
    runtime.refuse_many_processes()
    require(config, "DataLoader.Train", "Optimizer", "Loss.Train")
    assert config.DataLoader.Train is not None and config.Optimizer is not None
    sampler = config.DataLoader.Train.sampler
    place = config.arguments_at(sampler, "DataLoader", "Train", "sampler")
    name = getattr(lookup("sampler", sampler.name).constructor, "batch_key", "batch_size")
    if name not in sampler.arguments:
        raise ConfigError(
            f"{config.where('DataLoader', 'Train', 'sampler')}: --find-batch-size changes "
            f"'{name}', and {sampler.name} has none"
        )
    key = ".".join(map(str, (*place, name)))
    apart = partial(_measured_apart, key=key, path=path, overrides=overrides, imports=imports)
    tried = tried_sizes(measure or apart)
    lr = config.Optimizer.arguments["lr"]
    return SizeSearch(
        tried=tried,
        current=sampler.arguments[name],
        key=key,
        rates=partial(rates_changed, config),
        optimizer=config.Optimizer.name,
        warms_up=bool(lr.arguments.get("warmup_epoch")),
    )


def tried_sizes(measure: Measure) -> List[Tried]:
    """Try 1, 2, 4, ... until one fails or there are no more images. One image alone may fail, as
    Mixup wants two.

    Raises:
        PpclsError: nothing can be trained.
    """
    tried: List[Tried] = []
    size, images = 1, None
    while images is None or size <= images:
        with waiting(f"trying batches of {size}"):
            tried.append(measure(size))
        last = tried[-1]
        if last.found:
            images = last.found.images
        elif last.is_memory or size > 1:
            break
        size *= 2
    if any(one.found for one in tried):
        return tried
    if tried[-1].is_memory:
        raise PpclsError(
            f"batches of {tried[-1].size} take too much memory already: {tried[-1].failure}. Take "
            "smaller images, a smaller network or another device, or end what else runs here"
        )
    raise PpclsError(f"no batch size can be trained: {tried[-1].failure}")


def _measured_apart(
    size: int, key: str, path: str, overrides: Sequence[str], imports: Sequence[str]
) -> Tried:
    """Try a size, which is the value of `key`, in a process of its own."""
    changed = [*overrides, f"{key}={size}"]
    order = {"config": path, "overrides": changed, "imports": list(imports)}
    available = available_memory()
    limit = None if available is None else MOST_MEMORY * available
    with tempfile.TemporaryDirectory() as folder:
        result, output = Path(folder) / "result.json", Path(folder) / "output.txt"
        module = "ppcls.benchmark.training.batch_trial"
        command = [sys.executable, "-m", module, json.dumps(order), str(result)]
        ended = run_within(command, output, limit)
        said = output.read_text("utf-8", "replace")
        found = None if ended.status else BatchTrial.model_validate_json(result.read_text("utf-8"))
    return judged_trial(size, ended, said, found, limit)


def judged_trial(
    size: int, ended: Ended, said: str, found: Optional[BatchTrial], limit: Optional[float]
) -> Tried:
    """Return what came of a size.

    Args:
        size: images in a batch.
        ended: how its process did.
        said: what it said.
        found: what it measured, if it came to that.
        limit: bytes of memory that it was to have; a GPU has its own.
    """
    if found is not None:
        most = limit if found.device_memory is None else MOST_MEMORY * found.device_memory
        if most is None or found.peak_memory <= most:
            return Tried(size, found)
        return Tried(size, None, _beyond(most), True)
    if ended.was_stopped:
        return Tried(size, None, _beyond(limit or 0.0), True)
    if ended.status in _KILLED:
        return Tried(size, None, "ended by the system, as memory ran out", True)
    if _OUT_OF_MEMORY.search(said):
        return Tried(size, None, "out of memory", True)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it says nothing"
    return Tried(size, None, shortened(last.removeprefix("error: ")))


def _beyond(limit: float) -> str:
    return f"more than {MOST_MEMORY:.0%} of the memory, {limit / 2**30:.2f} GiB"


def _row(one: Tried) -> Tuple[str, str, str, str, str]:
    if one.found is None:
        return (str(one.size), "-", "-", "-", one.failure)
    found = one.found
    memory = f"{found.peak_memory / 2**30:.2f}"
    return (str(one.size), f"{found.images_per_second:.1f}", f"{found.step:.3g}", memory, "")


def _shown(value: Any) -> str:
    """Return a value as one word of a command line."""
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
