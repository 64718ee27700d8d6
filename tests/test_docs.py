"""The user documents: both languages alike, links and commands that work, true tables."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Dict,
    Iterator,
    List,
    Literal,
    Sequence,
    Tuple,
    Union,
    get_args,
    get_origin,
)

import cv2
import numpy as np
import pytest
from pydantic_core import PydanticUndefined

from ppcls import cli, registry
from ppcls.config import find_recipe, load_config, schema, to_yaml
from ppcls.config.inert import INERT
from ppcls.data.prepare import prepare_digits
from ppcls.data.split import split
from ppcls.registry import Section
from tools import model_zoo

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LANGUAGES = ["en", "zh_CN"]
PAGES = sorted(str(path.relative_to(DOCS / "en")) for path in (DOCS / "en").rglob("*.md"))
READMES = {"en": ROOT / "README.md", "zh_CN": ROOT / "README_zh.md"}
WORDS = {
    "en": {"required": "required", "mapping": "mapping", "or": "or"},
    "zh_CN": {"required": "必填", "mapping": "映射", "or": "或"},
}
ELSEWHERE = {"error_messages.md"}
"""Pages that a program writes; here only their links and headings are compared."""

Row = List[str]


def files(language: str) -> List[Path]:
    """All documents of a language, the README first."""
    return [READMES[language], *sorted((DOCS / language).rglob("*.md"))]


def pairs() -> List[Tuple[Path, Path]]:
    """Every English document with its translation."""
    return [
        (READMES["en"], READMES["zh_CN"]),
        *((DOCS / "en" / name, DOCS / "zh_CN" / name) for name in PAGES),
    ]


def text_of(file: Path) -> str:
    return file.read_text("utf-8")


def blocks(file: Path, language: str = r"\w*") -> List[str]:
    """The contents of a document's fenced blocks, of one language or of all."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(file), re.DOTALL | re.MULTILINE)


def prose(file: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(file), flags=re.DOTALL | re.MULTILINE)


def headings(file: Path) -> List[Tuple[int, str]]:
    """Level and text of each heading."""
    found = re.findall(r"^(#+) (.+)$", prose(file), re.MULTILINE)
    return [(len(marks), words) for marks, words in found]


def links(file: Path) -> List[str]:
    """The targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(file))


def without_comments(block: str) -> List[str]:
    """The lines of a block as a program reads them: comments are translated, all else is not."""
    lines = (re.sub(r"(^|\s+)# .*$", "", line).rstrip() for line in block.splitlines())
    return [line for line in lines if line]


def test_both_languages_have_the_same_pages() -> None:
    chinese = DOCS / "zh_CN"
    assert sorted(str(path.relative_to(chinese)) for path in chinese.rglob("*.md")) == PAGES
    expected = {"README.md", "architecture.md", "checkpoints.md", "configuration.md"}
    assert {*expected, "deployment.md", "training.md"} <= set(PAGES)


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=lambda path: path.stem)
def test_both_languages_have_the_same_structure(english: Path, chinese: Path) -> None:
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(chinese)]
    assert neutral(links(english)) == neutral(links(chinese))


def neutral(targets: List[str]) -> List[str]:
    """Link targets without the language that is part of them."""
    return [re.sub(r"README_zh", "README", target.replace("zh_CN", "en")) for target in targets]


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=lambda path: path.stem)
def test_both_languages_have_the_same_tables_and_blocks(english: Path, chinese: Path) -> None:
    if english.name in ELSEWHERE:
        return
    assert len(re.findall(r"^\|", prose(english), re.MULTILINE)) == len(
        re.findall(r"^\|", prose(chinese), re.MULTILINE)
    )
    assert list(map(without_comments, blocks(english))) == list(
        map(without_comments, blocks(chinese))
    )


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(language: str) -> None:
    broken = []
    for file in files(language):
        for target in links(file):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            there = (file.parent / path).resolve() if path else file
            is_page = there.suffix == ".md" and there.is_file()
            anchors = [slug(words) for _, words in headings(there)] if is_page else []
            if not there.exists() or (anchor and anchor not in anchors):
                broken.append(f"{file.relative_to(ROOT)}: {target}")
    assert broken == []


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert {name: size for name, size in sizes.items() if size > 80_000} == {}


# --- tables ------------------------------------------------------------------------------------


def table(file: Path, marker: str) -> List[Row]:
    """The cells of the table below the comment ``<!-- marker -->``, without its head."""
    _, found, rest = text_of(file).partition(f"<!-- {marker} -->\n")
    assert found, f"{file} has no table marked '{marker}'"
    lines = rest.strip().split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(cell: str) -> List[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]*)`", cell)


def yaml_value(value: Any) -> str:
    """A default as the documents write it."""
    return value if isinstance(value, str) else json.dumps(value)


def type_words(annotation: Any, limits: Sequence[Any], words: Dict[str, str]) -> str:
    """A type as the documents write it: `int` > 0."""
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        more = [item for one in extra for item in getattr(one, "metadata", [one])]
        return type_words(inner, [*limits, *more], words)
    if get_origin(annotation) is Union:
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return f" {words['or']} ".join(type_words(kind, limits, words) for kind in kinds)
    if get_origin(annotation) is Literal:
        return " / ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is list:
        inner = code(type_words(get_args(annotation)[0], [], words))[0]
        return f"`list[{inner}]`"
    if issubclass(annotation, Section):
        return words["mapping"]
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    bounds = [
        f"{signs[name]} {getattr(limit, name):g}".replace("4.29497e+09", str(2**32))
        for limit in limits
        for name in signs
        if hasattr(limit, name)
    ]
    name = f"`{'part' if annotation is registry.Part else annotation.__name__}`"
    return f"{name} {', '.join(bounds)}".strip()


def section_rows(section: Any, words: Dict[str, str], prefix: str = "") -> Iterator[Row]:
    """Key, type and default of everything in a section, nested sections after their own row."""
    for key, field in section.model_fields.items():
        kind = type_words(field.annotation, field.metadata, words)
        nested = next(
            (one for one in (field.annotation, *get_args(field.annotation)) if is_section(one)),
            None,
        )
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        shown = words["required"] if default is PydanticUndefined else f"`{yaml_text(default)}`"
        if nested is None or default is None:
            yield [f"`{prefix}{key}`", kind, shown]
        if nested is not None:
            yield from section_rows(nested, words, f"{prefix}{key}.")


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def yaml_text(default: Any) -> str:
    return "" if isinstance(default, Section) else yaml_value(default)


SECTIONS = {
    "Global": schema.GlobalSection,
    "AMP": schema.AmpSection,
    "EMA": schema.EmaSection,
    "SWA": schema.SwaSection,
    "TTA": schema.TtaSection,
    "Loss": schema.LossSection,
    "DataLoader": schema.SplitSection,
    "Infer": schema.InferSection,
    "Metric": schema.MetricSection,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SECTIONS)
def test_tables_of_keys_are_the_schema(name: str, language: str) -> None:
    found = table(DOCS / language / "configuration.md", f"section: {name}")
    expected = section_rows(SECTIONS[name], WORDS[language])
    assert sorted(row[:3] for row in found) == sorted(expected)


def test_every_section_has_its_table() -> None:
    tabled = {*SECTIONS, "Arch", "Teacher", "Optimizer", "Loggers"}
    assert set(schema.Config.model_fields) == tabled
    assert set(schema.DataLoaderSection.model_fields) == {"Train", "Eval"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "section"), [("Arch", schema.ArchSection), ("Teacher", schema.TeacherSection)]
)
def test_tables_of_networks_are_the_schema(name: str, section: Any, language: str) -> None:
    page = DOCS / language / "configuration.md"
    keys = [code(row[0])[0] for row in table(page, f"section: {name}")]
    assert {"part", *keys} - {"name"} == set(section.model_fields)


@pytest.mark.parametrize("language", LANGUAGES)
def test_inert_keys_are_listed(language: str) -> None:
    rows = table(DOCS / language / "configuration.md", "inert")
    assert [code(row[0])[0] for row in rows] == list(INERT)
    if language == "en":
        assert [row[1] for row in rows] == list(INERT.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_kinds_of_parts_are_listed(language: str) -> None:
    rows = table(DOCS / language / "architecture.md", "kinds")
    assert {code(row[0])[0]: code(row[1])[0] for row in rows} == registry._HOMES


PARTS = {
    "loss": "configuration.md",
    "optimizer": "configuration.md",
    "regularizer": "configuration.md",
    "schedule": "configuration.md",
    "metric": "configuration.md",
    "logger": "configuration.md",
    "postprocess": "configuration.md",
    "dataset": "training.md",
    "sampler": "training.md",
    "transform": "training.md",
    "batch_transform": "training.md",
}
SHARED = ["optimizer", "schedule"]
"""Kinds whose parts have arguments in common, which stand in a table of their own."""


def arguments(kind: str, name: str) -> Dict[str, str]:
    """The arguments of a part as the documents write them: ``size``, or ``backend: cv2``."""
    fields = registry.arguments_model(kind, name).model_fields
    return {
        key: key if field.is_required() else f"{key}: {yaml_value(field.default)}"
        for key, field in fields.items()
    }


def shared_arguments(kind: str, language: str) -> List[str]:
    """What the table of common arguments says, in the form of `arguments`."""
    if kind not in SHARED:
        return []
    required = WORDS[language]["required"]
    return [
        code(key)[0] if default == required else f"{code(key)[0]}: {code(default)[0]}"
        for key, default, *_ in table(DOCS / language / PARTS[kind], f"arguments: {kind}")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", PARTS)
def test_tables_of_parts_are_their_signatures(kind: str, language: str) -> None:
    shared = shared_arguments(kind, language)
    rows = table(DOCS / language / PARTS[kind], f"parts: {kind}")
    place = f"docs/{language}/{PARTS[kind]}, the table <!-- parts: {kind} -->"
    listed, registered = {code(row[0])[0] for row in rows}, set(registry.names(kind))
    assert registered - listed == set(), f"{place} has no row for these"
    assert listed - registered == set(), f"{place} has rows for what is not there"
    for name, own, *_ in rows:
        found = [text for text in arguments(kind, code(name)[0]).values() if text not in shared]
        assert code(own) == found, name


@pytest.mark.parametrize("kind", SHARED)
def test_shared_arguments_are_shared(kind: str) -> None:
    keys = {text.partition(":")[0] for text in shared_arguments(kind, "en")}
    parts = [set(arguments(kind, name)) for name in registry.names(kind)]
    # AdamW's decay is its own, so it takes no penalty from outside.
    assert keys - {"regularizer"} <= set.intersection(*parts)


def test_no_kind_of_part_is_forgotten() -> None:
    # A neck is no section of a file: it is put onto a network in Python.
    assert {*PARTS, "arch", "neck"} == set(registry._HOMES)


def own_networks() -> Dict[str, List[str]]:
    """The networks by their class, without those that are another toolkit's."""
    found: Dict[str, List[str]] = {}
    for name in registry.names("arch"):
        if not re.search("_(tv|timm|tf)$", name):
            found.setdefault(constructor(name).__name__, []).append(name)
    return found


def constructor(network: str) -> Any:
    """The class of a network."""
    return registry.lookup("arch", network).constructor


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_family_of_networks_lists_its_arguments(language: str) -> None:
    """A default stands there only where all networks of the family have it."""
    networks, found = own_networks(), []
    for link, own in table(DOCS / language / "configuration.md", "arch"):
        family, page = re.findall(r"^\[(\w+)\]\(models/(\w+)\.md\)$", link)[0]
        found.append(family)
        for name in networks[family]:
            known = arguments("arch", name)
            assert constructor(name).__module__ == f"ppcls.arch.backbone.{page}"
            assert {*code(own)} - {*known, *known.values()} == set(), name
            assert [*known] == ["class_num", "in_channels", *(k.split(":")[0] for k in code(own))]
    assert sorted(found) == sorted(networks)


# --- commands, files and snippets --------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the one in which a reader types: digits, photos, and finished runs."""
    place = tmp_path_factory.mktemp("reader")
    prepare_digits(place / "dataset/digits")
    pixels = np.zeros((8, 8, 3), np.uint8)
    for name in ("cat/1.png", "cat/2.png", "horse/1.png", "horse/2.png"):
        (place / "my_photos" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / "my_photos" / name), pixels)
    own = DOCS / "en/own_parts.md"
    (place / "my_parts.py").write_text(blocks(own, "python")[0], "utf-8")
    (place / "my_recipe.yaml").write_text(blocks(own, "yaml")[0], "utf-8")
    split(place / "my_photos")
    recipes = {"LeNet_digits": "quick_start/LeNet_digits.yaml"}
    for run in ("my_photos", "my_photos/final"):
        recipes[run] = str(place / "my_photos/recipe.yaml")
    for run, recipe in recipes.items():
        (place / "output" / run).mkdir(parents=True)
        text = to_yaml(load_config(recipe).data)
        for name in ("config.yaml", "recipe.yaml"):
            (place / "output" / run / name).write_text(text, "utf-8")
    return place


def commands(file: Path) -> Iterator[List[str]]:
    """The words of every command in a document's shell blocks."""
    for block in blocks(file, "bash"):
        for line in block.splitlines():
            for command in re.split(r"\s+&&\s+", line):
                words = shlex.split(command, comments=True)
                if words:
                    yield words


def program_arguments(words: List[str]) -> List[str]:
    """What `ppcls` would be given, also by the scripts of a clone."""
    if Path(words[0]).name == "ppcls":
        return words[1:]
    script = ROOT / words[1]
    assert script.is_file(), words
    verb = re.search(r'main\(\["(\w+)"', script.read_text("utf-8"))
    assert verb, words
    return [verb[1], *words[2:]]


def check_command(words: List[str]) -> None:
    """Parse a command, and read the files that it names."""
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
    elif words[0] == "source" or words[:3] == ["python3", "-m", "venv"]:
        assert ".venv" in " ".join(words)
    elif words[0] == ".venv/bin/pip":
        extras = re.fullmatch(r"\.\[([\w,]+)\]", words[-1])
        assert extras, words
        for extra in extras[1].split(","):
            assert f'"{extra}": [' in (ROOT / "setup.py").read_text("utf-8")
    elif words[1:2] == ["tools/model_zoo.py"]:
        model_zoo._parser().parse_args(words[2:])
    else:
        check_program(program_arguments(words))


def check_program(given: List[str]) -> None:
    parsed = cli._parse(given)
    if getattr(parsed, "config", None):
        load_config(parsed.config, parsed.override, parsed.imports)
    if parsed.verb == "predict":
        for path in parsed.input:
            assert Path(path).exists(), given
    if getattr(parsed, "base", None):
        find_recipe(parsed.base)


@pytest.mark.slow
@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_are_what_the_program_accepts(
    language: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    found = [words for file in files(language) for words in commands(file)]
    assert len(found) > 20
    for words in found:
        try:
            check_command(words)
        except SystemExit:
            pytest.fail(f"the command line does not accept {words}")


@pytest.mark.slow
@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("language", LANGUAGES)
def test_pieces_of_configuration_are_valid(
    language: str, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    pieces = [piece for file in files(language) for piece in blocks(file, "yaml")]
    assert len(pieces) > 3
    for piece in pieces:
        file = tmp_path / "piece.yaml"
        base = "" if "_base_" in piece else "_base_: quick_start/LeNet_digits.yaml\n"
        file.write_text(base + piece, "utf-8")
        load_config(str(file))


def test_quoted_figures_of_the_digits_are_the_data_sets(workplace: Path) -> None:
    listed = (workplace / "dataset/digits/train_list.txt").read_text().splitlines()
    quoted = re.findall(r"^train/\d/\d+\.png \d$", text_of(DOCS / "en/training.md"), re.MULTILINE)
    assert quoted
    assert set(quoted) <= set(listed)


def test_readme_tells_the_versions_of_setup() -> None:
    needs = (ROOT / "requirements.txt").read_text() + (ROOT / "setup.py").read_text()
    oldest = re.search(r"range\((\d+), (\d+)\)\)", needs)
    assert oldest
    for readme in READMES.values():
        text = text_of(readme)
        assert f"3.{oldest[1]}" in text
        assert f"3.{int(oldest[2]) - 1}" in text
        for requirement in ("numpy>=1.24", "opencv-python-headless>=4.6", "paddlepaddle>=2.6.2"):
            assert requirement in needs
            assert requirement.partition(">=")[2] in text


@pytest.mark.slow
@pytest.mark.usefixtures("own_parts")
def test_python_snippets_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ppcls import runtime

    runtime.prepare()
    import ppcls
    from ppcls.data.dataset import ClassMap
    from ppcls.engine.trained import eval_transform
    from ppcls.exporters import Processing, export_bundle

    monkeypatch.chdir(workplace)
    transform = eval_transform(load_config("quick_start/LeNet_digits.yaml"))
    bundle = workplace / "output/LeNet_digits/inference"
    export_bundle(ppcls.create_model("LeNet"), bundle, Processing(transform, ClassMap.numbered(10)))
    snippets = [piece for file in files("en") for piece in blocks(file, "python")]
    assert len(snippets) >= 3
    # Parts of one's own are imported by another snippet.
    for snippet in (piece for piece in snippets if not piece.startswith('"""my_parts.py')):
        (workplace / "snippet.py").write_text(snippet, "utf-8")
        runpy.run_path(str(workplace / "snippet.py"), run_name="snippet")
    assert "dataset/digits/val/7/0043.png" in capsys.readouterr().out
    inverted = registry.create("transform", "Invert", {"channels": [0]})
    picture = np.zeros((2, 2, 3), np.uint8)
    assert inverted(picture, np.random.default_rng(0))[0, 0].tolist() == [255, 0, 0]
