"""``ppcls convert``: turn a checkpoint of another toolkit, such as torchvision, into a weight file.

The other toolkit need not be installed, and nothing in the file is run.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from ppcls import runtime

if TYPE_CHECKING:
    import numpy as np

_NEEDED = ("name", "input", "output")
_log = logging.getLogger("ppcls")

EXAMPLES = (
    "ppcls convert --source torchvision --list '*resnet*'",
    "ppcls convert --source torchvision --name resnet34 --input a.pth --output b.safetensors",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--source",
        required=True,
        metavar="TOOLKIT",
        help="whose checkpoint it is: paddleclas, torchvision, timm, ...",
    )
    parser.add_argument("--name", help="what the network is called there, such as resnet34")
    parser.add_argument(
        "--input", metavar="FILE", help="the checkpoint: .pdparams, .pth or .safetensors"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="what to write; ends in .safetensors"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument(
        "--list",
        nargs="?",
        const="*",
        metavar="PATTERN",
        help="print the names of the toolkit's networks, or those like '*50*', and stop",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what it was; with --list only print names, status 1 when there is none."""
    runtime.prepare()
    if arguments.list is not None:
        return _list(arguments.source, arguments.list)
    _check(arguments)
    _convert(arguments)
    return 0


def _list(source: str, pattern: str) -> int:
    from ppcls.weights.names.toolkits import reference_models

    found = fnmatch.filter(reference_models(source), pattern)
    print("\n".join(found) if found else f"no network of {source} matches '{pattern}'")
    return 0 if found else 1


def _check(arguments: argparse.Namespace) -> None:
    """Find what is wrong before anything is read.

    Raises:
        UsageError: an option is missing, or the output is there already or has another ending.
        ConfigError: the toolkit or the network is unknown.
    """
    from ppcls.errors import UsageError
    from ppcls.weights.names.toolkits import find_reference

    missing = [f"--{name}" for name in _NEEDED if getattr(arguments, name) is None]
    if missing:
        raise UsageError(
            f"ppcls convert needs {' and '.join(missing)}, or --list for the names of networks"
        )
    find_reference(arguments.source, arguments.name)
    target = arguments.output
    if target.suffix != ".safetensors":
        raise UsageError(f"--output {target}: the file that is written ends in .safetensors")
    if target.exists() and not arguments.overwrite:
        raise UsageError(f"--output {target}: there is such a file; --overwrite replaces it")


def _convert(arguments: argparse.Namespace) -> None:
    from ppcls.arch.summary import count_parameters
    from ppcls.weights import from_reference, save_weights

    source, name = arguments.source, arguments.name
    state = _read(arguments.input)
    network = from_reference(source, name, state)
    metadata = {**_metadata(network, source, name, state), "from": f"{name} of {source}"}
    save_weights(network, arguments.output, metadata)
    _log.info(
        "%s of %s is %s (%s parameters, %d classes): %d arrays written to %s",
        name, source, network.model_name, f"{count_parameters(network):,}", network.class_num,
        len(network.state_dict()), arguments.output,
    )  # fmt: skip


def _read(path: str) -> Dict[str, np.ndarray]:
    from ppcls import weights
    from ppcls.errors import UsageError

    file = weights.read(path)
    known = file.metadata.get("arch", "a network")
    if file.metadata:
        raise UsageError(
            f"{path} was written by ppcls and needs no conversion: it holds weights of {known}. "
            f"Use it with -o Global.pretrained_model={path}"
        )
    return file.arrays


def _metadata(network: Any, source: str, name: str, state: Dict[str, Any]) -> Dict[str, Any]:
    """Return what the file says of its network, so that it is refused where it does not belong."""
    from ppcls.weights.names.toolkits import find_reference
    from ppcls.weights.network_metadata import metadata_of

    (_, fixed), naming = find_reference(source, name)
    return {**metadata_of(network), "arguments": {**fixed, **naming.arguments(state)}}
