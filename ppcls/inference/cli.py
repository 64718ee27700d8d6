"""``ppcls predict``: names and probabilities for image files, from an exported bundle.

Exit status: 0 when at least one image was predicted (each failed one is an error row), 1 when every
image failed or the bundle cannot be used, 2 when the command line or the device is wrong.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Any, ContextManager, Optional


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``ppcls predict``."""
    parser.add_argument("--model_dir", required=True, metavar="DIR", help="the exported bundle")
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="image files, or folders of them",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the predictions to FILE.jsonl or FILE.csv instead of printing",
    )
    parser.add_argument(
        "--topk", type=int, metavar="N", help="classes per image (default: the bundle's)"
    )
    parser.add_argument(
        "--batch_size", type=int, default=8, metavar="N", help="images per step (default: 8)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N (default: auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: one per core)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict and print, or write to `--output`; return the exit status.

    Raises:
        PpclsError: the bundle, the input, the output or the device cannot be used.
    """
    from ppcls.inference.output import as_text
    from ppcls.inference.predictor import Predictor
    from ppcls.inference.sources import find_images

    paths = find_images(arguments.input)
    predictor = Predictor(
        arguments.model_dir,
        device=arguments.device,
        threads=arguments.threads,
        batch_size=arguments.batch_size,
        topk=arguments.topk,
    )
    failed = 0
    with _open_output(arguments.output, predictor.postprocess.topk) as output:
        for prediction in predictor(paths):
            failed += prediction.error is not None
            if output is None or prediction.error is not None:
                print(as_text(prediction), flush=True)
            if output is not None:
                output.write(prediction)
    print(_closing_line(len(paths), failed, arguments.output))
    return int(failed == len(paths))


def _open_output(path: Optional[str], topk: int) -> ContextManager[Any]:
    from ppcls.inference.output import PredictionFile

    return nullcontext() if path is None else PredictionFile(path, topk)


def _closing_line(images: int, failed: int, output: Optional[str]) -> str:
    line = f"{images} image{'s' * (images != 1)}, {failed} error{'s' * (failed != 1)}"
    return line if output is None else f"{line}; written to {output}"
