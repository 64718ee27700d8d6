"""The tables of networks, and the pages of the documents that hold them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from ppcls import registry
from ppcls.arch.family_data import networks
from ppcls.arch.latency import MeasuredLatencies, MeasuredLatency
from ppcls.commands import model_tables
from ppcls.commands.model_tables import costs, find_families
from tools import model_zoo
from tools.model_zoo import MARK, compared, main, papers

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LANGUAGES = ["en", "zh_CN"]
COMPARED = [name for name, row in networks().items() if row.table]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of the documents' tables."""
    for language in LANGUAGES:
        shutil.copytree(DOCS / language / "models", tmp_path / language / "models")
    return tmp_path


def cells(text: str, first: str) -> List[str]:
    """The cells of the row that begins with `first`."""
    found = re.search(rf"^\| {re.escape(first)} +\|.*$", text, re.MULTILINE)
    assert found, first
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.slow
def test_tables_are_printed_from_any_folder_without_installation(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    tool = ROOT / "tools/model_zoo.py"
    done = run_python(tool, "--model", "LeNet", cwd=tmp_path, env={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert cells(done.stdout, "LeNet")[2] == "61,706"


def test_measured_latency_is_bold(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"network": "LeNet", "engine": "paddle", "precision": "fp32", "batch_size": 1}
    found = MeasuredLatencies(rows=[MeasuredLatency(**row, milliseconds=0.25, queries=9)])
    monkeypatch.setattr(model_tables, "measured_latencies", lambda: found)
    assert main(["--write", str(docs), "--family", "lenet"]) == 0
    page = (docs / "zh_CN/models/lenet.md").read_text("utf-8")
    assert cells(page, "网络")[-3:] == [
        f"**{engine} (ms)**" for engine in ("Paddle", "ONNX Runtime", "OpenVINO")
    ]
    assert cells(page, "LeNet")[-3:] == ["**0.25**", "–", "–"]


def test_a_page_is_a_whole_family(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", str(docs), "--model", "LeNet"]) == 2
    assert "--family" in capsys.readouterr().err


def test_checking_finds_what_differs(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["--check", str(docs), "--family", "lenet"]
    assert main(check) == 0
    page = docs / "zh_CN/models/lenet.md"
    page.write_text(page.read_text("utf-8").replace("61,706", "61,707"), "utf-8")
    assert main(check) == 1
    printed = capsys.readouterr().out
    assert f"{page} differs" in printed
    assert "--write" in printed
    assert main(["--write", str(docs), "--family", "lenet"]) == 0
    assert main(check) == 0


def test_pages_are_those_of_this_clone_unless_a_folder_is_given() -> None:
    assert main(["--check", "--family", "lenet"]) == 0


def test_another_folder_is_refused_before_anything_is_counted(
    docs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_tables, "costs", None)
    assert main(["--check", str(docs / "en")]) == 2
    error = capsys.readouterr().err
    assert f"there is no {docs}/en/en/models/README.md" in error and "`docs`" in error


@pytest.fixture
def two_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that these are all, and that there is nothing to compare."""
    chosen = [*find_families("alexnet"), *find_families("lenet")]
    monkeypatch.setattr(model_zoo, "compared", lambda: [])
    monkeypatch.setattr(model_tables, "find_families", lambda *patterns: chosen)


@pytest.mark.usefixtures("two_families")
def test_writing_all_renews_the_lists_and_removes_old_pages(docs: Path) -> None:
    kept = docs / "en/models/by_hand.md"
    kept.write_text("# By hand\n", "utf-8")
    readme = docs / "en/models/README.md"
    before = readme.read_text("utf-8")
    assert main(["--write", str(docs)]) == 0
    assert {file.stem for file in (docs / "zh_CN/models").iterdir()} == {
        "README",
        "alexnet",
        "lenet",
        "speed",
    }
    assert kept.exists()
    after = readme.read_text("utf-8")
    assert cells(after, "[AlexNet](alexnet.md)")[1:] == ["3", "60.97 to 61.10", "0.714 to 0.724"]
    assert "resnet.md" not in after
    assert [line for line in after.splitlines() if line[:1] != "|"] == [
        line for line in before.splitlines() if line[:1] != "|"
    ]
    assert main(["--check", str(docs)]) == 0


@pytest.mark.usefixtures("two_families")
def test_a_folder_without_the_lists_is_explained(
    docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = docs / "zh_CN/models/README.md"
    readme.write_text(readme.read_text("utf-8").replace("<!-- families -->", ""), "utf-8")
    assert main(["--write", str(docs)]) == 2
    assert "<!-- families -->" in capsys.readouterr().err
    readme.unlink()
    assert main(["--write", str(docs)]) == 2
    assert f"there is no {readme}" in capsys.readouterr().err


def test_every_family_has_its_paper() -> None:
    assert [family.name for family in find_families() if not papers(family)] == []
    cited = papers(find_families("googlenet")[0])
    assert cited == ['Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842']


# --- the committed pages -------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_network_has_its_row(language: str) -> None:
    pages = [file.read_text("utf-8") for file in (DOCS / language / "models").glob("*.md")]
    generated = [page for page in pages if page.startswith(MARK)]
    rows = [row for page in generated for row in re.findall(r"^\| (\w+) +\| \d+x\d+x", page, re.M)]
    assert sorted(rows) == registry.names("arch")


def test_pages_of_both_languages_have_the_same_numbers() -> None:
    for file in (DOCS / "en/models").glob("*.md"):
        pages = (file, DOCS / "zh_CN/models" / file.name)
        english, chinese = (numbers(page.read_text("utf-8")) for page in pages)
        assert english == chinese, file.name


def numbers(page: str) -> List[str]:
    """The numbers in a page's tables."""
    return re.findall(r"\d[\d,./]*", "".join(re.findall(r"^\|.*$", page, re.MULTILINE)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mark_of_a_source_is_explained(language: str) -> None:
    for file in (DOCS / language / "models").glob("*.md"):
        text = file.read_text("utf-8")
        marks = set(re.findall(r"\*(\[[^\]]+\])\*", text))
        assert marks == set(re.findall(r"^(\[[^\]]+\]): https://", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.xdist_group("costs")
@pytest.mark.timeout(900)
def test_all_pages_are_up_to_date() -> None:
    assert main(["--check", str(DOCS)]) == 0


# --- the table to compare with -------------------------------------------------------------------


def test_the_table_to_compare_with_is_copied_exactly(shared_dir: Path) -> None:
    files = list((shared_dir / "seeds").glob("000*.txt"))
    if not files:
        pytest.skip("the published table is not on this machine")
    keys = ["top1", "top5", "reference_top1", "reference_top5", "flops", "parameters"]
    published = {}
    for line in files[0].read_text("utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(row) == 7 and re.fullmatch(r"[\d.]+", row[1]):
            metrics = {key: float(cell) for key, cell in zip(keys, row[1:]) if cell}
            published[row[0].replace("<br>", "")] = metrics
    assert published == {name: copied(name) for name in COMPARED}


def copied(name: str) -> Dict[str, float]:
    """Our copy of the row of a network."""
    row = networks()[name]
    assert row.published and row.table
    metrics = {"top1": row.published.top1, "top5": row.published.top5}
    found = {**row.table.model_dump(exclude={"row"}), **metrics}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.slow
@pytest.mark.xdist_group("costs")
def test_our_counts_are_within_half_a_percent_of_the_published_ones() -> None:
    apart = {}
    for table, name, _ in compared():
        cost = costs(name)
        apart[name, "flops"] = cost.flops / 1e9 / table.flops - 1
        apart[name, "weights"] = cost.weights / 1e6 / table.parameters - 1
    assert len(apart) == 20
    far = {key: value for key, value in apart.items() if abs(value) > 0.005}
    # 0.699, of which the table shows two decimals and cuts off the rest.
    assert far == {("SqueezeNet1_1", "flops"): pytest.approx(0.0132, abs=1e-4)}
    assert int(costs("SqueezeNet1_1").flops / 1e7) == 69
