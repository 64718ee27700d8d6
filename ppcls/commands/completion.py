"""What the shell completes: verbs, options, recipes, keys, names of networks and of weights.

``eval "$(register-python-argcomplete ppcls)"`` switches it on; the package argcomplete does
the rest.
"""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Iterable, List

Names = Callable[[], Iterable[str]]


def answer_shell(parser: argparse.ArgumentParser, child: Any) -> None:
    """Answer the shell, which has set the environment for that, and leave the process."""
    try:
        import argcomplete
    except ImportError:
        return
    files = argcomplete.FilesCompleter()
    for action in child._actions if child is not None else []:
        names = _NAMES.get(action.dest)
        if names is not None:
            action.completer = _completer(names, files if action.dest == "config" else None)
    argcomplete.autocomplete(parser, always_complete_options="long")


def _completer(names: Names, files: Any) -> Callable[..., List[str]]:
    def found(prefix: str, **context: Any) -> List[str]:
        matches = [name for name in names() if name.startswith(prefix)]
        return [*matches, *(files(prefix, **context) if files else [])]

    return found


def _recipes() -> Iterable[str]:
    from ppcls.config.load import recipes

    return recipes()


def _keys() -> Iterable[str]:
    from ppcls.config.hints import known_keys

    return sorted({f"{key}=" for key in known_keys().values()})


def _networks() -> Iterable[str]:
    from ppcls.arch.catalogue import find_models

    return [model.name for model in find_models()]


def _weights() -> Iterable[str]:
    from ppcls.weights.hub.records import record_names

    return record_names()


_NAMES: Dict[str, Names] = {
    "config": _recipes,
    "model": _weights,
    "models": _networks,
    "override": _keys,
    "pattern": _networks,
}
"""What is completed, by the name of the argument."""
