"""``ppcls infer`` and ``ppcls predict``: the same answers before and after the export."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ppcls.cli import main

Ranked = Dict[str, List[List[Any]]]


def read(text: str) -> Ranked:
    """{source: [[class, name, percent], ...]} of what a command printed; errors have no classes."""
    found: Ranked = {}
    source = ""
    for line in text.splitlines():
        row = re.fullmatch(r" +([\d.]+)%  (.+) \(class (\d+)\)", line)
        if row:
            found[source].append([int(row[3]), row[2], float(row[1])])
        elif not line.startswith("  ") and not re.match(r"\d+ images?, ", line):
            source = line
            found[source] = []
    return found


def infer(trained: Any, images: Path, capsys: pytest.CaptureFixture[str], *changes: str) -> Ranked:
    """What ``ppcls infer`` says of images."""
    capsys.readouterr()
    given = ["infer", "-c", str(trained.config), "-o", f"Infer.infer_imgs={images}", *changes]
    assert main(given) == 0
    return read(capsys.readouterr().out)


@pytest.fixture
def predicted(trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]) -> Ranked:
    """What the exported bundle says of the evaluation images."""
    given = ["predict", "--model_dir", str(trained.bundle), "--input", str(digits / "val")]
    assert main([*given, "--device", "cpu"]) == 0
    return read(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_network_and_its_bundle_say_the_same(
    batch_size: int,
    trained: Any,
    digits: Path,
    predicted: Ranked,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = infer(trained, digits / "val", capsys, f"Infer.batch_size={batch_size}")
    assert list(found) == list(predicted) and len(found) == 40
    for source, ranked in found.items():
        # Printed with three digits after the point, the last of which may be rounded otherwise.
        assert [row[:2] for row in ranked] == [row[:2] for row in predicted[source]], source
        percents = [row[2] for row in ranked]
        assert percents == pytest.approx([row[2] for row in predicted[source]], abs=0.0011)
        assert sum(percents) == pytest.approx(100, abs=0.01) and len(ranked) == 4


@pytest.mark.slow
def test_standard_output_holds_results_only(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "val" / "d2" / "3.png"
    capsys.readouterr()
    arguments = ["infer", "-c", str(trained.config), "-o", f"Infer.infer_imgs={image}"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == str(image) and len(lines) == 6 and lines[5] == "1 image, 0 errors"
    assert captured.err.startswith("weights: ")


@pytest.mark.slow
def test_images_may_be_named_like_for_predict(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(digits / "val/d2/3.png"), str(digits / "val/d1/1.png")]
    given = ["infer", "-c", str(trained.config)]
    capsys.readouterr()
    assert main([*given, *images, "--topk", "1"]) == 0
    expected = read(capsys.readouterr().out)
    assert list(expected) == images and all(len(rows) == 1 for rows in expected.values())
    assert main([*given, "--topk", "1", "-o", "Infer.batch_size=2", *images]) == 0
    assert read(capsys.readouterr().out).keys() == expected.keys(), "behind -o too"
    assert main([*given, "--input", *images, "--output", str(tmp_path / "p.csv")]) == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 3
    assert main([*given, *images, "--topk", "0"]) == 2
    assert main([*given, "gone.png"]) == 1
    assert "gone.png: no such file or folder" in capsys.readouterr().err


def test_topk_is_what_the_recipe_says(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "val" / "d2" / "3.png"
    for wanted, shown in ((1, 1), (3, 3), (9, 4)):
        found = infer(trained, image, capsys, f"Infer.PostProcess.topk={wanted}")
        assert len(found[str(image)]) == shown


def test_bad_files_are_error_rows_and_all_bad_is_status_1(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes((digits / "val" / "d0" / "0.png").read_bytes())
    (tmp_path / "b.png").write_bytes(b"no image")
    found = infer(trained, tmp_path, capsys)
    assert len(found[str(tmp_path / "a.png")]) == 4 and found[str(tmp_path / "b.png")] == []
    (tmp_path / "a.png").unlink()
    arguments = ["infer", "-c", str(trained.config), "-o", f"Infer.infer_imgs={tmp_path}"]
    assert main(arguments) == 1
    assert f"{tmp_path / 'b.png'}\n  error: " in capsys.readouterr().out


def test_missing_images_are_told_with_their_place(
    trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["infer", "-c", str(trained.config), "-o", "Infer.infer_imgs=nothing.png"]
    assert main(arguments) == 2
    assert "Infer.infer_imgs: nothing.png: no such file or folder" in capsys.readouterr().err


def test_images_of_different_sizes_are_an_error_of_the_recipe(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ops = "DataLoader.Eval.dataset.transform_ops.1={ResizeImage: {resize_short: 40}}"
    change = ["-o", f"Infer.infer_imgs={digits / 'val'}", ops]
    assert main(["infer", "-c", str(trained.config), *change]) == 2
    assert "different sizes" in capsys.readouterr().err


def names(ranked: Ranked) -> List[str]:
    """The names of the classes of the only image, by their numbers."""
    (rows,) = ranked.values()
    return [name for _, name, _ in sorted(rows)]


def test_five_classes_are_shown_unless_told_otherwise(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "val" / "d2" / "3.png"
    found = infer(trained, image, capsys, "Infer.PostProcess={name: Topk}")
    assert len(found[str(image)]) == 4


def test_numbered_classes_take_the_names_of_the_recipe(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = digits / "val" / "d2" / "3.png"
    listed = "Infer.PostProcess.label_list=[zero, one, two, three]"
    assert names(infer(trained, image, capsys, listed)) == ["zero", "one", "two", "three"]
    (tmp_path / "spaces.txt").write_text("0 nil\n1 uno\n2 due\n3 tre\n")
    (tmp_path / "commas.txt").write_text("0,nil a\n1,uno b\n3,tre d\n")
    change = f"Infer.PostProcess.class_id_map_file={tmp_path}"
    assert names(infer(trained, image, capsys, f"{change}/spaces.txt"))[:2] == ["nil", "uno"]
    found = infer(trained, image, capsys, f"{change}/commas.txt", "Infer.PostProcess.delimiter=','")
    assert names(found) == ["nil a", "uno b", "2", "tre d"]
    assert names(infer(trained, image, capsys, f"{change}/none.txt")) == ["0", "1", "2", "3"]
    change = f"Global.class_id_map_file={tmp_path}/spaces.txt"
    assert names(infer(trained, image, capsys, change))[2:] == ["due", "tre"]


def test_another_number_of_names_is_an_error(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f"Infer.infer_imgs={digits / 'val'}", "Infer.PostProcess.label_list=[a, b]"]
    assert main(["infer", "-c", str(trained.config), "-o", *changes]) == 2
    error = capsys.readouterr().err
    assert "Infer.PostProcess.label_list names 2 classes, but the network has 4" in error


def test_a_second_list_of_transforms_is_pointed_out_once(
    trained: Any, digits: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from ppcls.api.infer import infer as predictions
    from ppcls.config import load_config

    given = [f"Infer.infer_imgs={digits}/val/d2/3.png", "Infer.transforms=[DecodeImage]"]
    assert list(predictions(load_config(trained.config, given)))
    assert sum("differs from DataLoader.Eval" in text for text in caplog.messages) == 1


def test_a_mistake_in_the_second_list_is_named_there(
    trained: Any, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ops = "[{CropImage: {size: 8}}, {NormalizeImage: {order: hwc, mean: [0.5], std: [0.5]}}]"
    changes = [f"Infer.infer_imgs={digits}/val", f"Infer.transforms={ops}", "~DataLoader.Eval"]
    assert main(["infer", "-c", str(trained.config), "-o", *changes]) == 2
    assert f"-o {changes[1]}: Infer.transforms: NormalizeImage has 1" in capsys.readouterr().err


def test_trained_names_stay_with_a_warning(trained: Any, caplog: pytest.LogCaptureFixture) -> None:
    from ppcls.api.ranking import names_of
    from ppcls.config import load_config
    from ppcls.data.dataset import ClassMap

    class_map = ClassMap(["cat", "dog"])
    for listed, warnings in (("[cat, dog]", 0), ("[dog, cat]", 1)):
        given = [f"Infer.PostProcess.label_list={listed}"]
        assert names_of(load_config(trained.config, given), class_map) == class_map
        assert len(caplog.messages) == warnings
    assert "names other classes than training did" in caplog.messages[0]


@pytest.mark.slow
def test_a_recipe_lists_images_and_says_where_predictions_go(
    trained: Any, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images.txt"
    images.write_text("d2/3.png 2\nd0/1.png 0\n")
    given = ["infer", "-c", str(trained.config), "-o", f"Infer.infer_imgs={digits / 'val'}"]
    given += [f"Infer.infer_list={images}"]
    assert main([*given, f"Infer.save_dir={tmp_path / 'found'}"]) == 0
    rows = (tmp_path / "found/predictions.jsonl").read_text().splitlines()
    sources = [json.loads(row)["source"] for row in rows]
    assert sources == [str(digits / "val" / name) for name in ("d2/3.png", "d0/1.png")]
    assert main([*given, f"Infer.save_dir={tmp_path / 'found.csv'}"]) == 0
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 3
    capsys.readouterr()
    assert main([*given[:-1], f"Infer.infer_list={tmp_path / 'gone.txt'}"]) == 2
    assert "Infer.infer_list: " in (told := capsys.readouterr().err)
    assert "gone.txt: the list cannot be read: No such file" in told
