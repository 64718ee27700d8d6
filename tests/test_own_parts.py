"""Parts of a user's own: what is imported, what never is, and what is said when it fails."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Callable

import pytest

from ppcls import own_parts, registry
from ppcls.errors import ConfigError
from ppcls.own_parts import import_parts

TRANSFORM = """
from ppcls.data.transforms import Transform
from ppcls.registry import register

@register("transform")
class {name}(Transform):
    def __init__(self, level: int = 1) -> None:
        self.level = level
"""

pytestmark = pytest.mark.usefixtures("own_parts")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def failure(*names: str) -> str:
    with pytest.raises(ConfigError) as caught:
        import_parts(names)
    return str(caught.value)


def test_a_file_registers_its_parts_once(place: Path) -> None:
    write(place / "mine.py", TRANSFORM.format(name="Mine") + "print('imported')")
    import_parts(["mine.py"])
    import_parts(["./mine.py"])
    assert registry.create("transform", "Mine", {"level": 3}).level == 3
    with pytest.raises(ConfigError, match="Did you mean 'level'"):
        registry.create("transform", "Mine", {"levl": 3})
    with pytest.raises(ConfigError, match="Did you mean 'Mine'"):
        registry.create("transform", "Mien", {})
    assert sys.modules["mine"].__file__ == str(place / "mine.py")


def test_a_file_may_be_called_as_a_module_is_and_import_its_neighbours(place: Path) -> None:
    write(place / "lib/helpers_of_mine.py", "NAME = 'Neighbour'\n")
    text = "from helpers_of_mine import NAME\n" + TRANSFORM.format(name="Seasons")
    write(place / "lib/calendar.py", text)
    path = list(sys.path)
    import_parts(["lib/calendar.py"])
    assert registry.lookup("transform", "Seasons")
    assert sys.path == path
    import calendar

    assert calendar.monthrange(2024, 2)[1] == 29


@pytest.mark.parametrize("name", ["./my_package", "my_package/__init__.py"])
def test_a_package_is_named_by_its_folder(name: str, place: Path) -> None:
    write(place / "my_package/__init__.py", "from my_package import inner\n")
    write(place / "my_package/inner.py", TRANSFORM.format(name="Inner"))
    import_parts([name])
    assert registry.lookup("transform", "Inner")


def test_what_is_not_there_is_said_with_what_is(place: Path) -> None:
    text = failure("mine.py")
    assert text.startswith(f"there is no file mine.py in the working directory ({place}), to which")
    assert "not to the recipe's folder" in text
    write(place / "recipes/mine.py", "")
    with pytest.raises(ConfigError, match="there is recipes/mine.py: write that"):
        own_parts.import_part("mine.py", Path("recipes"))
    assert "A file of your own is named by its path" in failure("no_such_module")
    write(place / "some_parts.py", "")
    assert failure("some_parts").endswith("is written with its path: some_parts.py")
    write(place / "some_package/__init__.py", "")
    assert failure("some_package").endswith("is written with its path: ./some_package")


def test_a_failing_import_shows_the_users_traceback_and_not_ours(place: Path) -> None:
    write(place / "deep.py", "def fail():\n    return {}['x']\n")
    write(place / "mine.py", "import deep\n\ndeep.fail()\n")
    text = failure("mine.py")
    assert text.startswith("importing mine.py failed:\n")
    assert re.findall(r'File ".*/(\w+\.py)", line (\d+)', text) == [
        ("mine.py", "3"),
        ("deep.py", "2"),
    ]
    assert text.endswith("KeyError: 'x'")
    assert failure("mine.py") == text  # it can be tried again


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def f(:\n    pass", "line 1"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (
            TRANSFORM.format(name="CropImage"),
            "'CropImage' is registered twice (first in ppcls.data",
        ),
        ("from ppcls.registry import register\nregister('transfrom')", "Did you mean 'transform'"),
    ],
)
def test_whatever_fails_is_one_message_with_the_line(text: str, says: str, place: Path) -> None:
    write(place / "mine.py", text)
    found = failure("mine.py")
    assert says in found
    assert "mine.py" in found.splitlines()[1]
    assert "/ppcls/" not in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "@register('transform')\nclass Loose:\n    pass\n",
            r"mine.py:2: the transform 'Loose' must extend ppcls.data.transforms.Transform",
        ),
        (
            "@register('postprocess')\nclass Any:\n    def __init__(self, **more): pass\n",
            r"mine.py:2: the arguments of the postprocess 'Any' cannot be checked: .*\*more",
        ),
        (
            "@register('postprocess')\nclass Odd:\n    def __init__(self, a: 'Nothing'): pass\n",
            r"mine.py:2: the arguments .* cannot be checked: NameError: name 'Nothing'",
        ),
        (
            "@register('postprocess')\nclass Words:\n    accepts = ['soft']\n",
            r"mine.py:2: what the postprocess 'Words' accepts must be kinds .*got \['soft'\]",
        ),
        (
            "@register('postprocess')\nclass One:\n    accepts = 3\n",
            r"mine.py:2: what the postprocess 'One' accepts must be kinds .*got 3",
        ),
    ],
)
def test_parts_that_cannot_be_used_are_told_at_once(text: str, says: str, place: Path) -> None:
    write(place / "mine.py", "from ppcls.registry import register\n" + text)
    assert re.search(says.replace(":2:", ":(2|3):"), failure("mine.py"))


def define(default: int) -> None:
    """Define a transform, as a notebook's cell that is run once more does."""
    from ppcls.data.transforms import Transform

    @registry.register("transform")
    class Cell(Transform):
        def __init__(self, level: int = default) -> None:
            self.level = level


def test_a_class_that_is_defined_again_replaces_itself() -> None:
    for default in (1, 2):
        define(default)
        assert registry.create("transform", "Cell", {}).level == default


# --- installed packages ------------------------------------------------------------------------


@pytest.fixture
def install(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a package with an entry point where Python finds it, as pip does."""
    monkeypatch.syspath_prepend(str(place / "site"))

    def installed(name: str, text: str) -> None:
        write(place / f"site/{name}/parts.py", text)
        write(place / f"site/{name}/__init__.py", "")
        info = place / f"site/{name}-1.0.dist-info"
        write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        write(info / "entry_points.txt", f"[{own_parts.GROUP}]\nx = {name}.parts\n")
        own_parts.import_installed.cache_clear()

    return installed


def test_installed_packages_offer_parts_when_a_name_is_unknown(
    install: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    install("good_parts_package", TRANSFORM.format(name="Offered"))
    install("bad_parts_package", "raise ValueError('out of order')")
    registry.lookup("transform", "CropImage")
    assert "good_parts_package.parts" not in sys.modules  # known names cost nothing
    assert registry.create("transform", "Offered", {}).level == 1
    assert "Offered" in registry.names("transform")
    (warning,) = caplog.messages
    assert warning == (
        "the parts of the installed package bad_parts_package cannot be used (entry point x = "
        "bad_parts_package.parts): ValueError: out of order"
    )
