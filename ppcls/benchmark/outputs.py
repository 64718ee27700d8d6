"""Where results go: a folder of files, and the file of the tables of networks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple, Optional

from ppcls.arch.latency import read_measured
from ppcls.benchmark.plot import draw_plot
from ppcls.benchmark.report import as_csv, as_markdown
from ppcls.benchmark.results import Results, write_results
from ppcls.benchmark.tables import keep_latencies
from ppcls.errors import UsageError
from ppcls.files import temporary_beside, write_text

_log = logging.getLogger("ppcls")


class Outputs(NamedTuple):
    """Where results are written to.

    Attributes:
        folder: of results.md, results.csv, results.json and plot.png; None for nowhere.
        tables: the file of measured latencies; None where they are not to be kept.
    """

    folder: Optional[Path] = None
    tables: Optional[Path] = None

    def check(self) -> None:
        """Make sure, before hours of measuring, that all can be written.

        Raises:
            UsageError: it cannot.
            ConfigError: the file of measured latencies is malformed.
        """
        if self.folder:
            _check_writable("--output", self.folder / "results.json")
        if self.tables:
            _check_writable("--write-tables", self.tables)
            if self.tables.is_file():
                read_measured(self.tables)

    def write(self, results: Results) -> None:
        """Write all but the picture; what was written before is replaced.

        Raises:
            OSError: it cannot be written.
        """
        if self.folder:
            write_text(self.folder / "results.md", as_markdown(results))
            write_text(self.folder / "results.csv", as_csv(results))
            write_results(results, self.folder / "results.json")
        if self.tables:
            keep_latencies(results, self.tables)

    def finish(self, results: Results) -> None:
        """Write all, and say where it is.

        Raises:
            OSError: it cannot be written.
        """
        self.write(results)
        if self.tables:
            _log.info("latencies written to %s", self.tables)
        if self.folder:
            drawn = draw_plot(results, self.folder / "plot.png")
            missing = "" if drawn else "; no plot, as no accuracy is known"
            _log.info("written to %s%s", self.folder, missing)


def _check_writable(option: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary_beside(path).unlink()
    except OSError as error:
        raise UsageError(
            f"{option}: {path} cannot be written ({error.strerror}); nothing was measured"
        ) from None
