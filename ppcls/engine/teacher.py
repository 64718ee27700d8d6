"""The network that another one learns from, which is neither trained nor saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import paddle

from ppcls import weights
from ppcls.arch import build as build_network_part
from ppcls.arch.network import Network
from ppcls.arch.plain import accepted_sizes
from ppcls.config import Config
from ppcls.config.schema import TeacherSection
from ppcls.data.dataset import ClassMap
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind
from ppcls.loss.outputs import main_logits
from ppcls.registry import Part
from ppcls.weights.hub.published import network_weights


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network, in evaluation mode."""

    network: Network
    path: Path

    def __call__(self, images: paddle.Tensor) -> paddle.Tensor:
        """Return its logits [n, classes] for images, without gradients."""
        with paddle.no_grad():
            return main_logits(self.network(images))


def build_teacher(config: Config, class_map: ClassMap, channels: int) -> Teacher:
    """Build `Teacher` with its weights.

    Args:
        config: has the section.
        class_map: the classes of the network that learns.
        channels: of the images.

    Raises:
        ConfigError: it knows other classes, or takes other images.
        PpclsError: there are no such weights, or they do not fit.
    """
    section = config.Teacher
    assert section is not None
    if not section.pretrained:
        raise ConfigError(
            f"{config.where('Teacher', 'pretrained')}: nothing can be learnt from a network "
            "without weights; name a file, or write True for the published ones"
        )
    sizes = {"class_num": len(class_map), "in_channels": channels}
    _check_sizes(config, section, sizes)
    part = section.part
    arguments = {**part.arguments, **accepted_sizes(part.name, **sizes)}
    with config.naming("Teacher"):
        network = build_network_part(Part("arch", part.name, arguments))
    with config.naming("Teacher", "pretrained"):
        named = section.pretrained
        path = network_weights(part.name) if named is True else Path(str(named))
        file = weights.read(path)
        refuse_other_classes(file.metadata.get("class_names"), class_map, path)
        if file.metadata.get("labels") == str(LabelKind.MULTI_HOT):
            raise ConfigError(
                f"{path} was trained for images with any number of classes, and a teacher gives "
                "the probabilities of classes that exclude each other; take another one"
            )
        weights.load(network, file, "exact")
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return Teacher(network, path)


def _check_sizes(config: Config, section: TeacherSection, sizes: Dict[str, int]) -> None:
    given: Dict[str, Any] = section.part.arguments
    for key, value in sizes.items():
        if given.get(key, value) != value:
            raise ConfigError(
                f"{config.where('Teacher', key)} is {given[key]}, but the network that learns from "
                f"it has {value}; a teacher knows the same classes and sees the same images"
            )


def refuse_other_classes(noted: Optional[Sequence[str]], class_map: ClassMap, path: Path) -> None:
    """Refuse weights whose file notes other classes, or the same ones in another order; numbers fit
    any names.

    Args:
        noted: the names that the file has, if it has any.
        class_map: those of the network that learns.
        path: the file, for the message.

    Raises:
        ConfigError: they differ.
    """
    if noted is None or list(noted) == list(class_map.names):
        return
    numbers = ClassMap.numbered(len(class_map))
    if len(noted) == len(class_map) and numbers in (class_map, ClassMap(list(noted))):
        return
    pairs = enumerate(zip(noted, class_map.names))
    first = next((f"; class {i} is {a!r} there, {b!r} here" for i, (a, b) in pairs if a != b), "")
    raise ConfigError(
        f"{path} knows {len(noted)} classes, the data has {len(class_map)}{first}. A teacher must "
        "be trained for the same classes, in the same order"
    )
