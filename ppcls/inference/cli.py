"""``ppcls predict``: names and probabilities for image files, from an exported bundle.

Exit status: 0 when at least one image was predicted (each failed one is an error row), 1 when every
image failed or the bundle cannot be used, 2 when the command line or the device is wrong.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, Optional

if TYPE_CHECKING:
    from ppcls.inference.predictor import Classifier


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
        metavar="NAME",
        help="what runs the bundle: paddle or onnxruntime (default: one that is installed, for the "
        "bundle's first format)",
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
    classifier = opener() if opener else _open_bundle(arguments)
    failed = 0
    with _open_output(arguments.output, classifier.postprocess.topk) as output:
        for prediction in classifier(paths):
            failed += prediction.error is not None
            if output is None or prediction.error is not None:
                print(as_text(prediction), flush=True)
            if output is not None:
                output.write(prediction)
    print(_closing_line(len(paths), failed, arguments.output))
    return int(failed == len(paths))


def _images(arguments: argparse.Namespace) -> List[str]:
    from ppcls.errors import UsageError
    from ppcls.inference.sources import find_images

    given = [*arguments.images, *arguments.input]
    if not given:
        raise UsageError("which images? Name files or folders: ppcls predict ... PHOTO.jpg")
    return find_images(given)


def _open_bundle(arguments: argparse.Namespace) -> Classifier:
    from ppcls.inference.predictor import Predictor

    return Predictor(
        arguments.model_dir,
        engine=arguments.engine,
        device=arguments.device,
        threads=arguments.threads,
        batch_size=arguments.batch_size,
        topk=arguments.topk,
    )


def _open_output(path: Optional[str], topk: int) -> ContextManager[Any]:
    from ppcls.inference.output import PredictionFile

    return nullcontext() if path is None else PredictionFile(path, topk)


def _closing_line(images: int, failed: int, output: Optional[str]) -> str:
    line = f"{images} image{'s' * (images != 1)}, {failed} error{'s' * (failed != 1)}"
    return line if output is None else f"{line}; written to {output}"
