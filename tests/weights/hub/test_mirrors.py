"""The map of mirrors: from the environment and from the file, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppcls.errors import UsageError
from ppcls.weights.hub.mirrors import mirrors_file, places

ADDRESS = "https://a.example/x/net.pdparams"


def write(text: str) -> None:
    mirrors_file().parent.mkdir(parents=True, exist_ok=True)
    mirrors_file().write_text(text, encoding="utf-8")


def test_without_a_map_there_is_one_place(cache: Path) -> None:
    assert mirrors_file() == cache / "mirrors.yaml"
    assert places(ADDRESS) == [ADDRESS]
    write("# nothing\n")
    assert places(ADDRESS) == [ADDRESS]


def test_environment_comes_before_the_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("https://a.example/: [https://b.example/p/, /srv/weights]\nhttps://else/: http://no/\n")
    variable = " https://a.example = http://c.example/q ; https://a.example/x/=file:///mnt/w/;"
    monkeypatch.setenv("PPCLS_MIRRORS", variable)
    assert places(ADDRESS) == [
        "http://c.example/q/x/net.pdparams",
        Path("/mnt/w/net.pdparams"),
        "https://b.example/p/x/net.pdparams",
        Path("/srv/weights/x/net.pdparams"),
        ADDRESS,
    ]


def test_prefix_ends_with_a_slash(cache: Path) -> None:
    write("https://a.ex: https://b.example\n")
    assert places(ADDRESS) == [ADDRESS]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "must hold lines such as"),
        ("a: [\n", "is not readable YAML"),
        ("a: 2024-99-99\n", "is not readable YAML"),
        ("a.example: https://b.example/\n", r"mirrors.yaml: 'a.example' is no prefix"),
        ("https://a.example/: ftp://b.example/\n", "'ftp://b.example/' is no mirror"),
        ("https://a.example/: {a: b}\n", "is no mirror"),
    ],
)
def test_wrong_file(cache: Path, text: str, words: str) -> None:
    write(text)
    with pytest.raises(UsageError, match=words):
        places(ADDRESS)


def test_wrong_variable(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPCLS_MIRRORS", "https://a.example/")
    with pytest.raises(UsageError, match=r"\$PPCLS_MIRRORS: 'https://a.example/' is not of the fo"):
        places(ADDRESS)
