"""The example of the page "Parts of your own", from training to a bundle that needs no file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import yaml

from ppcls import registry, runtime, weights
from ppcls.data.prepare import prepare_digits
from ppcls.weights.metadata import noted_config

runtime.prepare()

PAGE = Path(__file__).resolve().parents[1] / "docs/en/own_parts.md"

STEPS = """
import sys
from ppcls.cli import main

SMALL = ["-o", "Arch.width=8", "Optimizer.lr.warmup_epoch=0"]
for verb, *more in (
    ["train", "-o", "Global.epochs=1"],
    ["train", "-o", "Global.epochs=2", "--resume", "auto"],
    ["eval", "--json", "eval.json"],
    ["infer", "-o", "Infer.infer_imgs=dataset/digits/val/7"],
    ["export"],
):
    print("---", verb, *more, flush=True)
    status = main([verb, "-c", "my_recipe.yaml", *SMALL, *more])
    if status:
        sys.exit(f"{verb} left with {status}")
"""


def blocks(language: str) -> List[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., Any]) -> Path:
    """A folder in which all commands of the page have been run, in a process of their own."""
    folder = tmp_path_factory.mktemp("own")
    prepare_digits(folder / "dataset/digits")
    for name, count in (("train_list.txt", 320), ("val_list.txt", 64)):
        lines = (folder / "dataset/digits" / name).read_text().splitlines()
        (folder / "dataset/digits" / name).write_text("\n".join(lines[-count:]) + "\n")
    (folder / "my_parts.py").write_text(blocks("python")[0])
    (folder / "my_recipe.yaml").write_text(blocks("yaml")[0])
    done = run_python("-c", STEPS, cwd=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (folder / "said.txt").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_all_commands_work_with_parts_of_ones_own(place: Path) -> None:
    run, said = place / "output/my_net", (place / "said.txt").read_text()
    assert "imported my_parts.py: arch MyNet, arch MyNet_wide, loss MyFocalLoss" in said
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["Global"]["imports"] == ["my_parts.py"]
    notes = (run / "notes.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in notes] == [1, 2]
    assert "resumed from" in said
    assert "confidence" in (place / "eval.json").read_text()
    noted = weights.read(run / "best_model.safetensors").metadata
    assert (noted["arch"], noted["class_num"], noted["in_channels"]) == ("MyNet", 10, 1)
    assert noted_config(noted, "")["Global"]["imports"] == ["my_parts.py"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["paddle", "onnxruntime"])
def test_the_bundle_predicts_in_a_process_that_never_saw_the_file(
    engine: str, place: Path, tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    from ppcls.inference import Predictor
    from ppcls.inference.engines import is_installed

    if not is_installed(engine):
        pytest.skip(f"{engine} is not installed")
    assert "MyNet" not in registry.names("arch")
    bundle = (place / "output/my_net/inference").rename(tmp_path / "bundle")
    try:
        images = sorted((place / "dataset/digits/val/7").glob("*.png"))[:3]
        found = list(Predictor(bundle, engine=engine)(images))
        said = (place / "said.txt").read_text().splitlines()
        for image, prediction in zip(images, found):
            line = next(i for i, line in enumerate(said) if line.endswith(f"/7/{image.name}"))
            assert prediction.error is None
            assert f"%  {prediction.names[0]} " in said[line + 1]
    finally:
        bundle.rename(place / "output/my_net/inference")


@pytest.mark.slow
def test_weights_that_note_imports_run_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever loads a stranger's weights, resumes from them or opens a bundle runs none of its
    code.
    """
    import ppcls
    from ppcls.cli import main

    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("open('has_run', 'w')\n")
    config = (
        "Global: {imports: [evil.py]}\nArch: {name: LeNet}\nDataLoader: {Eval: {dataset: {}}}\n"
    )
    noted: Dict[str, Any] = {"config": config, "class_names": list("0123456789")}
    network = ppcls.create_model("LeNet", class_num=10)
    weights.save_weights(network, Path("stranger.safetensors"), {**noted, "arch": "LeNet"})
    recipe = ["-c", "quick_start/LeNet_digits.yaml", "-o", "Global.output_dir=run"]
    monkeypatch.chdir(tmp_path)
    Path("dataset").symlink_to(place / "dataset")
    start = "Global.pretrained_model=stranger.safetensors"
    assert main(["eval", *recipe, start]) == 0
    assert main(["export", *recipe, start, "--format", "paddle"]) == 0
    text = Path("run/inference/inference.yml").read_text()
    Path("run/inference/inference.yml").write_text(
        text.replace("Global:\n", "Global:\n  imports: [evil.py]\n", 1)
    )
    main(["predict", "--model_dir", "run/inference", "dataset/digits/val/7"])
    assert not Path("has_run").exists()
