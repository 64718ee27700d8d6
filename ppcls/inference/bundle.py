"""The exported bundle: a folder that holds everything which a prediction needs.

- ``inference.yml``: preprocessing, labels, input size and provenance, in PaddleX 3.x's layout
- ``inference.json``: the static program (Paddle 3.x), or ``inference.pdmodel`` (Paddle 2.6)
- ``inference.pdiparams``: its weights
- ``parity.json``: how closely the program repeats the network that it was made from

PaddleX reads ``Global.model_name``, ``PreProcess.transform_ops`` and ``PostProcess.Topk``. What it
has no word for stands where it does not look: ``PreProcess.DecodeImage`` and the section
``Bundle``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Union

import yaml
from pydantic import ValidationError

from ppcls import registry
from ppcls.data.transforms import Pipeline
from ppcls.errors import BundleError, ConfigError

FORMAT_VERSION = 1
"""Goes up by one whenever older readers could not read a bundle any more."""

CONFIG_NAME = "inference.yml"
PARITY_NAME = "parity.json"
PROGRAM_NAMES = ("inference.json", "inference.pdmodel")
WEIGHTS_NAME = "inference.pdiparams"

_KEYS = {
    "Global.model_name": (str, "the network's name"),
    "PreProcess.DecodeImage": (dict, "the arguments of DecodeImage"),
    "PreProcess.transform_ops": (list, "a list of transforms"),
    "PostProcess.Topk.topk": (int, "a number"),
    "PostProcess.Topk.label_list": (list, "a list of class names"),
    "Bundle.input.channels": (int, "a number"),
    "Bundle.input.height": (int, "a number of pixels"),
    "Bundle.input.width": (int, "a number of pixels"),
    "Bundle.output.kind": (str, "'probabilities'"),
    "Bundle.output.classes": (int, "a number"),
    "Bundle.files": (dict, "the size and SHA-256 of each file"),
    "Bundle.provenance": (dict, "where the network comes from"),
}
"""What a reader needs: the key's path, its type, and how to describe the type."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are present, complete and consistent.

    `transform_ops` starts with DecodeImage; `input_shape` is (channels, height, width); `labels`
    has one name per output of the network; the network's output is the probability of each class.
    """

    folder: Path
    model_name: str
    program: Path
    weights: Path
    transform_ops: List[Dict[str, Any]]
    labels: List[str]
    topk: int
    input_shape: Tuple[int, int, int]
    provenance: Mapping[str, Any]

    def pipeline(self) -> Pipeline:
        """Build the preprocessing.

        Raises:
            BundleError: a transform is unknown here, or does not accept its arguments.
        """
        return build_pipeline(self.transform_ops, str(self.folder / CONFIG_NAME))


def build_pipeline(transform_ops: List[Dict[str, Any]], where: str) -> Pipeline:
    """Build preprocessing from plain `{Name: {argument: value}}`, of which DecodeImage is the
    first.

    `where` names the file in errors.

    Raises:
        BundleError: a transform is unknown here, or does not accept its arguments.
    """
    mistakes: List[str] = []
    parts: List[registry.Part] = []
    for index, op in enumerate(transform_ops):
        section = "PreProcess" if index == 0 else f"PreProcess.transform_ops.{index - 1}"
        try:
            parts.append(registry.parse("transform", op))
        except ValidationError as error:
            found = error.errors()
            mistakes += [f"{'.'.join(map(str, (section, *e['loc'])))}: {e['msg']}" for e in found]
    if mistakes:
        raise BundleError(f"{where}: {'; '.join(mistakes)}")
    try:
        return Pipeline(parts)
    except ConfigError as error:
        raise BundleError(f"{where}: PreProcess.transform_ops: {error}") from None


def read_bundle(folder: Union[str, Path]) -> Bundle:
    """Read and check a bundle's description and the size and checksum of its files.

    Raises:
        BundleError: the folder is missing, is not a bundle, was written in a newer format, or a
            file in it is malformed, missing or damaged.
    """
    folder = Path(folder)
    config = _read_config(folder)
    where = folder / CONFIG_NAME
    _check_version(config, where)
    found = {key: _value(config, key, where) for key in _KEYS}
    program, weights = _checked_files(folder, found["Bundle.files"], where)
    labels = _checked_labels(found, where)
    decode = {"DecodeImage": found["PreProcess.DecodeImage"]}
    return Bundle(
        folder=folder,
        model_name=found["Global.model_name"],
        program=program,
        weights=weights,
        transform_ops=[decode, *found["PreProcess.transform_ops"]],
        labels=labels,
        topk=found["PostProcess.Topk.topk"],
        input_shape=_checked_shape(found, where),
        provenance=found["Bundle.provenance"],
    )


def file_record(path: Path) -> Dict[str, Any]:
    """Return what a bundle notes of one of its files: `{"bytes": ..., "sha256": ...}`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _read_config(folder: Path) -> Dict[str, Any]:
    if not folder.is_dir():
        raise BundleError(
            f"{folder}: there is no such folder; --model_dir names an exported bundle"
        )
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise BundleError(
            f"{folder}: not an exported bundle, it holds no {CONFIG_NAME}; "
            f"'ppcls export -c CONFIG' writes one"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise BundleError(
            f"{path}: expected the sections of a bundle, found {type(config).__name__}"
        )
    return config


def _check_version(config: Mapping[str, Any], where: Path) -> None:
    if "Bundle" not in config and "Global" in config:
        raise BundleError(
            f"{where}: the key 'Bundle' is missing, so ppcls did not write this bundle, or the key "
            "was removed; export the network again with 'ppcls export'"
        )
    version = _typed(config, "Bundle.format_version", int, "a number", where)
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{where}: written in bundle format {version} by a newer ppcls; this one reads format "
            f"{FORMAT_VERSION}. Upgrade ppcls, or export the network again with this one"
        )


def _value(config: Mapping[str, Any], key: str, where: Path) -> Any:
    kind, words = _KEYS[key]
    return _typed(config, key, kind, words, where)


def _typed(config: Mapping[str, Any], key: str, kind: type, words: str, where: Path) -> Any:
    value: Any = config
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise BundleError(f"{where}: the key '{key}' is missing; it takes {words}")
        value = value[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError(f"{where}: '{key}' takes {words}, got {value!r}")
    return value


def _checked_labels(found: Mapping[str, Any], where: Path) -> List[str]:
    labels, classes = found["PostProcess.Topk.label_list"], found["Bundle.output.classes"]
    for index, label in enumerate(labels):
        if not isinstance(label, str):
            raise BundleError(
                f"{where}: PostProcess.Topk.label_list.{index} takes a name, got {label!r}; "
                "put it in quotes"
            )
    if len(labels) != classes:
        raise BundleError(label_mismatch(where, len(labels), classes))
    if found["PostProcess.Topk.topk"] < 1:
        raise BundleError(f"{where}: 'PostProcess.Topk.topk' is at least 1")
    return labels


def label_mismatch(where: Path, labels: int, outputs: int) -> str:
    """Say that a bundle's labels do not fit its network."""
    return (
        f"{where}: PostProcess.Topk.label_list holds {labels} names, but the network has {outputs} "
        "outputs; give one name per output, or export the network again"
    )


def _checked_shape(found: Mapping[str, Any], where: Path) -> Tuple[int, int, int]:
    shape = tuple(found[f"Bundle.input.{key}"] for key in ("channels", "height", "width"))
    if min(shape) < 1:
        raise BundleError(
            f"{where}: Bundle.input: channels, height and width are at least 1, got {shape}"
        )
    if found["Bundle.output.kind"] != "probabilities":
        raise BundleError(
            f"{where}: 'Bundle.output.kind' takes 'probabilities', "
            f"got {found['Bundle.output.kind']!r}"
        )
    return shape[0], shape[1], shape[2]


def _checked_files(folder: Path, records: Mapping[str, Any], where: Path) -> Tuple[Path, Path]:
    programs = [name for name in PROGRAM_NAMES if name in records]
    if not programs or WEIGHTS_NAME not in records:
        raise BundleError(
            f"{where}: 'Bundle.files' names a program ({' or '.join(PROGRAM_NAMES)}) and "
            f"{WEIGHTS_NAME}, got {', '.join(map(str, records)) or 'nothing'}"
        )
    for name in (programs[0], WEIGHTS_NAME):
        _check_file(folder / name, records[name], where)
    return folder / programs[0], folder / WEIGHTS_NAME


def _check_file(path: Path, record: Any, where: Path) -> None:
    if not isinstance(record, dict) or not {"bytes", "sha256"} <= set(record):
        raise BundleError(f"{where}: 'Bundle.files' gives 'bytes' and 'sha256' of {path.name}")
    if not path.is_file():
        raise BundleError(
            f"{path}: the file is missing from the bundle; copy the whole folder again"
        )
    size = path.stat().st_size
    if size != record["bytes"]:
        raise BundleError(
            f"{path}: the file has {size} bytes, but {record['bytes']} were exported; "
            "copy the bundle again"
        )
    if file_record(path)["sha256"] != record["sha256"]:
        raise BundleError(
            f"{path}: the file is damaged (its SHA-256 differs); copy the bundle again"
        )
