"""The report of a real run: its numbers against scikit-learn's, and what its page holds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import yaml
from sklearn import metrics as sk

from ppcls.api.report import ReportResult, report, report_on_evaluation
from ppcls.cli import main
from ppcls.config import as_config
from ppcls.engine.builder import build_eval
from ppcls.engine.scoring import Scored, score
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.engine.world import World
from ppcls.errors import UsageError
from tests.report.test_html import Reader, read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> ReportResult:
    """The report of the trained run, in a copy of its folder, which was moved."""
    folder = tmp_path_factory.mktemp("report") / "digits <b>&run"
    shutil.copytree(trained.folder, folder)
    return report(folder, language="zh")


@pytest.fixture(scope="module")
def scored(trained: Any) -> Scored:
    config = as_config(trained.recipe)
    found = load_trained(config, eval_transform(config))
    return score(found.network, build_eval(config, found.class_map, World()), World())


@pytest.fixture(scope="module")
def record(made: ReportResult) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(made.record.read_text())
    return found


@pytest.fixture(scope="module")
def page(made: ReportResult) -> Reader:
    return read(made.page.read_text("utf-8"))


def test_figures_are_scikit_learns(record: Dict[str, Any], scored: Scored) -> None:
    theirs = sk.precision_recall_fscore_support(scored.labels, scored.predicted, zero_division=0)
    for key, values in zip(("precision", "recall", "f1", "support"), theirs):
        assert [one[key] for one in record["classes"]] == pytest.approx(values.tolist())
    cells = {(one["label"], one["predicted"]): one["images"] for one in record["confusion"]}
    confusion = sk.confusion_matrix(scored.labels, scored.predicted)
    names = record["class_names"]
    assert cells == {
        (names[i], names[j]): int(confusion[i, j]) for i, j in np.argwhere(confusion).tolist()
    }


def test_mistakes_are_the_most_certain_ones(record: Dict[str, Any], scored: Scored) -> None:
    wrong = np.flatnonzero(scored.predicted != scored.labels)
    order = wrong[np.argsort(-scored.probabilities[wrong].max(1))][:24]
    assert [one["image"] for one in record["mistakes"]] == [scored.names[i] for i in order]
    assert len(order) > 0


def test_the_page_needs_nothing_else_and_says_everything(page: Reader, made: ReportResult) -> None:
    text = made.page.read_text("utf-8")
    assert "script" not in page.tags and "link" not in page.tags and "b" not in page.tags
    assert made.page.stat().st_size < 5_000_000
    sources = [value for key, value in page.attributes if key in ("src", "href")]
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    assert "url(" not in text and "http" not in re.sub("http-equiv", "", text)
    assert "digits <b>&run" in page.text
    targets = {value[1:] for key, value in page.attributes if key == "href"}
    assert targets <= {value for key, value in page.attributes if key == "id"}
    for section in ("summary", "curves", "confusion", "labels_train", "attention", "augmentation"):
        assert section in targets
    assert "None" not in page.text and "本节为空" not in page.text


def test_the_page_opens_in_the_language_that_was_asked_for(made: ReportResult) -> None:
    text = made.page.read_text("utf-8")
    assert '<html lang="zh">' in text
    assert re.search(r'id="language-zh"[^>]* checked|checked[^>]*id="language-zh"', text)
    with pytest.raises(UsageError, match="Accepted: en, zh"):
        report(made.page.parent, language="fr")


def test_confirmed_fixes_are_kept(made: ReportResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(made.page.parent, folder)
    edited = (
        (folder / "report.json")
        .read_text()
        .replace('"format": 1', '"format": 1, "confirmed": true')
    )
    (folder / "report.json").write_text(edited)
    report(folder, language="en")
    assert (folder / "report.1.json").read_text() == edited
    assert '"confirmed": true' not in (folder / "report.json").read_text()


def changed(folder: Path, change: Any) -> Path:
    """Change the configuration of a run's folder."""
    data = yaml.safe_load((folder / "config.yaml").read_text())
    change(data)
    (folder / "config.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def test_sections_without_data_say_why(trained: Any, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "run")
    (tmp_path / "run/train_log.jsonl").write_text('[1]\n{"event": 3}\n{"metrics": {"loss": "x"}}\n')

    def lose(data: Any) -> None:
        data["DataLoader"]["Train"]["dataset"]["image_root"] = str(tmp_path / "gone")
        data["DataLoader"]["Eval"]["dataset"]["cls_label_path"] = str(tmp_path / "none.txt")

    found = report(changed(tmp_path / "run", lose)).findings
    assert {"curves", "confusion", "labels_train", "labels_val", "attention"} <= set(found.empty)
    assert "none.txt" in found.empty["confusion"] and "gone" in found.empty["labels_train"]
    assert found.mistakes == [] and found.twins == []


def test_fewer_images_of_large_sets(trained: Any, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "run")
    found = report(tmp_path / "run", most=15).findings
    assert found.splits["train"].judged == 15 and found.splits["train"].images == 80
    assert found.confusion is not None and found.confusion.sum() == 15


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no config.yaml, so it is no folder of a run"):
        report(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        report(tmp_path / "gone")


def test_report_on_an_evaluation(trained: Any, tmp_path: Path, scored: Scored) -> None:
    page, table = tmp_path / "eval.html", tmp_path / "eval.csv"
    given = ["eval", "-c", str(trained.config), "--report", str(page)]
    assert main([*given, "--save-predictions", str(table)]) == 0
    found = json.loads((tmp_path / "eval.json").read_text())
    assert found["empty"].keys() == {"labels_train", "augmentation", "curves"}
    assert len(found["classes"]) == 4
    assert len(table.read_text().splitlines()) == 1 + len(scored)
    with pytest.raises(UsageError, match="ends in .html"):
        report_on_evaluation(trained.recipe, tmp_path / "eval.pdf")


def flipped(digits: Path, tmp_path: Path) -> List[str]:
    """Copy the digits, and change the label of every tenth training image."""
    shutil.copytree(digits, tmp_path / "data")
    lines = (digits / "train.txt").read_text().splitlines()
    planted = lines[4::10]
    wrong = [f"{line[:-1]}{(int(line[-1]) + 1) % 4}" if line in planted else line for line in lines]
    (tmp_path / "data/train.txt").write_text("\n".join(wrong) + "\n")
    return planted


def test_planted_label_errors_are_found_and_fixed(
    digits: Path, new_recipe: Any, tmp_path: Path, write_recipe: Any
) -> None:
    planted = flipped(digits, tmp_path)
    recipe = new_recipe(tmp_path / "run")
    recipe["Global"]["epochs"] = 6
    for split in recipe["DataLoader"].values():
        for key in ("image_root", "cls_label_path"):
            value = split["dataset"][key]
            split["dataset"][key] = value.replace(str(digits), str(tmp_path / "data"))
    assert main(["train", "-c", str(write_recipe(recipe))]) == 0
    assert main(["report", str(tmp_path / "run")]) == 0
    found = json.loads((tmp_path / "run/report.json").read_text())
    first = [one for one in found["fixes"] if one["split"] == "train"][: len(planted)]
    wanted = {str(tmp_path / "data" / line.split()[0]): line.split()[1] for line in planted}
    hits = [one for one in first if one["image"] in wanted]
    assert len(hits) >= 0.7 * len(planted)
    for one in hits:
        one.update(confirmed=True, to=wanted[one["image"]])
    (tmp_path / "run/report.json").write_text(json.dumps(found))
    assert main(["data", "fix", str(tmp_path / "run/report.json")]) == 0
    now = (tmp_path / "data/train.txt").read_text().splitlines()
    right = (digits / "train.txt").read_text().splitlines()
    assert sum(a != b for a, b in zip(now, right)) == len(planted) - len(hits)
    assert (tmp_path / "data/train.txt.1.bak").is_file()
