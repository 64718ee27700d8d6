"""The command `ppcls`: `ppcls <verb> ...`. The scripts in `tools` and `deploy` call the same
function.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from ppcls import __version__
from ppcls.commands.parsing import Parser, check_options, check_verb, describe_verb
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
    "show": _Verb("say what a run was and came to, or list the runs", True),
    "tune": _Verb("train with other settings again and again, and find the best"),
    "plot": _Verb("draw a learning rate, or what training makes of a photo"),
    "infer": _Verb("predict images with a trained network", True),
    "export": _Verb("export a trained network as a bundle"),
    "calibrate": _Verb("let a bundle's scores mean what they say, and answer 'unknown'"),
    "quantize": _Verb("add networks in 8-bit integers to a bundle"),
    "predict": _Verb("say what is in images", True),
    "benchmark": _Verb("time exported bundles, or a recipe's training, on this machine", True),
    "profile": _Verb("say where the time of a training step goes", True),
    "convert": _Verb("convert a checkpoint of another toolkit"),
    "data": _Verb("prepare a data set"),
    "checks": _Verb("check this machine and what is installed", True),
    "models": _Verb("list the networks", True),
    "zoo": _Verb("print the tables of networks: costs and accuracy", True),
    "weights": _Verb("list, fetch and verify published weights", True),
}

_EXAMPLES = (
    "ppcls predict --model EfficientNetLite0 --pretrained photo.jpg",
    "ppcls data split my_photos",
    "ppcls train -c my_photos/recipe.yaml",
    "ppcls train --help",
)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return the exit status.

    0: done. 1: the input or the run failed. 2: the command line or the configuration is wrong. 130:
    stopped by Ctrl-C.
    """
    parsed = _parse(list(sys.argv[1:] if arguments is None else arguments))
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
    prints_config = getattr(parsed, "print_config", False)
    log_to_terminal(_VERBS[parsed.verb].results_on_stdout or prints_config)
    return int(_command(parsed.verb).run(parsed))


def _parse(given: List[str]) -> argparse.Namespace:
    """Read a command line; leave with the status 2 and a line or two where it is wrong."""
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    parser, child = _parser(given[0] if given else "")
    check_verb(given, _VERBS, parser)
    if child is not None:
        check_options(child, given[1:])
    parsed, left = parser.parse_known_args(given)
    if left:
        (child or parser).error(f"this is one too many: {' '.join(left)}")
    return parsed


def _complete() -> None:
    """Answer a shell that completes a command line."""
    from ppcls.commands.completion import answer_shell

    words = os.environ.get("COMP_LINE", "").split()
    answer_shell(*_parser(words[1] if len(words) > 1 else ""))


def _parser(wanted: str) -> Tuple[Parser, Optional[Parser]]:
    """Return a parser that lists every verb, and the one of the wanted verb, which alone knows its
    arguments.
    """
    parser = Parser(
        prog="ppcls",
        description="Image classification on PaddlePaddle.",
        epilog="examples:\n\n" + "\n".join(f"  {line}" for line in _EXAMPLES),
    )
    parser.add_argument("--version", action="version", version=f"ppcls {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    children = {name: verbs.add_parser(name, help=verb.help) for name, verb in _VERBS.items()}
    child = children.get(wanted)
    if child is not None:
        command = _command(wanted)
        command.add_arguments(child)
        describe_verb(child, command.__doc__, getattr(command, "EXAMPLES", ()))
    return parser, child


def _command(verb: str) -> Any:
    return importlib.import_module(f"ppcls.commands.{verb}")
