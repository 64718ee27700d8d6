"""``ppcls predict``: names and probabilities for images, from an exported bundle.

Exit status: 0 when at least one image was predicted (each failed one is an error row), 1 when every
image failed or the bundle cannot be used, 2 when the command line or the device is wrong.
"""

from __future__ import annotations

import argparse
import logging
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

if TYPE_CHECKING:
    from ppcls.inference.predictor import Classifier, Timing
    from ppcls.inference.sources import FileOrSource

_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Declare the options of ``ppcls predict``; return those of which one names the network."""
    networks = parser.add_mutually_exclusive_group(required=True)
    networks.add_argument("--model_dir", metavar="DIR", help="an exported bundle")
    add_image_arguments(parser)
    add_output_arguments(parser)
    parser.add_argument(
        "--batch_size", type=int, default=8, metavar="N", help="images per step (default: 8)"
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what runs the bundle: paddle, onnxruntime, openvino, ...; auto (the default) is the "
        "fastest that is installed, measured once for this machine and bundle",
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        metavar="NAME",
        help="in which numbers the network computes: fp32 (the default), fp16, bf16 or int8",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N (default: auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: one per core)"
    )
    return networks


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what names images."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGES",
        help="image files, folders, 'patterns/*.jpg' in quotes, list files (.txt or .csv with a "
        "path on each line), http(s) addresses, or - for an image or a list on standard input",
    )
    parser.add_argument(
        "--input", nargs="+", default=[], metavar="IMAGES", help="the same as an option"
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="search the folders inside of folders too, as is usual, or only the folders named",
    )
    parser.add_argument(
        "--private-urls",
        action="store_true",
        help="fetch images from private networks and from this machine too",
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where predictions go, and how many there are of each image."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the predictions to FILE.jsonl or FILE.csv instead of printing; - is JSONL on "
        "standard output",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        help="with --output: go on with FILE.part of a run that was interrupted, or start anew",
    )
    parser.add_argument(
        "--topk",
        type=int,
        metavar="N",
        help="classes per image (default: as the bundle or the recipe says, else 5)",
    )


def run(arguments: argparse.Namespace, opener: Optional[Callable[[], Classifier]] = None) -> int:
    """Predict and print, or write to `--output`; return the exit status.

    Args:
        arguments: what `add_arguments` declares.
        opener: makes what predicts; by default the bundle `--model_dir` is opened.

    Raises:
        PpclsError: the network, the input, the output or the device cannot be used.
    """
    images = images_of(arguments)
    return predict_to(images, opener or (lambda: _open_bundle(arguments, len(images))), arguments)


def predict_to(
    images: Sequence[FileOrSource], opener: Callable[[], Classifier], arguments: argparse.Namespace
) -> int:
    """Predict images and print that, or write it to `--output`; return the exit status.

    Args:
        images: see `ppcls.inference.sources`.
        opener: makes what predicts.
        arguments: what `add_output_arguments` declares.

    Raises:
        PpclsError: the network, the output or the device cannot be used.
    """
    from ppcls.inference.destinations import check_destination, open_destination
    from ppcls.inference.sources import refuse_all_missing
    from ppcls.progress import Bar

    check_destination(arguments.output, arguments.resume)
    if arguments.output is None:
        refuse_all_missing(images)
    classifier = opener()
    times = Times()
    opened = open_destination(arguments.output, arguments.resume, classifier, images)
    with opened as output:
        failed = output.failed
        bar = Bar("predicting", len(images), output.done) if output.shows_bar else nullcontext()
        with bar as shown:
            for prediction in classifier.predictions(islice(images, output.done, None)):
                failed += prediction.error is not None
                times.add(prediction.timing)
                output.write(prediction)
                if shown is not None:
                    shown.advance()
    _say_end(len(images), failed, arguments.output)
    if times.line():
        _log.info("%s", times.line())
    return int(failed == len(images))


def _say_end(images: int, failed: int, output: Optional[str]) -> None:
    line = f"{images} image{'s' * (images != 1)}, {failed} error{'s' * (failed != 1)}"
    from ppcls.inference.destinations import STDOUT

    if output == STDOUT:
        _log.info("%s", line)
    else:
        print(line if output is None else f"{line}; written to {output}")


class Times:
    """How long images took, on average; the first batch, which is slower, is left out if it is not
    the only one.
    """

    def __init__(self) -> None:
        self._first: Optional[Timing] = None
        self._sums, self._count = [0.0, 0.0, 0.0], 0

    def add(self, timing: Optional[Timing]) -> None:
        """Take an image's timing, if it has one."""
        self._first = self._first or timing
        if timing is not None and timing != self._first:
            self._sums = [total + part for total, part in zip(self._sums, timing)]
            self._count += 1

    def line(self) -> str:
        """Return a sentence for the terminal; empty if there was no image."""
        if self._first is None:
            return ""
        means = [total / self._count for total in self._sums] if self._count else self._first
        return (
            f"{sum(means):.1f} ms an image: {means[0]:.1f} to read and preprocess it, "
            f"{means[1]:.1f} in the network"
        )


def images_of(arguments: argparse.Namespace) -> List[FileOrSource]:
    """Return the images that a command line names; see `ppcls.inference.sources.Gathering`.

    Raises:
        UsageError: it names none.
        DataError: a list cannot be read.
    """
    from ppcls.errors import UsageError
    from ppcls.inference.sources import Gathering

    words = [*arguments.images, *arguments.input]
    if not words:
        raise UsageError("which images? Name files or folders: ppcls predict ... PHOTO.jpg")
    return Gathering(arguments.recursive, arguments.private_urls).sources(words)


def _open_bundle(arguments: argparse.Namespace, images: int) -> Classifier:
    from ppcls.inference.predictor import Predictor
    from ppcls.progress import waiting

    _log.info("opening %s", arguments.model_dir)
    with waiting("preparing the engine"):
        predictor = Predictor(
            arguments.model_dir,
            engine=arguments.engine,
            device=arguments.device,
            precision=arguments.precision,
            threads=arguments.threads,
            # Engines prepare for this many at once.
            batch_size=arguments.batch_size if images > 1 else min(arguments.batch_size, 1),
            topk=arguments.topk,
        )
    _log.info("%s", engine_line(predictor.described, predictor.reason))
    return predictor


def engine_line(described: Dict[str, Any], reason: str) -> str:
    """Say which engine runs, where and how, why `auto` chose it, and what it reports itself."""
    known = "{name} {version}, {device}, {precision}, {threads} threads".format(**described)
    chosen = f"; chosen: {reason}" if reason else ""
    return f"engine: {known}{chosen}; it reports: {described['report']}"
