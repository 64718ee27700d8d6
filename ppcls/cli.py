"""The command `ppcls`: `ppcls <verb> ...`. The scripts in `tools` and `deploy` are doors onto the
same functions.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import List, Optional, Sequence

from ppcls import __version__
from ppcls.errors import PpclsError
from ppcls.logs import log_to_terminal

# verb -> module, and whether standard output is kept for results
_VERBS = {
    "train": ("ppcls.commands.train", False),
    "eval": ("ppcls.commands.eval", False),
    "infer": ("ppcls.commands.infer", True),
    "export": ("ppcls.commands.export", False),
    "predict": ("ppcls.commands.predict", True),
    "convert": ("ppcls.commands.convert", False),
    "data": ("ppcls.commands.data", False),
    "models": ("ppcls.commands.models", True),
    "zoo": ("ppcls.commands.zoo", True),
    "weights": ("ppcls.commands.weights", True),
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return the exit status.

    0: done. 1: the input or the run failed. 2: the command line or the configuration is wrong. 130:
    stopped by Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser(given).parse_args(given)
    module, results_on_stdout = _VERBS[parsed.verb]
    log_to_terminal(results_on_stdout)
    try:
        return int(importlib.import_module(module).run(parsed))
    except PpclsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"error: {_in_words(error)}", file=sys.stderr)
        return 1


def _in_words(error: OSError) -> str:
    """Say what the system refused (a full disk, no permission), and for which file."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _parser(given: List[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppcls", description="Image classification on PaddlePaddle.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"ppcls {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (module_name, _) in _VERBS.items():
        module = importlib.import_module(module_name)
        child = verbs.add_parser(
            verb, help=module.HELP, description=module.__doc__, allow_abbrev=False
        )
        module.add_arguments(child)
    return parser
