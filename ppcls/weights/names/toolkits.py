"""The toolkits whose weights can be read: their models, and their names of our parameters.

`ppcls.weights.names.families` has a file for each family with these names; here they are looked up.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from itertools import chain
from typing import Any, Dict, List, Optional, Tuple

from ppcls import registry
from ppcls.errors import ConfigError, did_you_mean
from ppcls.weights.names.rules import Model, Naming, translate

SOURCES = {
    # toolkit      whether the weight of a fully connected layer is [in, out]
    "paddleclas": True,
    "torchvision": False,
    "timm": False,
    "efficientnet_pytorch": False,
}


@cache
def namings(source: str) -> Dict[str, Naming]:
    """Return {family: naming} of a toolkit, from all files of `ppcls.weights.names.families`.

    Raises:
        ConfigError: the toolkit is unknown.
    """
    if source not in SOURCES:
        near = did_you_mean(source, list(SOURCES))
        raise ConfigError(f"unknown toolkit '{source}'.{near} Accepted: {', '.join(SOURCES)}")
    home = importlib.import_module("ppcls.weights.names.families")
    files = [f"{home.__name__}.{item.name}" for item in pkgutil.iter_modules(home.__path__)]
    modules = [importlib.import_module(name) for name in files]
    return {module.FAMILY: module.NAMINGS[source] for module in modules if source in module.NAMINGS}


def naming_of(source: str, network: Any) -> Optional[Naming]:
    """Return how `source` names a network of this family, None if it has none or is ourselves."""
    return None if source == "ppcls" else namings(source).get(type(network).__name__)


def reference_names(source: str, network: Any) -> Dict[str, str]:
    """Return, for every array of `network`, its name in the toolkit `source`: {ours: theirs}.

    The result is empty when the toolkit has no checkpoints of this family.
    """
    naming = naming_of(source, network)
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
    return model, namings(source)[family]


def other_form(source: str, network: Any) -> str:
    """Return the name of the network that `source` builds where `network` is PaddleClas' form.

    The result is empty when both are the same, or the toolkit has no such network.
    """
    naming = naming_of(source, network)
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
    naming = naming_of(source, network)
    pattern = naming.auxiliary if naming else r"aux\d?\."
    return bool(pattern and re.match(pattern, name))


@cache
def _models(source: str) -> Dict[str, Model]:
    """Return {their name: our name and arguments} over all families."""
    return dict(chain.from_iterable(naming.models.items() for naming in namings(source).values()))
