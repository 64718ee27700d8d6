"""A report on a run: why its network errs, and what is odd in its data."""

from __future__ import annotations

import locale
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Union

from ppcls import runtime
from ppcls.config import Config, ConfigSource, as_config, load_config, require
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.errors import UsageError
from ppcls.files import write_text
from ppcls.report.cards import Cards
from ppcls.report.findings import Findings
from ppcls.report.gather import MOST_IMAGES, gather
from ppcls.report.illustrations import illustrate
from ppcls.report.page import page_of
from ppcls.report.photos import Photos
from ppcls.report.record import record_of, write_record
from ppcls.report.sections import Sections
from ppcls.report.words import LANGUAGES

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class ReportResult:
    """What was written.

    Attributes:
        page: the HTML file.
        record: the JSON file beside it, which `ppcls data fix` reads.
        findings: what both say, as objects.
    """

    page: Path
    record: Path
    findings: Findings


def report(
    run: Union[str, Path],
    most: int = MOST_IMAGES,
    language: Optional[str] = None,
    device: Optional[str] = None,
    imports: Sequence[str] = (),
) -> ReportResult:
    """Write `report.html` and `report.json` into the folder of a run.

    What cannot be had, such as a data set that is gone, makes its sections empty, with the reason;
    everything else is there all the same. A `report.json` in which fixes are confirmed gets another
    name before it is replaced.

    Args:
        run: the output folder of a training, with `config.yaml` and weights.
        most: how many images of each set are looked at; of larger sets so many are drawn.
        language: "en" or "zh", which the page shows at first; by default that of this machine.
        device: where the network runs: "auto", "cpu", "gpu:0", ...; by default as in training.
        imports: files or packages with the run's own parts, which are run; what its `config.yaml`
            names itself is not imported, as it may be a stranger's.

    Raises:
        UsageError: there is no such run, or no such language.
        CheckpointError: there are no weights, or they do not fit.
        ConfigError: the configuration of the run cannot be read any more.
    """
    folder = RunFolder(Path(run))
    if not folder.config.is_file():
        raise UsageError(_no_run(folder))
    changes = [f"Global.device={device}"] if device else []
    config = load_config(str(folder.config), changes, imports, trusted=False)
    _adapt(config, folder)
    return _write(config, folder, folder.root / "report.html", most, language)


def _adapt(config: Config, folder: RunFolder) -> None:
    """Say where the run's folder is now; names of classes that are gone stand in the weights."""
    config.Global.output_dir = str(folder.root)
    names = config.Global.class_id_map_file
    if names is not None and not Path(names).is_file():
        config.Global.class_id_map_file = None


def report_on_evaluation(
    config: ConfigSource,
    page: Union[str, Path],
    most: int = MOST_IMAGES,
    language: Optional[str] = None,
) -> ReportResult:
    """Write a report on the images of `DataLoader.Eval` alone, and its JSON file beside it; with
    `TTA`, on the mean answers over several views of each image.

    Args:
        config: a checked configuration, the path of a file, or its content as a mapping.
        page: the HTML file to write.
        most: see `report`.
        language: see `report`.

    Raises:
        UsageError: the name does not end in .html.
        ConfigError: the configuration is wrong.
        CheckpointError: there are no weights, or they do not fit.
    """
    page = Path(page)
    require_html(page)
    config = as_config(config)
    require(config, "DataLoader.Eval")
    return _write(config, None, page, most, language)


def require_html(page: Path) -> None:
    """Make sure, before anything is computed, that a file's name is one of a page.

    Raises:
        UsageError: it does not end in .html.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{page}: a report is a page; give a name that ends in .html")


def _no_run(folder: RunFolder) -> str:
    if folder.root.is_dir():
        return (
            f"{folder.root} holds no config.yaml, so it is no folder of a run. Give the output "
            "folder of a training, such as output/my_photos"
        )
    kind = "is a file" if folder.root.exists() else "does not exist"
    return f"{folder.root} {kind}; give the output folder of a training, such as output/my_photos"


def _write(
    config: Config, folder: Optional[RunFolder], page: Path, most: int, language: Optional[str]
) -> ReportResult:
    language = _language(language)
    runtime.use_device(config.Global.device)
    trained = load_trained(_of_run(config) if folder else config, eval_transform(config))
    if trained.multi_label:
        raise UsageError(
            "a report is of images of one class each, and those of "
            f"{trained.path} have any number of classes; `ppcls eval` measures it"
        )
    is_run = folder is not None
    found = gather(config, trained, folder, most, with_train=is_run, by_views=not is_run)
    photos = Photos({split: judged.dataset for split, judged in found.judged.items()})
    # What is computed comes first, so that there is room for it.
    pictures = illustrate(found, config, trained.network, photos)
    record, json_file = record_of(found, config), page.with_suffix(".json")
    sections = Sections(found.findings, Cards(found.findings, photos), pictures, str(json_file))
    text = page_of(found.findings.title, sections.all(), language, record["made"], record["ppcls"])
    write_text(page, text)
    kept = write_record(json_file, record)
    if kept:
        _log.info("fixes were confirmed in the report that was there; it is kept as %s", kept)
    return ReportResult(page, json_file, found.findings)


def _of_run(config: Config) -> Config:
    """Return the configuration without the weights that the run started from."""
    own = config.model_copy()
    own.Global = config.Global.model_copy(update={"pretrained_model": None})
    own.Arch = config.Arch.model_copy(update={"pretrained": False})
    return own


def _language(wanted: Optional[str]) -> str:
    """Return the language that a page shows at first."""
    if wanted is None:
        spoken = os.environ.get("LC_ALL") or os.environ.get("LANG") or _locale()
        return "zh" if spoken.lower().startswith("zh") else "en"
    if wanted not in LANGUAGES:
        raise UsageError(f"there is no language '{wanted}'. Accepted: {', '.join(LANGUAGES)}")
    return wanted


def _locale() -> str:
    return locale.getlocale()[0] or ""


def describe_report(result: ReportResult) -> str:
    """Return in a few lines what a report found."""
    found = result.findings
    counts: Dict[str, Any] = {
        "wrong answers shown": len(found.mistakes),
        "doubtful labels": sum(map(len, found.doubtful.values())),
        "near duplicates": len(found.twins),
        "of them between training and validation": sum(pair.leaks for pair in found.twins),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"{said}\nreport: {result.page}  (as data: {result.record})"
