"""``ppcls weights``: list, fetch and verify published weights; average one's own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ppcls.errors import DownloadError, UnreachableError, UsageError
from ppcls.text import table

if TYPE_CHECKING:
    from ppcls.weights.hub.local import Local

_COLUMNS = ("name", "top-1", "top-5", "resize", "crop", "size", "state")

EXAMPLES = (
    "ppcls weights list 'ResNet*'",
    "ppcls weights pull ResNet50",
    "ppcls weights verify",
    "ppcls weights average output/run/checkpoints/*.safetensors --output averaged.safetensors",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show what is published, and what of it is here")
    listing.add_argument("pattern", nargs="?", default="*", help="a pattern such as 'ResNet*'")
    listing.add_argument("--json", action="store_true", help="print all that is known, as JSON")
    pull = actions.add_parser("pull", help="fetch weights into the cache and print where they are")
    pull.add_argument("names", nargs="+", metavar="NAME", help="a name or a pattern in quotes")
    pull.add_argument(
        "--repin", action="store_true", help="fetch again, and expect from now on what comes"
    )
    pull.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="without a byte, after which a server has stalled (default: 30)",
    )
    check = actions.add_parser("verify", help="compare files with their SHA-256; status 1 if wrong")
    check.add_argument(
        "names", nargs="*", metavar="NAME", help="a name or a pattern (default: all that are here)"
    )
    check.add_argument(
        "--repin", action="store_true", help="expect the files from now on as they are"
    )
    average = actions.add_parser(
        "average", help="write the mean of several weight files or checkpoints of one network"
    )
    average.add_argument("files", nargs="+", type=Path, metavar="FILE")
    average.add_argument("--output", required=True, type=Path, metavar="FILE", help="the new file")
    average.add_argument("--overwrite", action="store_true", help="replace the file")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; status 1 if nothing was found, fetched or right."""
    actions = {"list": _list, "pull": _pull_all, "verify": _verify, "average": _average}
    return actions[arguments.action](arguments)


def _names(patterns: List[str]) -> List[str]:
    """Expand patterns, and refuse what matches nothing."""
    from ppcls.weights.hub.records import find_record, record_names

    found: Dict[str, None] = {}
    for pattern in patterns:
        names = record_names(pattern)
        if not names and set(pattern) & set("*?["):
            raise UsageError(f"no published weights match '{pattern}'; see `ppcls weights list`")
        found.update(dict.fromkeys(names or [find_record(pattern).name]))
    return list(found)


# --- list --------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    from ppcls.weights.hub.local import locate
    from ppcls.weights.hub.records import find_record, record_names

    found = [locate(find_record(name)) for name in record_names(arguments.pattern)]
    if arguments.json:
        print(json.dumps([_as_json(item) for item in found], indent=1))
    elif found:
        print(table([_COLUMNS, *map(_row, found)], left=[0, len(_COLUMNS) - 1]))
    else:
        print(f"no published weights match '{arguments.pattern}'", file=sys.stderr)
    return 0 if found else 1


def _as_json(item: Local) -> Dict[str, Any]:
    path = str(item.path) if item.path else None
    local = {"state": item.state, "path": path, "size": item.size or None}
    record = item.record
    known = record.model_dump(exclude={"by"})
    return {"name": record.name, "network": record.network, **known, **local}


def _row(item: Local) -> Tuple[str, ...]:
    from ppcls.text import megabytes

    record = item.record
    size = megabytes(item.size) if item.size else ""
    metrics = (_percent(record.top1), _percent(record.top5), str(record.resize), str(record.crop))
    return (record.name, *metrics, size, item.state)


def _percent(fraction: Optional[float]) -> str:
    return "" if fraction is None else f"{fraction:.2%}"


# --- average -----------------------------------------------------------------------------------


def _average(arguments: argparse.Namespace) -> int:
    from ppcls.weights import save_weights
    from ppcls.weights.averaging import averaged_weights

    output: Path = arguments.output
    if output.exists() and not arguments.overwrite:
        raise UsageError(f"{output} exists; name another --output, or replace it: --overwrite")
    found = averaged_weights(arguments.files)
    save_weights(found.arrays, output, found.metadata)
    print(f"{output}: the mean of {len(arguments.files)} files, {len(found.arrays)} arrays")
    return 0


# --- pull and verify ---------------------------------------------------------------------------


def _pull_all(arguments: argparse.Namespace) -> int:
    """Fetch one after the other; a server that is out of reach ends it, other errors do not."""
    from ppcls.weights.hub.download import Patience
    from ppcls.weights.hub.published import published_weights

    if not arguments.timeout > 0:
        raise UsageError(f"--timeout must be a number of seconds above 0, not {arguments.timeout}")
    patience = Patience(timeout=arguments.timeout)
    names, status = _names(arguments.names), 0
    for name in names:
        try:
            print(published_weights(name, arguments.repin, patience))
        except DownloadError as error:
            if len(names) == 1 or isinstance(error, UnreachableError):
                raise
            print(f"error: {error}", file=sys.stderr)
            status = 1
    return status


def _verify(arguments: argparse.Namespace) -> int:
    from ppcls.weights.hub.cache import weights_folder
    from ppcls.weights.hub.local import locate
    from ppcls.weights.hub.published import verify
    from ppcls.weights.hub.records import find_record, record_names

    names = _names(arguments.names)
    if not arguments.names:
        names = [name for name in record_names() if locate(find_record(name)).path]
    if not names:
        print(f"no published weights are in {weights_folder()}")
    verdicts = [verify(name, arguments.repin) for name in names]
    for verdict in verdicts:
        mark = "" if verdict.good else "WRONG: " if verdict.here else "NOT HERE: "
        print(f"{mark}{verdict.name}: {verdict.words}")
    return 0 if all(verdict.good for verdict in verdicts) else 1
