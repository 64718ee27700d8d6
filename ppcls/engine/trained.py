"""A trained network from its weight file and configuration: what evaluation, prediction and export
start from.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from pydantic import ValidationError

from ppcls import weights
from ppcls.arch.network import Network
from ppcls.config import Config
from ppcls.data.dataset import ClassMap
from ppcls.data.imagenet_classes import imagenet_classes
from ppcls.data.transforms import Pipeline
from ppcls.engine.builder import (
    Key,
    build_network,
    class_map_of_files,
    named_weights,
    weights_file,
)
from ppcls.engine.checkpoint import CheckpointFolder
from ppcls.engine.label_kinds import expected_kind
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import CheckpointError, ConfigError, PpclsError
from ppcls.labels import LabelKind
from ppcls.progress import waiting
from ppcls.registry import Part, parse
from ppcls.weights.metadata import noted_config

_log = logging.getLogger("ppcls")


@dataclass
class Trained:
    """A network with its trained weights, in evaluation mode.

    Attributes:
        network: images -> logits.
        class_map: the names of its classes.
        path: the file of the weights.
        metadata: what that file says of them; empty for foreign files.
        multi_label: whether an image has any number of classes, so that the probability of each is
            the sigmoid of its logit; else it has one, and they are the softmax of all.
    """

    network: Network
    class_map: ClassMap
    path: Path
    metadata: Dict[str, Any]
    multi_label: bool = False


@waiting("building the network and reading its weights")
def load_trained(config: Config, transform: Pipeline) -> Trained:
    """Build the network of a configuration and give it trained weights.

    The weights are those of `Global.pretrained_model` or `Arch.pretrained` where it is given with
    -o, else the best model of `Global.output_dir`, else its newest checkpoint, else what the file
    names by these keys. Published weights (`Arch.pretrained: true`) come with ImageNet's classes.

    Args:
        transform: how images are prepared, from `eval_transform`; a warning says so where it was
            otherwise in training.

    Raises:
        CheckpointError: there are no weights, they are unreadable, or they belong to another
            network or other classes.
        ConfigError: the configuration contradicts the transforms.
    """
    path, published = _find_weights(config)
    file = weights.read(path)
    class_map = _class_map(config, file.metadata, path, published)
    network = build_network(config, len(class_map), transform)
    weights.load(network, file)
    _warn_of_other_transforms(transform, file.metadata, path)
    network.eval()
    _log.info("weights: %s%s", path, _origin(file.metadata))
    multi_label = _is_multi_label(config, file.metadata, path)
    return Trained(network, class_map, path, file.metadata, multi_label)


def _is_multi_label(config: Config, metadata: Dict[str, Any], path: Path) -> bool:
    """Whether images have any number of classes, as the weights or the configuration say.

    Raises:
        CheckpointError: both say something, and not the same.
    """
    noted = metadata.get("labels") == str(LabelKind.MULTI_HOT)
    if noted and config.Global.use_multilabel is False:
        raise CheckpointError(
            f"{path} was trained for images with any number of classes, but "
            f"{config.where('Global', 'use_multilabel')} is False; leave it out"
        )
    return noted or expected_kind(config) is LabelKind.MULTI_HOT


def _find_weights(config: Config) -> Tuple[Path, bool]:
    """Return the file that holds the weights to use, and whether it is the published one.

    Raises:
        CheckpointError: there is none.
        UsageError: published weights are asked for, of a network that has none.
        DownloadError: published weights cannot be had.
    """
    folder = RunFolder(Path(config.Global.output_dir))
    checkpoints = CheckpointFolder(folder.checkpoints, keep=1).paths()
    found: List[Path] = [folder.best_model] if folder.best_model.exists() else checkpoints[-1:]
    named = named_weights(config)
    if named and (not found or config.is_override(*named)):
        return weights_file(config, named), _means_published(config, named)
    if named and not _is_in(config, named, folder):
        _log.warning(
            "the weights of this run are used, not those of %s, which it started from; to use "
            "those: -o %s=%s",
            config.where(*named),
            ".".join(named),
            "True" if _means_published(config, named) else "FILE",
        )
    if not found:
        raise CheckpointError(
            f"there are no trained weights: {folder.root} holds no best_model.safetensors and no "
            "checkpoint. Train first, or name a weight file: -o Global.pretrained_model=FILE"
        )
    return found[0], False


def _is_in(config: Config, key: Key, folder: RunFolder) -> bool:
    """Whether the weights that a run started from are its own, or those of the run that it goes on
    with on all images: nobody means those then.
    """
    wanted = getattr(getattr(config, key[0]), key[1])
    if wanted is True:
        return False
    home = Path(wanted).absolute().parent
    return folder.root.absolute() in (home, RunFolder(home).final)


def _means_published(config: Config, key: Key) -> bool:
    return key[0] == "Arch" and config.Arch.pretrained is True


def eval_transform(config: Config) -> Pipeline:
    """Return the preprocessing of evaluation, which prediction and export use as well;
    `Infer.transforms` where there is no DataLoader.Eval.

    A list in `Infer.transforms` that differs gets a warning: two lists are how deployment comes to
    differ from training.

    Raises:
        ConfigError: the configuration has neither, or a list does not fit together.
    """
    split, given = config.DataLoader.Eval, config.Infer.transforms
    own = None if given is None else _pipeline(config, given, "Infer", "transforms")
    ops = None if split is None else split.dataset.arguments.get("transform_ops")
    if ops is None:
        if own is None:
            raise ConfigError(
                f"{config.where('DataLoader')}: the preprocessing is unknown; give "
                "DataLoader.Eval.dataset.transform_ops"
            )
        return own
    transform = _pipeline(config, ops, "DataLoader", "Eval", "dataset", "transform_ops")
    if own is not None and own.spec() != transform.spec():
        _log.warning(
            "%s differs from DataLoader.Eval.dataset.transform_ops, which is used, so that images "
            "are prepared as they were in evaluation; remove Infer.transforms",
            config.where("Infer", "transforms"),
        )
    return transform


def _pipeline(config: Config, ops: List[Part], *key: str) -> Pipeline:
    with config.naming(*key):
        return Pipeline(ops)


def _warn_of_other_transforms(transform: Pipeline, metadata: Dict[str, Any], path: Path) -> None:
    """Say so when images are prepared otherwise than when the weights were judged in training."""
    then: Any = noted_config(metadata, str(path))
    for key in ("DataLoader", "Eval", "dataset", "transform_ops"):
        then = then.get(key) if isinstance(then, dict) else None
    if not isinstance(then, list):
        return
    try:
        before = Pipeline([parse("transform", op) for op in then]).spec()
    except (ValidationError, PpclsError):
        before = []  # written by another version, whose words mean something else now
    if before != transform.spec():
        _log.warning(
            "images are prepared otherwise than when %s was trained, so expect other results; the "
            "settings of that run are in the config.yaml of its output folder (-c FILE)",
            path,
        )


def _refuse_other_names(config: Config, trained: ClassMap, path: Path) -> None:
    """Compare the label file of the configuration with the classes that the weights know.

    Numbers would mean other classes otherwise, without a word. Weights whose classes have no names
    but their numbers fit any names.
    """
    if config.Global.class_id_map_file is None or trained == ClassMap.numbered(len(trained)):
        return
    named = ClassMap.from_label_file(config.Global.class_id_map_file)
    pairs = enumerate(zip_longest(trained.names, named.names))
    first = next((f"class {i} is {a!r} there, {b!r} here" for i, (a, b) in pairs if a != b), None)
    if first is not None:
        raise CheckpointError(
            f"{path} was trained for other classes than {config.Global.class_id_map_file} "
            f"names ({config.where('Global', 'class_id_map_file')}): {first}"
        )


def _class_map(config: Config, metadata: Dict[str, Any], path: Path, published: bool) -> ClassMap:
    """Return the classes that the weights were trained for; foreign weights follow the
    configuration, published ones are called as in ImageNet unless that names them.
    """
    wanted: Optional[int] = config.Arch.part.arguments.get("class_num")
    if "class_names" in metadata:
        found = ClassMap(metadata["class_names"])
        if wanted is not None and wanted != len(found):
            raise CheckpointError(
                f"{path} was trained for {len(found)} classes, but "
                f"{config.where('Arch', 'class_num')} is {wanted}. Use -o "
                f"Arch.class_num={len(found)}, or leave class_num out"
            )
        _refuse_other_names(config, found, path)
        return found
    named = class_map_of_files(config)
    if published:
        return _of_published(named, wanted, path)
    if named is not None:
        return named
    if wanted is None:
        raise ConfigError(
            f"Arch.class_num: how many classes {path} has is not noted in it; set Arch.class_num"
        )
    return ClassMap.numbered(wanted)


def _of_published(named: Optional[ClassMap], wanted: Optional[int], path: Path) -> ClassMap:
    """Return ImageNet's classes as the configuration names them, else as they are called here."""
    classes = imagenet_classes()
    count = len(named) if named else wanted
    if count not in (None, len(classes)):
        raise CheckpointError(
            f"{path}: published weights know the {len(classes)} classes of ImageNet, but the "
            f"configuration has {count}. Train first: `ppcls train` starts from them and adapts "
            "them. To use the weights of a run, give no -o Arch.pretrained"
        )
    return named or classes


def _origin(metadata: Dict[str, Any]) -> str:
    is_known = "epoch" in metadata and "step" in metadata
    return f" (epoch {metadata['epoch']}, step {metadata['step']})" if is_known else ""
