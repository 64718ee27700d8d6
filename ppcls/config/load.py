"""From a file name and overrides to a checked configuration, or to all that is wrong with it at
once.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple, Union

import yaml
from pydantic import ValidationError

from ppcls.checking import MOST_TOLD
from ppcls.config.distillation import translate_distillation
from ppcls.config.document import Document, KeyPath
from ppcls.config.hints import key_for, known_keys
from ppcls.config.imports import add_imports, refuse_imports, run_imports
from ppcls.config.inert import remove_inert
from ppcls.config.inherit import copied, recipe_homes, resolve
from ppcls.config.paddleclas_arch import translate_arch
from ppcls.config.schema import Config, describe, written_path
from ppcls.errors import ConfigError, did_you_mean
from ppcls.text import shortened
from ppcls.yaml_text import parse_value

ConfigSource = Union[Config, str, Path, Mapping[str, Any]]
"""A checked configuration, the path of a file, or the content of one without `_base_`."""

_log = logging.getLogger("ppcls")


def load_config(
    path: str, overrides: Sequence[str] = (), imports: Sequence[str] = (), trusted: bool = True
) -> Config:
    """Read, resolve and check a configuration file, and import what its `Global.imports` names.

    Args:
        path: a YAML file; a path that does not exist is looked for among the recipes that come with
            the package.
        overrides: texts of the form ``a.b.0.c=value``.
        imports: what to import besides, see `ppcls.own_parts.import_parts`.
        trusted: whether what the file names in `Global.imports` may be imported; otherwise it must
            have been imported before.

    Raises:
        ConfigError: with every mistake of the file, each with file, line, key path and what is
            accepted; or something cannot be imported.
    """
    file = find_recipe(path)
    document = resolve(file, overrides)
    add_imports(document, imports)
    if trusted:
        run_imports(document, file.parent)
    else:
        refuse_imports(document)
    return check(document, path)


def as_config(source: ConfigSource) -> Config:
    """Return a checked configuration as it is; read the file of a path, or check a mapping.

    Raises:
        ConfigError: with every mistake, or of a value that YAML cannot hold (NumPy's numbers), or
            of `Global.imports` in a mapping that names what has not been imported.
    """
    if isinstance(source, Config):
        return source
    if isinstance(source, Mapping):
        document = Document(_plain(source))
        refuse_imports(document)
        return check(document, "the configuration")
    return load_config(str(source))


def _plain(source: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a copy, as it would come out of the file that a run keeps of its configuration."""
    try:
        return dict(copied(parse_value(to_yaml(dict(source)))))
    except yaml.representer.RepresenterError as error:
        what = error.args[-1]
        raise ConfigError(
            f"the configuration holds {what!r}, a {type(what).__name__}, which YAML cannot write; "
            "use plain numbers, texts, lists and dictionaries"
        ) from None


def check(document: Document, source: str) -> Config:
    """Check a resolved document against the schema.

    Raises:
        ConfigError: with every mistake, each with its place.
    """
    warnings, mistakes = translate_distillation(document)
    mistakes += translate_arch(document)
    for found, more in zip((warnings, mistakes), remove_inert(document)):
        found += more
    for warning in warnings:
        _log.warning("%s", warning)
    try:
        config = Config.model_validate(_schema_form(document.data))
        config._document = document
    except ValidationError as error:
        mistakes += [text for _, text in sorted(_lines(error, document))]
    if mistakes:
        raise ConfigError("\n  ".join([f"{_count(mistakes)} in {source}:", *mistakes[:MOST_TOLD]]))
    return config


def with_values(config: Config, values: Mapping[KeyPath, Any]) -> Config:
    """Return a configuration with other values at some key paths, checked again. Messages on these
    name the place where the old ones were written.

    Raises:
        ConfigError: a value is not accepted.
    """
    document = config._document.copy()
    for path, value in values.items():
        here = document.data
        for key in path[:-1]:
            here = here.setdefault(key, {})
        here[path[-1]] = value
    return check(document, "the configuration")


def _count(mistakes: Sequence[str]) -> str:
    if len(mistakes) > MOST_TOLD:
        return f"more than {MOST_TOLD} mistakes, of which the first are told,"
    return "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"


def find_recipe(path: str) -> Path:
    """Return the file that `path` names: itself, or a recipe that comes with the package.

    Raises:
        ConfigError: there is neither; the message names the nearest recipe.
    """
    given = Path(path)
    if os.path.isfile(given):  # Path.is_file raises where a name is too long
        return given
    known = recipes()
    wanted = str(given).removeprefix("configs/")
    if wanted in known:
        return known[wanted]
    raise ConfigError(
        f"there is no configuration file {shortened(path)}.{did_you_mean(wanted, known)}"
        f" Recipes that come with ppcls: {', '.join(known) or 'none found'}"
    )


def recipes() -> Dict[str, Path]:
    """Return the recipes that come with the package, by their names."""
    homes = recipe_homes()
    return {str(file.relative_to(home)): file for home in homes for file in _yaml_files(home)}


def require(config: Config, *paths: str) -> None:
    """Make sure that sections which are optional in general are there for the job at hand.

    Raises:
        ConfigError: naming all that are missing.
    """
    missing = [path for path in paths if _value(config, path) is None]
    if missing:
        source = config.where().rpartition(":")[0] or "the configuration"
        raise ConfigError(
            f"{source}: this needs the missing section(s) {', '.join(missing)}; write them into "
            f"the file, or give a value on the command line: -o {missing[0]}=VALUE"
        )


def to_yaml(data: Any) -> str:
    """Return plain data as YAML text in the order in which it was written."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def _value(config: Config, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = getattr(value, key, None)
    return value


def _yaml_files(home: Path) -> Iterator[Path]:
    return (file for file in sorted(home.rglob("*.yaml")) if "_base_" not in file.parts)


def _schema_form(data: Any) -> Any:
    """Return the data with `batch_transform_ops` beside `dataset`: PaddleClas writes it inside."""
    splits = data.get("DataLoader")
    if not isinstance(splits, dict):
        return data
    return {**data, "DataLoader": {name: _lifted(split) for name, split in splits.items()}}


def _lifted(split: Any) -> Any:
    dataset = split.get("dataset") if isinstance(split, dict) else None
    if not isinstance(dataset, dict) or "batch_transform_ops" not in dataset:
        return split
    inner = {key: value for key, value in dataset.items() if key != "batch_transform_ops"}
    return {**split, "dataset": inner, "batch_transform_ops": dataset["batch_transform_ops"] or []}


def _lines(error: ValidationError, document: Document) -> Iterator[Tuple[Tuple[str, int], str]]:
    for item in error.errors():
        path = written_path(tuple(item["loc"]), document)
        yield document.order(path), f"{describe(document, path)}: {_hinted(path, item['msg'])}"


def _hinted(path: KeyPath, message: str) -> str:
    """Add to the message on an unknown key where it belongs: `epochs` is in Global."""
    if not path or len(path) > 2 or not message.startswith("unknown key"):
        return message
    word = str(path[-1])
    is_elsewhere = word in known_keys() or "Did you mean" not in message
    key = key_for(word) if is_elsewhere else None
    if key is None or f"Did you mean '{key.rpartition('.')[2]}'" in message:
        return message
    return message.replace(" Accepted here:", f" Perhaps you mean {key}. Accepted here:", 1)
