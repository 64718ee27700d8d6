from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls import registry
from ppcls.errors import ConfigError, DataError, UsageError
from ppcls.inference.postprocess import (
    UNKNOWN,
    MultiLabelThreshOutput,
    Ranking,
    Topk,
    read_class_id_map,
)


def test_ranks_by_probability_then_by_id() -> None:
    rows = np.array([[0.1, 0.5, 0.1, 0.3], [0.25, 0.25, 0.25, 0.25]], np.float32)
    first, second = Topk(topk=3, label_list=["a", "b", "c", "d"])(rows)
    assert (first.class_ids, first.names) == ([1, 3, 0], ["b", "d", "a"])
    assert first.scores == pytest.approx([0.5, 0.3, 0.1])
    assert second.class_ids == [0, 1, 2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 25))
def test_topk_is_pythons_sorted(row: List[float], topk: int) -> None:
    (ranking,) = Topk(topk=topk)(np.array([row]))
    assert ranking.scores == sorted(row, reverse=True)[:topk]
    assert [row[index] for index in ranking.class_ids] == ranking.scores
    assert ranking.names == [str(index) for index in ranking.class_ids]


def test_names_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("0 tench, Tinca tinca\n\n  1   goldfish\n", encoding="utf-8")
    assert read_class_id_map(str(path)) == {0: "tench, Tinca tinca", 1: "goldfish"}
    (ranking,) = Topk(topk=3, class_id_map_file=str(path))(np.array([[0.2, 0.5, 0.3]]))
    assert ranking.names == ["goldfish", "2", "tench, Tinca tinca"]
    path.write_text("0,狗, 大\n1,b\n", encoding="utf-8")
    assert read_class_id_map(str(path), ",") == {0: "狗, 大", 1: "b"}


@pytest.mark.parametrize("line", ["tench", "0", "-1 tench", "x 1"])
def test_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"0 a\n{line}\n")
    with pytest.raises(
        DataError, match=r"labels.txt:2: expected a class id, white space and a name"
    ):
        read_class_id_map(str(path))


def test_other_bad_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone.txt: cannot read"):
        Topk(class_id_map_file=str(tmp_path / "gone.txt"))
    with pytest.raises(ConfigError, match="topk: must be greater than or equal to 1, got 0"):
        registry.create("postprocess", "Topk", {"topk": 0})
    with pytest.raises(UsageError, match="not both"):
        Topk(class_id_map_file="x", label_list=["a"])


def test_registered_with_the_arguments_of_paddleclas() -> None:
    part = registry.parse("postprocess", {"name": "Topk", "topk": 2, "label_list": ["a", "b"]})
    assert part.build().topk == 2
    accepted = list(registry.arguments_model("postprocess", "Topk").model_fields)
    assert accepted == ["topk", "class_id_map_file", "delimiter", "label_list"]
    with pytest.raises(ConfigError, match="Did you mean 'topk'"):
        registry.create("postprocess", "Topk", {"top_k": 1})


def test_all_classes_from_the_threshold_on() -> None:
    rows = np.array([[0.9, 0.5, 0.1, 0.95], [0.49, 0.2, 0.1, 0.3]], np.float32)
    found = MultiLabelThreshOutput(label_list=["a", "b", "c", "d"])
    several, none = found(rows)
    assert (several.class_ids, several.names) == ([3, 0, 1], ["d", "a", "b"])
    assert several.scores == pytest.approx([0.95, 0.9, 0.5]) and several.answer == "d, a, b"
    assert (none.class_ids, none.names, none.scores, none.answer) == ([], [], [], "")
    assert found.topk == 4
    low = MultiLabelThreshOutput(0.25, label_list=["a", "b", "c", "d"], topk=1)
    assert [one.names for one in low(rows)] == [["d"], ["a"]]
    with pytest.raises(UsageError, match="not both"):
        MultiLabelThreshOutput(class_id_map_file="x", label_list=["a"])
    with pytest.raises(ConfigError, match="threshold: must be less than or equal to 1"):
        registry.create("postprocess", "MultiLabelThreshOutput", {"threshold": 2})


def test_the_answer_is_a_name_or_unknown() -> None:
    assert Ranking([1], ["b"], [0.5]).answer == "b"
    assert Ranking([1], ["b"], [0.5], is_doubtful=True).answer == UNKNOWN
