"""PyTorch's checkpoints load exactly, without PyTorch; files that ask for more are refused."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import math
import os
import pickle
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import CheckpointError
from ppcls.weights.formats.any_format import read_any_format
from ppcls.weights.formats.pth import read_pth

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "pth"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text("utf-8"))


def described(arrays: Dict[str, np.ndarray]) -> Dict[str, Any]:
    """Arrays in the words of expected.json; floats as text, which tells -0.0 from 0.0."""
    return {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "values": [repr(v) if isinstance(v, float) else v for v in array.ravel().tolist()],
        }
        for name, array in arrays.items()
    }


@pytest.mark.parametrize("layout", ["zip", "old"])
@pytest.mark.parametrize("content", ["tensors", "wrapped"])
def test_what_pytorch_saves_comes_back_exactly(content: str, layout: str) -> None:
    arrays = read_pth(FIXTURES / f"{content}_{layout}.pth")
    assert described(arrays) == EXPECTED[content]
    assert list(arrays) == list(EXPECTED[content])
    assert all(array.flags.c_contiguous for array in arrays.values())


def test_averaged_weights_come_before_others_and_newer_pickles_are_read() -> None:
    assert described(read_pth(FIXTURES / "ema_old.pth")) == EXPECTED["ema"]


def test_arrays_that_share_a_storage_share_their_memory() -> None:
    arrays = read_pth(FIXTURES / "tensors_zip.pth")
    assert np.shares_memory(arrays["offset"], arrays["shared"])


# Files put together by hand, to say what no `torch.save` says.


def text(value: str) -> bytes:
    """Opcodes for a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """Opcodes for a whole number of any size."""
    content = pickle.encode_long(value)
    return b"\x8a" + bytes([len(content)]) + content


def numbers(values: Sequence[int]) -> bytes:
    """Opcodes for a tuple of whole numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "Float", view: bytes = b"") -> bytes:
    """Opcodes for a reference to a storage."""
    name = b"ctorch\n" + kind.encode() + b"Storage\n"
    return b"(" + text("storage") + name + text(key) + text("cpu") + number(count) + view + b"tQ"


def tensor(
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
    count: int = 6,
    place: bytes = b"",
) -> bytes:
    """Opcodes for a tensor, of float32 in storage 0 unless `place` says otherwise."""
    where = (place or storage("0", count)) + number(offset) + numbers(shape) + numbers(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + where + b"\x89}tR"


def program(*pieces: bytes) -> bytes:
    """A pickle of protocol 2."""
    return b"\x80\x02" + b"".join(pieces) + b"."


def state(**entries: bytes) -> bytes:
    """A pickle of a state dict."""
    return program(b"}", *(text(name) + value + b"s" for name, value in entries.items()))


SIX = np.arange(6, dtype="<f4").tobytes()


def zipped(path: Path, description: bytes, **more: bytes) -> Path:
    """Write a checkpoint of the zip format; `more` are entries beside data.pkl."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data.pkl": description, "data/0": SIX, **more}.items():
            archive.writestr(f"net/{name}", content)
    return path


def old(path: Path, description: bytes, counts: bytes = b"", keys: Sequence[str] = ("0",)) -> Path:
    """Write a checkpoint of the older format, with storage 0 or the given ones."""
    start = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    rest = counts or struct.pack("<q", 6) + SIX
    path.write_bytes(b"".join([*start, description, pickle.dumps(list(keys), 2), rest]))
    return path


def refusal(path: Path, watch: bool = True) -> str:
    """What is said about a file; reading it takes little memory, which is slow to `watch`."""
    if watch:
        tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            read_pth(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert path.name in message and "\n" not in message and len(message) < 1000
    assert peak < 200e6
    return message


@pytest.fixture(params=[zipped, old])
def write(request: Any, tmp_path: Path) -> Any:
    """Writes a description with storage 0, if it names that, in either format."""

    def write(description: bytes) -> Path:
        path = tmp_path / "file.pth"
        if request.param is zipped or text("0") in description:
            return request.param(path, description)
        return old(path, description, b" ", keys=[])

    return write


def test_any_strides_are_followed(write: Any) -> None:
    path = write(
        state(
            plain=tensor((2, 3), (3, 1)),
            turned=tensor((3, 2), (1, 3)),
            diagonal=tensor((2,), (4,), offset=1),
            overlapping=tensor((2, 2, 2), (2, 1, 1)),
            single=tensor((1, 2, 1), (999, 2, 2**40), offset=3),
            scalar=tensor((), (), offset=5),
            repeated=tensor((1000, 1000), (0, 0), offset=2),
            empty=tensor((0, 2**40), (1, 1), offset=77),
        )
    )
    arrays = read_pth(path)
    assert arrays["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert arrays["diagonal"].tolist() == [1, 5]
    assert arrays["overlapping"].tolist() == [[[0, 1], [1, 2]], [[2, 3], [3, 4]]]
    assert arrays["single"].tolist() == [[[3], [5]]]
    assert arrays["scalar"].shape == () and arrays["scalar"] == 5
    assert arrays["repeated"].shape == (1000, 1000) and (arrays["repeated"] == 2).all()
    assert arrays["empty"].shape == (0, 2**40)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dimensions=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=4),
    offset=st.integers(0, 5),
)
def test_strides_reach_what_arithmetic_says(
    dimensions: list[tuple[int, int]], offset: int, tmp_path: Path
) -> None:
    shape, strides = [n for n, _ in dimensions], [step for _, step in dimensions]
    path = zipped(tmp_path / "a.pth", state(w=tensor(shape, strides, offset)))
    last = offset + sum((n - 1) * step for n, step in dimensions)
    if 0 not in shape and last > 5:
        assert "beyond its storage" in refusal(path)
        return
    expected = np.zeros(shape, np.float32)
    for place in np.ndindex(*shape):
        expected[place] = offset + sum(i * step for i, step in zip(place, strides))
    found = read_pth(path)["w"]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_views_of_storages_and_text_of_python_2_are_read(tmp_path: Path) -> None:
    place = storage("0", 6, view=b"(" + text("1") + number(2) + number(3) + b"t")
    place = place.replace(text("storage"), b"U\x07storage").replace(text("0"), b"U\x010")
    pair = b"](U\x01w" + tensor((3,), (1,), place=place).replace(b"_v2", b"") + b"e"
    pair = pair.replace(b"\x89}tR", b"tR")
    content = program(b"ccollections\nOrderedDict\n](", pair, b"e\x85R}U\x09_metadataNsb")
    assert read_pth(old(tmp_path / "a.pth", content))["w"].tolist() == [2, 3, 4]
    beyond = content.replace(number(3) + b"t", number(5) + b"t")
    assert beyond != content
    assert "reaches beyond" in refusal(old(tmp_path / "b.pth", beyond))


@pytest.mark.parametrize(
    "made",
    [
        b"%s\x85R(\x88\x89ccollections\nOrderedDict\n)Rtb",
        b"%s\x85\x81(\x88\x89Ntb",
        b")\x81(%sNN\x88\x89tb",
        b"N\x85R(%sNN\x88\x89tb",
    ],
    ids=["called", "new", "state", "called, then state"],
)
def test_parameters_of_old_versions_are_read(made: bytes, write: Any) -> None:
    parameter = b"ctorch.nn.parameter\nParameter\n" + made.replace(b"%s", tensor((3,), (2,)))
    assert read_pth(write(state(w=parameter)))["w"].tolist() == [0, 2, 4]


def tarred(path: Path) -> Path:
    """Write a tar archive such as PyTorch wrote before 0.1.10, of the right members."""
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as file:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 4, 1234.5  # type: ignore[assignment]
            file.addfile(member, io.BytesIO(pickle.dumps({}, 2)[:4]))
    return path


@pytest.mark.parametrize("name", ["a.pth", "a.pdparams"])
def test_a_tar_archive_of_the_first_versions_is_named_with_the_way_to_convert_it(
    name: str, tmp_path: Path
) -> None:
    path = tarred(tmp_path / name)
    with pytest.raises(CheckpointError) as caught:
        read_any_format(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is a tar archive, as PyTorch wrote before version 0.1.10")
    assert f"torch.save(torch.load('{path}', weights_only=False), 'NEW.pth')" in message
    assert message == refusal(path)


def test_byte_order_of_zip_archives(tmp_path: Path) -> None:
    path, content = tmp_path / "a.pth", state(w=tensor((6,), (1,)))
    swapped = np.arange(6, dtype=">f4").tobytes()
    found = read_pth(zipped(path, content, byteorder=b"big", **{"data/0": swapped}))["w"]
    assert found.tolist() == [0, 1, 2, 3, 4, 5] and found.dtype == np.dtype("=f4")
    assert read_pth(zipped(path, content, byteorder=b"little"))["w"][5] == 5
    assert "'middle'" in refusal(zipped(path, content, byteorder=b"middle"))
    half = state(w=tensor((1,), (1,), place=storage("0", 1, "BFloat16")))
    found = read_pth(zipped(path, half, byteorder=b"big", **{"data/0": b"\x40\x49"}))["w"]
    assert found.tolist() == [3.140625]


def test_prefixes_that_all_names_share_are_removed(write: Any) -> None:
    one = tensor((1,), (1,))
    assert list(read_pth(write(state(**{"module.a": one, "module.b": one})))) == ["a", "b"]
    assert list(read_pth(write(state(**{"module.a": one, "b": one})))) == ["module.a", "b"]
    assert list(read_pth(write(state(**{"n_averaged": one, "module.b": one})))) == ["b"]
    assert read_pth(write(state())) == {}


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema"]
)
def test_state_dicts_are_found_where_scripts_put_them(key: str, write: Any) -> None:
    inner = b"}" + text("w") + tensor((2,), (1,)) + b"s"
    content = {"epoch": number(3), "best": tensor((), ()), "note": b"N", key: inner}
    assert list(read_pth(write(state(**content)))) == ["w"]


def test_what_is_no_state_dict_is_named(write: Any) -> None:
    assert "'generator' is not a tensor" in refusal(write(state(generator=b"}")))
    assert "state_dict_ema" in refusal(write(state(epoch=number(3))))
    assert "3 is not a tensor" in refusal(write(program(b"}", number(3), b"Ns")))
    assert "no dictionary" in refusal(write(program(tensor((), ()))))


# Hostile files.


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch proof",)),
        (builtins.eval, ("open('proof', 'w')",)),
        (builtins.getattr, ("os", "system")),
        (pickle.loads, (b"cposix\nsystem\n(S'touch proof'\ntR.",)),
        (argparse.Namespace, ()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_calls_are_refused_by_name_and_not_made(
    function: Any, arguments: Any, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        message = refusal(write(pickle.dumps({"w": Call(function, *arguments)}, protocol)))
        assert "refused" in message and function.__name__ in message
        assert "model.state_dict()" in message
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "name",
    [
        b"ctorch.storage\n_load_from_bytes\n",
        b"ctorchvision.models.resnet\nResNet\n",
        b"ctorch\nload\n",
        b"ctorch\nComplexFloatStorage\n",
        b"ctorch._utils\n_rebuild_qtensor\n",
        b"cbuiltins\neval\n",
        b"cnumpy.core.multiarray\nscalar\n",
    ],
)
def test_other_names_are_refused(name: bytes, write: Any) -> None:
    asked = name[1:-1].replace(b"\n", b".").decode()
    assert f"'{asked}'" in refusal(write(program(b"}", text("w"), name, b"s")))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(tensor((7,), (1,)), "in its entry 'w', it reaches beyond", id="beyond"),
        pytest.param(tensor((2,), (6,)), "reaches beyond", id="stride beyond"),
        pytest.param(tensor((), (), offset=6), "reaches beyond", id="offset beyond"),
        pytest.param(tensor((2, 3), (3, -1), offset=2), "whole numbers", id="backwards"),
        pytest.param(tensor((1,), (1,), offset=-1), "whole numbers", id="before"),
        pytest.param(tensor((2**64, 0), (1, 1)), "whole numbers", id="large dimension"),
        pytest.param(tensor((2**62,) * 2 + (0,), (1,) * 3), "damaged", id="large empty"),
        pytest.param(tensor((2**40,), (0,)), "repeats its elements", id="stride of zero"),
        pytest.param(tensor((2**62,) * 9, (0,) * 9), "repeats its elements", id="strides of zero"),
        pytest.param(tensor((3,) * 30, (0,) * 30), "repeats its elements", id="many strides"),
        pytest.param(tensor((1,) * 65, (0,) * 65), "dimensions", id="too many dimensions"),
        pytest.param(tensor((1,), (1, 1)), "dimensions", id="strides of another shape"),
        pytest.param(tensor((1,), (1,), count=2**40), "its storage '0'", id="storage"),
        pytest.param(tensor((1,), (1,), count=-1), "not to a storage", id="negative storage"),
        pytest.param(tensor((1,), (1,), place=storage("7", 1)), "its storage '7'", id="missing"),
        pytest.param(tensor((1,), (1,), place=storage("../0", 1)), "'../0'", id="path"),
        pytest.param(tensor((1,), (1,), place=b"N"), "in a way that PyTorch", id="no storage"),
        pytest.param(b"NQ", "no tensor's storage", id="reference"),
        pytest.param(b"ctorch._utils\n_rebuild_parameter\n(N\x89NtR", "parameter", id="parameter"),
        pytest.param(
            tensor((1,), (1,)).replace(b"}tR", b"}}X\x03\x00\x00\x00neg\x88stR"),
            "sign",
            id="negated",
        ),
    ],
)
def test_tensors_that_cannot_be(value: bytes, words: str, write: Any) -> None:
    path = write(state(w=value))
    message = refusal(path)
    assert words in message or "storage '0' has 6 elements" in message or "truncated" in message


def test_repeated_elements_are_counted_together(write: Any) -> None:
    some = tensor((1000, 1000), (0, 0))
    assert len(read_pth(write(state(**{f"w{n}": some for n in range(10)})))) == 10
    assert "repeats" in refusal(write(state(**{f"w{n}": some for n in range(20)})))


DOUBLED = b")q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
"""A tuple of itself twice, sixty times over: quickly said, never done hashing or printing."""


LIST = b"]q\x00(" + b"(" + text("w") + b"Ntq\x01" + b"h\x01" * 100_000 + b"e"
"""A list of many pairs, and below a tuple of many numbers, which cost little to mention again."""
TUPLE = b"(" + b"K\x01" * 400_000 + b"tq\x00"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage("0", 6) + b"K\x00h\x00h\x00\x89}tR"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(
            *(b"]" * 1_100_000, "more instructions"),
            marks=[pytest.mark.slow, pytest.mark.exhaustive],
        ),
        (DOUBLED + b"}h<Ns", "keys"),
        (DOUBLED + b"h<Q", "no tensor's storage"),
        (b"(" + text("storage") + DOUBLED + b"(h<NNNNtQ", "refers to a"),
        (LIST + b"ccollections\nOrderedDict\nh\x00\x85R" * 1000, "repeats a list"),
        (LIST + b"ctorch\nSize\nh\x00\x85R", "makes a tuple of something else"),
        pytest.param(TUPLE + REBUILD * 1000, "dimensions", marks=pytest.mark.slow),
        (b"r" + struct.pack("<I", 2**32 - 1), "damaged"),
        (b"T" + struct.pack("<i", 2**31 - 1), "truncated"),
        (b"T" + struct.pack("<i", -1), "damaged"),
        (b"\x8e" + struct.pack("<Q", 2**40), "truncated"),
        (b"h\x07", "damaged"),
        (b"](Nea", "damaged"),
        (b"cos\nsystem\n", "os.system"),
        (b"\x82\x01", "opcode"),
    ],
    # The contents themselves would be names of a million letters.
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_programs_that_only_take_time_and_memory(content: bytes, words: str, write: Any) -> None:
    assert words in refusal(write(program(content)), watch=len(content) < 10_000)


def test_arrays_are_counted_before_they_are_made(write: Any) -> None:
    one = text("0") + tensor((1,), (1,)) + b"q\x00s"
    names = (b"\x8c\x05%05dh\x00" % n for n in range(50_000))
    assert "holds 50001 entries" in refusal(write(program(b"}", one, b"(", *names, b"u")), False)


def test_dimensions_and_keys_count_as_instructions(write: Any) -> None:
    shape = b"(" + b"K\x01" * 64 + b"tq\x00"
    again = b"ctorch._utils\n_rebuild_tensor\n(" + storage("0", 6) + b"K\x00h\x00h\x00tq\x01R"
    calls = b"ctorch._utils\n_rebuild_tensor\nh\x01R" * 16_000
    assert "more instructions" in refusal(write(program(shape, again, b"(", calls, b"t")), False)


def test_a_storage_is_named_shortly(write: Any) -> None:
    long = tensor((1,), (1,), place=storage("0" * 5_000, 6))
    assert "a key of 5000 letters" in refusal(write(state(w=long)))


def test_a_storage_has_one_type(write: Any) -> None:
    two = state(a=tensor((1,), (1,)), b=tensor((1,), (1,), place=storage("0", 6, "Int")))
    assert "described in two ways" in refusal(write(two))


@pytest.mark.parametrize(
    ("counts", "keys", "words"),
    [
        (struct.pack("<q", 7) + bytes(28), ["0"], "has 7 elements, not 6"),
        (struct.pack("<q", -1) + bytes(28), ["0"], "elements, not 6"),
        (struct.pack("<q", 2**61) + bytes(28), ["0"], "elements, not 6"),
        (struct.pack("<q", 6) + bytes(23), ["0"], "truncated"),
        (bytes(3), ["0"], "truncated"),
        ((struct.pack("<q", 6) + SIX) * 2, ["0", "0"], "lists a storage '0'"),
        (struct.pack("<q", 6) + SIX, ["1"], "lists a storage '1'"),
        (struct.pack("<q", 6) + SIX, [], "storage '0' is missing"),
        (struct.pack("<q", 6) + SIX, [("0",)], "refused"),
    ],
)
def test_lists_of_storages_that_do_not_fit(
    counts: bytes, keys: Any, words: str, tmp_path: Path
) -> None:
    content = state(w=tensor((6,), (1,)))
    assert words in refusal(old(tmp_path / "a.pth", content, counts, keys))


def test_another_protocol_of_the_older_format_is_named(tmp_path: Path) -> None:
    path = old(tmp_path / "a.pth", state(w=tensor((6,), (1,))))
    path.write_bytes(path.read_bytes().replace(b"M\xe9\x03", b"M\xea\x03", 1))
    assert "protocol is 1002" in refusal(path)


# Archives.


def archive(path: Path, entries: Dict[str, bytes], **options: Any) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


WHOLE = {"net/data.pkl": state(w=tensor((6,), (1,))), "net/data/0": SIX}


def test_archives_that_others_packed_again_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = archive(tmp_path / "a.pth", {"net/": b"", **WHOLE}, compression=zipfile.ZIP_DEFLATED)
    assert read_pth(packed)["w"].tolist() == [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    large = archive(tmp_path / "b.pth", WHOLE)
    monkeypatch.undo()
    assert b"PK\x06\x06" in large.read_bytes()
    assert read_pth(large)["w"].tolist() == [0, 1, 2, 3, 4, 5]


def test_archives_of_other_kinds_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    assert "TorchScript" in refusal(archive(path, {**WHOLE, "net/constants.pkl": b""}))
    assert "torch.jit.load" in refusal(archive(path, {**WHOLE, "net/code/a.py": b""}))
    assert "no data.pkl" in refusal(archive(path, {"word/document.xml": b""}))
    assert "no data.pkl" in refusal(archive(path, {"data.pkl": b""}))


def test_archives_that_pytorch_never_writes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for outside in ("other/data/0", "/etc/passwd", "net/../../x", "net/.."):
        assert "not in one folder" in refusal(archive(path, {**WHOLE, outside: b""}))
    assert "not in one folder" in refusal(archive(path, {"../data.pkl": b""}))
    squeezed = archive(path, WHOLE, compression=zipfile.ZIP_BZIP2)
    assert "compressed" in refusal(squeezed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(archive(path, WHOLE), "a") as file:
            file.writestr("net/data/0", bytes(24))
    assert "same name" in refusal(path)


def test_archives_that_unpack_to_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    zeros = {f"net/data/{n}": bytes(40_000_000) for n in range(2)}
    content = {"net/data.pkl": state(w=tensor((1,), (1,), count=10**7)), **zeros}
    packed = archive(path, content, compression=zipfile.ZIP_DEFLATED)
    assert packed.stat().st_size < 1_000_000
    assert "unpack to far more" in refusal(packed)


def lying(path: Path, content: bytes, declared: int) -> Path:
    """Write an archive of one entry that unpacks to more than its directory says."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, name = packer.compress(content) + packer.flush(), b"net/data.pkl"
    sums = struct.pack("<3I2H", zlib.crc32(content[:declared]), len(packed), declared, len(name), 0)
    entry = b"PK\3\4" + struct.pack("<5H", 20, 0, 8, 0, 33) + sums + name + packed
    listed = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 8, 0, 33) + sums + bytes(14) + name
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(listed), len(entry), 0)
    path.write_bytes(entry + listed + end)
    return path


def test_no_more_is_unpacked_than_the_list_of_entries_says(tmp_path: Path) -> None:
    path = lying(tmp_path / "a.pth", b"\x80\x02}." + bytes(64 << 20), declared=4)
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    assert read_pth(path) == {}
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert "is shorter than it says" in refusal(lying(path, b"\x80\x02}.", declared=9))
    whole = lying(path, b"\x80\x02}.", declared=4).read_bytes()
    path.write_bytes(whole.replace(struct.pack("<I", zlib.crc32(b"\x80\x02}.")), b"crc?"))
    assert "damaged (BadZipFile: Bad CRC-32" in refusal(path)


def test_a_list_of_entries_without_end_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pth", {f"net/{n:0900}": b"" for n in range(5_000)})
    assert "list of entries" in refusal(path)


def test_damage_to_the_numbers_of_an_archive_is_noticed(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pth", WHOLE)
    path.write_bytes(path.read_bytes().replace(SIX, bytes(24)))
    message = refusal(path)
    assert "damaged" in message and "net/data/0" in message


# Files of another kind, and broken ones.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"hello, world", "starts with b'hello, w'"),
        (pickle.dumps({"w": np.ones(2)}, 2), "not a PyTorch checkpoint"),
    ],
)
def test_files_of_another_kind(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert words in refusal(path)


CONTENTS = [
    pytest.param(path.read_bytes(), id=path.stem) for path in sorted(FIXTURES.glob("*.pth"))
]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_truncated_anywhere_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for length in [*range(0, len(content), 29), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            read_pth(path)
    assert "truncated" in refusal(path)


@pytest.mark.slow
@pytest.mark.parametrize("content", CONTENTS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_arrays_or_a_clear_error(
    content: bytes, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    kept = data.draw(st.sampled_from([damaged, damaged[:cut], damaged[cut:], content[cut:]]))
    path.write_bytes(bytes(kept))
    try:
        arrays = read_pth(path)
    except CheckpointError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert sum(math.prod(array.shape) for array in arrays.values()) < 200e6
