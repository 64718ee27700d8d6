"""Keys that PaddleClas knows and that have no effect here, each with the reason.

They are removed with a warning before the file is checked, so that PaddleClas' files run and their
authors learn what is different. ``*`` stands for any one key.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Tuple

from ppcls.config.document import Document, KeyPath
from ppcls.config.inherit import _at
from ppcls.config.schema import describe
from ppcls.text import shown

_THREADS = "images are decoded by threads, which share memory without being told"
_DYNAMIC = "networks are trained in dynamic graph mode; export makes the static graph"
_ONE_PROCESS = "batch normalisation is not synchronised between processes; one process is trained"

INERT = {
    "profiler_options": "`ppcls profile -c FILE` profiles steps",
    "Global.profiler_options": "`ppcls profile -c FILE` profiles steps",
    "Global.to_static": _DYNAMIC,
    "Global.use_dali": "images are decoded by this toolkit's own loader, with the same result",
    "Global.eval_mode": "classification is the only mode",
    "Global.task": "classification is the only task",
    "Global.class_num": "the number of classes is Arch.class_num",
    "Global.infer_imgs": "the images to predict are Infer.infer_imgs",
    "Global.dp": "the way of parallel training follows from how the program is launched",
    "Global.image_channel": "the channels are those that the transforms give",
    "Optimizer.clip_grad": "PaddleClas passes it over as well; clip_norm_global limits gradients",
    "Optimizer.lr.step_each_epoch": "the steps of an epoch follow from the data and the batch size",
    "Arch.data_format": "Paddle's own layout, NCHW, is used",
    "Arch.input_image_channel": "the channels are those that the transforms give",
    "Arch.use_sync_bn": _ONE_PROCESS,
    "Arch.use_ssld": "Arch.pretrained or Global.pretrained_model names the weight file itself",
    "AMP.use_fp16_test": "evaluation runs in float32",
    "AMP.use_promote": "Paddle's default promotion is used",
    "DataLoader.*.loader.use_shared_memory": _THREADS,
    "DataLoader.*.loader.persistent_workers": "threads live as long as the run",
    "DataLoader.*.use_shared_memory": _THREADS,
}

_HARMLESS = {
    "Global.eval_mode": ("classification", None),
    "Global.task": ("classification", None),
}
"""Keys that may only be passed over with these values: with others they ask for something else."""


def remove_inert(document: Document) -> Tuple[List[str], List[str]]:
    """Remove the keys that have no effect; return one sentence on each, with its place.

    The second list is on those whose value asks for what this toolkit does not do: passing over
    them would train something else than their author wanted.
    """
    warnings, refusals = [], []
    found = [(document.order(path), path, reason) for path, reason in _found(document.data)]
    for _, path, reason in sorted(found, key=lambda item: item[0]):
        value, where = _at(document.data, path), describe(document, path)
        if value in _HARMLESS.get(".".join(map(str, path)), (value,)):
            warnings.append(f"{where} has no effect here: {reason}")
        else:
            refusals.append(f"{where}: {shown(value)} is not possible here: {reason}")
        del _at(document.data, path[:-1])[path[-1]]
        document.forget(path)
    return warnings, refusals


def _found(data: Any) -> Iterator[Tuple[KeyPath, str]]:
    for pattern, reason in INERT.items():
        for path in _matches(data, pattern.split("."), ()):
            yield path, reason


def _matches(data: Any, keys: List[str], path: KeyPath) -> Iterator[KeyPath]:
    if not keys:
        yield path
    elif isinstance(data, dict):
        for key in list(data) if keys[0] == "*" else data.keys() & {keys[0]}:
            yield from _matches(data[key], keys[1:], (*path, key))
