"""Which key somebody means who writes `epochs: 3` at the top, or `--epochs 3` on the command line.

The words are the schema's own keys, and what other programs call them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Dict, Iterator, Optional, Tuple, get_args

from ppcls.checking import Section
from ppcls.config.schema import Config
from ppcls.errors import nearest

_IMAGES = "DataLoader.Train.dataset.image_root"
_RATE = "Optimizer.lr.learning_rate"
_BATCH = "DataLoader.Train.sampler.batch_size"
_WORKERS = "DataLoader.Train.loader.num_workers"

OTHER_WORDS = {
    "arch": "Arch.name",
    "batch": _BATCH,
    "batch_size": _BATCH,
    "bs": _BATCH,
    "classes": "Arch.class_num",
    "cpu": "Global.device",
    "cuda": "Global.device",
    "gpu": "Global.device",
    "gpus": "Global.device",
    "class_num": "Arch.class_num",
    "data": _IMAGES,
    "data_dir": _IMAGES,
    "data_path": _IMAGES,
    "epoch": "Global.epochs",
    "image_root": _IMAGES,
    "images": "Infer.infer_imgs",
    "input": "Infer.infer_imgs",
    "label_list": "DataLoader.Train.dataset.cls_label_path",
    "learning_rate": _RATE,
    "lr": _RATE,
    "model": "Arch.name",
    "momentum": "Optimizer.momentum",
    "network": "Arch.name",
    "num_classes": "Arch.class_num",
    "num_epochs": "Global.epochs",
    "opt": "Optimizer.name",
    "optimizer": "Optimizer.name",
    "out": "Global.output_dir",
    "output": "Global.output_dir",
    "save_dir": "Global.output_dir",
    "shuffle": "DataLoader.Train.sampler.shuffle",
    "topk": "Infer.PostProcess.topk",
    "wd": "Optimizer.regularizer.coeff",
    "weight_decay": "Optimizer.regularizer.coeff",
    "weights": "Global.pretrained_model",
    "workers": _WORKERS,
}
"""Words of other programs, and keys of parts, with the key that they mean here."""


@cache
def known_keys() -> Dict[str, str]:
    """Return {last word of a key: the key with its sections}, those of the schema before others."""
    found = dict(OTHER_WORDS)
    for path in _leaves(Config, ()):
        found.setdefault(path[-1], ".".join(path))
    return found


def key_for(word: str) -> Optional[str]:
    """Return the key that a word means, such as "Global.epochs" for "epochs", or None."""
    known, word = known_keys(), word.strip("-").replace("-", "_")
    match = word if word in known else nearest(word, known)
    return known[match] if match else None


def _leaves(section: Any, path: Tuple[str, ...]) -> Iterator[Tuple[str, ...]]:
    for key, field in section.model_fields.items():
        inner = next(filter(_is_section, (field.annotation, *get_args(field.annotation))), None)
        if (path, key) == ((), "Arch"):
            yield "Arch", "pretrained"
        elif inner is not None:
            yield from _leaves(inner, (*path, key))
        elif path:
            yield (*path, key)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
