"""The one registry: every part that a YAML file can name, with its typed signature as the schema.

A part (network, transform, data set, loss, ...) is registered under a kind and a name::

    @register("transform")
    class CropImage:
        def __init__(self, size: Union[int, List[int]]) -> None: ...

    register("arch", "VGG16", depths=[2, 2, 3, 3, 3])(VGG)    # a variant: one row of a table

YAML names it as ``{CropImage: {size: 224}}``, as ``{name: CropImage, size: 224}``, or as plain
``CropImage``. `parse` checks the arguments against the constructor's signature before anything is
built. Parameters annotated `Provided[...]` come from the program and are not accepted in YAML;
parameters annotated with `PartOf` or `PartsOf` hold parts themselves and are checked in the same
way.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, get_args

from pydantic import ValidationError, create_model
from pydantic_core import core_schema

from ppcls.checking import Section, error_at, mistakes, moved
from ppcls.errors import ConfigError, did_you_mean
from ppcls.signatures import Provided as Provided
from ppcls.signatures import is_provided, parameters, provided_names
from ppcls.text import shortened, shown

T = TypeVar("T")

_HOMES = {
    "arch": "ppcls.arch.backbone",
    "neck": "ppcls.arch.neck",
    "transform": "ppcls.data.transforms",
    "batch_transform": "ppcls.data.batch_transforms",
    "dataset": "ppcls.data.dataset",
    "sampler": "ppcls.data.sampler",
    "loss": "ppcls.loss",
    "metric": "ppcls.metric",
    "optimizer": "ppcls.optimizer",
    "schedule": "ppcls.optimizer.schedule",
    "regularizer": "ppcls.optimizer.regularizer",
    "logger": "ppcls.engine.loggers",
    "postprocess": "ppcls.inference.postprocess",
}
"""Which package or module registers the parts of a kind when it is imported."""

_LISTED_BY = {"arch": "ppcls models"}
"""The command that lists the names of a kind with too many for a message."""


_MOST_PARTS = 100
"""The longest list of parts. Each has its own message when it is unknown, which takes time."""


@dataclass(frozen=True)
class Entry:
    """One registered name: its constructor and the arguments that its table row fixes as
    defaults.
    """

    kind: str
    name: str
    constructor: Callable[..., Any]
    preset: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A checked choice from a YAML file: a registered name with valid arguments, ready to be
    built.
    """

    kind: str
    name: str
    arguments: Dict[str, Any] = field(default_factory=dict)

    def build(self, **provided: Any) -> Any:
        """Construct the part; `provided` holds what its signature marks as `Provided`."""
        entry = lookup(self.kind, self.name)
        wanted = provided_names(entry.constructor)
        given = {key: value for key, value in provided.items() if key in wanted}
        return entry.constructor(**{**entry.preset, **self.arguments, **given})


class PartOf:
    """Annotation for a field that holds one part of `kind`: ``lr: Annotated[Part,
    PartOf("schedule")]``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        schema = self._schema()
        # Let None through where the annotated type does.
        return core_schema.nullable_schema(schema) if type(None) in get_args(source) else schema

    def _schema(self) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: parse(self.kind, value))


class PartsOf(PartOf):
    """Annotation for a list of parts: ``transform_ops: Annotated[List[Part],
    PartsOf("transform")]``.
    """

    def _schema(self) -> core_schema.CoreSchema:
        return core_schema.list_schema(super()._schema(), max_length=_MOST_PARTS)


_entries: Dict[Tuple[str, str], Entry] = {}


def register(kind: str, name: Optional[str] = None, **preset: Any) -> Callable[[T], T]:
    """Register a class or function as the part `name` (its own name by default) of `kind`.

    `preset` overrides the constructor's defaults for this name: one row of a table of variants.

    A class that is defined again, as a notebook's cell that is run twice does, replaces itself.

    Raises:
        ValueError: the kind is unknown, or the name is taken by another constructor.
    """
    if kind not in _HOMES:
        hint = did_you_mean(kind, _HOMES)
        raise ValueError(f"unknown kind of part '{kind}'.{hint} The kinds are {', '.join(_HOMES)}")

    def add(constructor: T) -> T:
        key = (kind, name or constructor.__name__)  # type: ignore[attr-defined]
        if not is_built_in(constructor):
            _load(kind)  # a name that is taken must be noticed here, not in our own files later
        if key in _entries and not _is_again(_entries[key].constructor, constructor):
            owner = _entries[key].constructor.__module__
            raise ValueError(
                f"{kind} '{key[1]}' is registered twice (first in {owner}); give it another name"
            )
        _entries[key] = Entry(*key, constructor=constructor, preset=preset)  # type: ignore[arg-type]
        arguments_model.cache_clear()
        return constructor

    return add


def is_built_in(constructor: Any) -> bool:
    """Whether a part is one of this toolkit's."""
    return str(getattr(constructor, "__module__", "")).startswith("ppcls.")


def _is_again(before: Any, now: Any) -> bool:
    """Whether the same definition of a user's was run again, which makes another object."""
    same = (before.__module__, before.__qualname__) == (now.__module__, now.__qualname__)
    return same and before is not now and not is_built_in(now)


def entries() -> List[Entry]:
    """Return all parts that have been registered so far."""
    return list(_entries.values())


def names(kind: str, pattern: str = "*") -> List[str]:
    """Return the registered names of a kind that match a shell-style pattern, sorted."""
    _load(kind)
    _load_installed()
    return sorted(name for k, name in _entries if k == kind and fnmatch.fnmatchcase(name, pattern))


def lookup(kind: str, name: str) -> Entry:
    """Return the entry of a registered part.

    Raises:
        ConfigError: no part of that kind has this name; the message gives the nearest one, and all
            accepted ones or the command that lists them.
    """
    _load(kind)
    if (kind, name) not in _entries:
        _load_installed()
    if (kind, name) not in _entries:
        accepted = names(kind)
        label, listed_by = kind.replace("_", " "), _LISTED_BY.get(kind)
        listed = f"Accepted: {', '.join(accepted) or 'none yet'}; --import FILE adds your own"
        raise ConfigError(
            f"unknown {label} '{shortened(name)}'.{did_you_mean(name, accepted)} "
            + (f"'{listed_by}' lists the accepted names" if listed_by else listed)
        )
    return _entries[kind, name]


def parse(kind: str, value: Any) -> Part:
    """Check what YAML says of a part and return it.

    Raises:
        pydantic.ValidationError: with the location inside `value` of every mistake.
    """
    name, arguments, prefix = _split(kind, value)
    try:
        model = arguments_model(kind, name)
    except ConfigError as error:
        raise error_at(prefix or ("name",), str(error), value) from None
    try:
        checked = model.model_validate(arguments)
    except ValidationError as error:
        raise moved(error, prefix) from None
    return Part(kind, name, {key: getattr(checked, key) for key in checked.model_fields_set})


def create(kind: str, name: str, arguments: Mapping[str, Any], **provided: Any) -> Any:
    """Check `arguments` and build the part, for callers from Python.

    Raises:
        ConfigError: an argument is unknown or of the wrong type.
    """
    return checked(kind, name, arguments).build(**provided)


def checked(kind: str, name: str, arguments: Mapping[str, Any]) -> Part:
    """Check `arguments` and return the part, for callers from Python.

    Raises:
        ConfigError: an argument is unknown or of the wrong type.
    """
    lookup(kind, name)
    return as_part(kind, {"name": name, **arguments})


def as_part(kind: str, value: Any) -> Part:
    """Return a part as it is, or check what is written of one as in YAML; for callers from Python.

    Raises:
        ConfigError: the part or an argument of it is unknown or of the wrong type.
    """
    if isinstance(value, Part):
        return value
    try:
        return parse(kind, value)
    except ValidationError as error:
        name = value["name"] if isinstance(value, Mapping) and "name" in value else kind
        raise ConfigError("\n".join(f"{name}: {line}" for line in mistakes(error))) from None


@cache
def arguments_model(kind: str, name: str) -> type[Section]:
    """Return the pydantic model of the arguments that YAML may give to a part."""
    entry = lookup(kind, name)
    fields: Dict[str, Any] = {}
    for key, annotation, default in parameters(entry.constructor):
        if not is_provided(annotation):
            fields[key] = (annotation, entry.preset.get(key, default))
    return create_model(name, __base__=Section, **fields)


@cache
def _load(kind: str) -> None:
    """Import every module of the kind's home, so that no list names the files of parts."""
    home = importlib.import_module(_HOMES[kind])
    for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
        importlib.import_module(f"{home.__name__}.{module.name}")


def _load_installed() -> None:
    """Import the parts of installed packages, which takes time that known names do not cost."""
    from ppcls.own_parts import import_installed

    import_installed()


def _split(kind: str, value: Any) -> Tuple[str, Any, Tuple[str, ...]]:
    """Return a part's name, its arguments, and where they stand inside `value`."""
    if isinstance(value, str):
        return value, {}, ()
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return value["name"], {key: item for key, item in value.items() if key != "name"}, ()
    if isinstance(value, dict) and len(value) == 1 and "name" not in value:
        name, arguments = next(iter(value.items()))
        return str(name), {} if arguments is None else arguments, (str(name),)
    label = kind.replace("_", " ")
    message = (
        f"expected one {label}, written as 'Name: {{argument: value}}' or with 'name: Name', "
        f"got {shown(value)}"
    )
    raise error_at((), message, value)
