"""Signatures as schemas: which arguments a part takes, and which of them the program supplies."""

from __future__ import annotations

import inspect
from functools import cache
from typing import (
    Annotated,
    Any,
    Callable,
    FrozenSet,
    List,
    Tuple,
    TypeVar,
    get_args,
    get_type_hints,
)

from pydantic_core import PydanticUndefined

T = TypeVar("T")


class _ProvidedMarker:
    """Marks a constructor parameter that the program supplies and YAML may not."""


Provided = Annotated[T, _ProvidedMarker()]


def parameters(constructor: Callable[..., Any]) -> List[Tuple[str, Any, Any]]:
    """Return name, annotation and default of every argument.

    Raises:
        TypeError: there are arguments without names (`*args`, `**kwargs`).
    """
    function = constructor.__init__ if inspect.isclass(constructor) else constructor  # type: ignore[misc]
    if _is_of_every_layer(function):
        return []
    hints = get_type_hints(function, include_extras=True)
    found = []
    for key, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"{constructor!r} takes *{key}, which cannot be checked; name every argument"
            )
        required = parameter.default is parameter.empty
        # Not `...`: where the annotation has limits, pydantic 2.0 takes it literally.
        default = PydanticUndefined if required else parameter.default
        found.append((key, hints.get(key, Any), default))
    return found


def _is_of_every_layer(function: Any) -> bool:
    """Whether a class has no constructor of its own, but that of Paddle's `Layer`, whose arguments
    say nothing of the class and whose annotations cannot be read.
    """
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    return name == "Layer.__init__" and str(module).partition(".")[0] == "paddle"


def is_provided(annotation: Any) -> bool:
    """Whether the annotation of an argument says that the program supplies it."""
    # Before Python 3.11 the hint of a parameter whose default is None arrives wrapped in Optional.
    layers = (annotation, *get_args(annotation))
    extras = (extra for layer in layers for extra in getattr(layer, "__metadata__", ()))
    return any(isinstance(extra, _ProvidedMarker) for extra in extras)


@cache
def provided_names(constructor: Callable[..., Any]) -> FrozenSet[str]:
    """Return the arguments that the program supplies."""
    return frozenset(
        key for key, annotation, _ in parameters(constructor) if is_provided(annotation)
    )
