from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import paddle
import pytest
import yaml

from ppcls.arch import create_model
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError, UsageError
from ppcls.exporters import ExportOptions, Processing, export_bundle
from ppcls.exporters.formats import FORMATS as FORMAT_WRITERS
from ppcls.exporters.paddlex import name_obstacle
from ppcls.exporters.parity import TOLERANCE
from ppcls.exporters.staging import staging
from ppcls.inference import Predictor, read_bundle
from ppcls.inference.engines.paddle_inference import PaddleEngine

Network = paddle.nn.Layer


def _photos(count: int) -> List[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, 40, 50, 3), dtype=np.uint8))


def test_bundle_holds_program_description_and_parity(
    tmp_path: Path, network: Network, transform: Pipeline, processing: Processing
) -> None:
    images = [transform(photo) for photo in _photos(4)]
    report = export_bundle(
        network,
        tmp_path / "b",
        processing,
        images=images,
        provenance={"epoch": 3},
    )
    program = "inference.json" if paddle.__version__[0] == "3" else "inference.pdmodel"
    expected = {program, "inference.pdiparams", "inference.yml", "parity.json"}
    assert set(os.listdir(tmp_path / "b")) == set(report.files) == expected
    parity = json.loads((tmp_path / "b/parity.json").read_text())
    assert {name: list(rows) for name, rows in parity["formats"].items()} == {
        "paddle": ["paddle", "paddle_plain"]
    }
    parity = {**parity, **parity["formats"]["paddle"]["paddle"]}
    assert parity["passed"] and parity["images"] == 4 and parity["kind_of_images"] == "real images"
    assert parity["log_probability_difference"] < TOLERANCE
    assert parity["probability_difference"] < TOLERANCE
    assert parity["top1_agreement"] == 1.0
    assert parity["versions"]["paddle"] == paddle.__version__
    assert parity["engine"]["name"] == "paddle"
    assert str(tmp_path / "b") in report.summary() and "4 images" in report.summary()
    assert os.listdir(tmp_path) == ["b"], "nothing else stays behind"


@pytest.mark.slow
def test_a_folded_network_passes_the_parity_check_against_the_original(
    tmp_path: Path, processing: Processing
) -> None:
    arguments = {"block": "basic", "depths": [1, 1, 1, 1], "stem": "cifar"}
    network = create_model("ResNet50_ACNet", class_num=10, **arguments)
    for _ in range(2):  # two steps of statistics
        network(paddle.randn([4, 3, 32, 32]))
    report = export_bundle(network, tmp_path / "b", processing)
    parity = report.parity["paddle"]["paddle"]
    assert parity.passed and parity.worst < TOLERANCE
    floats = sum(value.size for value in network.state_dict().values())
    assert report.files["inference.pdiparams"] < 0.7 * 4 * floats


def test_description_is_in_the_layout_of_paddlex(
    tmp_path: Path, network: Network, processing: Processing, class_map: ClassMap
) -> None:
    provenance = {"epoch": 3}
    report = export_bundle(network, tmp_path / "b", processing, provenance=provenance)
    config = yaml.safe_load((tmp_path / "b/inference.yml").read_text(encoding="utf-8"))
    assert config["Global"]["model_name"] == "LeNet"
    assert config["PostProcess"] == {"Topk": {"topk": 5, "label_list": class_map.names}}
    assert config["PreProcess"]["transform_ops"] == [
        {"ResizeImage": {"resize_short": 36, "backend": "cv2"}},
        {"CropImage": {"size": 32}},
        {
            "NormalizeImage": {
                "scale": 1 / 255,
                "mean": [0.5] * 3,
                "std": [0.25] * 3,
                "order": "",
                "channel_num": 3,
            }
        },
        {"ToCHWImage": {}},
    ]
    assert report.paddlex_obstacles == [name_obstacle("LeNet")]
    provenance = config["Bundle"]["provenance"]
    assert provenance["epoch"] == 3 and provenance["paddle"] == paddle.__version__
    assert "inference.pdiparams" in config["Bundle"]["files"]


@pytest.mark.slow
def test_bundle_predicts_what_the_network_computes(
    tmp_path: Path,
    network: Network,
    transform: Pipeline,
    class_map: ClassMap,
    processing: Processing,
) -> None:
    export_bundle(network, tmp_path / "b", processing)
    network.eval()
    photos = _photos(11)
    with paddle.no_grad():
        logits = network(paddle.to_tensor(np.stack([transform(photo) for photo in photos])))
    expected = paddle.nn.functional.softmax(logits).numpy()
    predictor = Predictor(tmp_path / "b", device="cpu", batch_size=4, topk=10)
    for prediction, row in zip(predictor(photos), expected):
        np.testing.assert_allclose(prediction.scores, row[prediction.class_ids], atol=1e-6)
        assert prediction.names == [class_map.names[index] for index in prediction.class_ids]


def test_grey_bundle_decodes_to_grey(
    tmp_path: Path, pipeline: Callable[..., Pipeline], class_map: ClassMap
) -> None:
    grey = pipeline(
        [
            {"DecodeImage": {"channel_num": 1}},
            {"ResizeImage": {"size": 32}},
            {"NormalizeImage": {"mean": [0.5], "std": [0.5], "order": ""}},
        ]
    )
    report = export_bundle(create_model("LeNet"), tmp_path / "b", Processing(grey, class_map))
    assert read_bundle(tmp_path / "b").input_shape == (1, 32, 32)
    photo = _photos(1)[0]
    np.testing.assert_array_equal(read_bundle(tmp_path / "b").pipeline()(photo), grey(photo))
    assert "grey" in report.paddlex_obstacles[0] and "PaddleX cannot: " in report.summary()


def test_network_keeps_its_modes(tmp_path: Path, network: Network, processing: Processing) -> None:
    network.train()
    network.head.eval()
    export_bundle(network, tmp_path / "b", processing)
    assert network.training and network.c1.training and not network.head.training


def test_existing_bundle_is_replaced_only_on_request(
    tmp_path: Path, network: Network, transform: Pipeline, class_map: ClassMap
) -> None:
    target = tmp_path / "b"
    export_bundle(network, target, Processing(transform, class_map, topk=2))
    with pytest.raises(UsageError, match="--overwrite"):
        export_bundle(network, target, Processing(transform, class_map, topk=3))
    assert read_bundle(target).topk == 2
    export_bundle(network, target, Processing(transform, class_map, topk=3), overwrite=True)
    assert read_bundle(target).topk == 3
    assert os.listdir(tmp_path) == ["b"]


def test_a_folder_of_other_things_is_never_replaced(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    (tmp_path / "train_log.jsonl").write_text("{}")
    with pytest.raises(UsageError, match="something else than a bundle"):
        export_bundle(network, tmp_path, processing, overwrite=True)
    with pytest.raises(UsageError, match="is a file"):
        export_bundle(network, tmp_path / "train_log.jsonl", processing)
    (tmp_path / "empty").mkdir()
    export_bundle(network, tmp_path / "empty", processing)


FORMATS = [
    "paddle",
    pytest.param(
        "onnx",
        marks=pytest.mark.skipif(
            find_spec("paddle2onnx") is None or find_spec("onnxruntime") is None,
            reason="the extra 'onnx' is not installed",
        ),
    ),
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            find_spec("paddle2onnx") is None or find_spec("openvino") is None,
            reason="the extras 'onnx' and 'openvino' are not installed",
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(1.0, id="moderate", marks=pytest.mark.exhaustive),
        pytest.param(1e4, id="saturated"),
    ],
)
def test_a_bundle_that_differs_is_refused(
    tmp_path: Path,
    network: Network,
    processing: Processing,
    monkeypatch: pytest.MonkeyPatch,
    scale: float,
    name: str,
) -> None:
    """The written weights are 0.05 % off; saturated probabilities alone would not show it."""
    fc = network.head.fc
    fc.weight.set_value(fc.weight * scale)
    honest = FORMAT_WRITERS[name]

    def dishonest(written: Any, prefix: Path, *arguments: Any) -> List[Path]:
        exact = fc.weight.numpy()
        fc.weight.set_value(exact * 1.0005)
        aside = prefix.parent / "aside"  # where no format is that it could be made of
        aside.mkdir()
        files = honest(written, aside / prefix.name, *arguments)
        fc.weight.set_value(exact)
        moved = [path.rename(prefix.parent / path.name) for path in files]
        aside.rmdir()
        return moved

    formats = list(dict.fromkeys(["paddle", name]))
    export_bundle(network, tmp_path / "b", processing, formats=formats)
    before = {path: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    monkeypatch.setitem(FORMAT_WRITERS, name, dishonest)
    with pytest.raises(ExportError, match=f"{name}.* differs from the network by .*nothing was"):
        export_bundle(network, tmp_path / "new", processing, formats=formats)
    with pytest.raises(ExportError, match="1e-05 is allowed"):
        export_bundle(network, tmp_path / "b", processing, formats=formats, overwrite=True)
    assert os.listdir(tmp_path) == ["b"]
    assert {path: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before


def test_saturated_network_is_compared_by_its_logits(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    network.head.fc.weight.set_value(network.head.fc.weight * 1e4)
    parity = export_bundle(network, tmp_path / "b", processing).parity["paddle"]["paddle_plain"]
    assert parity.saturated_images == parity.images
    assert parity.logit_difference is not None and parity.logit_difference < TOLERANCE
    expected = {"inference.yml", "parity.json", "inference.pdiparams"}
    assert expected < set(os.listdir(tmp_path / "b")) and len(os.listdir(tmp_path / "b")) == 4


class _Dice(paddle.nn.Layer):
    """Draws random numbers, which the operators of a bundle do not."""

    in_channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.fc = paddle.nn.Linear(3 * 32 * 32, 10)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc(x.flatten(1)) + 1e-9 * paddle.rand([10])


def test_a_network_whose_operators_bundles_do_not_hold_keeps_nothing(
    tmp_path: Path, processing: Processing
) -> None:
    expected = r"exported network \(paddle\) cannot be used, nothing was kept: .*the operator 'unif"
    with pytest.raises(ExportError, match=expected):
        export_bundle(_Dice(), tmp_path / "b", processing)
    assert os.listdir(tmp_path) == []


def test_interruption_keeps_nothing(
    tmp_path: Path,
    network: Network,
    processing: Processing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(engine: PaddleEngine, images: np.ndarray) -> np.ndarray:
        assert any(
            (tmp_path / hidden / "new/inference.yml").is_file() for hidden in os.listdir(tmp_path)
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(PaddleEngine, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(network, tmp_path / "b", processing)
    assert os.listdir(tmp_path) == []


def test_the_next_export_removes_what_a_killed_one_left(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    child = os.fork()
    if child == 0:
        with staging(tmp_path / "b") as folder:
            (folder / "half").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(os.listdir(tmp_path)) == 1
    with staging(tmp_path / "b") as alive:
        export_bundle(network, tmp_path / "b", processing)
        assert alive.is_dir()
        assert len(os.listdir(tmp_path)) == 2
        shutil.rmtree(tmp_path / "b")
    assert os.listdir(tmp_path) == ["b"]


@pytest.mark.slow
def test_there_is_always_a_bundle(tmp_path: Path) -> None:
    """A reader that looks all the time never finds nothing while new ones take its place."""
    target = tmp_path / "b"
    with staging(target) as folder:
        (folder / "inference.yml").touch()
    looked, ended = [], threading.Event()

    def look() -> None:
        while not ended.is_set():
            looked.append((target / "inference.yml").is_file())

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(200):
        with staging(target) as folder:
            (folder / "inference.yml").touch()
    ended.set()
    thread.join()
    assert all(looked) and len(looked) > 50


@pytest.mark.slow
def test_the_old_bundle_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path,
    network: Network,
    processing: Processing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "b"
    export_bundle(network, target, processing, provenance={"epoch": 1})
    rename = Path.rename

    def fail(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    monkeypatch.setattr("ppcls.exporters.staging.exchange", lambda one, other: False)
    with pytest.raises(ExportError, match="cannot be written: .*Permission denied"):
        export_bundle(network, target, processing, overwrite=True)
    assert os.listdir(tmp_path) == ["b"]
    assert read_bundle(target).provenance["epoch"] == 1


def test_full_disk_keeps_nothing(
    tmp_path: Path,
    network: Network,
    processing: Processing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, text: str, **_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export_bundle(network, tmp_path / "b", processing)
    assert os.listdir(tmp_path) == []


def test_a_parent_that_is_a_file_is_named(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        export_bundle(network, tmp_path / "file/b", processing)


def _misfits() -> Iterator[Any]:
    resize = {"ResizeImage": {"size": 32}}
    cases: Dict[str, Any] = {
        "12 outputs": ({"class_num": 12, "in_channels": 3}, [resize], "10 names.* 12 outputs"),
        "grey network": ({"in_channels": 1}, [resize], "1 channels.* give 3"),
        "any size": (
            {"in_channels": 3},
            [{"ResizeImage": {"resize_short": 32}}],
            "different sizes",
        ),
        "random": ({"in_channels": 3}, [{"RandCropImage": {"size": 32}}], "random"),
    }
    for name, case in cases.items():
        yield pytest.param(*case, id=name)


@pytest.mark.parametrize(("arguments", "ops", "message"), list(_misfits()))
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path,
    pipeline: Callable[..., Pipeline],
    class_map: ClassMap,
    arguments: Dict[str, Any],
    ops: Any,
    message: str,
) -> None:
    transform = pipeline([*ops, {"NormalizeImage": {"order": ""}}])
    with pytest.raises(ExportError, match=message):
        export_bundle(
            create_model("LeNet", **arguments), tmp_path / "b", Processing(transform, class_map)
        )
    assert os.listdir(tmp_path) == []


def test_other_wrong_arguments_are_refused(
    tmp_path: Path,
    network: Network,
    transform: Pipeline,
    class_map: ClassMap,
    processing: Processing,
) -> None:
    wrong_size = [np.zeros((3, 16, 16), np.float32)]
    with pytest.raises(ExportError, match=r"shape \(3, 16, 16\)"):
        export_bundle(network, tmp_path / "b", processing, images=wrong_size)
    with pytest.raises(ExportError, match="topk: must be greater than or equal to 1, got 0"):
        export_bundle(network, tmp_path / "b", Processing(transform, class_map, topk=0))
    with pytest.raises(ExportError, match="plain values"):
        export_bundle(
            network,
            tmp_path / "b",
            processing,
            provenance={"object": object()},
        )
    network.head.fc.bias.set_value(np.full(10, np.nan, np.float32))
    with pytest.raises(ExportError, match="NaN or Inf"):
        export_bundle(network, tmp_path / "b", processing)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("ResNet18", "SqueezeNet1_1"),
        pytest.param("ResNet50", marks=pytest.mark.exhaustive),
        pytest.param("AlexNet", marks=pytest.mark.exhaustive),
    ],
)
def test_parity_of_imagenet_networks_on_photos(
    tmp_path: Path, imagenet_sample: Path, pipeline: Callable[..., Pipeline], name: str
) -> None:
    transform = pipeline(
        [
            {"ResizeImage": {"resize_short": 256}},
            {"CropImage": {"size": 224}},
            {"NormalizeImage": {"order": ""}},
        ]
    )
    photos = sorted(imagenet_sample.glob("*.JPEG"))[:2]
    images = [transform(photo.read_bytes()) for photo in photos]
    network = create_model(name)
    report = export_bundle(
        network, tmp_path / "b", Processing(transform, ClassMap.numbered(1000)), images=images
    )
    assert report.parity["paddle"]["paddle"].worst < TOLERANCE / 2
    assert report.parity["paddle"]["paddle"].top1_agreement == 1.0


_WRITABLE = [
    name
    for name, packages in {
        "paddle": [],
        "onnx": ["paddle2onnx", "onnxruntime"],
        "openvino": ["paddle2onnx", "openvino"],
    }.items()
    if all(map(find_spec, packages))
]
"""The formats that can be written here, so that one test covers all."""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["hwc", "chw"])
def test_a_network_that_normalises_itself_predicts_the_same(
    tmp_path: Path, network: Network, transform: Pipeline, processing: Processing, layout: Any
) -> None:
    images = [transform(photo) for photo in _photos(3)]
    export_bundle(network, tmp_path / "float", processing, images=images)
    options = ExportOptions(uint8=layout)
    report = export_bundle(
        network, tmp_path / "b", processing, formats=_WRITABLE, images=images, options=options
    )
    assert "always normalises images" in report.summary()
    bundle = read_bundle(tmp_path / "b")
    assert (bundle.input.dtype, bundle.input.layout, bundle.input.batch) == ("uint8", layout, None)
    assert bundle.input.image_shape == ((32, 32, 3) if layout == "hwc" else (3, 32, 32))
    assert [next(iter(op)) for op in bundle.transform_ops] == [
        *("DecodeImage", "ResizeImage", "CropImage"),
    ]
    config = yaml.safe_load((tmp_path / "b/inference.yml").read_text(encoding="utf-8"))
    assert config["Bundle"]["format_version"] == 2
    expected = list(Predictor(tmp_path / "float", device="cpu")(_photos(5)))
    for engines in report.parity.values():
        for engine in ["auto", *engines]:
            found = list(Predictor(tmp_path / "b", engine=engine, device="cpu")(_photos(5)))
            for one, other in zip(found, expected):
                assert one.error is None and one.class_ids == other.class_ids
                np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.slow
def test_a_network_for_one_image_is_fed_one_at_a_time(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    options = ExportOptions(dynamic_batch=False)
    report = export_bundle(network, tmp_path / "b", processing, formats=_WRITABLE, options=options)
    assert read_bundle(tmp_path / "b").input.batch == 1
    export_bundle(network, tmp_path / "any", processing)
    expected = list(Predictor(tmp_path / "any", device="cpu")(_photos(5)))
    for engine in report.parity[_WRITABLE[-1]]:
        found = list(Predictor(tmp_path / "b", engine=engine, device="cpu")(_photos(5)))
        assert [one.class_ids for one in found] == [one.class_ids for one in expected]


@pytest.mark.slow
def test_only_what_older_readers_cannot_read_has_a_newer_version(
    tmp_path: Path, network: Network, processing: Processing
) -> None:
    found = []
    for number, options in enumerate([ExportOptions(), ExportOptions(dynamic_batch=False)]):
        export_bundle(network, tmp_path / str(number), processing, options=options)
        text = (tmp_path / str(number) / "inference.yml").read_text(encoding="utf-8")
        found.append(yaml.safe_load(text)["Bundle"]["format_version"])
    assert found == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "given", "written"),
    [
        ("MobileNetV2_x0_25", None, "MobileNetV2_x0_25"),
        ("MobileNetV2", None, "MobileNetV2_x1_0"),
        ("LeNet", None, "LeNet"),
        ("LeNet", "ResNet50", "ResNet50"),
    ],
)
def test_a_bundle_has_the_name_that_paddlex_knows(
    tmp_path: Path, network: Network, processing: Processing, ours: str, given: Any, written: str
) -> None:
    network.model_name = ours
    options = ExportOptions(model_name=given)
    report = export_bundle(network, tmp_path / "b", processing, options=options)
    assert read_bundle(tmp_path / "b").model_name == written
    assert any("knows no model" in line for line in report.paddlex_obstacles) == (
        written == "LeNet"
    )
