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

import collections.abc
import fnmatch
import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from typing import (
    Annotated,
    Any,
    Callable,
    Dict,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from ppcls.errors import ConfigError, did_you_mean

T = TypeVar("T")

_HOMES = {
    "arch": "ppcls.arch.backbone",
    "transform": "ppcls.data.transforms",
    "batch_transform": "ppcls.data.batch_transforms",
    "dataset": "ppcls.data.dataset",
    "sampler": "ppcls.data.sampler",
    "loss": "ppcls.loss",
    "metric": "ppcls.metric",
    "optimizer": "ppcls.optimizer",
    "schedule": "ppcls.optimizer.schedule",
    "regularizer": "ppcls.optimizer.regularizer",
    "postprocess": "ppcls.inference.postprocess",
}
"""Which package or module registers the parts of a kind when it is imported."""


class _ProvidedMarker:
    """Marks a constructor parameter that the program supplies and YAML may not."""


Provided = Annotated[T, _ProvidedMarker()]


@dataclass(frozen=True)
class Entry:
    """One registered name: its constructor and the arguments that its table row fixes as
    defaults.
    """

    kind: str
    name: str
    constructor: Callable[..., Any]
    preset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accepted(self) -> List[str]:
        """The argument names that YAML may give."""
        return list(arguments_model(self.kind, self.name).model_fields)


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
        wanted = _provided_names(entry.constructor)
        given = {key: value for key, value in provided.items() if key in wanted}
        return entry.constructor(**{**entry.preset, **self.arguments, **given})

    def accepts(self, argument: str) -> bool:
        """Whether the part's signature has the argument `argument`."""
        return argument in lookup(self.kind, self.name).accepted


class Section(BaseModel):
    """Base of everything that is checked: unknown keys are errors that list the accepted ones and
    the nearest.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        populate_by_name=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _explain_unknown_keys(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        if value is None:
            value = {}
        try:
            return handler(value)
        except ValidationError as error:
            raise _rewritten(error, cls) from None


class PartOf:
    """Annotation for a field that holds one part of `kind`: ``lr: Annotated[Part,
    PartOf("schedule")]``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: parse(self.kind, value))


class PartsOf:
    """Annotation for a list of parts: ``transform_ops: Annotated[List[Part],
    PartsOf("transform")]``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        item = core_schema.no_info_plain_validator_function(lambda value: parse(self.kind, value))
        return core_schema.list_schema(item)


_entries: Dict[Tuple[str, str], Entry] = {}


def register(kind: str, name: Optional[str] = None, **preset: Any) -> Callable[[T], T]:
    """Register a class or function as the part `name` (its own name by default) of `kind`.

    `preset` overrides the constructor's defaults for this name: one row of a table of variants.

    Raises:
        ValueError: the kind is unknown, or the name is taken by another constructor.
    """
    if kind not in _HOMES:
        raise ValueError(f"unknown kind of part '{kind}'; the kinds are {', '.join(_HOMES)}")

    def add(constructor: T) -> T:
        key = (kind, name or constructor.__name__)  # type: ignore[attr-defined]
        if key in _entries:
            raise ValueError(f"{kind} '{key[1]}' is registered twice")
        _entries[key] = Entry(*key, constructor=constructor, preset=preset)  # type: ignore[arg-type]
        return constructor

    return add


def names(kind: str, pattern: str = "*") -> List[str]:
    """Return the registered names of a kind that match a shell-style pattern, in natural order."""
    _load(kind)
    return sorted(name for k, name in _entries if k == kind and fnmatch.fnmatchcase(name, pattern))


def lookup(kind: str, name: str) -> Entry:
    """Return the entry of a registered part.

    Raises:
        ConfigError: no part of that kind has this name; the message gives the nearest one and all
            accepted ones.
    """
    _load(kind)
    if (kind, name) not in _entries:
        accepted = names(kind)
        label = kind.replace("_", " ")
        raise ConfigError(
            f"unknown {label} '{name}'.{did_you_mean(name, accepted)} Accepted: "
            f"{', '.join(accepted) or 'none yet'}"
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
        raise _error_at(prefix or ("name",), str(error), value) from None
    try:
        checked = model.model_validate(arguments)
    except ValidationError as error:
        raise _moved(error, prefix) from None
    return Part(kind, name, {key: getattr(checked, key) for key in checked.model_fields_set})


def create(kind: str, name: str, arguments: Mapping[str, Any], **provided: Any) -> Any:
    """Check `arguments` and build the part, for callers from Python.

    Raises:
        ConfigError: an argument is unknown or of the wrong type.
    """
    lookup(kind, name)
    try:
        part = parse(kind, {"name": name, **arguments})
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None
    return part.build(**provided)


@cache
def arguments_model(kind: str, name: str) -> type[Section]:
    """Return the pydantic model of the arguments that YAML may give to a part."""
    entry = lookup(kind, name)
    fields: Dict[str, Any] = {}
    for key, annotation, default in _parameters(entry.constructor):
        if not _is_provided(annotation):
            fields[key] = (annotation, entry.preset.get(key, default))
    return create_model(name, __base__=Section, **fields)


def _parameters(constructor: Callable[..., Any]) -> List[Tuple[str, Any, Any]]:
    function = constructor.__init__ if inspect.isclass(constructor) else constructor  # type: ignore[misc]
    hints = get_type_hints(function, include_extras=True)
    found = []
    for key, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"{constructor!r} takes *{key}, which cannot be checked; name every argument"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        found.append((key, hints.get(key, Any), default))
    return found


def _is_provided(annotation: Any) -> bool:
    # Before Python 3.11 the hint of a parameter whose default is None arrives wrapped in Optional.
    layers = (annotation, *get_args(annotation))
    extras = (extra for layer in layers for extra in getattr(layer, "__metadata__", ()))
    return any(isinstance(extra, _ProvidedMarker) for extra in extras)


@cache
def _provided_names(constructor: Callable[..., Any]) -> frozenset[str]:
    return frozenset(
        key for key, annotation, _ in _parameters(constructor) if _is_provided(annotation)
    )


@cache
def _load(kind: str) -> None:
    """Import every module of the kind's home, so that adding a part needs no second place to
    edit.
    """
    home = importlib.import_module(_HOMES[kind])
    for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
        importlib.import_module(f"{home.__name__}.{module.name}")


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
        f"got {value!r}"
    )
    raise _error_at((), message, value)


def _error_at(location: Tuple[Any, ...], message: str, value: Any) -> ValidationError:
    # A custom message is a format string to pydantic, so braces in it travel as a value.
    error = PydanticCustomError("ppcls", "{message}", {"message": message})
    return ValidationError.from_exception_data(
        "part", [InitErrorDetails(type=error, loc=location, input=value)]
    )


def _moved(error: ValidationError, prefix: Tuple[str, ...]) -> ValidationError:
    details = [_detail(item, prefix + tuple(item["loc"]), item["msg"]) for item in error.errors()]
    return ValidationError.from_exception_data(error.title, details)


def _rewritten(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    details = []
    for item in _without_branches(error.errors(), model):
        message = _friendlier(item["msg"])
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            message = _unknown_key(str(item["loc"][0]), model.model_fields)
        elif item["type"] == "missing" and len(item["loc"]) == 1:
            kind = _words(model.model_fields[str(item["loc"][0])].annotation)
            message = f"required, but missing; it takes {kind}"
        elif item["type"] != "ppcls":
            message = f"{message}, got {item['input']!r}"
        details.append(_detail(item, tuple(item["loc"]), message))
    return ValidationError.from_exception_data(error.title, details)


def _without_branches(errors: List[Any], model: type[BaseModel]) -> List[Any]:
    """Tell once what a field with several types takes, where pydantic complains once for each."""
    found: Dict[Any, Any] = {}
    for item in errors:
        key, *rest = item["loc"] or ("",)
        kinds = (
            _alternatives(model.model_fields[key].annotation) if key in model.model_fields else []
        )
        if len(kinds) < 2 or item["type"] == "ppcls":
            found[item["loc"]] = item
        elif len(rest) == 1 and not item["type"].endswith("_type"):
            return [{**item, "loc": (key,)}]  # the right type, but out of its range
        elif len(rest) == 1:
            words = " or ".join(_words(kind) for kind in kinds)
            found[key] = {**item, "loc": (key,), "msg": f"expected {words}"}
    return list(found.values())


def _detail(item: Any, location: Tuple[Any, ...], message: str) -> InitErrorDetails:
    error = PydanticCustomError("ppcls", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=item["input"])


def _unknown_key(key: str, fields: Mapping[str, FieldInfo]) -> str:
    accepted = ", ".join(fields) or "no arguments"
    return f"unknown key '{key}'.{did_you_mean(key, fields)} Accepted here: {accepted}"


def _friendlier(message: str) -> str:
    """Put pydantic's words for people who do not know it."""
    start = "Input should be a valid "
    for theirs, ours in _PYDANTIC.items():
        if message.startswith(start + theirs):
            return f"expected {ours}"
    return message.replace("Input should be", "must be")


_PYDANTIC = {
    "boolean": "True or False",
    "dictionary": "keys with values",
    "integer": "a whole number",
    "list": "a list",
    "number": "a number",
    "string": "text",
}
_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def _alternatives(annotation: Any) -> List[Any]:
    """The types of a union besides None; a single type is the only one."""
    kinds = get_args(annotation) if get_origin(annotation) is Union else (annotation,)
    return [kind for kind in kinds if kind is not type(None)]


def _words(annotation: Any) -> str:
    """Say what a type takes: "a number", "a list of texts", "a section of keys"."""
    kinds = _alternatives(annotation)
    if len(kinds) > 1:
        return " or ".join(map(_words, kinds))
    origin, inside = get_origin(kinds[0]), get_args(kinds[0])
    if origin is Annotated:
        return _words(inside[0])
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if origin in (list, collections.abc.Sequence):
        return f"a list of {_NAMES.get(inside[0], 'value').replace('a ', '')}s"
    return _NAMES.get(kinds[0], "keys with values")
