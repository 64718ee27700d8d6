"""Bundles of strangers: files that are damaged, or made to do more than compute."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import yaml

from ppcls.errors import BundleError
from ppcls.inference.bundle import file_record, read_bundle
from ppcls.inference.engines import ENGINES, EngineOptions, open_engine
from ppcls.inference.operators import ONNX, OPENVINO, PADDLE_2, PADDLE_3
from ppcls.inference.programs import check_file
from tests.hostile.harness import Limits, attack, expect_no_failure, outcome_of
from tests.hostile.mutate import damaged
from tests.inference.encoded import (
    constant,
    field,
    layer,
    network_xml,
    onnx,
    pdmodel,
    tensor,
    varint,
)

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)

SUFFIXES = (".json", ".pdmodel", ".onnx", ".pdiparams", ".xml")

WEIGHTS = 1000
"""Bytes of the weights beside a made program of OpenVINO."""

REFUSED = ["read_file", "save_combine", "py_func", "print", "RandomNormal", "relu ", "", "\u0000"]
"""Names of operators that are on no list."""

_EXTREMES = [0, 1, -1, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**40]


_EXPORT = """
import sys
from pathlib import Path
from ppcls import registry
from ppcls.arch import create_model
from ppcls.data.dataset import ClassMap
from ppcls.data.transforms import Pipeline
from ppcls.exporters import Processing, export_bundle


transform = Pipeline([registry.parse("transform", {"ResizeImage": {"size": 32}})])
around = Processing(transform, ClassMap([str(digit) for digit in range(10)]))
network = create_model("LeNet", in_channels=3)
export_bundle(network, Path(sys.argv[1]), around, formats=sys.argv[2:])
"""


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory,
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> Path:
    """LeNet in the formats that can be written here. The process that exports is another one:
    copies of one that has loaded Paddle take their time.
    """
    folder = tmp_path_factory.mktemp("hostile") / "bundle"
    wanted = {"onnx": ("onnxruntime", "paddle2onnx"), "openvino": ("openvino", "paddle2onnx")}
    others = [name for name, packages in wanted.items() if all(map(find_spec, packages))]
    done = run_python("-c", _EXPORT, folder, "paddle", *others)
    assert done.returncode == 0, done.stderr
    return folder


def read(given: bytes, folder: Path) -> None:
    """Check a file: `given` is its suffix, whether it must be refused, and its content."""
    suffix, must, data = given.split(b"\n", 2)
    path = folder / f"inference{suffix.decode()}"
    path.write_bytes(data)
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        path.with_suffix(".bin").write_bytes(bytes(WEIGHTS))
    check_file(path)
    assert must == b"may be read", "this file must be refused"


def _given(suffix: str, data: bytes, refuse: bool = False) -> bytes:
    return b"\n".join([suffix.encode(), b"must be refused" if refuse else b"may be read", data])


def test_damaged_files(bundle: Path, tmp_path: Path) -> None:
    files = bundle.glob("inference.*")
    originals = [(p.suffix, p.read_bytes()) for p in files if p.suffix in SUFFIXES]
    originals += [(".pdmodel", pdmodel("feed", "conv2d", "relu", "fetch"))]
    originals += [(".xml", network_xml(layer("Parameter"), constant("f32", "2, 3", 8, 24)))]
    originals += [(".pdiparams", tensor(5, [4, 3], bytes(48)) + tensor(5, [3], bytes(12)))]

    def make(rng: random.Random) -> bytes:
        suffix, data = rng.choice(originals)
        return _given(suffix, damaged(data, rng))

    found = attack("bundles damaged", make, lambda data: read(data, tmp_path), tmp_path, LIMITS)
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


def test_files_made_to_be_run(tmp_path: Path) -> None:
    makers = [_json, _deep_json, _pdmodel, _onnx, _deep_onnx, _lengths, _tensors, _xml, _odd_xml]

    def make(rng: random.Random) -> bytes:
        return (_large if rng.random() < 0.02 else rng.choice(makers))(rng)

    found = attack("bundles made", make, lambda data: read(data, tmp_path), tmp_path, LIMITS)
    expect_no_failure(found, tmp_path)


# --- programs of Paddle 3 -------------------------------------------------------------------------


def _anything(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.randrange(6 if depth else 4)
    if kind < 4:
        return rng.choice([None, True, 0.5, "", "ops", "#", *_EXTREMES])
    inner = [_anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    return inner if kind == 4 else {rng.choice(["ops", "#", "regions", "O"]): v for v in inner}


def _json(rng: random.Random) -> bytes:
    """Operators of the list, often one that is not, at any depth, with whatever attributes."""
    names = [f"1.{rng.choice(_SORTED[0])}" for _ in range(rng.randrange(1, 30))]
    refuse = rng.random() < 0.7
    if refuse:
        names[rng.randrange(len(names))] = rng.choice("0123") + "." + rng.choice(REFUSED)
    program: Any = {"ops": [{"#": name, "A": _anything(rng), "I": []} for name in names]}
    for _ in range(rng.randrange(20)):
        key = rng.choice(["ops", "regions", "blocks", "then", "A"])
        around = {"#": "1.if", key: [program]}
        program = {"ops": [around]} if key != "ops" else around
        if key == "ops":  # whose items must be operators
            program = {"ops": [{"#": "1.while", "regions": program["ops"]}]}
    if rng.random() < 0.2:
        program["A"] = _anything(rng)
    return _given(".json", json.dumps({"program": program}).encode(), refuse)


def _deep_json(rng: random.Random) -> bytes:
    depth = rng.choice([60, 65, 900, 3000, 100_000])
    opened, closed = rng.choice([(b"[", b"]"), (b'{"ops":[', b"]}"), (b'{"a":', b"}")])
    whole = rng.random() < 0.5
    return _given(".json", opened * depth + (b"1" + closed * depth if whole else b""), depth > 64)


def _large(rng: random.Random) -> bytes:
    """A few megabytes that are as many values as are accepted, or more."""
    count = rng.choice([100_000, 600_000, 2_000_000])
    if rng.random() < 0.3:
        return _given(rng.choice([".pdmodel", ".onnx"]), bytes([0x78, 0]) * count)
    if rng.random() < 0.2:
        return _given(".pdiparams", tensor(5, [1], bytes(4)) * (count // 10))
    piece = rng.choice([b"[],", b"{},", b'{"#":""},', b"0,", b"1e9,", b'"\xf0\x9f\x90\x88",', b"9"])
    return _given(".json", b'{"x":[' + piece * count + b"0]}")


# --- programs of Paddle 2 and of ONNX -------------------------------------------------------------


def _name(rng: random.Random, accepted: List[str], refuse: bool) -> str:
    return rng.choice(REFUSED) if refuse else rng.choice(accepted)


def _pdmodel(rng: random.Random) -> bytes:
    refuse = rng.random() < 0.7
    names = [_name(rng, _SORTED[1], False) for _ in range(rng.randrange(20))]
    names.insert(rng.randrange(len(names) + 1), _name(rng, _SORTED[1], refuse))
    undeclared = rng.random() < 0.2
    data = pdmodel(*names, used="y" if undeclared else "x")
    # Fields that nobody knows, before and behind.
    more = field(rng.randrange(6, 99), rng.choice([0, -1, "text", b"\xff" * 99]))
    return _given(".pdmodel", rng.choice([data + more, more + data]), refuse or undeclared)


def _onnx(rng: random.Random) -> bytes:
    refuse = rng.random() < 0.7
    operator = field(4, _name(rng, _SORTED[2], refuse))
    if not refuse and rng.random() < 0.5:
        refuse = True
        operator += field(7, rng.choice(["com.microsoft", "ai.onnx.ml", "x"]))
    node = operator
    for _ in range(rng.randrange(8)):
        graph = field(1, node)
        inside = field(rng.choice([6, 11]), graph)
        node = field(4, rng.choice(["If", "Loop"])) + field(5, inside)
    return _given(".onnx", onnx(field(4, "Relu"), node), refuse)


def _deep_onnx(rng: random.Random) -> bytes:
    data = b""
    for _ in range(rng.choice([5, 500, 2000])):
        data = field(1, field(5, field(6, data)))
    return _given(".onnx", field(7, data), len(data) > 1000)


def _lengths(rng: random.Random) -> bytes:
    """A field that claims more than there is."""
    suffix, number = rng.choice([(".pdmodel", 1), (".onnx", 7)])
    size = rng.choice([2**7, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**70])
    long = bytes([number << 3 | 2]) + _long_varint(size)
    return _given(suffix, field(number, long) + b"x" * 50, True)


def _long_varint(value: int) -> bytes:
    return varint(value) if value < 2**64 else b"\xff" * 10 + b"\x01"


def _tensors(rng: random.Random) -> bytes:
    sides = [rng.choice(_EXTREMES[:7] + [2, 3, 10**6]) for _ in range(rng.randrange(12))]
    data = tensor(rng.randrange(40), sides, bytes(rng.randrange(100)))
    return _given(
        ".pdiparams", tensor(5, [1], bytes(4)) * rng.randrange(3) + data * rng.choice([1, 200])
    )


# --- programs of OpenVINO -------------------------------------------------------------------------


def _xml(rng: random.Random) -> bytes:
    """Layers of the list, often one that is not, at any depth; constants that claim too much."""
    accepted = [name for name in _SORTED[3] if name != "Const"]
    layers = [layer(rng.choice(accepted)) for _ in range(rng.randrange(1, 30))]
    refuse = rng.random() < 0.6
    if refuse:
        known, version = (
            rng.choice(accepted),
            rng.choice(["", "extension", "opset", "experimental"]),
        )
        bad = rng.choice([layer(rng.choice(["Assign", "ReadValue", "x"])), layer(known, version)])
        for _ in range(rng.randrange(5)):
            bad = layer("If", inside=f"<then_body><layers>{bad}</layers></then_body>")
        layers.insert(rng.randrange(len(layers)), bad)
    for _ in range(rng.randrange(3)):
        count, offset = rng.choice([0, 1, 7, 10**6, 2**62]), rng.choice([0, 8, 999, 2**62, 2**64])
        size = rng.choice([8 * count, count, WEIGHTS, 2**63])
        refuse |= size < 8 * count or offset + size > WEIGHTS
        layers.append(constant("i64", f"{count}", offset, size))
    return _given(".xml", network_xml(*layers), refuse)


def _odd_xml(rng: random.Random) -> bytes:
    """Definitions, entities that grow, other encodings, depth, and size."""
    plain = network_xml(layer("Add"))
    grow = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 9))
    kinds: List[bytes] = [
        b'<!DOCTYPE net [<!ENTITY a0 "x">' + grow + b"]><net>&a8;</net>",
        b'<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>',
        b'<!DOCTYPE net [<!ENTITY % a SYSTEM "http://127.0.0.1/">%a;]><net/>',
        b"<net>&" + rng.choice([b"lt", b"x", b"#0", b"#xffffffff"]) + b";<layer/></net>",
        b"<net>" + b"<a>" * rng.choice([40, 10_000, 500_000]),
        b"<net>" + b"<layer/>" * rng.choice([1, 300_000]) + b"</net>",
        b"<net a='" + b"x" * rng.choice([10, 10**7]),
        plain.decode().encode(rng.choice(["utf-16", "utf-16-le", "utf-32"])),
        b'<?xml version="1.0" encoding="' + rng.choice([b"utf-7", b"cp037", b"x"]) + b'"?><a/>',
        plain + rng.choice([b"<", b"<net/>", b"\0", b"\xff"]),
    ]
    return _given(".xml", rng.choice(kinds), True)


_SORTED = [sorted(PADDLE_3), sorted(PADDLE_2), sorted(ONNX), sorted(OPENVINO)]


# --- the way to the engine ------------------------------------------------------------------------


def _put(folder: Path, name: str, data: bytes) -> None:
    """Give a bundle another file, and note its size and checksum."""
    (folder / name).write_bytes(data)
    text = folder / "inference.yml"
    config = yaml.safe_load(text.read_text())
    config["Bundle"]["files"][name] = file_record(folder / name).model_dump()
    text.write_text(yaml.safe_dump(config))


def test_a_bundle_with_true_checksums_is_checked_before_its_engine_is_imported(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ENGINES["paddle"]._replace(place="no_such_module:Engine")
    monkeypatch.setitem(ENGINES, "paddle", row)
    program = read_bundle(bundle).formats["paddle"][0]
    before = program.read_bytes()
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        open_engine("paddle", read_bundle(bundle), EngineOptions("cpu"))
    bad = pdmodel("print") if program.suffix == ".pdmodel" else b'{"ops": [{"#": "1.print"}]}'
    _put(bundle, program.name, bad)
    with pytest.raises(BundleError, match="the operator 'print'"):
        open_engine("paddle", read_bundle(bundle), EngineOptions("cpu"))
    _put(bundle, program.name, before)


def _listing(folder: Path, target: Path, formats: Dict[str, List[str]]) -> Path:
    """A copy of a bundle with another list of formats, and true sizes and checksums."""
    shutil.copytree(folder, target)
    text = target / "inference.yml"
    config = yaml.safe_load(text.read_text())
    config["Bundle"]["formats"] = formats
    text.write_text(yaml.safe_dump(config))
    return target


@pytest.mark.parametrize("names", [["inference.bin"], ["inference.xml"], ["inference.onnx"]])
def test_openvino_is_given_no_file_that_was_not_checked(
    bundle: Path, tmp_path: Path, names: List[str]
) -> None:
    """OpenVINO would read the first as ONNX, and weights beside the second that are not listed."""
    pytest.importorskip("openvino")
    folder = _listing(bundle, tmp_path / "bundle", {"openvino": names})
    _put(folder, "inference.bin", onnx(field(4, "Secret")))
    with pytest.raises(BundleError, match=f"the bundle lists {names[0]}; export the network again"):
        open_engine("openvino", read_bundle(folder), EngineOptions("cpu"))


def test_openvino_reads_an_onnx_file_as_that_whatever_is_in_it(
    bundle: Path, tmp_path: Path
) -> None:
    """The program of another network stands where ONNX has the name of a file's maker."""
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("paddle2onnx")
    folder = _listing(bundle, tmp_path / "bundle", {"onnx": ["inference.onnx"]})
    original = (folder / "inference.onnx").read_bytes()
    other = (folder / "inference.xml").read_bytes()
    weights = bytearray((folder / "inference.bin").read_bytes())
    for offset, size in re.findall(rb'element_type="f32"[^>]* offset="(\d+)" size="(\d+)"', other):
        weights[int(offset) : int(offset) + int(size)] = bytes(int(size))
    (folder / "inference.bin").write_bytes(weights)
    _put(folder, "inference.onnx", field(8, field(2, 14)) * 2 + field(2, other) + original)
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    deceived = openvino.Core().compile_model(str(folder / "inference.onnx"), "CPU")(images)[0]
    np.testing.assert_allclose(deceived, 0.1, rtol=1e-5)  # all weights are 0
    engine = open_engine("openvino", read_bundle(folder), EngineOptions("cpu", 1))
    expected = open_engine("openvino", read_bundle(bundle), EngineOptions("cpu", 1)).run(images)
    np.testing.assert_allclose(engine.run(images), expected, atol=1e-6)


@pytest.mark.slow
def test_engines_refuse_what_does_not_fit(
    bundle: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """In a process that has not used Paddle, so that its copies can."""
    if not (bundle / "inference.json").is_file():
        pytest.skip("Paddle 2.6 writes programs that its engine crashes on when they are changed")
    code = "import sys; from tests.hostile import test_bundles as t; t.run_engines(sys.argv[1])"
    done = run_python("-c", code, bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = [line.split()[1] for line in done.stdout.splitlines()]
    assert set(outcomes) <= {"run", "refused"} and outcomes.count("refused") > 5, done.stdout


def run_engines(folder: str) -> None:
    """Open changed programs with Paddle Inference, each in a process of its own; print outcomes."""
    import paddle  # noqa: F401 - once, for all copies of this process

    program = Path(folder) / "inference.json"
    original = json.loads(program.read_text())
    for number, change in enumerate([*CHANGES, *[_random_change] * 12]):
        changed = copy.deepcopy(original)
        change(changed["program"], random.Random(number))
        _put(Path(folder), program.name, json.dumps(changed).encode())
        found = outcome_of(lambda: _run_engine(Path(folder)), Limits(30, 4000))
        word = "failed" if found.failed else "refused" if found.refused else "run"
        print(number, word, *found.words.split())
    _put(Path(folder), program.name, json.dumps(original).encode())


def _run_engine(folder: Path) -> None:
    engine = open_engine("paddle", read_bundle(folder), EngineOptions("cpu", 1))
    engine.run(np.ones((2, 3, 32, 32), np.float32))


def _operators(program: Dict[str, Any]) -> List[Any]:
    found: List[Any] = program["regions"][0]["blocks"][0]["ops"]
    return found


def _set(operator: str, name: str, value: Any) -> Callable[[Dict[str, Any], random.Random], None]:
    """Change an attribute of the first operator of that name, or each number of a list."""

    def change(program: Dict[str, Any], _: random.Random) -> None:
        first = next(item for item in _operators(program) if item["#"] == operator)
        attribute = next(item for item in first["A"] if item["N"] == name)["AT"]
        for item in attribute["D"] if isinstance(attribute["D"], list) else [attribute]:
            item["D"] = value

    return change


CHANGES: List[Callable[[Dict[str, Any], random.Random], None]] = [
    _set("1.conv2d", "paddings", 2**30),  # of which Paddle raised a MemoryError
    lambda program, _: _operators(program).pop() and None,  # an IndexError: there is no output
    _set("1.conv2d", "groups", 0),
    _set("1.conv2d", "data_format", "XXXX"),
    _set("1.data", "name", "y"),
    lambda program, _: _operators(program).clear(),
]


def _random_change(program: Dict[str, Any], rng: random.Random) -> None:
    places = _places(program)
    for _ in range(rng.randint(1, 3)):
        home, key = rng.choice(places)
        old = home[key]
        if isinstance(old, int):
            home[key] = rng.choice([0, -1, 7, 2**31 - 1, 2**62, old + 1])
        elif isinstance(old, str) and key != "#":
            home[key] = rng.choice(["", old + "x", "float64", "NHWC"])
        elif isinstance(old, list):
            home[key] = rng.choice([[], old * 2, old[:1]])


def _places(value: Any) -> List[Any]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            found += _places(value[key])
    return found
