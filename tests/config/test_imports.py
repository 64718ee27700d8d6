"""`Global.imports`: obeyed in files and on the command line, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
import yaml

from ppcls.config import as_config, load_config
from ppcls.errors import ConfigError

RECIPE = """
_base_: quick_start/LeNet_digits.yaml
Global:
  imports: [mine.py]
DataLoader:
  Eval:
    dataset:
      transform_ops: [DecodeImage: {channel_num: 1}, Mine: {level: 2}]
"""
PARTS = """
from pathlib import Path
from ppcls.data.transforms import Transform
from ppcls.registry import register

Path("has_run").touch()

@register("transform")
class Mine(Transform):
    def __init__(self, level: int = 1) -> None:
        self.level = level
"""

pytestmark = pytest.mark.usefixtures("own_parts")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user, with a recipe and a file of parts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "mine.py").write_text(PARTS)
    return tmp_path


def failure(overrides: List[str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config("recipe.yaml", overrides)
    return str(caught.value)


def test_parts_are_imported_before_their_names_are_checked() -> None:
    config = load_config("recipe.yaml")
    assert config.Global.imports == ["mine.py"]
    assert config.DataLoader.Eval is not None
    assert config.DataLoader.Eval.dataset.arguments["transform_ops"][1].arguments == {"level": 2}
    change = "DataLoader.Eval.dataset.transform_ops=[Mien]"
    assert "unknown transform 'Mien'. Did you mean 'Mine'?" in failure([change])


@pytest.mark.slow
def test_the_command_line_adds_to_the_file_and_is_noted(place: Path) -> None:
    (place / "more.py").write_text(PARTS.replace("Mine", "More"))
    config = load_config("recipe.yaml", imports=["more.py", "mine.py"])
    assert config.data["Global"]["imports"] == ["mine.py", "more.py"]
    with pytest.raises(ConfigError, match=r"^--import none.py: there is no file"):
        load_config("recipe.yaml", imports=["none.py"])


def test_mistakes_have_their_place(place: Path) -> None:
    (place / "mine.py").write_text("1 / 0\n")
    text = failure([])
    assert text.startswith("recipe.yaml:4: Global.imports.0: importing mine.py failed:")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "Global.imports: expected a list" in failure(["Global.imports=mine.py"])


def test_the_file_beside_the_recipe_is_named_where_it_was_meant(place: Path) -> None:
    (place / "mine.py").unlink()
    (place / "recipes").mkdir()
    (place / "recipes/mine.py").write_text(PARTS)
    (place / "recipe.yaml").rename(place / "recipes/recipe.yaml")
    with pytest.raises(ConfigError, match=r"Beside the recipe there is recipes/mine\.py"):
        load_config("recipes/recipe.yaml")


@pytest.mark.slow
def test_a_mapping_imports_nothing(place: Path) -> None:
    data = yaml.safe_load("{Arch: {name: LeNet}, Global: {imports: [mine.py]}}")
    with pytest.raises(ConfigError, match=r"import it before: ppcls.import_parts\(\['mine.py'\]\)"):
        as_config(data)
    with pytest.raises(ConfigError, match=r"recipe.yaml:4: Global.imports.0: mine.py is code"):
        load_config("recipe.yaml", trusted=False)
    assert not (place / "has_run").exists()
    load_config("recipe.yaml")
    assert as_config(data).Global.imports == ["mine.py"]  # it is here already
