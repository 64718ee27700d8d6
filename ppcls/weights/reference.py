"""Weights that other toolkits trained, under the names that they use.

`ppcls.weights.families` has a file for each family that says how each toolkit names it; this module
looks them up, and turns arrays from a toolkit's names and layout into ours.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from ppcls import registry
from ppcls.errors import ConfigError, did_you_mean
from ppcls.weights.naming import Model, Naming, translate

SOURCES = {
    # toolkit      whether the weight of a fully connected layer is [in, out]
    "paddleclas": True,
    "torchvision": False,
    "timm": False,
    "efficientnet_pytorch": False,
}

Arrays = Dict[str, np.ndarray]


def reference_names(source: str, network: Any) -> Dict[str, str]:
    """Return, for every array of `network`, its name in the toolkit `source`: {ours: theirs}.

    The result is empty when the toolkit has no checkpoints of this family.
    """
    naming = _namings(source).get(type(network).__name__)
    if naming is None:
        return {}
    return {name: translate(name, naming.rules, network) for name in network.state_dict()}


def reference_models(source: str) -> List[str]:
    """Return the names of the toolkit's models whose weights can be read, sorted.

    Raises:
        ConfigError: the toolkit is unknown.
    """
    return sorted(_models(source))


def find_reference(source: str, name: str) -> Tuple[Model, Naming]:
    """Return which of our networks the model `name` of `source` is, and how it is named there.

    Raises:
        ConfigError: the toolkit or the model is unknown.
    """
    models = _models(source)
    # timm writes the name of the weights behind a point: resnet50.a1_in1k.
    name = name if name in models or source != "timm" else name.partition(".")[0]
    if name not in models:
        raise ConfigError(
            f"unknown model '{name}' of {source}.{did_you_mean(name, list(models))} "
            f"'ppcls convert --source {source} --list' lists the accepted names"
        )
    model = models[name]
    family = registry.lookup("arch", model[0]).constructor.__name__
    return model, _namings(source)[family]


def other_form(source: str, network: Any) -> str:
    """Return the name of the network that `source` builds where `network` is PaddleClas' form.

    The result is empty when both are the same, or the toolkit has no such network.
    """
    naming = None if source == "ppcls" else _namings(source).get(type(network).__name__)
    forms = {ours for ours, _ in naming.models.values()} if naming else set()
    if not forms or network.model_name in forms:
        return ""
    found = [f"{network.model_name}_{suffix}" for suffix in ("tv", "timm", "tf")]
    return next((name for name in found if name in forms), "")


def is_auxiliary(source: str, network: Any, name: str) -> bool:
    """Say whether an array that the network has no place for is an auxiliary head's.

    Args:
        source: whose name it is: "ppcls" or a key of `SOURCES`.
        network: a network of the family.
        name: the array's name.
    """
    naming = None if source == "ppcls" else _namings(source).get(type(network).__name__)
    pattern = naming.auxiliary if naming else r"aux\d?\."
    return bool(pattern and re.match(pattern, name))


def to_own_names(network: Any, arrays: Mapping[str, np.ndarray]) -> Tuple[Arrays, str]:
    """Recognise whose names `arrays` has, and return the arrays as ours, and the source.

    The source whose names occur most often wins; "ppcls" is ourselves, and also the answer when no
    name is known. Arrays whose name has no counterpart keep it.
    """
    best, known = "ppcls", len(arrays.keys() & network.state_dict().keys())
    for source in SOURCES:
        names = set(reference_names(source, network).values())
        found = len(_todays_names(source, network, arrays).keys() & names)
        if found > known:
            best, known = source, found
    return (dict(arrays) if best == "ppcls" else from_names(best, network, arrays)), best


def from_names(source: str, network: Any, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Return `arrays` of the toolkit `source` under our names and in our layout.

    PyTorch's counters of batches are left out: nothing here needs them. Arrays whose name has no
    counterpart keep it.
    """
    own = {theirs: name for name, theirs in reference_names(source, network).items()}
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    found = {}
    for theirs, array in _todays_names(source, network, arrays).items():
        name = own.get(theirs, theirs)
        found[name] = _laid_out(array, len(shapes.get(name, [])), SOURCES[source])
    return found


def _todays_names(source: str, network: Any, arrays: Mapping[str, np.ndarray]) -> Arrays:
    naming = _namings(source).get(type(network).__name__)
    if naming is None:
        return dict(arrays)
    return {
        translate(name, naming.older): array
        for name, array in arrays.items()
        if not name.endswith("num_batches_tracked")
    }


def _laid_out(array: np.ndarray, dimensions: int, in_first: bool) -> np.ndarray:
    """Turn the weight of a fully connected layer into [in, out], or into that of a 1x1 convolution,
    whichever the network has; a convolution as large as its input is the same layer.
    """
    if dimensions == 2 and array.ndim == 4:
        return array.reshape(len(array), -1).T
    if dimensions == 4 and array.ndim == 2:
        return (array.T if in_first else array)[:, :, None, None]
    if dimensions == 2 and array.ndim == 2 and not in_first:
        return array.T
    return array


@cache
def _namings(source: str) -> Dict[str, Naming]:
    """Return {family: naming} of a toolkit, from all files of `ppcls.weights.families`."""
    if source not in SOURCES:
        near = did_you_mean(source, list(SOURCES))
        raise ConfigError(f"unknown toolkit '{source}'.{near} Accepted: {', '.join(SOURCES)}")
    home = importlib.import_module("ppcls.weights.families")
    files = [f"{home.__name__}.{item.name}" for item in pkgutil.iter_modules(home.__path__)]
    modules = [importlib.import_module(name) for name in files]
    return {module.FAMILY: module.NAMINGS[source] for module in modules if source in module.NAMINGS}


@cache
def _models(source: str) -> Dict[str, Model]:
    """Return {their name: our name and arguments} over all families; PaddleClas' names are ours."""
    found: Dict[str, Model] = {}
    for family, naming in _namings(source).items():
        found.update(naming.models or _own_models(family))
    return found


def _own_models(family: str) -> Dict[str, Model]:
    """Return our own variants of a family, without those that are another toolkit's (`_tv`)."""
    names = [name for name in registry.names("arch") if not name.endswith("_tv")]
    entries = {name: registry.lookup("arch", name) for name in names}
    return {
        name: (name, {}) for name, entry in entries.items() if entry.constructor.__name__ == family
    }
