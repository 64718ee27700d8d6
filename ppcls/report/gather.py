"""From a trained network and its configuration to all that a report says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional

import numpy as np

from ppcls import weights
from ppcls.arch.network import Network
from ppcls.calibration.measures import calibration_error
from ppcls.config import Config
from ppcls.data.dataset import Dataset
from ppcls.engine.builder import build_eval, build_network, named_weights, weights_file
from ppcls.engine.loggers.jsonl import read_records
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.trained import Trained
from ppcls.engine.tta import AveragedViews, views_of
from ppcls.engine.world import World
from ppcls.errors import PpclsError
from ppcls.metric.confusion import class_figures
from ppcls.report.calibration import reliability
from ppcls.report.duplicates import find_duplicates
from ppcls.report.findings import ConfusedPair, DoubtfulLabel, Example, Findings, Twins
from ppcls.report.judged import Judged, judge, train_set
from ppcls.report.label_errors import find_label_issues
from ppcls.report.summary import summary_of

MOST_IMAGES = 5000
"""How many images of each set are looked at; the same ones each time."""

MOST_ISSUES = 200
"""How many doubtful labels and near duplicates a report lists."""

_PAIRS, _EXAMPLES, _MISTAKES, _HARD, _RIGHT = 8, 3, 24, 12, 4
_log = logging.getLogger("ppcls")


@dataclass
class Gathered:
    """What was found, and the sets that it was found in, by "train" and "val"."""

    findings: Findings
    judged: Dict[str, Judged] = field(default_factory=dict)


def gather(
    config: Config,
    trained: Trained,
    folder: Optional[RunFolder],
    most: int = MOST_IMAGES,
    with_train: bool = True,
    by_views: bool = False,
) -> Gathered:
    """Look at the images of a run, and at what its network says of them.

    What cannot be had (a set that is gone, records that were not kept) has its reason in the
    findings, and everything else is found all the same.

    Args:
        config: of the run.
        trained: its network.
        folder: where its records are, if they are to be shown.
        most: how many images of each set are looked at.
        with_train: look at the training set as well.
        by_views: judge the images of evaluation by the mean over the views that `TTA` asks for.
    """
    title = folder.root.name if folder else trained.path.name
    found = Gathered(Findings(title, trained.class_map))
    found.findings.summary = summary_of(config, trained, folder)
    _records(found.findings, folder, config.Global.epochs)
    makers = {
        "val": lambda: _judged_eval(found.findings, config, trained, most, by_views),
        "train": lambda: _judged_train(config, trained, most),
    }
    for split, judged in makers.items():
        if split == "train" and not with_train:
            _refuse(found.findings, split, "only the images of DataLoader.Eval were looked at")
            continue
        try:
            found.judged[split] = judged()
            _log.info("looked at %d images of %s", len(found.judged[split].scored), split)
        except (PpclsError, OSError, AssertionError) as error:
            _refuse(found.findings, split, str(error) or f"there is no set for {split}")
    _judge_all(found)
    return found


def _judged_train(config: Config, trained: Trained, most: int) -> Judged:
    dataset = train_set(config, trained.class_map)
    begun = _as_begun(config, trained, dataset)
    return judge("train", dataset, trained.network, most, begun)


def _as_begun(config: Config, trained: Trained, dataset: Dataset) -> Optional[Network]:
    """Return the network with the weights that the run started from; None where it drew them, or
    where they are not there any more.
    """
    key = named_weights(config)
    if key is None:
        return None
    try:
        path = weights_file(config, key)
        network = build_network(config, len(trained.class_map), dataset.transform)
        weights.load(network, path, "adapt")
    except PpclsError as error:
        _log.info("labels are judged by the trained network itself: %s", error)
        return None
    network.eval()
    return network


def _judged_eval(
    found: Findings, config: Config, trained: Trained, most: int, by_views: bool
) -> Judged:
    """Judge the images of evaluation; pictures show them as without `TTA` in any case."""
    dataset, network = build_eval(config, trained.class_map, World()).dataset, trained.network
    views = views_of(config, network, dataset.transform) if by_views else None
    if views is None:
        return judge("val", dataset, network, most)
    found.summary["views"] = views.describe()
    judged = judge("val", views.dataset_of(dataset), AveragedViews(network, views), most)
    return replace(judged, dataset=dataset)


_SECTIONS = {
    "val": ["confusion", "classes", "pairs", "mistakes", "hard", "calibration", "attention"],
    "train": ["augmentation"],
}
"""What cannot be said without a set."""


def _refuse(findings: Findings, split: str, reason: str) -> None:
    for section in [*_SECTIONS[split], f"labels_{split}"]:
        findings.empty[section] = reason


def _records(findings: Findings, folder: Optional[RunFolder], epochs: int) -> None:
    records = read_records(folder.records) if folder else []
    findings.records = [one for one in records if _is_whole(one)]
    if findings.records:
        return
    where = folder.records if folder else "train_log.jsonl"
    findings.empty["curves"] = (
        f"there are no records of the training ({where})"
        if epochs
        else "the model is a linear head, fitted at once on the features of published weights"
    )


def _is_whole(record: object) -> bool:
    """Whether a record has what curves are drawn from."""
    if not isinstance(record, dict) or not isinstance(record.get("metrics"), dict):
        return False
    numbers = [record.get("position"), *record["metrics"].values()]
    return all(isinstance(one, (int, float)) for one in numbers)


def _judge_all(found: Gathered) -> None:
    findings = found.findings
    for split, judged in found.judged.items():
        findings.splits[split] = judged.size
        findings.doubtful[split] = _doubtful(judged)
        findings.judges[split] = judged.agreement
    if "val" in found.judged:
        _judge_val(findings, found.judged["val"])
    findings.twins = _twins(list(found.judged.values()))
    if "train" in found.judged:
        findings.augmented = found.judged["train"].example(0)


def _judge_val(findings: Findings, val: Judged) -> None:
    scored, classes = val.scored, len(findings.class_map)
    findings.confusion = np.zeros((classes, classes), np.int64)
    np.add.at(findings.confusion, (scored.labels, scored.predicted), 1)
    figures = class_figures(findings.confusion)
    findings.classes = [
        {"name": name, **{key: getattr(figures, key)[i].item() for key in vars(figures)}}
        for i, name in enumerate(findings.class_map.names)
    ]
    examples = [val.example(row) for row in range(len(scored))]
    wrong = sorted((e for e in examples if not e.is_right), key=lambda e: -e.probability)
    right = sorted((e for e in examples if e.is_right), key=lambda e: e.margin)
    findings.pairs = _pairs(findings.confusion, wrong)
    findings.mistakes, findings.hard = wrong[:_MISTAKES], right[:_HARD]
    findings.right = list({e.label: e for e in right}.values())[:_RIGHT]
    findings.bins = reliability(val.probabilities, scored.labels)
    confidences, is_right = val.probabilities.max(axis=1), scored.predicted == scored.labels
    findings.calibration_error = calibration_error(confidences, is_right)


def _pairs(confusion: np.ndarray, wrong: List[Example]) -> List[ConfusedPair]:
    """Return the cells outside the diagonal with the most images."""
    counts = confusion - np.diag(np.diagonal(confusion))
    cells = sorted(np.argwhere(counts).tolist(), key=lambda cell: -counts[cell[0], cell[1]])
    return [
        ConfusedPair(label, predicted, int(counts[label, predicted]), shown[:_EXAMPLES])
        for label, predicted in cells[:_PAIRS]
        for shown in [[e for e in wrong if (e.label, e.predicted) == (label, predicted)]]
    ]


def _doubtful(judged: Judged) -> List[DoubtfulLabel]:
    issues = find_label_issues(judged.scored.labels, judged.probabilities)
    chances = judged.probabilities
    return [
        DoubtfulLabel(
            judged.example(issue.row),
            issue.suggested,
            float(chances[issue.row, issue.suggested]),
        )
        for issue in issues[:MOST_ISSUES]
    ]


def _twins(sets: List[Judged]) -> List[Twins]:
    """Return near duplicates of all sets together, those between two sets first."""
    if not sets:
        return []
    embeddings = np.concatenate([one.scored.embeddings for one in sets])
    hashes = np.concatenate([one.hashes for one in sets])
    rows = [(one, row) for one in sets for row in range(len(one.scored))]
    pairs = find_duplicates(embeddings, hashes)
    order = sorted(pairs, key=lambda pair: rows[pair.first][0] is rows[pair.second][0])
    found = []
    for pair in order[:MOST_ISSUES]:
        one, other = (judged.example(row) for judged, row in (rows[pair.first], rows[pair.second]))
        found.append(Twins(one, other, pair.cosine, pair.bits, pair.mirrored))
    return found
