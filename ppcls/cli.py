"""The command `ppcls`: `ppcls <verb> ...`. The scripts in `tools` and `deploy` call the same
function.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, List, NamedTuple, Optional, Sequence

from ppcls import __version__
from ppcls.errors import PpclsError
from ppcls.text import printable


class _Verb(NamedTuple):
    help: str
    results_on_stdout: bool = False
    """Whether standard output is kept for results, and log lines go to standard error."""


# A verb is the module of that name in `ppcls.commands`, imported when it is the one that is wanted.
_VERBS = {
    "train": _Verb("train a network"),
    "eval": _Verb("evaluate a trained network"),
    "report": _Verb("say why a trained network errs, in one page"),
    "infer": _Verb("predict images with a trained network", True),
    "export": _Verb("export a trained network as a bundle"),
    "quantize": _Verb("add networks in 8-bit integers to a bundle"),
    "predict": _Verb("say what is in images", True),
    "benchmark": _Verb("time exported bundles on this machine", True),
    "convert": _Verb("convert a checkpoint of another toolkit"),
    "data": _Verb("prepare a data set"),
    "models": _Verb("list the networks", True),
    "zoo": _Verb("print the tables of networks: costs and accuracy", True),
    "weights": _Verb("list, fetch and verify published weights", True),
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return the exit status.

    0: done. 1: the input or the run failed. 2: the command line or the configuration is wrong. 130:
    stopped by Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser(given).parse_args(given)
    try:
        return _run(parsed)
    except PpclsError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"error: {printable(_describe(error))}", file=sys.stderr)
        return 1


def _describe(error: OSError) -> str:
    """Say what the system refused (a full disk, no permission), and for which file."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _run(parsed: argparse.Namespace) -> int:
    from ppcls import runtime
    from ppcls.logs import log_to_terminal

    runtime.ctrl_c_leaves = True
    log_to_terminal(_VERBS[parsed.verb].results_on_stdout)
    return int(_command(parsed.verb).run(parsed))


def _parser(given: List[str]) -> argparse.ArgumentParser:
    """Return a parser that lists every verb, and knows the arguments of the given one."""
    parser = argparse.ArgumentParser(
        prog="ppcls", description="Image classification on PaddlePaddle.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"ppcls {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, verb in _VERBS.items():
        child = verbs.add_parser(name, help=verb.help, allow_abbrev=False)
        if name == wanted:
            child.description = _command(name).__doc__
            _command(name).add_arguments(child)
    return parser


def _command(verb: str) -> Any:
    return importlib.import_module(f"ppcls.commands.{verb}")
