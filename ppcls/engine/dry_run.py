"""``--dry-run``: everything is built, one batch goes forward and backward, nothing is written."""

from __future__ import annotations

import contextlib
import time
from itertools import groupby
from typing import List, Tuple

from ppcls import runtime
from ppcls.arch.summary import Row, count_parameters, layer_table, summarise
from ppcls.data.batch import Batch
from ppcls.data.loader import DataLoader
from ppcls.engine.device_ops import network_input
from ppcls.engine.job import Job
from ppcls.engine.step import learn, update
from ppcls.errors import DataError
from ppcls.loss.outputs import main_logits
from ppcls.text import table

MOST_ROWS = 30
"""How long a table people still read."""


def dry_run(job: Job) -> str:
    """Run one training batch, and one evaluation batch where there is one; return the report as
    text.

    Raises:
        DataError: no image of the first batch can be read.
    """
    batch = _batch(job.train, *job.train.largest_batch())
    began = time.perf_counter()
    loss, output = _learn(job, batch)
    seconds = time.perf_counter() - began
    shape = list(network_input(batch).shape)
    layers = summarise(job.network, shape[1:])
    rows: List[Tuple[str, str]] = [
        ("network", f"{job.network.model_name}, {job.network.class_num} classes, on {job.device}"),
        ("training batch", f"{shape}, {batch.images.dtype}; {batch.labels}"),
        ("output", str(output)),
        *_cost(job, layers),
        ("loss", f"{loss:.4f}, forward and backward in {seconds:.2f} s"),
        ("learning rate", _rates(job)),
        ("data", _data("train", job.train) + (f"; {_data('eval', job.eval)}" if job.eval else "")),
        ("peak memory", _memory(job.device)),
    ]
    if job.eval:
        rows.append(("evaluation batch", str(list(network_input(_batch(job.eval)).shape))))
    indented = table([("", *row) for row in rows], left=[0, 1, 2])
    return "\n".join(
        ["dry run: all parts fit together", indented, "", layer_table(condensed(layers))]
    )


def condensed(layers: List[Row]) -> List[Row]:
    """Return the table of a network in at most `MOST_ROWS` rows where its structure allows that.

    Layers are added up by the parts of the network that they belong to, and the parts are as small
    as fit; the output of a part is that of its last layer.
    """
    depths = range(max(row.name.count(".") for row in layers), 0, -1)
    for depth in depths:
        if len(_parts(layers, depth + 1)) <= MOST_ROWS:
            return _parts(layers, depth + 1)
    return _parts(layers, 1)


def _parts(layers: List[Row], depth: int) -> List[Row]:
    rows = []
    for name, group in groupby(layers, lambda row: ".".join(row.name.split(".")[:depth])):
        members = list(group)
        kind = members[0].kind if len(members) == 1 else f"{len(members)} layers"
        parameters, macs = (sum(row.parameters for row in members), sum(r.macs for r in members))
        rows.append(Row(name, kind, members[-1].output, parameters, macs))
    return rows


def _batch(loader: DataLoader, epoch: int = 0, number: int = 0) -> Batch:
    with contextlib.closing(loader.epoch(epoch, start=number)) as batches:
        batch = next(batches)
    if not len(batch):
        reasons = "\n  ".join(f"{image.name}: {image.reason}" for image in batch.bad[:5])
        raise DataError(f"no image of the first batch can be read:\n  {reasons}")
    return batch


def _learn(job: Job, batch: Batch) -> Tuple[float, List[int]]:
    """Make one update; return the loss and the shape of the network's output."""
    job.network.train()
    loss, outputs = learn(job, batch)
    update(job, step=0)
    return float(loss.item()), list(main_logits(outputs).shape)


def _cost(job: Job, layers: List[Row]) -> List[Tuple[str, str]]:
    macs = sum(row.macs for row in layers)
    return [
        ("parameters", f"{count_parameters(job.network):,} trainable"),
        ("FLOPs", f"{_short(2 * macs)} an image ({_short(macs)} multiply-accumulates), forward"),
    ]


def _short(count: float) -> str:
    """Return a large number with G or M and three digits after the point."""
    return f"{count / 1e9:.3f} G" if count >= 1e9 else f"{count / 1e6:.3f} M"


def _rates(job: Job) -> str:
    schedule = job.optimizer.schedule
    total = schedule.epochs * schedule.steps_per_epoch
    first, middle, last = (schedule.at(step) for step in (0, total // 2, total - 1))
    unless = ", unless evaluation makes it fall" if schedule.learns_from_evaluation else ""
    return f"{first:g} at first, {middle:g} half-way, {last:g} at last{unless}"


def _data(name: str, loader: DataLoader) -> str:
    return f"{name} {len(loader.dataset)} images in {len(loader)} batches"


def _memory(device: str) -> str:
    where = "the whole process" if device == "cpu" else "on the device"
    return f"{runtime.peak_memory(device) / 2**30:.2f} GiB, {where}"
