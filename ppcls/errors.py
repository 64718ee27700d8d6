"""What users are told when something is wrong.

Every error that a user can cause derives from `PpclsError`. The command line prints its text,
without a traceback, and exits with its `exit_status`. A message says what is wrong, where, what is
accepted, and how to put it right.
"""

from __future__ import annotations

from typing import Iterable, Optional

PADDLE_MISSING = (
    "Paddle is not installed: run `pip install 'paddlepaddle>=3.1'` for CPUs; "
    "for GPUs see https://www.paddlepaddle.org.cn/install"
)
"""The one line for everybody who imports or builds something that needs Paddle."""

_LONGEST_WORD = 100
"""No accepted word is as long; comparing longer ones takes time."""


class PpclsError(Exception):
    """Base of all errors that are the input's fault, not the program's."""

    exit_status = 1


class ConfigError(PpclsError):
    """The configuration is wrong: unknown key, wrong type, missing value, or parts that do not fit
    together.
    """

    exit_status = 2


class UsageError(PpclsError):
    """The command line or the surroundings (device, output folder) do not allow what was asked
    for.
    """

    exit_status = 2


class DataError(PpclsError):
    """Files of a data set are missing, empty or malformed."""


class BadImageError(DataError):
    """One image cannot be read or decoded."""


class OutageError(DataError):
    """A data set that was there cannot be reached any more: a disk or network that has gone."""


class CheckpointError(PpclsError):
    """A checkpoint or weight file is unreadable, or does not fit the network."""


class DownloadError(PpclsError):
    """Published weights cannot be fetched, or are not what they should be."""


class UnreachableError(DownloadError):
    """The server does not answer, or stops answering: perhaps this machine is offline."""


class WrongContentError(DownloadError):
    """What came is not the file that it should be."""


class TrainingError(PpclsError):
    """Training cannot go on, for example because the loss is not finite."""


class ExportError(PpclsError):
    """An exported bundle could not be written or differs from the network it was made from."""


class BundleError(PpclsError):
    """A folder is not a usable exported bundle."""


def nearest(word: str, accepted: Iterable[str]) -> Optional[str]:
    """Return the accepted word that is most like `word`, ignoring case, or None when none is
    close.
    """
    import difflib

    if len(word) > _LONGEST_WORD:
        return None
    by_lower = {candidate.lower(): candidate for candidate in accepted}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest accepted word, or an empty string."""
    match = nearest(word, accepted)
    return f" Did you mean '{match}'?" if match else ""
