"""A bundle with more: the same files, INT8 networks beside them, and what they cost in accuracy."""

from __future__ import annotations

import platform
import shutil
from datetime import datetime, timezone
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Tuple

import yaml

import ppcls
from ppcls.errors import BundleError, ExportError, PpclsError, UsageError
from ppcls.exporters.staging import check_target, staging
from ppcls.inference.bundle import Bundle, file_record, read_bundle
from ppcls.inference.description import CONFIG_NAME, read_description
from ppcls.inference.network_files import checked_network
from ppcls.inference.programs import check_file
from ppcls.quantisation.attempts import ATTEMPTS, Attempt, Batches, Writer
from ppcls.quantisation.images import (
    ImageSet,
    Prepared,
    calibration_images,
    judged_images,
    refuse_overlap,
)
from ppcls.quantisation.judge import FLOAT_FORMATS, judge_precision
from ppcls.quantisation.onnx_int8 import write_onnx_int8
from ppcls.quantisation.openvino_int8 import write_openvino_int8
from ppcls.quantisation.report import Outcome, Report, describe_refusal, describe_trial
from ppcls.quantisation.request import NEEDS, Request, engines_here
from ppcls.yaml_text import read_value

WRITERS: Dict[str, Writer] = {
    "onnx_int8": write_onnx_int8,
    "openvino_int8": write_openvino_int8,
}
"""Format -> what writes it."""

SOURCE = "onnx"
"""The format that is quantised."""

Said = Callable[[str], object]


def quantise_bundle(request: Request, say: Said = lambda _: None) -> Report:
    """Add INT8 networks to a bundle, and write into it what they cost; or leave it as it was.

    Args:
        request: what is asked for.
        say: is told what is being done, in a line.

    Raises:
        UsageError: `output_dir` is taken, an engine or a file is not there, or the bundle does not
            hold the format that is quantised.
        BundleError: the bundle cannot be used.
        DataError: the images are not there or malformed, or the sets overlap.
        ExportError: a network cannot be quantised, or a precision loses more accuracy than it may.
    """
    bundle = read_bundle(request.model_dir)
    _check_source(bundle)
    calibration = calibration_images(request.calibration, request.images)
    judged = judged_images(request.judge, bundle.labels)
    refuse_overlap(calibration, judged)
    with staging(_target(request)) as folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
        job = _Job(request, folder, calibration, judged, say)
        # What takes seconds comes first: it may be refused.
        outcomes = [job.measure("bf16", "openvino")] if "bf16" in request.precisions else []
        if "int8" in request.precisions:
            outcomes += job.add_all()
        report = Report(_target(request), outcomes, request.max_drop, len(calibration.paths))
        _describe(folder, {}, _with_versions(report))
    return report


def _check_source(bundle: Bundle) -> None:
    if bundle.threshold is not None:
        raise UsageError(
            f"{bundle.folder}: its images have any number of classes, and what quantisation costs "
            "is judged by images of one class each; use it in float32, or in bfloat16 (--precision "
            "bf16)"
        )
    if SOURCE not in bundle.formats:
        raise UsageError(
            f"{bundle.folder}: holds {', '.join(bundle.formats)}, and what is quantised is the "
            f"format '{SOURCE}': ppcls export -c CONFIG --format "
            f"{','.join([*bundle.formats, SOURCE])} --overwrite"
        )
    checked_network(bundle, SOURCE)


def _target(request: Request) -> Path:
    """Return where the bundle will be: what takes its own place needs no leave to overwrite."""
    here = Path(request.model_dir).resolve()
    target = Path(request.output_dir or here)
    if target.resolve() == here:
        return here
    if here in target.resolve().parents:
        raise UsageError(f"{target}: lies inside the bundle {here}; name another --output_dir")
    check_target(target, request.overwrite)
    return target


class _Job:
    """The work on one bundle, which is being made in `folder`."""

    def __init__(
        self, request: Request, folder: Path, calibration: ImageSet, judged: ImageSet, say: Said
    ) -> None:
        self.request = request
        self.source = Path(request.model_dir)
        self.folder = folder
        self.calibration = calibration
        self.judged = judged
        self.say = say

    def add_all(self) -> List[Outcome]:
        """Add the INT8 formats. One that was named must keep the accuracy; of the others, one."""
        added: List[Outcome] = []
        refused: List[PpclsError] = []
        for name in self.request.wanted:
            before = _Contents.of(self.folder)
            try:
                added.append(self.add(name))
            except (ExportError, BundleError) as error:
                if self.request.formats is not None:
                    raise
                self.say(f"{name} is left out: {error}")
                before.restore(self.folder, name, self.source)
                refused.append(error)
        if not added:
            raise ExportError("; ".join(map(str, refused)))
        return added

    def add(self, format: str) -> Outcome:
        """Add an INT8 format by the first attempt that keeps the accuracy."""
        tried: List[Outcome] = []
        for attempt in ATTEMPTS[format]:
            names = [*(one.attempts[-1] for one in tried), attempt.name]
            tried.append(self._try(format, attempt, names))
            worst = tried[-1].worst
            if worst.change.drop <= self.request.max_drop:
                return tried[-1]
            self.say(f"  costs too much in {worst.engine}: {describe_trial(worst)}")
        raise ExportError(describe_refusal(tried, self.request.max_drop))

    def _try(self, format: str, attempt: Attempt, names: List[str]) -> Outcome:
        self.say(f"{format}: {attempt.name}")
        bundle = read_bundle(self.folder)
        files = WRITERS[format](bundle.formats[SOURCE][0], self.folder, self._batches, attempt)
        for path in files:
            check_file(path)
        _describe(self.folder, {format: files}, {})
        bundle = read_bundle(self.folder)
        trials = [
            judge_precision(bundle, engine, "int8", [format], self.judged, self.request.threads)
            for engine in engines_here(format)
        ]
        return Outcome(format, names, trials, {path.name: path.stat().st_size for path in files})

    @cached_property
    def _batches(self) -> Batches:
        return Prepared(self.calibration, read_bundle(self.folder).pipeline())

    def measure(self, precision: str, engine: str) -> Outcome:
        """Judge a precision that needs no network of its own; refuse what costs too much."""
        self.say(f"{precision}: {engine}")
        bundle = read_bundle(self.folder)
        threads = self.request.threads
        trial = judge_precision(bundle, engine, precision, FLOAT_FORMATS, self.judged, threads)
        outcome = Outcome(precision, [], [trial], {})
        if trial.change.drop > self.request.max_drop:
            raise ExportError(describe_refusal([outcome], self.request.max_drop))
        return outcome


def _describe(
    folder: Path, formats: Dict[str, List[Path]], measured: Dict[str, Dict[str, Any]]
) -> None:
    """Note formats with their files, and what was measured, in `inference.yml`; what other readers
    keep there stays.
    """
    path = folder / CONFIG_NAME
    held = read_description(folder).files_of_formats()
    config = read_value(path)
    section = config["Bundle"]
    section["formats"] = {
        **held,
        **{name: [file.name for file in files] for name, files in formats.items()},
    }
    section["files"].update(
        {file.name: file_record(file).model_dump() for files in formats.values() for file in files}
    )
    if measured:
        section["quantisation"] = {**(section.get("quantisation") or {}), **measured}
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


class _Contents(NamedTuple):
    """What a folder held before a format was tried: its files' names, and what describes them."""

    names: FrozenSet[str]
    description: str

    @classmethod
    def of(cls, folder: Path) -> _Contents:
        """Look into a folder."""
        names = frozenset(path.name for path in folder.iterdir())
        return cls(names, (folder / CONFIG_NAME).read_text(encoding="utf-8"))

    def restore(self, folder: Path, format: str, source: Path) -> None:
        """Let the folder hold of a format what the bundle `source` does, and no more."""
        (folder / CONFIG_NAME).write_text(self.description, encoding="utf-8")
        for path in folder.iterdir():
            if path.name not in self.names:
                path.unlink()
        for name in read_description(folder).files_of_formats().get(format, []):
            shutil.copyfile(source / name, folder / name)


def _with_versions(report: Report) -> Dict[str, Dict[str, Any]]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found = report.to_dict()
    for outcome in report.outcomes:
        found[outcome.name].update(versions=_versions(outcome.name), measured=now)
    return found


def _versions(name: str) -> Dict[str, str]:
    packages: Tuple[str, ...] = NEEDS[name][0] if name in NEEDS else ()
    found = {package: metadata.version(package) for package in packages}
    return {"ppcls": ppcls.__version__, "python": platform.python_version(), **found}
