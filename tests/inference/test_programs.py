"""Programs of strangers: what is refused before an engine sees it, and in which words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from ppcls.errors import BundleError
from ppcls.inference import programs
from ppcls.inference.bundle import file_record, read_bundle
from ppcls.inference.engines import EngineOptions, open_engine
from ppcls.inference.operators import ONNX, PADDLE_2, PADDLE_3
from ppcls.inference.programs import check_file
from tests.inference.encoded import field, layer, network_xml, onnx, pdmodel

Edited = Callable[[Callable[[Dict[str, Any]], object]], Path]
Check = Callable[[str, bytes], None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a file of that suffix and content."""

    def run(suffix: str, data: bytes) -> None:
        path = tmp_path / f"inference{suffix}"
        path.write_bytes(data)
        check_file(path)

    return run


def program(*names: str, **keys: Any) -> bytes:
    """A program of Paddle 3 with these operators."""
    block = {"#": "block_0", "args": [], "ops": [{"#": name} for name in names], **keys}
    return json.dumps({"program": {"regions": [{"blocks": [block]}]}}).encode()


def test_programs_that_compute_are_accepted(check: Check) -> None:
    check(".json", program("p", "1.data", "1.conv2d", "1.relu_", "0.combine", "1.fetch"))
    check(".pdmodel", pdmodel("feed", "conv2d", "elementwise_add", "fetch"))
    check(".onnx", onnx(field(4, "Conv"), field(4, "Relu") + field(7, "ai.onnx")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("1.read_file", "the operator 'read_file'"),
        ("1.print", "the operator 'print'"),
        ("1.relu__", "the operator 'relu__'"),
        ("3.my_op", "the operator '3.my_op'"),
        ("2.relu", "the operator '2.relu'"),
        ("pd_op.relu", "the operator 'pd_op.relu'"),
        ("relu", "the operator 'relu'"),
        ("", "the operator ''"),
        ("1.", "the operator '1.'"),
        ("1._", "the operator '_'"),
    ],
)
def test_other_operators_of_paddle_3_are_refused(check: Check, name: str, shown: str) -> None:
    expected = (
        rf"inference.json: the program holds {re.escape(shown)}, which is not accepted: .*Do not "
        "use this bundle if a stranger made it; if you did, change the layer .*operators.py"
    )
    with pytest.raises(BundleError, match=expected):
        check(".json", program("1.relu", name))


def test_operators_are_found_wherever_they_stand(check: Check) -> None:
    inner = {"#": "1.if", "regions": [{"blocks": [{"ops": [{"#": "1.read_file"}]}]}]}
    for found in ({"ops": [inner]}, {"else": {"ops": [{"#": "1.read_file"}]}}, inner):
        with pytest.raises(BundleError, match="the operator 'read_file'"):
            check(".json", json.dumps({"program": found}).encode())


@pytest.mark.parametrize("name", ["save_combine", "load", "py_func", "read_file", "run_program"])
def test_other_operators_of_paddle_2_are_refused(check: Check, name: str) -> None:
    with pytest.raises(BundleError, match=f"inference.pdmodel: .*the operator '{name}', which"):
        check(".pdmodel", pdmodel("feed") + pdmodel("relu", name))


def test_values_that_are_not_there_would_crash_paddle(check: Check) -> None:
    with pytest.raises(BundleError, match="an operator uses 'y', which is not there"):
        check(".pdmodel", pdmodel("relu", names=["x", "z"], used="y"))
    check(".pdmodel", pdmodel("relu", used="@EMPTY@"))
    for kept, read in ((True, check), (False, _refuses(check))):
        read(".pdmodel", field(1, _variable("w", kept) + field(4, _using("w") + field(3, "relu"))))


def _variable(name: str, kept: bool) -> bytes:
    return field(3, field(1, name) + field(3, int(kept)))


def _using(name: str) -> bytes:
    return field(1, field(1, "X") + field(2, name))


def _refuses(check: Check) -> Check:
    def run(suffix: str, data: bytes) -> None:
        with pytest.raises(BundleError, match="an operator uses 'w', which is not there"):
            check(suffix, data)

    return run


_HIDDEN = onnx(field(4, "Secret"))
_INNER = field(1, field(4, "Secret"))
_TENSOR = field(13, field(1, "location") + field(2, "/etc/passwd")) + field(14, 1)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (onnx(field(4, "Secret")), "the operator 'Secret'"),
        (onnx(field(4, "RandomNormal")), "the operator 'RandomNormal'"),
        (onnx(field(4, "Relu") + field(4, "Secret")), "the operator 'Secret'"),
        (onnx(field(4, "Relu") + field(7, "com.microsoft")), "operators of 'com.microsoft'"),
        (onnx(more=field(8, field(1, "custom"))), "operators of 'custom'"),
        (onnx(more=field(25, b"\x08\1" * 999)), "functions of its own"),
        (onnx(more=field(20, b"")), "training steps"),
        (onnx(inside=field(5, _TENSOR)), "weights in other files"),
        (onnx(inside=field(5, field(14, 1))), "weights in other files"),
        (onnx(inside=field(15, field(1, _TENSOR))), "weights in other files"),
        (onnx(field(5, field(5, _TENSOR))), "weights in other files"),
        (onnx(field(5, field(23, field(2, _TENSOR)))), "weights in other files"),
        (onnx(field(4, "If") + field(5, field(6, _INNER))), "the operator 'Secret'"),
        (onnx(field(4, "If") + field(5, field(11, _INNER))), "the operator 'Secret'"),
        (onnx(field(4, "Relu")) + _HIDDEN, "the operator 'Secret'"),
    ],
)
def test_what_onnx_files_may_not_hold(check: Check, data: bytes, shown: str) -> None:
    with pytest.raises(BundleError, match=f"inference.onnx: the program holds {shown}, which"):
        check(".onnx", data)


def test_weights_outside_an_onnx_file_have_a_remedy_of_their_own(check: Check) -> None:
    with pytest.raises(BundleError, match="would read whatever file is named there"):
        check(".onnx", onnx(inside=field(5, _TENSOR)))


def test_the_version_of_onnxs_operators_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    custom, own = field(1, "com.microsoft") + field(2, 1), field(2, 17)
    path.write_bytes(onnx(more=field(8, custom) + field(8, field(1, "") + own)))
    assert programs.opset_of(path) == 17
    path.write_bytes(onnx(field(4, "Relu")))
    with pytest.raises(programs.MalformedError, match="which version of ONNX' operators"):
        programs.opset_of(path)


def test_weights_inside_an_onnx_file_are_accepted(check: Check) -> None:
    weights = field(5, field(9, b"\0" * 4000) + field(14, 0))
    check(".onnx", onnx(field(4, "Conv"), inside=weights))


_TENSORFLOW = field(1, field(1, "a") + field(2, "ReadFile")) + field(4, field(1, 1987))
_TENSORFLOW_LITE = b"\x1c\0\0\0TFL3" + bytes(40)


@pytest.mark.parametrize(
    "data",
    [
        network_xml(layer("Add")),
        b"\n" + network_xml(layer("Add")),
        b"GGUF\3\0\0\0" + bytes(40),
        _TENSORFLOW,
        _TENSORFLOW_LITE,
        pdmodel("feed", "relu", "fetch"),
        onnx(),
        onnx(field(4, "Relu"))[2:],
        field(1, "8") + onnx(field(4, "Relu"))[2:],
    ],
    ids=range(9),
)
def test_what_is_no_onnx_file_whatever_its_name(check: Check, data: bytes) -> None:
    """The last ones have no operator, and no version of ONNX' form, or one that is no number."""
    with pytest.raises(BundleError, match=r"inference\.onnx: the file is damaged: "):
        check(".onnx", data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[1] 2", "it is not JSON: Extra data"),
        (b'{"ops": [], "ops": []}', "a key stands twice"),
        (b'{"a": ' + b"9" * 30 + b"}", "a number has more than 64 bits"),
        (b"[" * 100_000, "it is nested more than 64 deep"),
        (b"[" * 65 + b"]" * 65, "it is nested more than 64 deep"),
        (b'{"ops": {"#": "1.read_file"}}', "its operators .* are no list"),
        (b'{"ops": ["1.read_file"]}', "an operator in it has no name"),
        (b'{"ops": [{"#": ["1.relu"]}]}', "an operator in it has no name"),
        (b"[" + b"0," * 2_000_000 + b"0]", "it has more than 2,000,000 parts"),
    ],
    ids=range(11),
)
def test_malformed_json(check: Check, data: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match=f"inference.json: the file is damaged: {reason}"):
        check(".json", data)


@pytest.mark.parametrize(
    ("suffix", "data", "reason"),
    [
        (".pdmodel", b"", "it is empty"),
        (".onnx", b"", "it is empty"),
        (".pdmodel", b"\x0a\x80", "it ends inside a number"),
        (".onnx", field(7, b"\x0a\xff"), "it ends inside a number"),
        (".pdmodel", field(1, b"\x22\x7f"), "a field in it is longer than what is around it"),
        (".onnx", b"\x3a\x7fabc", "a field in it is longer than what is around it"),
        (".onnx", field(7, field(1, field(4, 3))), "field 4 of a node is a number, not a name"),
    ],
    ids=range(7),
)
def test_malformed_binaries(check: Check, suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match=f"inference{suffix}: the file is damaged: {reason}"):
        check(suffix, data)


def test_large_programs_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".bin", ".json", ".pdmodel", ".onnx", ".pdiparams", ".xml"):
        (tmp_path / "inference.bin").touch()
        monkeypatch.setitem(programs.MOST_BYTES, suffix, 1000)
        path = tmp_path / f"inference{suffix}"
        path.write_bytes(b"x" * 1001)
        with pytest.raises(BundleError, match="it has 1,001 bytes, where 1,000 are accepted"):
            check_file(path)
        path.unlink()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for suffix in (".json", ".pdmodel", ".onnx", ".pdiparams", ".xml", ".bin"):
        with pytest.raises(BundleError, match=r"gone.* cannot be read: No such file"):
            check_file(tmp_path / f"gone{suffix}")


def _replaced(edited: Edited, name: str, data: bytes) -> Path:
    """A bundle with another file in the place of one, and its new checksum."""
    folder = edited(lambda config: None)
    (folder / name).write_bytes(data)
    record = file_record(folder / name).model_dump()
    return edited(lambda config: config["Bundle"]["files"].update({name: record}))


def test_engines_do_not_see_what_is_refused(edited: Edited) -> None:
    folder = edited(lambda config: None)
    name = read_bundle(folder).formats["paddle"][0].name
    data = program("1.read_file") if name.endswith(".json") else pdmodel("read_file")
    bundle = read_bundle(_replaced(edited, name, data))
    with pytest.raises(BundleError, match="the operator 'read_file', which is not accepted"):
        open_engine("paddle", bundle, EngineOptions("cpu"))


DANGEROUS: List[str] = [
    *("as_strided", "assert", "c_allreduce_sum", "data_norm", "decode_jpeg", "empty", "load"),
    *("load_combine", "memcpy", "print", "py_func", "pylayer", "read_file", "recv_v2"),
    *("run_program", "save", "save_combine", "seed", "send_v2", "tensorrt_engine", "uniform"),
    *("gaussian", "randint", "uniform_random", "gaussian_random", "bernoulli", "RandomNormal"),
    *("Bernoulli", "Multinomial", "ImageDecoder"),
]


def test_nothing_dangerous_is_accepted() -> None:
    assert not {*PADDLE_2, *PADDLE_3, *ONNX} & {*DANGEROUS}
    random = [name for name in (*PADDLE_2, *PADDLE_3, *ONNX) if "rand" in name.lower()]
    assert random == []


def test_what_is_accepted_exists() -> None:
    """Names with a mistake in them would accept nothing."""
    paddle = pytest.importorskip("paddle")
    if paddle.__version__.startswith("2."):
        pytest.skip("Paddle 2.6 has fewer operators")
    known = {name.rstrip("_") for name in dir(paddle._C_ops)}
    # Those of control flow have no function.
    assert PADDLE_3 - known == {"if", "select_input", "while"}
    old = paddle.base.framework.OpProtoHolder.instance().op_proto_map
    assert {name for name in PADDLE_2 if name not in old} == set()


def test_operators_of_onnx_exist() -> None:
    onnx_package = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    known = {item.name for item in onnx_package.defs.get_all_schemas() if not item.domain}
    assert ONNX - known <= {"Swish"}  # of a newer version
