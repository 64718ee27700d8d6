"""What a report found, as JSON: for programs, and for `ppcls data fix`."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from ppcls import __version__
from ppcls.api.class_table import confusion_cells
from ppcls.config import Config
from ppcls.data.dataset import ImageFolder, ImageNetDataset
from ppcls.data.dataset.list_file import ListFile
from ppcls.errors import PpclsError
from ppcls.files import sha256_of
from ppcls.report.findings import DoubtfulLabel, Example, Findings
from ppcls.report.gather import Gathered
from ppcls.report.judged import Judged

FORMAT = 1
HOW_TO = (
    'Look at each of "fixes". Where the image is of the class "to", set "confirmed" to true; "to" '
    "may be changed to any other class. Then: ppcls data fix THIS_FILE"
)


def record_of(gathered: Gathered, config: Config) -> Dict[str, Any]:
    """Return the report as plain data; classes are told by their names."""
    found = gathered.findings
    return {
        "format": FORMAT,
        "how_to": HOW_TO,
        "title": found.title,
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "made_in": os.getcwd(),
        "ppcls": __version__,
        "class_names": found.class_map.names,
        "sources": {
            split: source
            for split, judged in gathered.judged.items()
            for source in [_source(config, judged)]
            if source
        },
        "fixes": _fixes(gathered),
        **_measured(found),
    }


def _fixes(gathered: Gathered) -> List[Dict[str, Any]]:
    """Return what may be changed, the most certain mistakes of all sets first."""
    found = gathered.findings
    issues = [
        (judged, i) for split, judged in gathered.judged.items() for i in found.doubtful[split]
    ]
    issues.sort(key=lambda pair: pair[1].example.label_probability)
    fixes = [_fix(found, judged, issue) for judged, issue in issues]
    return [fix for fix in fixes if fix]


def write_record(path: Path, record: Dict[str, Any]) -> Optional[Path]:
    """Write the record; return where one went that somebody had worked on, if there was one.

    Raises:
        OSError: it cannot be written.
    """
    from ppcls.files import write_text

    kept = _kept(path)
    # Names may hold bytes that are not UTF-8: JSON's escapes keep them as they are.
    write_text(path, json.dumps(record, indent=1, ensure_ascii=True) + "\n")
    return kept


def _kept(path: Path) -> Optional[Path]:
    """Give a record in which fixes are confirmed another name: what people decided is kept."""
    if not path.is_file() or '"confirmed": true' not in path.read_text("utf-8", errors="replace"):
        return None
    number = 1
    while (backup := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(backup)


def _measured(found: Findings) -> Dict[str, Any]:
    return {
        "summary": found.summary,
        "splits": {name: vars(size) for name, size in found.splits.items()},
        "classes": found.classes,
        "confusion": []
        if found.confusion is None
        else confusion_cells(found.confusion, found.class_map),
        "confused_pairs": [
            {
                "label": found.name(pair.label),
                "predicted": found.name(pair.predicted),
                "images": pair.images,
            }
            for pair in found.pairs
        ],
        "mistakes": [_example(found, one) for one in found.mistakes],
        "hard": [_example(found, one) for one in found.hard],
        "near_duplicates": [
            {
                "first": _example(found, one.first),
                "second": _example(found, one.second),
                "cosine": _rounded(one.cosine),
                "differing_bits": one.bits,
                "mirrored": one.mirrored,
            }
            for one in found.twins
        ],
        "calibration": {
            "expected_calibration_error": found.calibration_error,
            "bins": [vars(one) for one in found.bins],
        },
        "empty": found.empty,
    }


def _example(found: Findings, one: Example) -> Dict[str, Any]:
    return {
        "split": one.split,
        "image": one.image,
        "label": found.name(one.label),
        "predicted": found.name(one.predicted),
        "probability": _rounded(one.probability),
        "label_probability": _rounded(one.label_probability),
    }


def _rounded(value: float) -> float:
    return round(value, 6)


def _source(config: Config, judged: Judged) -> Optional[Dict[str, Any]]:
    """Return where the labels of a set are written, if that is a place that can be changed."""
    dataset = judged.dataset
    if isinstance(dataset, ImageFolder):
        return {"kind": "folders", "folder": dataset.image_root}
    if not isinstance(dataset, ImageNetDataset):
        return None
    section = {"train": config.DataLoader.Train, "val": config.DataLoader.Eval}[judged.split]
    assert section is not None
    arguments = section.dataset.arguments
    words = _words(judged, arguments)
    return words and {
        "kind": "list",
        "folder": dataset.image_root,
        "list": arguments["cls_label_path"],
        "delimiter": arguments.get("delimiter"),
        "words": words,
    }


def _words(judged: Judged, arguments: Dict[str, Any]) -> Optional[Dict[str, str]]:
    """Return what the list calls each class that has an image in it."""
    try:
        listed = ListFile(arguments["cls_label_path"], arguments.get("delimiter"))
    except PpclsError:
        return None
    if len(listed.paths) != len(judged.dataset):
        return None
    names, labels = judged.dataset.class_map.names, judged.dataset.labels.values
    counts = Counter(zip(labels.tolist(), listed.codes.tolist()))
    # The rarer words first, so that the most frequent one of a class stays.
    ordered = sorted(counts.items(), key=lambda item: item[1])
    return {names[label]: listed.words[code] for (label, code), _ in ordered}


def _fix(found: Findings, judged: Judged, issue: DoubtfulLabel) -> Optional[Dict[str, Any]]:
    one = issue.example
    path = judged.scored.paths[int(np.searchsorted(judged.scored.indices, one.index))]
    try:
        # Names that are no UTF-8 have no place in JSON.
        digest = sha256_of(Path((path or "").encode().decode()))
    except (OSError, ValueError):
        return None
    return {
        "confirmed": False,
        "split": one.split,
        "image": path,
        "label": found.name(one.label),
        "to": found.name(issue.suggested),
        "label_probability": _rounded(one.label_probability),
        "to_probability": _rounded(issue.suggested_probability),
        "sha256": digest,
    }
