"""Where predictions go: to people, to programs, or into a file."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import Iterator, Optional, Sequence

from ppcls.errors import UsageError
from ppcls.inference.output import Jsonl, as_text
from ppcls.inference.prediction_file import PredictionFile, check_name
from ppcls.inference.predictor import Classifier, Prediction
from ppcls.inference.sources import FileOrSource

STDOUT = "-"
_log = logging.getLogger("ppcls")


class Printed:
    """Predictions on standard output, for people."""

    done = failed = 0
    shows_bar = False

    def write(self, prediction: Prediction) -> None:
        """Print an image's block of lines."""
        from tqdm import tqdm

        with tqdm.external_write_mode():
            print(as_text(prediction), flush=True)


class Piped(Printed):
    """Predictions on standard output, for programs: JSONL, and nothing else."""

    def __init__(self) -> None:
        self._text = Jsonl().text
        # Rows and a bar on one terminal would write over each other.
        self.shows_bar = not sys.stdout.isatty()

    def write(self, prediction: Prediction) -> None:
        """Write an image's row."""
        row = self._text(prediction).encode("utf-8", "backslashreplace")
        sys.stdout.buffer.write(row)
        sys.stdout.buffer.flush()


class Filed(Printed):
    """Predictions in a file, and errors on standard output as well."""

    shows_bar = True

    def __init__(self, file: PredictionFile) -> None:
        self._file, self.done, self.failed = file, file.done, file.failed

    def write(self, prediction: Prediction) -> None:
        """Write an image's row, and print it where it is an error."""
        self._file.write(prediction)
        if prediction.error is not None:
            super().write(prediction)


def check_destination(output: Optional[str], resume: Optional[bool]) -> None:
    """Refuse what can be refused before a network is opened.

    Raises:
        UsageError: the file's name tells no form, or there is no file to go on with.
    """
    if output not in (None, STDOUT):
        check_name(str(output))
    elif resume is not None:
        raise UsageError("--resume and --no-resume belong to --output FILE, which can be continued")


@contextmanager
def open_destination(
    output: Optional[str],
    resume: Optional[bool],
    classifier: Classifier,
    images: Sequence[FileOrSource],
) -> Iterator[Printed]:
    """Give what takes the predictions of images; the first `done` of them are there already.

    Args:
        output: a file, `STDOUT` for rows on standard output, or None for text there.
        resume: whether to go on with what an interrupted run left; None where that was not said.
        classifier: makes the predictions.
        images: all of them.

    Raises:
        UsageError: see `PredictionFile`.
    """
    if output is None or output == STDOUT:
        yield Piped() if output else Printed()
        return
    names = [image if isinstance(image, str) else image.name for image in images]
    with PredictionFile(
        output,
        classifier.postprocess.topk,
        names,
        classifier.batch_size,
        classifier.identity,
        resume,
    ) as file:
        if file.done:
            _log.info("%d of %d images were predicted before", file.done, len(images))
        yield Filed(file)
