"""``ppcls predict``: names and probabilities for image files, from an exported bundle.

Exit status: 0 when at least one image was predicted (each failed one is an error row), 1 when every
image failed or the bundle cannot be used, 2 when the command line or the device is wrong.
"""

from __future__ import annotations

import argparse
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, List, Optional

if TYPE_CHECKING:
    from ppcls.inference.predictor import Classifier, Timing

_log = logging.getLogger("ppcls")


def add_arguments(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Declare the options of ``ppcls predict``; return those of which one names the network."""
    networks = parser.add_mutually_exclusive_group(required=True)
    networks.add_argument("--model_dir", metavar="DIR", help="an exported bundle")
    parser.add_argument(
        "images", nargs="*", metavar="FILE_OR_FOLDER", help="image files, or folders of them"
    )
    parser.add_argument(
        "--input", nargs="+", default=[], metavar="FILE_OR_FOLDER", help="the same as an option"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the predictions to FILE.jsonl or FILE.csv instead of printing",
    )
    parser.add_argument(
        "--topk", type=int, metavar="N", help="classes per image (default: the bundle's, else 5)"
    )
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


def run(arguments: argparse.Namespace, opener: Optional[Callable[[], Classifier]] = None) -> int:
    """Predict and print, or write to `--output`; return the exit status.

    Args:
        arguments: what `add_arguments` declares.
        opener: makes what predicts; by default the bundle `--model_dir` is opened.

    Raises:
        PpclsError: the network, the input, the output or the device cannot be used.
    """
    from ppcls.inference.output import as_text

    paths = _images(arguments)
    classifier = opener() if opener else _open_bundle(arguments, len(paths))
    failed = 0
    times = Times()
    with _open_output(arguments.output, classifier.postprocess.topk) as output:
        for prediction in classifier(paths):
            failed += prediction.error is not None
            times.add(prediction.timing)
            if output is None or prediction.error is not None:
                print(as_text(prediction), flush=True)
            if output is not None:
                output.write(prediction)
    print(_closing_line(len(paths), failed, arguments.output))
    if times.line():
        _log.info("%s", times.line())
    return int(failed == len(paths))


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


def _images(arguments: argparse.Namespace) -> List[str]:
    from ppcls.errors import UsageError
    from ppcls.inference.sources import find_images

    given = [*arguments.images, *arguments.input]
    if not given:
        raise UsageError("which images? Name files or folders: ppcls predict ... PHOTO.jpg")
    return find_images(given)


def _open_bundle(arguments: argparse.Namespace, images: int) -> Classifier:
    from ppcls.inference.predictor import Predictor

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


def _open_output(path: Optional[str], topk: int) -> ContextManager[Any]:
    from ppcls.inference.output import PredictionFile

    return nullcontext() if path is None else PredictionFile(path, topk)


def _closing_line(images: int, failed: int, output: Optional[str]) -> str:
    line = f"{images} image{'s' * (images != 1)}, {failed} error{'s' * (failed != 1)}"
    return line if output is None else f"{line}; written to {output}"
