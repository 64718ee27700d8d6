"""Weight files of strangers: read, or refused in words, in little time and memory."""

from __future__ import annotations

import io
import pickle
import random
import re
import struct
import zipfile
import zlib
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import pytest
from safetensors.numpy import save

from ppcls.weights import read
from tests.hostile.harness import COUNT, SEED, Limits, attack, attack_with, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=5, megabytes=300)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "pth"
SIX = struct.pack("<6f", *range(6))
ARRAYS = {"a": np.ones((2, 3), np.float32), "b": np.array(7), "c": np.zeros((0, 4), np.uint8)}


def text(value: str) -> bytes:
    """Opcodes for a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


NAMES = [
    *("numpy\ndtype", "numpy\nndarray", "numpy.core.multiarray\n_reconstruct", "builtins\ntuple"),
    *(
        "numpy._core.multiarray\nscalar",
        "_codecs\nencode",
        "collections\nOrderedDict",
        "os\nsystem",
    ),
    *("torch._utils\n_rebuild_tensor", "torch._utils\n_rebuild_tensor_v2", "torch\nFloatStorage"),
    *("torch._utils\n_rebuild_parameter", "torch.nn.parameter\nParameter", "torch\nSize"),
    *("torch\nBFloat16Storage", "torch\nBoolStorage", "torch.storage\nUntypedStorage"),
]
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQ"
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89}tR"
)
ARRAY = pickle.dumps(ARRAYS["a"], 2)[2:-1]

SIMPLE: List[Callable[[random.Random], bytes]] = [
    *[
        lambda rng, op=op: bytes([op])
        for op in b"NNN((((tt))]}}RRR\x81bbsuaeQQQ\x85\x86\x87\x94\x88."
    ],
    *[lambda rng: b"h" + bytes([rng.randrange(6)])] * 4,
    *[lambda rng: b"q" + bytes([rng.randrange(6)])] * 4,
    *[lambda rng: b"c" + rng.choice(NAMES).encode() + b"\n"] * 4,
    lambda rng: b"K" + bytes([rng.choice((0, 1, 2, 3, 6, 255))]),
    lambda rng: b"J" + struct.pack("<i", rng.choice((-1, 2**31 - 1, 6, 1 << 20))),
    lambda rng: b"\x8a\x08" + struct.pack("<q", rng.choice((2**62, 2**40, -1, 2**63 - 1))),
    lambda rng: b"\x8a\xff" + b"\x7f" * 255,
    lambda rng: rng.choice((b"r", b"j")) + struct.pack("<I", rng.choice((0, 5, 2**20, 2**32 - 1))),
    lambda rng: text(
        rng.choice(("f4", "O8", "latin1", "0", "1", "storage", "state_dict", "w", "<"))
    ),
    lambda rng: text("x" * rng.choice((5_000, 50_000))),
    lambda rng: b"B" + struct.pack("<I", 24) + SIX,
    lambda rng: rng.choice((b"X", b"B", b"\x95", b"\x8e")) + struct.pack("<Q", 2**40),
    lambda rng: text(rng.choice("wv")) + rng.choice((TENSOR, ARRAY)) + b"s",
    lambda rng: rng.choice((STORAGE, TENSOR, ARRAY, b"U\x03abc", b"G" + bytes(8))),
]


def program(rng: random.Random) -> bytes:
    """Opcodes at random, some of them many times."""
    found = [b"}"] if rng.random() < 0.7 else []
    for _ in range(rng.randint(1, 30)):
        piece = b"".join(rng.choice(SIMPLE)(rng) for _ in range(rng.randint(1, 4)))
        often = 1 if rng.random() < 0.9 else rng.choice((10, 300, 20_000))
        found.append(piece * min(often, 1 + 1_000_000 // len(piece)))
    return b"\x80\x02" + b"".join(found) + b"."


OWN_NAMES = {True: [name for name in NAMES if "torch" in name], False: NAMES[:6]}
OWN_PLAIN = {True: [STORAGE, TENSOR], False: [ARRAY, b"cnumpy\ndtype\n" + text("f4") + b"\x85R"]}
PLAIN = [b"N", b"\x88", b")", b"]", b"}", *map(text, ("latin1", "0", "w", "<", "storage"))]


def value(rng: random.Random, is_torch: bool, depth: int = 0) -> bytes:
    """Opcodes that leave one value on the stack, as a pickler would, of whatever kind."""
    mentioned = b"h" + bytes([rng.randrange(9)])
    if depth > 3 or rng.random() < 0.4:
        number = rng.choice(
            (b"K" + bytes([rng.randrange(9)]), b"\x8a\x08" + struct.pack("<q", 2**62))
        )
        found = rng.choice([mentioned, number, *OWN_PLAIN[is_torch] * 3, *PLAIN])
    else:
        inside = [value(rng, is_torch, depth + 1) for _ in range(rng.randint(0, 5))]
        items = b"(" + rng.choice((b"".join(inside), mentioned * rng.choice((1, 9, 10_000))))
        pairs = b"".join(text(str(n)) + item for n, item in enumerate(inside))
        name = b"c" + rng.choice(OWN_NAMES[is_torch]).encode() + b"\n"
        call = name + items + rng.choice((b"tR", b"t\x81" if is_torch else b"tR"))
        state = rng.choice(OWN_PLAIN[is_torch]) + items + b"tb"
        found = rng.choice([items + b"t", b"]" + items + b"e", b"}(" + pairs + b"u", call, state])
    return found + (b"q" + bytes([rng.randrange(9)]) if rng.random() < 0.4 else b"")


def plausible(rng: random.Random, is_torch: bool) -> bytes:
    """A dictionary of arrays and others; some of what stands before it is mentioned very often."""
    shared = b"".join(b"Nq" + bytes([n]) for n in range(9))
    shared += b"".join(value(rng, is_torch) + b"q" + bytes([n]) for n in range(rng.randint(0, 9)))
    often = rng.choice((b"", b"", b"", b"(h\x01h\x02t", b"h\x01h\x02R", b"h\x01h\x02b"))
    often *= rng.choice((1, 100, 50_000))
    sound = TENSOR if is_torch else ARRAY
    names = rng.sample("abcdefgh", rng.randint(1, 6))
    values = (rng.choice((sound, sound, value(rng, is_torch))) for _ in names)
    items = b"".join(text(name) + found + b"s" for name, found in zip(names, values))
    return b"\x80\x02(" + shared + often + b"}q\x00" + items + b"."


def probed(start: int, bits: int, count: int) -> List[int]:
    """The places that Python's dictionaries try for a number, in a table of so many bits: numbers
    that stand there make looking up the first one take as long as there are numbers.
    """
    mask, place, rest = (1 << bits) - 1, start, start
    found: Dict[int, None] = {}
    while len(found) < count:
        place &= mask
        found[place] = None
        rest >>= 5
        place = place * 5 + rest + 1
    return list(found)


@cache
def collisions() -> List[int]:
    """Numbers, and at the end the one that is found only after all others were looked at."""
    return [*probed(2**31 - 5, 17, 80_000), 2**31 - 5]


AGAIN = 200_000
"""How often something short is said of something long."""


def numbered(rng: random.Random) -> bytes:
    """A pickle that numbers its values so that each takes long to find."""
    values = [b"r" + struct.pack("<I", number) for number in collisions()]
    return b"\x80\x02N" + b"".join(values) + values[-1] * AGAIN + b"."


def keyed(rng: random.Random) -> bytes:
    """A pickle with a dictionary whose keys take long to find."""
    items = [b"J" + struct.pack("<i", number) + b"Ns" for number in collisions()]
    return b"\x80\x02}" + b"".join(items) + items[-1] * AGAIN + b"."


def compared(rng: random.Random) -> bytes:
    """A checkpoint whose keys are long and alike."""
    name = text("k" * rng.choice((500_000, 5_000_000)))
    if rng.random() < 0.5:
        start = name + b"q\x00" + name + b"q\x01}h\x00Ns"
        return described(b"\x80\x02" + start + b"h\x01Ns" * AGAIN + b".")
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + name + b"NK\x06tq"
    start = storage + b"\x00" + storage + b"\x01(h\x00Q"
    return described(b"\x80\x02" + start + b"h\x01Q" * AGAIN + b"t.")


def passed(rng: random.Random) -> bytes:
    """A checkpoint that calls something with a value that is long to copy or to look through."""
    size = rng.choice((100_000, 200_000))
    items = b"(" + b"N" * size + b"t"
    pairs = b"](" + b"".join(text(f"{n:05}") + b"N\x86" for n in range(size // 4)) + b"e"
    value, call = rng.choice(((items, b"R"), (items, b"\x81"), (pairs, b"\x85R")))
    name = b"ccollections\nOrderedDict" if value is pairs else b"ctorch.nn.parameter\nParameter"
    start = text("x" * 20_000_000) + value + b"q\x00" + name + b"\nq\x01"
    return described(b"\x80\x02" + start + b"(" + (b"h\x01h\x00" + call) * AGAIN + b"t.")


def printed(rng: random.Random) -> bytes:
    """A pickle whose refusal would name a value that is long to print."""
    names = b"".join(text(str(n * 7919 % 200_000)) + b"N" for n in range(200_000))
    value = b"}(" + names + b"uq\x00"
    for _ in range(rng.randint(3, 6)):
        value += b"}(" + b"".join(text(str(n)) + b"h\x00" for n in range(4)) + b"uq\x00"
    return b"\x80\x02" + value + b"cnumpy\ndtype\nh\x00\x85R."


@cache
def bomb() -> bytes:
    """Deflated zeros: 600 million of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * 600 + packer.flush()


def understated(rng: random.Random) -> bytes:
    """An archive of one entry that unpacks to more than it says."""
    size, name = rng.choice((1, 24, 100_000)), b"net/data.pkl"
    fields = struct.pack("<3I2H", zlib.crc32(bytes(size)), len(bomb()), size, len(name), 0)
    entry = b"PK\3\4" + struct.pack("<5H", 20, 0, 8, 0, 33) + fields + name + bomb()
    listed = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 8, 0, 33) + fields + bytes(14) + name
    end = struct.pack("<4H2IH", 0, 0, 1, 1, len(listed), len(entry), 0)
    return entry + listed + b"PK\5\6" + end


COSTLY = [numbered, keyed, compared, passed, passed, printed, understated]


def zipped(entries: Dict[str, bytes], level: int = 1) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def described(description: bytes) -> bytes:
    """A checkpoint of PyTorch that describes its tensors so."""
    return zipped({"net/data.pkl": description, "net/data/0": SIX, "net/byteorder": b"little"})


def older(description: bytes) -> bytes:
    """A checkpoint of PyTorch before version 1.6."""
    start = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    return b"".join([*start, description, pickle.dumps(["0"], 2), struct.pack("<q", 6), SIX])


def written(rng: random.Random) -> bytes:
    """A file of any format around a program."""
    wrap = rng.choice((bytes, described, older))
    return wrap(program(rng) if rng.random() < 0.3 else plausible(rng, wrap is not bytes))


REAL = [
    *[path.read_bytes() for path in sorted(FIXTURES.glob("*.pth"))],
    *[pickle.dumps(ARRAYS, protocol) for protocol in (2, 3, 4)],
    save(ARRAYS, {"ppcls": '{"format": 1, "kind": "weights", "arch": "LeNet"}'}),
    older(b"\x80\x02}" + text("w") + TENSOR + b"s."),
    described(b"\x80\x02}" + text("w") + TENSOR + b"s."),
]
DESCRIBED = [
    zipfile.ZipFile(path).read(name)
    for path in sorted(FIXTURES.glob("*_zip.pth"))
    for name in zipfile.ZipFile(path).namelist()
    if name.endswith("data.pkl")
]


def changed(rng: random.Random) -> bytes:
    """A real file with damage: anywhere, or in the description that an archive holds."""
    if rng.random() < 0.3:
        return described(damaged(rng.choice(DESCRIBED), rng))
    return damaged(rng.choice(REAL), rng)


SIZES = (0, 1, 3, 24, 25, 4_000, 1 << 20, 1 << 26, 2**31 - 1, 2**32 - 2, 2**32 - 1)
FIELDS = {b"PK\3\4": (4, 6, 8, 14, 18, 22, 26, 28), b"PK\1\2": (8, 10, 16, 20, 24, 28, 30, 42)}
FIELDS[b"PK\5\6"] = (8, 10, 12, 16, 20)


@cache
def padded(size: int) -> bytes:
    """An archive whose entries unpack to so many zeros besides."""
    entries = {"net/data.pkl": b"\x80\x02}" + text("w") + TENSOR + b"s." + bytes(size)}
    return zipped({**entries, "net/data/0": SIX + bytes(size), "net/data/1": bytes(size)})


def lying(rng: random.Random) -> bytes:
    """An archive whose directory lies: about sizes, places, kinds and checksums."""
    content = bytearray(padded(rng.choice((0, 100, 1 << 20, 1 << 24))))
    for _ in range(rng.randint(1, 4)):
        mark = rng.choice(list(FIELDS))
        places = [found.start() for found in re.finditer(re.escape(mark), content)][:9]
        place = rng.choice(places) + rng.choice(FIELDS[mark])
        size = rng.choice((2, 4))
        if place + size <= len(content):
            value = rng.choice((*SIZES, zlib.crc32(b""))) & (256**size - 1)
            content[place : place + size] = value.to_bytes(size, "little")
    return bytes(content)


def opened(path: Path, content: bytes) -> None:
    """Read a file with this content."""
    path.write_bytes(content)
    arrays = read(path).arrays
    assert all(isinstance(name, str) for name in arrays)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize("make", [written, changed, lying])
def test_weight_files_are_read_or_refused_in_words(
    make: Callable[[random.Random], bytes], tmp_path: Path
) -> None:
    name, reading = f"weight files {make.__name__}", partial(opened, tmp_path / "a.pth")
    summary = attack(name, make, reading, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
    assert 0 < summary.refused < summary.inputs


def test_files_that_only_take_time_and_memory_are_refused(tmp_path: Path) -> None:
    makers = islice(cycle(COSTLY), max(len(COSTLY), COUNT // 100))
    inputs = (make(random.Random(f"{SEED} {n}")) for n, make in enumerate(makers))
    reading = partial(opened, tmp_path / "a.pth")
    summary = attack_with("costly weight files", inputs, reading, tmp_path, LIMITS)
    expect_no_failure(summary, tmp_path)
