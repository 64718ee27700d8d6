"""Parts of a user's own: files and packages whose networks, losses, ... recipes can then name.

Importing runs code. So only what the user names is imported: in the file of a recipe
(`Global.imports`), on the command line (`--import`), or in a call of `import_parts`; never what a
weight file, a checkpoint or a bundle notes. Packages that are installed may offer parts under the
entry point group `ppcls.parts`; they are imported when a name is asked for that is unknown
otherwise.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import sys
import traceback
import zlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ppcls import registry, runtime
from ppcls.errors import ConfigError, PpclsError
from ppcls.labels import LabelKind
from ppcls.registry import Entry
from ppcls.text import shortened

GROUP = "ppcls.parts"
"""The entry point group by which installed packages offer parts."""

_BASES = {
    "arch": "paddle.nn.Layer",
    "transform": "ppcls.data.transforms.Transform",
    "batch_transform": "ppcls.data.batch_transforms.BatchTransform",
    "dataset": "ppcls.data.dataset.Dataset",
    "loss": "ppcls.loss.Loss",
    "metric": "ppcls.metric.Metric",
    "logger": "ppcls.engine.loggers.Logger",
}
"""What a part of a kind extends, where it is a class."""

_made: Dict[str, str] = {}
"""The file of each module that was made of one."""

_log = logging.getLogger("ppcls")


def import_parts(names: Sequence[str]) -> None:
    """Import files and packages, which register their parts; each once.

    Args:
        names: of each the path of a file (`my_parts.py`) or of the folder of a package
            (`./my_package`), relative to the working directory as all paths of a recipe are; or the
            name of an installed module (`my_package`, `my_package.parts`).

    Raises:
        ConfigError: there is no such file or module, importing it fails (the message holds the
            traceback of the user's code), or a part of it cannot be used.
    """
    for name in names:
        import_part(name)


def import_part(name: str, folder: Optional[Path] = None) -> None:
    """Import one file or package; see `import_parts`.

    Args:
        name: its path or name.
        folder: of the recipe that names it, for the message when there is no such file.
    """
    if is_imported(name):
        return
    path = _file(name, folder) if _is_path(name) else None
    if importlib.util.find_spec("paddle") is not None:
        runtime.prepare()  # what the user's code imports is too late for it
    before = registry.entries()
    try:
        _run(path) if path else importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(_why(name, path, error)) from None
    found = [entry for entry in registry.entries() if entry not in before]
    new = [entry for entry in found if not registry.is_built_in(entry.constructor)]
    for entry in new:
        _check(entry)
    words = ", ".join(f"{entry.kind} {entry.name}" for entry in new)
    _log.info("imported %s: %s", name, words or "it registers no part")


def is_imported(name: str) -> bool:
    """Whether a file or module of this name has been imported in this process."""
    if not _is_path(name):
        return name in sys.modules
    return _module_of(_with_init(Path(name))) is not None


def _is_path(name: str) -> bool:
    return name.endswith(".py") or os.sep in name


def _with_init(path: Path) -> Path:
    """Return the file of a module, or of a package that is named by its folder."""
    return path / "__init__.py" if path.is_dir() else path


def _module_of(path: Path) -> Optional[ModuleType]:
    """Return the module that was made of a file, whoever imported it."""
    wanted = os.path.realpath(path)
    files = ((module, getattr(module, "__file__", None)) for module in list(sys.modules.values()))
    return next((m for m, file in files if file and os.path.realpath(file) == wanted), None)


def _file(name: str, folder: Optional[Path]) -> Path:
    path = _with_init(Path(name))
    if os.path.isfile(path):
        return path
    beside = (folder / name) if folder else None
    there = f" Beside the recipe there is {beside}: write that" if _exists(beside) else ""
    raise ConfigError(
        f"there is no file {shortened(str(path))} in the working directory ({Path.cwd()}), to "
        f"which this path is relative, as all of a recipe are; not to the recipe's folder.{there}"
    )


def _exists(path: Optional[Path]) -> bool:
    return path is not None and os.path.isfile(_with_init(path))


def _run(path: Path) -> None:
    """Make a module of a file; it may import its neighbours."""
    path = path.resolve()
    is_package = path.name == "__init__.py"
    _execute(_free_name(path.parent if is_package else path), path)


def imported_files() -> Dict[str, str]:
    """Return which modules, of those that are still there, were made of files: the file of each
    name.
    """
    return {name: file for name, file in _made.items() if name in sys.modules}


def import_files(made: Mapping[str, str]) -> None:
    """Make the modules that another process has made, by the same names; see `imported_files`."""
    for name, file in made.items():
        _execute(name, Path(file))


def _execute(name: str, path: Path) -> None:
    """Make a module of a file."""
    is_package = path.name == "__init__.py"
    folders = [str(path.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    neighbours = str(path.parent.parent if is_package else path.parent)
    sys.path.append(neighbours)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(neighbours)
    _made[name] = str(path)


def _free_name(path: Path) -> str:
    """Return the name by which Python code would import the file, unless that means another one."""
    name = path.stem.replace(".", "_")
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        return name
    return f"{name}_{zlib.crc32(str(path).encode()):x}"


# --- what went wrong ---------------------------------------------------------------------------


def _why(name: str, path: Optional[Path], error: BaseException) -> str:
    """Say why an import failed, with the user's part of the traceback."""
    if isinstance(error, ModuleNotFoundError) and path is None and error.name == name.split(".")[0]:
        return f"there is no module {name}: it is not installed here.{_neighbour(name)}"
    return f"importing {name} failed:\n{their_traceback(error)}"


def _neighbour(name: str) -> str:
    """Name the file or folder that is probably meant by the name of a module."""
    for path in (f"{name}.py", f"./{name}"):
        if _exists(Path(path)):
            return f" The file here is written with its path: {path}"
    return " A file of your own is named by its path, such as my_parts.py"


def their_traceback(error: BaseException) -> str:
    """Return the traceback of an error in a user's code, without the frames of this toolkit, of
    Paddle and of Python's import system.
    """
    paddle = importlib.util.find_spec("paddle")
    ours = [os.path.dirname(__file__), *((paddle and paddle.submodule_search_locations) or [])]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*(f"{folder}{os.sep}" for folder in ours), "<frozen"))
        and not frame.filename.startswith(os.path.dirname(importlib.__file__) + os.sep)
    ]
    lines = traceback.format_list(frames) + traceback.format_exception_only(type(error), error)
    return "".join(lines).rstrip()


def _check(entry: Entry) -> None:
    """Find what is wrong with a part before a recipe names it.

    Raises:
        ConfigError: its class does not extend what it must, or its signature is no schema.
    """
    made = entry.constructor
    base = _BASES.get(entry.kind)
    if base and inspect.isclass(made) and not issubclass(made, _class(base)):
        raise ConfigError(
            f"{_place(made)}: the {entry.kind} '{entry.name}' must extend {base}: "
            f"class {made.__name__}({base})"
        )
    accepts: Any = getattr(made, "accepts", frozenset())
    is_set = isinstance(accepts, (set, frozenset, list, tuple))
    if not is_set or not all(isinstance(kind, LabelKind) for kind in accepts):
        raise ConfigError(
            f"{_place(made)}: what the {entry.kind} '{entry.name}' accepts must be kinds of "
            f"labels, such as frozenset({{ppcls.labels.LabelKind.SOFT}}), got {accepts!r}"
        )
    try:
        registry.arguments_model(entry.kind, entry.name)
    except PpclsError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{_place(made)}: the arguments of the {entry.kind} '{entry.name}' cannot be checked: "
            f"{type(error).__name__}: {error}"
        ) from None


def _class(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _place(made: Any) -> str:
    """Return ``file:line`` of a class or function."""
    try:
        return f"{inspect.getsourcefile(made)}:{inspect.getsourcelines(made)[1]}"
    except (OSError, TypeError):
        return f"{made.__module__}.{made.__qualname__}"


# --- installed packages ------------------------------------------------------------------------


@cache
def import_installed() -> None:
    """Import what installed packages offer under `GROUP`, once; a warning says what fails."""
    for point in _entry_points():
        try:
            point.load()
        except (Exception, SystemExit) as error:
            _log.warning(
                "the parts of the installed package %s cannot be used (entry point %s = %s): %s",
                point.value.split(".")[0].split(":")[0], point.name, point.value,
                f"{type(error).__name__}: {error}",
            )  # fmt: skip


def offers_parts() -> bool:
    """Whether an installed package offers parts; nothing is imported."""
    return bool(_entry_points())


def _entry_points() -> List[Any]:
    found: Any = importlib.metadata.entry_points()
    if hasattr(found, "select"):
        return sorted(found.select(group=GROUP))
    return sorted(set(found.get(GROUP, ())))  # Python 3.9
