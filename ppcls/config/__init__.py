"""Configuration files: read with their line numbers, inherited, overridden, and checked before
anything is built.
"""

from __future__ import annotations

from ppcls.config.load import (
    ConfigSource,
    as_config,
    check,
    find_recipe,
    load_config,
    require,
    to_yaml,
    with_values,
)
from ppcls.config.schema import Config

__all__ = [
    "Config",
    "ConfigSource",
    "as_config",
    "check",
    "find_recipe",
    "load_config",
    "require",
    "to_yaml",
    "with_values",
]
